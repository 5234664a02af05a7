//! Frames that came too late: those of a live stream against their own rate, those of a run that went
//! as fast as it could against a frame's time at 24 per second, from the wall clock in the journal.

use super::super::DEADLINE_MS;
use super::super::record::RunRecord;
use crate::record::{ClipTimes, RealtimeSummary, clip_times};
use crate::render::{Block, Cell, Section, Table, Tone, counted};

/// Videos that are listed.
const LISTED: usize = 10;

/// How the frames of some clips stand against the deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Misses {
    frames: usize,
    missed: usize,
    /// The most in a row.
    streak: usize,
}

impl Misses {
    fn of<'c>(clips: impl IntoIterator<Item = &'c ClipTimes>) -> Self {
        let mut all = Self::default();
        for clip in clips {
            let mut row = 0;
            for frame in clip.counted() {
                let late = frame.end_to_end_ms > DEADLINE_MS;
                row = if late { row + 1 } else { 0 };
                all.frames += 1;
                all.missed += usize::from(late);
                all.streak = all.streak.max(row);
            }
        }
        all
    }

    fn share(&self) -> f64 {
        self.missed as f64 * 100.0 / self.frames.max(1) as f64
    }

    fn cells(&self) -> [Cell; 4] {
        [
            Cell::number(self.frames.to_string()),
            Cell::number(self.missed.to_string())
                .toned(tone(self.missed))
                .valued("deadline_misses", Some(self.missed as f64)),
            Cell::number(format!("{:.1} %", self.share())),
            Cell::number(counted(self.streak, "frame")),
        ]
    }
}

fn tone(misses: usize) -> Tone {
    if misses == 0 { Tone::Good } else { Tone::Bad }
}

/// A model's line where frames came at a rate.
fn live_row(model: &str, live: &RealtimeSummary) -> Vec<Cell> {
    let rates: Vec<String> = live.fps.iter().map(|fps| format!("{fps:.2}")).collect();
    let count = |name: &str, frames: usize, share: f64| {
        Cell::number(format!("{frames} ({:.1} %)", share * 100.0))
            .toned(tone(frames))
            .valued(name, Some(frames as f64))
    };
    let latency = |value: Option<f64>| match value {
        Some(ms) => Cell::number(format!("{ms:.1} ms")),
        None => Cell::missing(""),
    };
    let own = live.latency_ms.as_ref();
    vec![
        Cell::text(model).with("model", model),
        Cell::number(format!("{} FPS", rates.join(", "))),
        Cell::number(live.due_frames.to_string()),
        count("late_frames", live.late_frames, live.late_share),
        count("dropped_frames", live.dropped_frames, live.dropped_share),
        latency(own.map(|l| l.p50_ms)),
        latency(own.map(|l| l.p99_ms)),
    ]
}

/// The section of a run with `--realtime`.
fn live(record: &RunRecord) -> Option<Section> {
    let models = record.summary.models.iter();
    let rows: Vec<Vec<Cell>> = models
        .filter_map(|model| Some(live_row(&model.model, model.realtime.as_ref()?)))
        .collect();
    if rows.is_empty() {
        return None;
    }
    let numbers = [
        "rate",
        "frames due",
        "deadline misses",
        "dropped",
        "due to result, p50",
        "p99",
    ];
    let head = [Cell::text("model")]
        .into_iter()
        .chain(numbers.map(Cell::number));
    Some(Section::new(
        "deadline",
        "Deadline",
        "Deadlines in real time",
        "Frames came at their rate, as from a live camera. A miss is a frame whose result was not there when \
         the next frame was due; a dropped frame was passed over because a newer one had come. Fewer is \
         better.",
        vec![Block::Table(Table::new("live", head).with_rows(rows))],
    ))
}

/// The section.
pub(in crate::report) fn deadline(record: &RunRecord) -> Section {
    if let Some(live) = live(record) {
        return live;
    }
    let clips = clip_times(&record.rows);
    let of_model = |model: &str| -> Vec<&ClipTimes> {
        clips.iter().filter(|clip| clip.model == model).collect()
    };
    let table = |id: &str, first: &str, rows: Vec<Vec<Cell>>| {
        let numbers = ["frames", "over 41.7 ms", "share", "longest run of misses"];
        let head = [Cell::text(first)]
            .into_iter()
            .chain(numbers.map(Cell::number));
        Block::Table(Table::new(id, head).with_rows(rows))
    };
    let mut rows = Vec::new();
    let mut videos: Vec<(f64, Vec<Cell>)> = Vec::new();
    for model in &record.summary.models {
        let own = of_model(&model.model);
        let misses = Misses::of(own.iter().copied());
        if misses.frames == 0 {
            continue;
        }
        let mut row = vec![Cell::text(&model.model).with("model", &model.model)];
        row.extend(misses.cells());
        rows.push(row);
        let mut names: Vec<&str> = own.iter().map(|clip| clip.video.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let misses = Misses::of(own.iter().copied().filter(|clip| clip.video == name));
            if misses.missed > 0 && misses.missed < misses.frames {
                let mut row = vec![Cell::text(format!("{name}, {}", model.model))];
                row.extend(misses.cells());
                videos.push((misses.share(), row));
            }
        }
    }
    let lead = "A 24 FPS camera delivers a frame every 41.7 ms. Frames that took longer than that, end \
                to end, would have come too late. This run took frames as fast as it could, so nothing \
                was waited for or dropped. Fewer is better.";
    let heading = "Deadline of 41.7 ms (24 FPS)";
    let section = |blocks| Section::new("deadline", "Deadline", heading, lead, blocks);
    if rows.is_empty() {
        return section(vec![Block::nothing("No frame was measured.")]);
    }
    let mut blocks = vec![table("deadlines", "model", rows)];
    videos.sort_by(|a, b| b.0.total_cmp(&a.0));
    videos.truncate(LISTED);
    if !videos.is_empty() {
        blocks.push(Block::heading(
            "Videos in which some frames, but not all, were late",
        ));
        let rows: Vec<Vec<Cell>> = videos.into_iter().map(|(_, row)| row).collect();
        blocks.push(table("deadlines-videos", "video, model", rows));
    }
    section(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::FrameTime;

    #[test]
    fn warm_up_does_not_count_and_streaks_end_with_the_clip() {
        let clip = |times: &[f64]| ClipTimes {
            model: "m".to_owned(),
            video: "v".to_owned(),
            objects: Vec::new(),
            session: 0,
            frames: times
                .iter()
                .enumerate()
                .map(|(frame, ms)| FrameTime {
                    frame,
                    warm_up: frame == 0,
                    end_to_end_ms: *ms,
                })
                .collect(),
        };
        let clips = [
            clip(&[99.0, 50.0, 40.0, 60.0, 41.6]),
            clip(&[99.0, 70.0, 41.7, 41.0, 60.0]),
        ];
        let misses = Misses::of(&clips);
        assert_eq!(
            misses,
            Misses {
                frames: 8,
                missed: 5,
                streak: 2
            }
        );
        assert_eq!(misses.share(), 62.5);
        assert_eq!(Misses::of([]).share(), 0.0);
    }
}
