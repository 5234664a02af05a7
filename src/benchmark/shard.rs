//! Which videos a machine takes.

use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::dataset::Video;
use crate::error::{Classified, ErrorClass};

/// The K-th of N shares, K from 1 to N.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1 on.
    pub index: usize,
    /// Of how many.
    pub count: usize,
}

/// What was asked for on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardChoice {
    /// `K/N`.
    Given(Shard),
    /// `auto`, or `auto/N`: what the scheduler's variables say.
    Auto {
        /// Number of shares, where it was given.
        count: Option<usize>,
    },
}

/// A share that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// The text is no share.
    #[error("{text:?} is no shard; write K/N with K from 1 to N, such as 2/8, or auto, or auto/N")]
    Text {
        /// What was given.
        text: String,
    },
    /// No scheduler set its variables.
    #[error(
        "--shard auto finds neither SLURM_ARRAY_TASK_ID (a Slurm array job) nor JOB_COMPLETION_INDEX \
         (a Kubernetes job with completionMode: Indexed); write --shard K/N"
    )]
    NoScheduler,
    /// An index without a count.
    #[error(
        "--shard auto finds {variable}={index} but not how many shards there are; write --shard \
         auto/N or set MASKLET_SHARD_COUNT"
    )]
    NoCount {
        /// Variable of the index.
        variable: &'static str,
        /// Its value.
        index: usize,
    },
    /// A variable is no number.
    #[error("{variable} is {value:?}, which is no number; write --shard K/N")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// The numbers do not fit together.
    #[error("{why}; write --shard K/N")]
    Unfit {
        /// Which, and how.
        why: String,
    },
}

impl Classified for ShardError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Usage
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let parsed = text.split_once('/').and_then(|(index, count)| {
            let (index, count) = (index.trim().parse().ok()?, count.trim().parse().ok()?);
            (1..=count)
                .contains(&index)
                .then_some(Self { index, count })
        });
        parsed.ok_or_else(|| ShardError::Text {
            text: text.to_owned(),
        })
    }
}

impl FromStr for ShardChoice {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        if text == "auto" {
            return Ok(Self::Auto { count: None });
        }
        match text.strip_prefix("auto/") {
            Some(count) => match count.parse() {
                Ok(count) if count > 0 => Ok(Self::Auto { count: Some(count) }),
                _ => Err(ShardError::Text {
                    text: text.to_owned(),
                }),
            },
            None => text.parse().map(Self::Given),
        }
    }
}

impl ShardChoice {
    /// The share, with the environment's variables where they decide.
    ///
    /// Slurm: `SLURM_ARRAY_TASK_ID`, with `_MIN`, `_STEP` and `_COUNT`, so that `--array=0-7`,
    /// `1-8` and `10-80:10` are all eight shares, whatever limit on running tasks (`%4`) is added.
    /// Kubernetes: `JOB_COMPLETION_INDEX` from 0, with the count from `auto/N` or
    /// `MASKLET_SHARD_COUNT`, as the job's `completions` stand in no variable.
    ///
    /// # Errors
    /// [`ShardError`] when the variables are missing or do not fit together.
    pub fn resolve(self, variable: impl Fn(&str) -> Option<String>) -> Result<Shard, ShardError> {
        let count = match self {
            Self::Given(shard) => return Ok(shard),
            Self::Auto { count } => count,
        };
        let number = |name: &'static str| match variable(name).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(value) => match value.trim().parse::<usize>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(ShardError::Variable {
                    variable: name,
                    value,
                }),
            },
        };
        const TASK: &str = "SLURM_ARRAY_TASK_ID";
        const COMPLETION: &str = "JOB_COMPLETION_INDEX";
        const COUNT: &str = "MASKLET_SHARD_COUNT";
        let count = match count {
            Some(count) => Some(count),
            None => number(COUNT)?,
        };
        let (name, value, place, count) = match (number(TASK)?, number(COMPLETION)?) {
            (Some(task), _) => {
                let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
                let step = number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
                let tasks = number("SLURM_ARRAY_TASK_COUNT")?;
                let unfit = |why: String| ShardError::Unfit { why };
                if let (Some(last), Some(tasks)) = (number("SLURM_ARRAY_TASK_MAX")?, tasks)
                    && last.checked_sub(first).map(|span| span / step + 1) != Some(tasks)
                {
                    return Err(unfit(format!(
                        "the Slurm array from {first} to {last} by {step} has {tasks} tasks, so it has \
                         gaps, and a task's number does not say which share is its"
                    )));
                }
                let place = task.checked_sub(first).filter(|above| above % step == 0);
                let place = place.ok_or_else(|| {
                    unfit(format!(
                        "task {task} is not in a Slurm array that begins at {first} and goes by {step}"
                    ))
                })?;
                (TASK, task, place / step, count.or(tasks))
            }
            (None, Some(index)) => (COMPLETION, index, index, count),
            (None, None) => return Err(ShardError::NoScheduler),
        };
        let count = count.ok_or(ShardError::NoCount {
            variable: name,
            index: value,
        })?;
        if place >= count {
            return Err(ShardError::Unfit {
                why: format!("{name} is {value}, but there are only {count} shards"),
            });
        }
        Ok(Shard {
            index: place + 1,
            count,
        })
    }
}

