//! Every video of every model in one table.

use super::super::record::RunRecord;
use crate::figures::catalogue::Unit;
use crate::figures::stats::Stability;
use crate::record::{ObjectSummary, clip_times};
use crate::render::{Block, Cell, Section, Table, Tone};
use std::collections::BTreeMap;

/// Rows that are listed.
const LISTED: usize = 200;

/// The section.
pub(in crate::report) fn videos(record: &RunRecord) -> Section {
    let clips = clip_times(&record.rows);
    let mut groups: BTreeMap<(&str, &str), Vec<&ObjectSummary>> = BTreeMap::new();
    for object in &record.summary.objects {
        let key = (object.key.video.as_str(), object.key.model.as_str());
        groups.entry(key).or_default().push(object);
    }
    let head = [
        Cell::text("video"),
        Cell::text("model"),
        Cell::number("objects"),
        Cell::number("frames"),
        Cell::number("FPS end to end"),
        Cell::number("objects per frame"),
        Cell::number("J&F"),
        Cell::text("stability"),
    ];
    let count = groups.len();
    let rows = groups.iter().take(LISTED).map(|((video, model), objects)| {
        let own = clips
            .iter()
            .filter(|c| c.video == *video && c.model == *model);
        let (mut frames, mut ms) = (0_usize, 0.0);
        for clip in own {
            for frame in clip.counted() {
                frames += 1;
                ms += frame.end_to_end_ms;
            }
        }
        // Objects that join late are on fewer frames.
        let object_frames = objects.iter().map(|object| {
            let warm_up = object
                .row
                .timing
                .as_ref()
                .map(|timing| timing.warmup_frames);
            warm_up.map_or(0, |warm_up| object.row.frames.saturating_sub(warm_up))
        });
        let object_frames = object_frames.sum::<usize>() as f64;
        let per_frame = (frames > 0).then(|| object_frames / frames as f64);
        let number = |unit: Unit, value: Option<f64>| match value {
            Some(value) => Cell::number(unit.text(value)),
            None => Cell::missing(""),
        };
        let scores: Vec<f64> = objects
            .iter()
            .filter_map(|object| Some(object.row.scores?.official?.jf() * 100.0))
            .collect();
        let jf = (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64);
        let ok = objects.iter().filter(|object| object.row.is_ok()).count();
        let tracked = if ok == objects.len() {
            Cell::number(ok.to_string())
        } else {
            let text = format!("{ok}, {} failed", objects.len() - ok);
            Cell::number(text).toned(Tone::Bad)
        };
        vec![
            Cell::text(*video),
            Cell::text(*model),
            tracked,
            Cell::number(frames.to_string()),
            number(
                Unit::FramesPerSecond,
                (ms > 0.0).then(|| frames as f64 * 1000.0 / ms),
            )
            .with("video", video)
            .with("model", model),
            number(Unit::Share, per_frame),
            number(Unit::Percent, jf),
            verdict(objects),
        ]
    });
    let table = Table::new("videos-table", head).with_rows(rows);
    let mut blocks = vec![Block::Table(table)];
    if count == 0 {
        blocks = vec![Block::nothing("No object has been finished yet.")];
    } else if count > LISTED {
        let more = count - LISTED;
        blocks.push(Block::nothing(format!("{more} more are in summary.csv.")));
    }
    let lead = "Speed counts a frame once however many objects advanced on it; J&F is the mean over the \
                video's objects. Warm-up is omitted.";
    Section::new("videos", "Videos", "Videos", lead, blocks)
}

/// The worst verdict of a video's objects.
fn verdict(objects: &[&ObjectSummary]) -> Cell {
    let verdicts = || objects.iter().filter_map(|object| object.stability);
    let unstable = verdicts().find(|v| matches!(v, Stability::DidNotStabilise { .. }));
    match unstable.or_else(|| verdicts().next()) {
        None => Cell::missing(""),
        Some(found) => {
            let tone = match found {
                Stability::DidNotStabilise { .. } => Tone::Bad,
                _ => Tone::Plain,
            };
            Cell::text(found.text()).toned(tone)
        }
    }
}
