//! `masklet score RUN`: the masks of a run folder against the split that it ran on.

use super::score::{ScoreArgs, csv_path, print, render, write_file};
use crate::clip::score_files;
use crate::dataset::{ObjectTrack, Split, SplitOptions, Video};
use crate::error::{Error, WithClass};
use crate::metrics::folder::{FolderScores, ScoredObject, report};
use crate::metrics::protocol::{ObjectScore, Protocol};
use crate::record::{ObjectRow, ObjectScores, Score, read_journal};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The difference, in percent, up to which two scores are one.
const SAME: f64 = 1e-9;

/// Scores every model's masks; the number is the exit code: 1 where the masks do not give the run's
/// own numbers.
///
/// # Errors
/// The folder is not a run, its split is not there any more, a mask is missing or damaged.
pub fn score(run: &Path, args: &ScoreArgs) -> anyhow::Result<u8> {
    let manifest = read_manifest(run)?;
    let options = &manifest["options"];
    let split = open_split(run, options, args.gt.as_deref())?;
    let rows = read_journal(&run.join("journal.jsonl"))?.rows;
    let most = options["max-clip-frames"].as_u64().filter(|&n| n > 0);
    let most = most.and_then(|n| usize::try_from(n).ok());
    let mut tags: Vec<&str> = Vec::new();
    for row in &rows {
        if !tags.contains(&row.key.model.as_str()) {
            tags.push(&row.key.model);
        }
    }
    let (mut code, mut reports) = (0, serde_json::Map::new());
    for &tag in &tags {
        let pred = run.join("masks").join(tag);
        if !pred.is_dir() {
            return Err(Error::data(format!(
                "{} is not there: the run wrote no masks of {tag} (--save-masks none); run it again \
                 with masks",
                pred.display()
            ))
            .into());
        }
        let mut scored = Scored::default();
        for row in rows.iter().filter(|row| row.key.model == tag) {
            scored.add(row, &split, &pred, most, args.protocol)?;
        }
        let Scored {
            objects,
            notes,
            differ,
            files,
        } = scored;
        let scores = FolderScores::of_run(&split.root, &pred, args.protocol, objects, files);
        let Some(scores) = scores else {
            let reason = notes
                .first()
                .map_or("it has no finished object", |n| n.as_str());
            return Err(Error::data(format!("nothing of {tag} can be scored: {reason}")).into());
        };
        let title = if tags.len() > 1 {
            format!("{tag}\n")
        } else {
            String::new()
        };
        print(&format!("{title}{}", render(&scores, args.quiet)))?;
        if differ.is_empty() {
            print("equal to the run's own numbers\n")?;
        }
        for note in notes.iter().chain(&differ) {
            // A closed standard error is not a reason to fail.
            let _ = writeln!(std::io::stderr(), "warning: {tag}: {note}");
        }
        code |= u8::from(!differ.is_empty());
        if let Some(path) = csv_path(args, &pred) {
            write_file(&path, &report::official_csv(&scores))?;
        }
        let report = serde_json::from_str(&report::json(&scores)).unwrap_or(Value::Null);
        reports.insert(tag.to_owned(), report);
    }
    if tags.is_empty() {
        return Err(Error::data(format!(
            "{} has no finished object yet; continue it with --resume",
            run.display()
        ))
        .into());
    }
    if let Some(path) = &args.json {
        let all = if reports.len() == 1 {
            reports
                .into_iter()
                .next()
                .map_or(Value::Null, |(_, report)| report)
        } else {
            json!({ "models": reports })
        };
        write_file(path, &format!("{all:#}\n"))?;
    }
    Ok(code)
}

fn read_manifest(run: &Path) -> Result<Value, Error> {
    let path = run.join("run.json");
    let text = std::fs::read_to_string(&path).data(|| {
        format!(
            "{} is not a run folder: {} cannot be read; give a run folder, or --gt DIR and --pred DIR",
            run.display(),
            path.display()
        )
    })?;
    serde_json::from_str(&text).data(|| format!("{} is damaged", path.display()))
}