/// A video and what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Video id.
    pub id: String,
    /// Frames times objects.
    pub cost: u64,
}

/// What a video costs: its frames, at most `max_clip_frames` (0 for all), times its objects.
pub fn video_cost(video: &Video, max_clip_frames: usize) -> Workload {
    let frames = match max_clip_frames {
        0 => video.frame_count(),
        most => video.frame_count().min(most),
    };
    Workload {
        id: video.id.clone(),
        cost: frames as u64 * video.objects.len() as u64,
    }
}

/// The share, from 0, that each video belongs to. Longest processing time first (Graham 1969): the
/// costliest video goes to the share that has least so far. Equal costs go in the order of ids,
/// equal shares in their own, so that the outcome depends on nothing else.
pub fn assign(videos: &[Workload], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..videos.len()).collect();
    let key = |at: &usize| {
        videos
            .get(*at)
            .map(|v| (std::cmp::Reverse(v.cost), v.id.clone()))
    };
    order.sort_by_key(key);
    let mut load = vec![0_u64; count.max(1)];
    let mut shares = vec![0; videos.len()];
    for at in order {
        let least = load
            .iter()
            .enumerate()
            .min_by_key(|(place, load)| (**load, *place));
        let place = least.map_or(0, |(place, _)| place);
        if let (Some(share), Some(load), Some(video)) =
            (shares.get_mut(at), load.get_mut(place), videos.get(at))
        {
            *share = place;
            *load += video.cost;
        }
    }
    shares
}

impl Shard {
    /// Whether each video is in this share.
    pub fn keeps(self, videos: &[Workload]) -> Vec<bool> {
        let shares = assign(videos, self.count);
        shares
            .into_iter()
            .map(|share| share + 1 == self.index)
            .collect()
    }
}

