//! The objects that the models did worst on, with pictures, and those that failed.

use super::super::hardest::{HardObject, Pictures};
use super::super::picture::{PREDICTED, TRUTH};
use super::super::record::RunRecord;
use crate::record::Status;
use crate::render::{Block, Cell, Exhibit, Key, Picture, Sample, Section, Table};

/// Failed objects that are listed.
const LISTED: usize = 50;

/// The section of the lowest scores.
pub(in crate::report) fn hard_objects(record: &RunRecord) -> Section {
    let several = record.summary.models.len() > 1;
    let heading = "Objects with the lowest scores";
    let lead = if several {
        "The ten objects with the lowest J&F (mean over the models), worst first. Left the frame \
             on which the object was pointed out, then one on which the masks went most wrong, of up to twelve annotated ones that were looked at."
    } else {
        "The ten objects with the lowest J&F, worst first. Left the frame on which the object was \
             pointed out, then one on which its mask went most wrong, of up to twelve annotated ones that were looked at."
    };
    let section = |blocks| Section::new("hardest", "Lowest scores", heading, lead, blocks);
    if record.hardest.is_empty() {
        let why = "No object was scored: there was no ground truth, or every object failed.";
        return section(vec![Block::nothing(why)]);
    }
    let mut blocks = Vec::new();
    if record.hardest.iter().any(|object| object.pictures.is_ok()) {
        let key =
            |[r, g, b]: [u8; 3], words| Key::new(format!("rgb({r},{g},{b})"), words, Sample::Line);
        blocks.push(Block::Legend(vec![
            key(TRUTH, "outline of the object (ground truth)"),
            key(PREDICTED, "outline of the predicted mask"),
        ]));
    }
    // One reason that holds for all of them is given once.
    let mut reasons = record
        .hardest
        .iter()
        .map(|object| object.pictures.as_ref().err());
    let first = reasons.next().flatten();
    let common = first.filter(|first| reasons.all(|reason| reason == Some(*first)));
    if let Some(why) = common {
        blocks.push(Block::nothing(format!("No pictures: {why}.")));
    }
    let objects = record.hardest.iter().enumerate();
    let exhibits = objects.map(|(at, object)| exhibit(at + 1, object, common.is_none()));
    blocks.push(Block::Gallery(exhibits.collect()));
    section(blocks)
}

fn exhibit(rank: usize, object: &HardObject, give_reason: bool) -> Exhibit {
    let scores = object.scores.iter().map(|(model, score)| {
        let own = match object.scores.len() {
            1 => String::new(),
            _ => format!("{model}: "),
        };
        format!(
            "{own}J&F {:.1} % (J {:.1} %, F {:.1} %)",
            score.jf() * 100.0,
            score.j * 100.0,
            score.f * 100.0
        )
    });
    let (pictures, missing) = match &object.pictures {
        Ok(pictures) => (shots(object, pictures), String::new()),
        Err(why) if give_reason => (Vec::new(), format!("No pictures: {why}.")),
        Err(_) => (Vec::new(), String::new()),
    };
    Exhibit {
        heading: format!("{rank}. {}, object {}", object.video, object.object),
        lines: scores.collect(),
        pictures,
        missing,
        data: vec![
            ("video", object.video.clone()),
            ("object", object.object.clone()),
            ("jf", (object.mean_jf() * 100.0).to_string()),
        ],
    }
}

fn shots(object: &HardObject, pictures: &Pictures) -> Vec<(Picture, String)> {
    let prompt = format!("frame {}: pointed out here", object.frames.0);
    let attempts = pictures.models.iter().map(|attempt| {
        let whose = match pictures.models.len() {
            1 => String::new(),
            _ => format!("{}, ", attempt.model),
        };
        let what = match (attempt.truth_shows, attempt.mask_shows) {
            (true, true) => format!("overlap {:.0} %", attempt.overlap * 100.0),
            (true, false) => "nothing was found".to_owned(),
            (false, true) => "hidden here, yet a mask was given".to_owned(),
            (false, false) => "hidden here, and nothing was found: right".to_owned(),
        };
        let words = format!("{whose}frame {}: {what}", pictures.frame);
        (attempt.picture.clone(), words)
    });
    std::iter::once((pictures.prompt.clone(), prompt))
        .chain(attempts)
        .collect()
}

/// The section of the objects that failed; `None` where none did.
pub(in crate::report) fn failures(record: &RunRecord) -> Option<Section> {
    let failed: Vec<[Cell; 4]> = record
        .summary
        .objects
        .iter()
        .filter_map(|object| match &object.status {
            Status::Ok => None,
            Status::Failed { reason } => Some([
                Cell::text(&object.key.video),
                Cell::text(&object.key.object),
                Cell::text(&object.key.model),
                Cell::long(reason),
            ]),
        })
        .collect();
    let more = failed.len().saturating_sub(LISTED);
    let head = ["video", "object", "model", "reason"].map(Cell::text);
    let listed = failed.iter().take(LISTED).cloned();
    let mut blocks = vec![Block::Table(Table::new("failed", head).with_rows(listed))];
    if more > 0 {
        blocks.push(Block::nothing(format!("{more} more are in summary.csv.")));
    }
    let lead = "A failed object has no figures; it is excluded from every mean.";
    let section = Section::new("failures", "Failed", "Objects that failed", lead, blocks);
    (!failed.is_empty()).then_some(section)
}
