//! The objects that the models did worst on, with pictures, and those that failed.

use super::super::hardest::{HardObject, Pictures};
use super::super::html::{Cell, Key, escape, legend, nothing, section, table};
use super::super::picture::{PREDICTED, Picture, TRUTH};
use super::super::record::RunRecord;
use crate::record::Status;

/// Failed objects that are listed.
const LISTED: usize = 50;

/// The section of the lowest scores.
pub(in crate::report) fn hard_objects(record: &RunRecord) -> String {
    let several = record.summary.models.len() > 1;
    let heading = "Objects with the lowest scores";
    let lead = match several {
        true => {
            "The ten objects with the lowest J&F (mean over the models), worst first. Left the frame \
             on which the object was pointed out, then one on which the masks went most wrong, of up to twelve annotated ones that were looked at."
        }
        false => {
            "The ten objects with the lowest J&F, worst first. Left the frame on which the object was \
             pointed out, then one on which its mask went most wrong, of up to twelve annotated ones that were looked at."
        }
    };
    if record.hardest.is_empty() {
        let why = "No object was scored: there was no ground truth, or every object failed.";
        return section("hardest", heading, lead, &nothing(why));
    }
    let mut body = String::new();
    if record.hardest.iter().any(|object| object.pictures.is_ok()) {
        let colour = |[r, g, b]: [u8; 3]| format!("rgb({r},{g},{b})");
        body.push_str(&legend([
            (
                colour(TRUTH),
                "outline of the object (ground truth)",
                Key::Line,
            ),
            (
                colour(PREDICTED),
                "outline of the predicted mask",
                Key::Line,
            ),
        ]));
    }
    // One reason that holds for all of them is said once.
    let mut reasons = record
        .hardest
        .iter()
        .map(|object| object.pictures.as_ref().err());
    let first = reasons.next().flatten();
    let common = first.filter(|first| reasons.all(|reason| reason == Some(*first)));
    if let Some(why) = common {
        body.push_str(&nothing(&format!("No pictures: {why}.")));
    }
    let items: String = record
        .hardest
        .iter()
        .enumerate()
        .map(|(at, object)| item(at + 1, object, common.is_none()))
        .collect();
    body.push_str(&format!("<ol class=\"objects\">{items}</ol>\n"));
    section("hardest", heading, lead, &body)
}

fn item(rank: usize, object: &HardObject, say_why: bool) -> String {
    let scores: Vec<String> = object
        .scores
        .iter()
        .map(|(model, score)| {
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
        })
        .collect();
    let lines: String = scores
        .iter()
        .map(|line| format!("<div>{}</div>", escape(line)))
        .collect();
    let shots = match &object.pictures {
        Ok(pictures) => shots(object, pictures),
        Err(why) if say_why => nothing(&format!("No pictures: {why}.")),
        Err(_) => String::new(),
    };
    format!(
        "<li data-video=\"{}\" data-object=\"{}\" data-jf=\"{}\"><h3>{rank}. {}, object {}</h3>{lines}{shots}</li>\n",
        escape(&object.video),
        escape(&object.object),
        object.mean_jf() * 100.0,
        escape(&object.video),
        escape(&object.object)
    )
}

fn shots(object: &HardObject, pictures: &Pictures) -> String {
    let shot = |picture: &Picture, words: &str| {
        format!(
            "<figure><img src=\"{}\" width=\"{}\" height=\"{}\" alt=\"{}\"><figcaption>{}</figcaption></figure>",
            picture.data_uri(),
            picture.width,
            picture.height,
            escape(words),
            escape(words)
        )
    };
    let mut all = shot(
        &pictures.prompt,
        &format!("frame {}: pointed out here", object.frames.0),
    );
    for attempt in &pictures.models {
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
        all.push_str(&shot(
            &attempt.picture,
            &format!("{whose}frame {}: {what}", pictures.frame),
        ));
    }
    format!("<div class=\"shots\">{all}</div>")
}

/// The section of the objects that failed; nothing where none did.
pub(in crate::report) fn failures(record: &RunRecord) -> String {
    let failed: Vec<Vec<Cell>> = record
        .summary
        .objects
        .iter()
        .filter_map(|object| match &object.status {
            Status::Ok => None,
            Status::Failed { reason } => Some(vec![
                Cell::text(&object.key.video),
                Cell::text(&object.key.object),
                Cell::text(&object.key.model),
                Cell::text(reason).classed("long"),
            ]),
        })
        .collect();
    if failed.is_empty() {
        return String::new();
    }
    let head = ["video", "object", "model", "reason"].map(Cell::text);
    let listed = failed.get(..failed.len().min(LISTED)).unwrap_or_default();
    let mut body = table("failed", &head, listed);
    if failed.len() > LISTED {
        body.push_str(&nothing(&format!(
            "{} more are in summary.csv.",
            failed.len() - LISTED
        )));
    }
    let lead = "A failed object has no figures; it is left out of every mean.";
    section("failures", "Objects that failed", lead, &body)
}