/// SHA-256 over videos and costs in order: shares of one run must agree on it, or they would
/// leave out or repeat videos.
pub fn fingerprint(videos: &[Workload]) -> String {
    let mut hash = Sha256::new();
    for video in videos {
        hash.update(format!("{}\0{}\0", video.id, video.cost));
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str, variables: &[(&str, &str)]) -> Result<String, ShardError> {
        let choice: ShardChoice = text.parse()?;
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        choice.resolve(variable).map(|shard| shard.to_string())
    }

    #[test]
    fn shards_as_people_and_schedulers_write_them() {
        let slurm = |id, min, max, step, count| {
            [
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_MIN", min),
                ("SLURM_ARRAY_TASK_MAX", max),
                ("SLURM_ARRAY_TASK_STEP", step),
                ("SLURM_ARRAY_TASK_COUNT", count),
            ]
        };
        assert_eq!(from("2/8", &[]), Ok("2/8".to_owned()));
        assert_eq!(
            from("auto", &slurm("0", "0", "7", "1", "8")),
            Ok("1/8".to_owned())
        );
        assert_eq!(
            from("auto", &slurm("8", "1", "8", "1", "8")),
            Ok("8/8".to_owned())
        );
        assert_eq!(
            from("auto", &slurm("30", "10", "80", "10", "8")),
            Ok("3/8".to_owned())
        );
        assert_eq!(
            from("auto/4", &[("JOB_COMPLETION_INDEX", "0")]),
            Ok("1/4".to_owned())
        );
        let kubernetes = [("JOB_COMPLETION_INDEX", "3"), ("MASKLET_SHARD_COUNT", "4")];
        assert_eq!(from("auto", &kubernetes), Ok("4/4".to_owned()));
        // What is given wins over what a scheduler says.
        assert_eq!(from("1/2", &kubernetes), Ok("1/2".to_owned()));
        for text in [
            "0/2", "3/2", "2", "1/0", "a/b", "auto/0", "auto/x", "-1/2", "",
        ] {
            assert!(
                matches!(from(text, &[]), Err(ShardError::Text { .. })),
                "{text}"
            );
        }
        assert_eq!(from("auto", &[]), Err(ShardError::NoScheduler));
        for (variables, says) in [
            (slurm("3", "1", "7", "1", "3").to_vec(), "gaps"),
            (
                slurm("15", "10", "80", "10", "8").to_vec(),
                "task 15 is not in",
            ),
            (vec![("JOB_COMPLETION_INDEX", "3")], "MASKLET_SHARD_COUNT"),
            (
                vec![("JOB_COMPLETION_INDEX", "4"), ("MASKLET_SHARD_COUNT", "4")],
                "only 4 shards",
            ),
            (vec![("SLURM_ARRAY_TASK_ID", "one")], "no number"),
        ] {
            let error = from("auto", &variables).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    fn videos(costs: &[u64]) -> Vec<Workload> {
        let of = |(at, cost): (usize, &u64)| Workload {
            id: format!("v{at}"),
            cost: *cost,
        };
        costs.iter().enumerate().map(of).collect()
    }

    #[test]
    fn the_costliest_video_goes_where_least_is() {
        // Graham's example: 7, 6, 5, 4, 3, 2 in two shares of 14 and 13.
        assert_eq!(assign(&videos(&[2, 7, 3, 6, 4, 5]), 2), [1, 0, 0, 1, 0, 1]);
        // Equal costs: one each, in the order of ids.
        assert_eq!(assign(&videos(&[1, 1, 1]), 3), [0, 1, 2]);
        // More shares than videos leaves some empty.
        assert_eq!(assign(&videos(&[1]), 4), [0]);
        assert!(assign(&[], 4).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn shares_part_the_videos_and_balance(costs in proptest::collection::vec(1..1000_u64, 0..40), count in 1..9_usize) {
            let all = videos(&costs);
            let kept: Vec<Vec<bool>> = (1..=count).map(|index| Shard { index, count }.keeps(&all)).collect();
            for at in 0..all.len() {
                proptest::prop_assert_eq!(kept.iter().filter(|keeps| keeps[at]).count(), 1);
            }
            // Graham's bound for the greedy list: the mean plus the largest.
            let load = |keeps: &Vec<bool>| -> u64 { keeps.iter().zip(&costs).filter(|(k, _)| **k).map(|(_, c)| c).sum() };
            let most = kept.iter().map(load).max().unwrap_or(0) as f64;
            let bound = costs.iter().sum::<u64>() as f64 / count as f64 + costs.iter().max().copied().unwrap_or(0) as f64;
            proptest::prop_assert!(most <= bound);
        }
    }
}
