//! Wall clock of every frame in the order of the run, with its outliers.

use super::super::DEADLINE_MS;
use super::super::record::RunRecord;
use super::coloured;
use crate::figures::stats::{OUTLIER_THRESHOLD, modified_z_scores};
use crate::record::{ClipTimes, clip_times};
use crate::render::plot::{Axis, Chart, Colour, Mark, Shape, thin};
use crate::render::{Block, Key, Plot, Sample, Section, counted};

/// Points of a model's line that are drawn.
const MOST_POINTS: usize = 1600;
/// Outliers of a model that are drawn.
const MOST_OUTLIERS: usize = 150;
/// Clips that are parted by lines.
const MOST_PARTED: usize = 60;
/// From this ratio of longest to median on the scale is logarithmic.
const WIDE_RANGE: f64 = 12.0;

/// The section.
pub(in crate::report) fn timeline(record: &RunRecord) -> Section {
    let lead = "Wall clock of every frame, from asking for it to its masks, in the order in which \
                the run took them. Lower is better, and flat is better: a rising line is a machine \
                that slows down.";
    let clips = clip_times(&record.rows);
    let mut blocks = Vec::new();
    for (number, (model, colour)) in coloured(record).enumerate() {
        let own: Vec<&ClipTimes> = clips
            .iter()
            .filter(|clip| clip.model == model.model)
            .collect();
        blocks.push(if own.iter().all(|clip| clip.frames.is_empty()) {
            Block::nothing(format!("{}: no frame was measured.", model.model))
        } else {
            let id = format!("timeline-{number}");
            Block::Plot(Box::new(of_model(&id, &model.model, colour, &own)))
        });
    }
    if blocks.is_empty() {
        blocks.push(Block::nothing("No plot: no frame was measured."));
    }
    Section::new(
        "timeline",
        "Timeline",
        "Frame time over the run",
        lead,
        blocks,
    )
}

/// What a plot of the frames needs.
struct Timeline {
    /// Per clip: frames that count, by their number in the run.
    lines: Vec<Vec<(f64, f64)>>,
    warm_up: Vec<(f64, f64)>,
    /// Number of the first frame of each clip but the first.
    parted: Vec<f64>,
    frames: usize,
}

impl Timeline {
    fn new(clips: &[&ClipTimes]) -> Self {
        let mut laid = Self {
            lines: Vec::new(),
            warm_up: Vec::new(),
            parted: Vec::new(),
            frames: 0,
        };
        for clip in clips {
            if laid.frames > 0 {
                laid.parted.push(laid.frames as f64 + 0.5);
            }
            let mut line = Vec::new();
            for frame in &clip.frames {
                laid.frames += 1;
                let point = (laid.frames as f64, frame.end_to_end_ms);
                match frame.warm_up {
                    true => laid.warm_up.push(point),
                    false => line.push(point),
                }
            }
            laid.lines.push(line);
        }
        laid
    }

    /// Frames that count and are far from the median, the farthest first.
    fn outliers(&self) -> Vec<(f64, f64)> {
        let all: Vec<(f64, f64)> = self.lines.iter().flatten().copied().collect();
        let ms: Vec<f64> = all.iter().map(|point| point.1).collect();
        let scores = modified_z_scores(&ms);
        let mut found: Vec<(f64, (f64, f64))> = scores
            .into_iter()
            .map(f64::abs)
            .zip(all)
            .filter(|(score, _)| *score > OUTLIER_THRESHOLD)
            .collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found.into_iter().map(|(_, point)| point).collect()
    }
}