/// The split as the run selected from it.
fn open_split(run: &Path, options: &Value, gt: Option<&Path>) -> anyhow::Result<Split> {
    let text = |name: &str| options[name].as_str().map(str::to_owned);
    let number = |name: &str| options[name].as_u64().unwrap_or(0);
    let Some(dir) = gt
        .map(Path::to_owned)
        .or_else(|| text("split-dir").map(PathBuf::from))
    else {
        return Err(Error::data(format!(
            "the run in {} was on video files, which have no masks to score against",
            run.display()
        ))
        .into());
    };
    if !dir.is_dir() {
        return Err(Error::data(format!(
            "the split of the run, {}, is not there any more; say with --gt where it is now",
            dir.display()
        ))
        .into());
    }
    let names = options["videos"].as_array().into_iter().flatten();
    let limit = |name| usize::try_from(number(name)).unwrap_or(0);
    Ok(Split::open(
        &dir,
        &SplitOptions {
            split_name: text("split-name"),
            videos: names.filter_map(|v| Some(v.as_str()?.to_owned())).collect(),
            limit_videos: 0,
            limit_objects: limit("limit-objects"),
            shuffle: false,
            seed: 0,
        },
    )?)
}

/// The scores of one model.
#[derive(Default)]
struct Scored {
    objects: Vec<ScoredObject>,
    /// Objects without a score, with the reason.
    notes: Vec<String>,
    /// Objects whose masks give other scores than the run has.
    differ: Vec<String>,
    /// Mask files.
    files: usize,
}

impl Scored {
    fn add(
        &mut self,
        row: &ObjectRow,
        split: &Split,
        masks: &Path,
        most: Option<usize>,
        protocol: Protocol,
    ) -> Result<(), Error> {
        let name = format!("{}/{}", row.key.video, row.key.object);
        if !row.is_ok() {
            self.notes
                .push(format!("{name} is not scored: it failed in the run"));
            return Ok(());
        }
        let Some((video, track)) = find(split, row) else {
            self.notes.push(format!(
                "{name} is not in {} any more",
                split.root.display()
            ));
            return Ok(());
        };
        let total = video.frame_count();
        let end = most.map_or(total, |most| {
            row.prompt_frame.saturating_add(most).min(total)
        });
        let folder = masks.join(&row.key.video).join(&row.key.object);
        let (scores, missing) = score_files(track, row.prompt_frame, end, &folder)
            .map_err(|reason| Error::data(format!("{name}: {reason}")))?;
        if !same(scores.as_ref(), row.scores.as_ref()) {
            self.differ.push(format!(
                "{name}: the masks give {}, the run has {}",
                words(scores.as_ref()),
                words(row.scores.as_ref())
            ));
        }
        let chosen = scores.and_then(|both| match protocol {
            Protocol::Official => both.official,
            Protocol::Upstream => both.upstream,
        });
        if let Some(score) = chosen {
            self.files += score.frames;
            self.objects.push(ScoredObject {
                video: row.key.video.clone(),
                object: row.key.object.clone(),
                score: ObjectScore {
                    j: score.j * 100.0,
                    f: score.f * 100.0,
                    frames: score.frames,
                },
            });
        } else {
            let reason = missing.unwrap_or_else(|| "it is in no frame that counts".to_owned());
            self.notes.push(format!("{name} is not scored: {reason}"));
        }
        Ok(())
    }
}

fn find<'s>(split: &'s Split, row: &ObjectRow) -> Option<(&'s Video, &'s ObjectTrack)> {
    let video = split
        .videos
        .iter()
        .find(|video| video.id == row.key.video)?;
    let track = video
        .objects
        .iter()
        .find(|track| track.id == row.key.object)?;
    Some((video, track))
}

fn same(a: Option<&ObjectScores>, b: Option<&ObjectScores>) -> bool {
    let one = |a: Option<Score>, b: Option<Score>| match (a, b) {
        (Some(a), Some(b)) => {
            let near = |a: f64, b: f64| (a - b).abs() * 100.0 <= SAME;
            near(a.j, b.j) && near(a.f, b.f) && a.frames == b.frames
        }
        (a, b) => a.is_none() == b.is_none(),
    };
    match (a, b) {
        (Some(a), Some(b)) => one(a.official, b.official) && one(a.upstream, b.upstream),
        (a, b) => a.is_none() == b.is_none(),
    }
}

fn words(scores: Option<&ObjectScores>) -> String {
    let one = |score: Option<Score>| {
        score.map_or_else(|| "none".to_owned(), |s| format!("{:.4}", s.jf() * 100.0))
    };
    match scores {
        Some(both) => format!(
            "J&F {} (upstream {})",
            one(both.official),
            one(both.upstream)
        ),
        None => "no scores".to_owned(),
    }
}
