//! What a row is about, and how it ended.

use super::Area::Identity;
use super::Better::Neither;
use super::Digits::{Text, Whole};
use super::{Figure, Unit, Value};
use crate::record::Status;

const fn words(name: &'static str, definition: &'static str) -> Figure {
    Figure::new(Identity, name, name, Unit::Text, Neither, definition)
}

const fn number(name: &'static str, definition: &'static str) -> Figure {
    Figure::new(Identity, name, name, Unit::Count, Neither, definition)
}

pub(super) static FIGURES: [Figure; 20] = [
    words("video", "video id").object("video", Text, |o| Value::words(&o.key.video)),
    words("object", "object id").object("object", Text, |o| Value::words(&o.key.object)),
    words("model", "model tag: model and prompt")
        .object("model", Text, |o| Value::words(&o.key.model)),
    number(
        "imgsz",
        "side of the square image that the networks see, in pixels",
    )
    .object("imgsz", Whole, |o| o.row.image_size.into()),
    words("precision", "arithmetic of the networks")
        .object("precision", Text, |o| Value::words(&o.row.precision)),
    number(
        "processed_end_frame",
        "frame of the video after the object's last one",
    )
    .missing("the object failed")
    .object("processed_end_frame", Whole, |o| {
        o.row.is_ok().then(|| o.row.end_frame()).into()
    }),
    words("overlay", "its overlay file")
        .missing("no overlay was written")
        .object("overlay", Text, |o| {
            Value::words(o.row.overlay.clone().unwrap_or_default())
        }),
    number("input_H", "height of the video in pixels")
        .object("input_H", Whole, |o| o.row.input_size[0].into()),
    number("input_W", "width of the video in pixels")
        .object("input_W", Whole, |o| o.row.input_size[1].into()),
    number("infer_H", "height of the networks' input in pixels")
        .object("infer_H", Whole, |o| o.row.infer_size[0].into()),
    number("infer_W", "width of the networks' input in pixels")
        .object("infer_W", Whole, |o| o.row.infer_size[1].into()),
    words("status", "`ok` or `failed`").object("status", Text, |o| {
        Value::words(match o.status {
            Status::Ok => "ok",
            Status::Failed { .. } => "failed",
        })
    }),
    words("reason", "why it failed")
        .missing("the object is ok")
        .object("reason", Text, |o| {
            Value::words(match &o.status {
                Status::Ok => "",
                Status::Failed { reason } => reason,
            })
        }),
    words("backend", "device and runtime of the networks")
        .object("backend", Text, |o| Value::words(&o.row.backend)),
    words("random_init_seed", "seed of a random initialisation")
        .missing("the weights are trained")
        .object("random_init_seed", Text, |o| {
            let seed = o.row.random_init_seed;
            Value::words(seed.map_or(String::new(), |seed| seed.to_string()))
        }),
    number("video_frames", "frames of the whole video")
        .object("video_frames", Whole, |o| o.row.video_frames.into()),
    number("prompt_frame", "frame of the object's prompt")
        .object("prompt_frame", Whole, |o| o.row.prompt_frame.into()),
    words(
        "session",
        "how often the run had been resumed when the row was written",
    )
    .object("session", Text, |o| Value::words(o.row.session.to_string())),
    words("scores_missing", "why an object that is ok has no scores")
        .missing("it has scores")
        .object("scores_missing", Text, |o| {
            Value::words(o.scores_missing.clone().unwrap_or_default())
        }),
    words("warning", "what else is to be known of the row")
        .missing("nothing is")
        .object("warning", Text, |o| {
            Value::words(o.warning.clone().unwrap_or_default())
        }),
];
