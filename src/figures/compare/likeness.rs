//! What is not alike between two runs, and what is known to be wrong with old CSV files.
//!
//! A difference that *blocks* makes the figures of its areas mean something else than they seem to;
//! one that does not is worth knowing. Facts about the Python benchmark were read in its sources
//! and computed from its published CSV files; `docs/comparing.md` explains each.

use std::collections::BTreeSet;

use serde::Serialize;

use super::folder::OPTIONS;
use super::pairs::{ModelPairs, Pair};
use super::source::{Row, Source, SourceKind};
use crate::figures::catalogue::Area;

/// Something that is not alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is about, in a word or two.
    pub what: String,
    /// Both sides, and what to do about it.
    pub text: String,
    /// The model tag (of the first run) whose figures it concerns; `None` for all.
    pub model: Option<String>,
    /// The figures it concerns.
    pub areas: Vec<Area>,
    /// Whether figures are withheld because of it.
    pub blocks: bool,
}

use Area::{Memory, Scores, Speed};

/// Differences as they are found, of the model that is being looked at.
struct Found {
    all: Vec<Difference>,
    model: Option<String>,
}

impl Found {
    fn add(&mut self, blocks: bool, areas: &[Area], what: &str, text: String) {
        self.all.push(Difference {
            model: self.model.clone(),
            what: what.to_owned(),
            text,
            areas: areas.to_vec(),
            blocks,
        });
    }
}