fn of_model(id: &str, model: &str, colour: Colour, clips: &[&ClipTimes]) -> Plot {
    let laid = Timeline::new(clips);
    let outliers = laid.outliers();
    let every = || {
        laid.lines
            .iter()
            .flatten()
            .chain(&laid.warm_up)
            .map(|point| point.1)
    };
    let mut sorted: Vec<f64> = every().collect();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    let longest = sorted.last().copied().unwrap_or(0.0);
    let with_deadline =
        (DEADLINE_MS / 8.0..DEADLINE_MS * 8.0).contains(&median) || longest > DEADLINE_MS;
    let deadline = with_deadline.then_some(DEADLINE_MS);
    let y = match longest > WIDE_RANGE * median && median > 0.0 {
        true => Axis::log(
            "milliseconds per frame (logarithmic)",
            every().chain(deadline),
        ),
        false => Axis::linear("milliseconds per frame", every().chain(deadline), true),
    };
    let x = Axis::count("frame number in the run", laid.frames as f64);
    let mut marks = Vec::new();
    if laid.parted.len() < MOST_PARTED {
        marks.extend(laid.parted.iter().map(|at| Mark::Line {
            points: vec![(*at, y.from), (*at, y.to)],
            colour: Colour::Muted,
            width: 1,
            dashed: true,
        }));
    }
    let together = clips.iter().any(|clip| clip.objects.len() > 1);
    let thing = if together { "video" } else { "object" };
    let counted_frames: usize = laid.lines.iter().map(Vec::len).sum();
    let mut drawn = 0;
    for line in &laid.lines {
        let share = MOST_POINTS * line.len() / counted_frames.max(1);
        let thinned = thin(line, share.max(8));
        drawn += thinned.points.len();
        marks.push(Mark::Line {
            points: thinned.points,
            colour,
            width: 1,
            dashed: false,
        });
    }
    let warm_up = thin(&laid.warm_up, MOST_OUTLIERS);
    marks.push(Mark::dots(warm_up.points, Colour::Muted, 2, 0.8));
    if let Some(ms) = deadline {
        marks.push(Mark::dashed(vec![(x.from, ms), (x.to, ms)], Colour::Bad));
    }
    marks.push(Mark::Dots {
        points: outliers.iter().copied().take(MOST_OUTLIERS).collect(),
        colour: Colour::Bad,
        radius: 4,
        alpha: 1.0,
        hollow: true,
        shape: Shape::Circle,
    });
    let chart = Chart {
        name: format!("Time of every frame of {model} in milliseconds"),
        x,
        y,
        marks,
        heights: [260, 240],
    };
    let mut caption = format!(
        "{} of {}; {} far from the median (outliers: modified z-score above {OUTLIER_THRESHOLD}).",
        counted(counted_frames, "frame"),
        counted(clips.len(), thing),
        match outliers.len() {
            0 => "none is".to_owned(),
            1 => "1 is".to_owned(),
            n => format!("{n} are"),
        }
    );
    if !laid.parted.is_empty() && laid.parted.len() < MOST_PARTED {
        caption.push_str(&format!(" Thin dashed lines part the {thing}s."));
    }
    if drawn < counted_frames {
        caption.push_str(&format!(
            " The line is thinned to {drawn} points; the lowest and the highest of every stretch stay."
        ));
    }
    if outliers.len() > MOST_OUTLIERS {
        caption.push_str(&format!(" The {MOST_OUTLIERS} farthest are ringed."));
    }
    let mut legend = vec![Key::new(colour.css(), "frame time", Sample::Line)];
    if !laid.warm_up.is_empty() {
        let words = "warm-up, not counted";
        legend.push(Key::new(
            Colour::Muted.css(),
            words,
            Sample::Dot(Shape::Circle),
        ));
    }
    if !outliers.is_empty() {
        legend.push(Key::new(Colour::Bad.css(), "outlier", Sample::Ring));
    }
    if deadline.is_some() {
        let words = "41.7 ms: one frame at 24 per second";
        legend.push(Key::new(Colour::Bad.css(), words, Sample::Dashed));
    }
    Plot {
        id: id.to_owned(),
        heading: model.to_owned(),
        caption,
        legend,
        chart,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::FrameTime;

    #[test]
    fn clips_follow_each_other_and_outliers_are_the_farthest_first() {
        let clip = |times: &[f64]| ClipTimes {
            model: "m".to_owned(),
            video: "v".to_owned(),
            objects: vec!["1".to_owned()],
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
        let first = clip(&[99.0, 10.0, 10.1, 9.9, 40.0]);
        let second = clip(&[98.0, 10.0, 10.2, 9.8, 80.0]);
        let laid = Timeline::new(&[&first, &second]);
        assert_eq!(laid.frames, 10);
        assert_eq!(laid.parted, [5.5]);
        assert_eq!(laid.warm_up, [(1.0, 99.0), (6.0, 98.0)]);
        assert_eq!(laid.outliers(), [(10.0, 80.0), (5.0, 40.0)]);
        let plot = of_model("t", "m", Colour::Series(0), &[&first, &second]);
        let caption = plot.caption;
        assert!(
            caption.contains("8 frames of 2 objects; 2 are far"),
            "{caption}"
        );
        assert!(!caption.contains("thinned"));
    }
}
