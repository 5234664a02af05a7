//! Which videos a machine takes: a pure function of the videos and the number of shares, so that
//! machines need not talk to each other.

use crate::dataset::Video;
use crate::spec::Shard;
use sha2::{Digest, Sha256};

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

/// Whether each video is in this share.
pub fn keeps(shard: Shard, videos: &[Workload]) -> Vec<bool> {
    let shares = assign(videos, shard.count);
    shares
        .into_iter()
        .map(|share| share + 1 == shard.index)
        .collect()
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
            let kept: Vec<Vec<bool>> = (1..=count).map(|index| keeps(Shard { index, count }, &all)).collect();
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
