//! The exact text of the reports.

use super::*;
use crate::metrics::error::Missing;
use crate::metrics::folder::ScoredObject;
use crate::metrics::protocol::{GlobalScore, ObjectScore};

fn scores(objects: &[(&str, &str, f64, f64)]) -> FolderScores {
    let objects: Vec<ScoredObject> = objects
        .iter()
        .map(|&(video, object, j, f)| ScoredObject {
            video: video.to_owned(),
            object: object.to_owned(),
            score: ObjectScore { j, f, frames: 3 },
        })
        .collect();
    FolderScores {
        gt: "gt".into(),
        pred: "pred".into(),
        protocol: Protocol::Official,
        skipped_first_and_last: true,
        global: GlobalScore::of(objects.iter().map(|o| o.score)).unwrap(),
        objects,
        dropped: vec!["b/002".to_owned()],
        coverage: Coverage {
            videos: 1,
            videos_total: 2,
            frames: 6,
            frames_total: 9,
        },
        missing: Missing::default(),
        extra_videos: Vec::new(),
        ..FolderScores::default()
    }
}

/// Text of Python's format strings in the official evaluator, for the same numbers.
#[test]
fn csv_is_the_official_text() {
    let scores = scores(&[("sav_000001", "000", 100.0, 50.25), ("v", "7", 0.0, 9.96)]);
    assert_eq!(
        official_csv(&scores),
        "sequence    ,obj,  J&F,    J,    F\n\
         Global score,   , 40.1, 50.0, 30.1\n\
         sav_000001  ,000, 75.1, 100.0, 50.2\n\
         v           ,007,  5.0,  0.0, 10.0\n"
    );
}

#[test]
fn csv_widens_to_the_longest_name() {
    let scores = scores(&[("a_rather_long_video_name", "000", 1.0, 2.0)]);
    assert_eq!(
        official_csv(&scores),
        "sequence                ,obj,  J&F,    J,    F\n\
         Global score            ,   , 1.5, 1.0, 2.0\n\
         a_rather_long_video_name,000,  1.5,  1.0,  2.0\n"
    );
}

#[test]
fn json_starts_with_the_scores() {
    let text = json(&scores(&[("v", "000", 64.2, 1.0 / 3.0)]));
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let keys: Vec<_> = value.as_object().unwrap().keys().take(4).cloned().collect();
    assert_eq!(keys, ["J", "F", "JF", "objects"]);
    assert_eq!(value["F"].as_f64(), Some(1.0 / 3.0));
    let expected =
        serde_json::json!({"video": "v", "object": "000", "J": 64.2, "F": 1.0 / 3.0, "frames": 3});
    assert_eq!(value["objects"][0], expected);
    assert_eq!(value["dropped_objects"][0], "b/002");
    assert!(text.ends_with("}\n"));
}

#[test]
fn table_and_summary_count_what_was_scored() {
    let scores = scores(&[("v", "000", 64.0, 70.0), ("v", "001", 50.0, 60.0)]);
    assert_eq!(
        crate::render::terminal(
            &[crate::render::Block::Table(table(&scores))],
            crate::render::Style::PLAIN
        ),
        "video          object   frames    J&F      J      F\n\
         ---------------------------------------------------\n\
         v              000           3   67.0   64.0   70.0\n\
         v              001           3   55.0   50.0   60.0\n\
         Global score   2             6   61.0   57.0   65.0\n"
    );
    assert_eq!(
        summary(&scores),
        "J&F 61.0   J 57.0   F 65.0   (official protocol; 1 video, 2 objects, 6 mask files)"
    );
    assert_eq!(
        coverage(&scores),
        "Partial: scored 1 of 2 videos and 6 of 9 mask files."
    );
}

#[test]
fn warnings_name_what_was_left_out() {
    let mut scores = scores(&[("v", "000", 100.0, 99.0)]);
    scores.extra_videos = (0..7).map(|i| format!("x{i}")).collect();
    let warnings = scores.warnings();
    assert!(warnings[0].contains("J is 100 for every object"));
    assert!(warnings[1].starts_with("1 object left out") && warnings[1].ends_with("b/002"));
    assert!(
        warnings[2].ends_with("x0, x1, x2, x3, x4 and 2 more"),
        "{}",
        warnings[2]
    );
    assert_eq!(warnings.len(), 3);
}
