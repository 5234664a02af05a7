//! The share of a run that one machine takes, and where its number comes from.

use std::str::FromStr;

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The K-th of N shares, K from 1 to N.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
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

fn no_shard(text: &str) -> Error {
    Error::usage(format!(
        "{text:?} is not a shard; write K/N with K from 1 to N, such as 2/8, or auto, or auto/N"
    ))
}

impl std::fmt::Display for Shard {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.index, self.count)
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl TryFrom<String> for Shard {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once('/').and_then(|(index, count)| {
            let (index, count) = (index.trim().parse().ok()?, count.trim().parse().ok()?);
            (1..=count)
                .contains(&index)
                .then_some(Self { index, count })
        });
        parsed.ok_or_else(|| no_shard(text))
    }
}

impl FromStr for ShardChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "auto" {
            return Ok(Self::Auto { count: None });
        }
        match text.strip_prefix("auto/") {
            Some(count) => match count.parse() {
                Ok(count) if count > 0 => Ok(Self::Auto { count: Some(count) }),
                _ => Err(no_shard(text)),
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
    /// When the variables are missing or are inconsistent.
    pub fn resolve(self, variable: impl Fn(&str) -> Option<String>) -> Result<Shard> {
        let count = match self {
            Self::Given(shard) => return Ok(shard),
            Self::Auto { count } => count,
        };
        let number = |name: &'static str| match variable(name).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(value) => match value.trim().parse::<usize>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(Error::usage(format!(
                    "{name} is {value:?}, which is not a number; write --shard K/N"
                ))),
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
                let unfit = |why: String| Error::usage(format!("{why}; write --shard K/N"));
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
            (None, None) => {
                return Err(Error::usage(
                    "--shard auto finds neither SLURM_ARRAY_TASK_ID (a Slurm array job) nor \
                     JOB_COMPLETION_INDEX (a Kubernetes job with completionMode: Indexed); write \
                     --shard K/N",
                ));
            }
        };
        let count = count.ok_or_else(|| {
            Error::usage(format!(
                "--shard auto finds {name}={value} but not how many shards there are; write --shard \
                 auto/N or set MASKLET_SHARD_COUNT"
            ))
        })?;
        if place >= count {
            return Err(Error::usage(format!(
                "{name} is {value}, but there are only {count} shards; write --shard K/N"
            )));
        }
        Ok(Shard {
            index: place + 1,
            count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str, variables: &[(&str, &str)]) -> Result<String> {
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
        assert_eq!(from("2/8", &[]).unwrap(), "2/8");
        assert_eq!(
            from("auto", &slurm("0", "0", "7", "1", "8")).unwrap(),
            "1/8"
        );
        assert_eq!(
            from("auto", &slurm("8", "1", "8", "1", "8")).unwrap(),
            "8/8"
        );
        assert_eq!(
            from("auto", &slurm("30", "10", "80", "10", "8")).unwrap(),
            "3/8"
        );
        assert_eq!(
            from("auto/4", &[("JOB_COMPLETION_INDEX", "0")]).unwrap(),
            "1/4"
        );
        let kubernetes = [("JOB_COMPLETION_INDEX", "3"), ("MASKLET_SHARD_COUNT", "4")];
        assert_eq!(from("auto", &kubernetes).unwrap(), "4/4");
        // What is given wins over what a scheduler says.
        assert_eq!(from("1/2", &kubernetes).unwrap(), "1/2");
        for text in [
            "0/2", "3/2", "2", "1/0", "a/b", "auto/0", "auto/x", "-1/2", "",
        ] {
            let error = from(text, &[]).unwrap_err().to_string();
            assert!(error.contains("is not a shard"), "{text}: {error}");
        }
        let error = from("auto", &[]).unwrap_err().to_string();
        assert!(error.contains("SLURM_ARRAY_TASK_ID"), "{error}");
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
            (vec![("SLURM_ARRAY_TASK_ID", "one")], "not a number"),
        ] {
            let error = from("auto", &variables).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