/// Everything that differs between two runs.
pub(super) fn differences(a: &Source, b: &Source, models: &[ModelPairs<'_>]) -> Vec<Difference> {
    let mut found = Found {
        all: Vec::new(),
        model: None,
    };
    of_runs(a, b, &mut found);
    for model in models.iter().filter(|model| !model.pairs.is_empty()) {
        found.model = Some(model.model_a.clone());
        of_pairs(a, b, model, &mut found);
    }
    found.model = None;
    old_files(a, b, models, &mut found);
    let mut seen = BTreeSet::new();
    let mut all = found.all;
    all.retain(|difference| seen.insert((difference.text.clone(), difference.model.clone())));
    all.sort_by_key(|difference| !difference.blocks);
    all
}

fn of_runs(a: &Source, b: &Source, found: &mut Found) {
    for source in [a, b] {
        let label = &source.label;
        if source.facts.simulated {
            found.add(
                true,
                &[Speed, Memory],
                "simulated device",
                format!(
                    "{label} ran on a simulated device: its times and sizes are not measurements"
                ),
            );
        }
        match source.facts.state.as_deref() {
            None | Some("finished") => {}
            Some(state) => found.add(
                false,
                &[Speed, Scores, Memory],
                "unfinished run",
                format!("{label} is {state}, not finished: its rows are those it got to"),
            ),
        }
        if source.facts.build_profile.as_deref() == Some("debug") {
            found.add(
                false,
                &[Speed],
                "debug build",
                format!("{label} was made by a debug build, which is slower than a release build"),
            );
        }
    }
    if let (Some(x), Some(y)) = (&a.facts.data, &b.facts.data)
        && x != y
    {
        found.add(
            false,
            &[Scores],
            "data",
            format!(
                "data: {x} in {}, {y} in {}; videos are paired by name, and nothing else says that they \
                 are the same",
                a.label, b.label
            ),
        );
    }
    known_or_not(a, b, "device", found, |s| s.facts.device.clone());
    match (&a.facts.power, &b.facts.power) {
        (Some(x), Some(y)) if x != y => found.add(
            true,
            &[Speed],
            "power mode",
            format!("power mode: {x} in {}, {y} in {}", a.label, b.label),
        ),
        (Some(x), None) | (None, Some(x)) => found.add(
            false,
            &[Speed],
            "power mode",
            format!("power mode: {x} on one side, not recorded on the other"),
        ),
        _ => {}
    }
    if let (Some(x), Some(y)) = (&a.facts.build_profile, &b.facts.build_profile)
        && x != y
    {
        found.add(
            true,
            &[Speed],
            "build",
            format!("build: {x} in {}, {y} in {}", a.label, b.label),
        );
    }
    for (name, words) in OPTIONS {
        let (Some(x), Some(y)) = (a.facts.options.get(name), b.facts.options.get(name)) else {
            continue;
        };
        if x == y {
            continue;
        }
        let (blocks, areas): (bool, &[Area]) = match name {
            "threads" => (true, &[Speed]),
            "jpeg-decoder" => (false, &[Speed, Scores]),
            "fill-holes" | "no-memory" | "realtime" => (true, &[Speed, Scores]),
            // Frames, objects and precision are compared row by row; these only explain them.
            _ => (false, &[Speed]),
        };
        found.add(
            blocks,
            areas,
            words,
            format!("{words} (--{name}): {x} in {}, {y} in {}", a.label, b.label),
        );
    }
    for (model, weights) in &a.facts.weights {
        if b.facts
            .weights
            .get(model)
            .is_some_and(|other| other != weights)
        {
            found.add(
                false,
                &[Scores],
                "weights",
                format!(
                    "the weights of {model} are not the same: a difference in scores may be theirs"
                ),
            );
        }
    }
}

fn known_or_not(
    a: &Source,
    b: &Source,
    what: &str,
    found: &mut Found,
    value: fn(&Source) -> Option<String>,
) {
    match (value(a), value(b)) {
        (Some(x), Some(y)) if x != y => found.add(
            true,
            &[Speed, Memory],
            what,
            format!("{what}: {x} in {}, {y} in {}", a.label, b.label),
        ),
        (Some(x), None) => found.add(
            true,
            &[Speed, Memory],
            what,
            format!("{what}: {x} in {}, not recorded in {}", a.label, b.label),
        ),
        (None, Some(y)) => found.add(
            true,
            &[Speed, Memory],
            what,
            format!("{what}: not recorded in {}, {y} in {}", a.label, b.label),
        ),
        (None, None) => found.add(
            false,
            &[Speed, Memory],
            what,
            format!("{what}: recorded in neither {} nor {}", a.label, b.label),
        ),
        _ => {}
    }
}

fn of_pairs(a: &Source, b: &Source, model: &ModelPairs<'_>, found: &mut Found) {
    if model.model_a != model.model_b {
        found.add(
            true,
            &[Speed, Scores, Memory],
            "model or prompt",
            format!(
                "model or prompt: {} in {}, {} in {}",
                model.model_a, a.label, model.model_b, b.label
            ),
        );
    }
    let all = &[Speed, Scores, Memory][..];
    let pairs = &model.pairs;
    let mut check = |what: &str, areas: &[Area], hint: &str, value: fn(&Row) -> Option<String>| {
        if let Some(text) = differing(what, pairs, a, b, value) {
            found.add(true, areas, what, format!("{text}{hint}"));
        }
    };
    check("image size", all, "", |row| {
        row.image_size.map(|s| s.to_string())
    });
    check("precision", all, "", |row| row.precision.clone());
    check("video size", all, " (height x width)", |row| {
        row.input_size.map(|[h, w]| format!("{h}x{w}"))
    });
    check(
        "frames of the object",
        all,
        ": another frame cap, or another video",
        |row| row.frames.map(|n| n.to_string()),
    );
    check("frame stride", all, "", |row| {
        row.frame_stride.map(|n| n.to_string())
    });
    check(
        "objects per frame",
        &[Speed, Memory],
        "; run both with --objects isolated, or look at \"objects x FPS\"",
        |row| row.lockstep_objects.map(|n| n.to_string()),
    );
    if pairs.iter().any(|pair| {
        pair.a
            .random_init_seed
            .or(pair.b.random_init_seed)
            .is_some()
    }) {
        found.add(false, &[Scores], "random weights", format!(
            "the weights of {} are a random initialisation: its scores mean nothing, its speed and memory do",
            model.model_b
        ));
    }
}

/// The first pair whose sides say different things, and how many there are.
fn differing(
    what: &str,
    pairs: &[Pair<'_>],
    a: &Source,
    b: &Source,
    value: fn(&Row) -> Option<String>,
) -> Option<String> {
    let unlike: Vec<(&Pair<'_>, String, String)> = pairs
        .iter()
        .filter_map(|pair| {
            let (x, y) = (value(pair.a)?, value(pair.b)?);
            (x != y).then_some((pair, x, y))
        })
        .collect();
    let (first, x, y) = unlike.first()?;
    let same = unlike.iter().all(|(_, p, q)| (p, q) == (x, y));
    let place = match same && unlike.len() == pairs.len() {
        true => String::new(),
        false => format!(
            " (in {} of {} pairs; this is video {}, object {})",
            unlike.len(),
            pairs.len(),
            first.a.video,
            first.a.object
        ),
    };
    Some(format!(
        "{what}: {x} in {}, {y} in {}{place}",
        a.label, b.label
    ))
}

/// What is known to be wrong with files of the Python benchmark. Where both files have the same
/// defect it stands on both sides and is only worth knowing.
fn old_files(a: &Source, b: &Source, models: &[ModelPairs<'_>], found: &mut Found) {
    let both = a.kind.is_upstream() && b.kind.is_upstream();
    for (source, is_a) in [(a, true), (b, false)] {
        if !source.kind.is_upstream() {
            continue;
        }
        let label = &source.label;
        for model in models.iter().filter(|model| !model.pairs.is_empty()) {
            let rows: Vec<&Row> = model
                .pairs
                .iter()
                .map(|p| if is_a { p.a } else { p.b })
                .collect();
            let tag = if is_a { &model.model_a } else { &model.model_b };
            found.model = Some(model.model_a.clone());
            of_old_rows(label, source.kind, tag, &rows, both, found);
        }
        found.model = None;
        found.add(false, &[Memory], "memory", format!(
            "{label}: its GPU columns are PyTorch's allocator alone, without context and libraries; its \
             RSS was looked at twice and holds what earlier models left"
        ));
        if !both {
            found.add(false, &[Scores], "preprocessing", format!(
                "{label}: frames were letterboxed to a square where masklet stretches them as the models' \
                 own preprocessing does"
            ));
        }
    }
}

fn of_old_rows(
    label: &str,
    kind: SourceKind,
    tag: &str,
    rows: &[&Row],
    both: bool,
    found: &mut Found,
) {
    let edgetam = tag.starts_with("edgetam");
    let scored = kind == SourceKind::UpstreamCsv;
    let equal: Vec<&&Row> = rows.iter().filter(|row| row.j_equals_f).collect();
    if scored && edgetam {
        let seen = match equal.first() {
            Some(row) => format!(
                "; J equals F to the digit in {} of {} rows (line {} first), as happens when masks never meet",
                equal.len(),
                rows.len(),
                row.line.unwrap_or(0)
            ),
            None => String::new(),
        };
        found.add(!both, &[Scores], "transposed masks", format!(
            "{label}: the Python benchmark transposes EdgeTAM's masks before it scores them{seen}"
        ));
        if rows
            .iter()
            .any(|row| row.image_size.is_some_and(|side| side != 1024))
        {
            found.add(!both, &[Scores], "position encoding", format!(
                "{label}: away from 1024 pixels it gives EdgeTAM's memory attention a wrong position grid"
            ));
        }
    } else if scored && equal.len() >= 2 && equal.len() * 20 > rows.len() {
        found.add(!both, &[Scores], "J equals F", format!(
            "{label}: J equals F to the digit in {} of {} rows of {tag} (line {} first): its masks are \
             probably wrong",
            equal.len(),
            rows.len(),
            equal.first().and_then(|row| row.line).unwrap_or(0)
        ));
    }
    if !scored && kind != SourceKind::ProfileCsv {
        found.add(
            false,
            &[Scores],
            "no F",
            format!("{label}: it scored J alone; its J&F column is J"),
        );
    }
    if tag.starts_with("sam2") {
        found.add(!both, &[Speed], "timer", format!(
            "{label}: the clock of its SAM 2 rows runs while the model is loaded and the video decoded; \
             its set-up column is empty of both"
        ));
    }
    if rows
        .iter()
        .any(|row| row.precision.as_deref() == Some("fp32"))
    {
        found.add(false, &[Speed], "TF32", format!(
            "{label}: fp32 of the Python benchmark is TF32 in matrix products on a GPU that has it"
        ));
    }
}
