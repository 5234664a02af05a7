//! What the clocks run over, in words: it stands in every `run.json`.

use serde::Serialize;

use super::Stage;

/// One clock and what is inside its region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimedRegion {
    /// Stage or figure.
    pub name: &'static str,
    /// What runs while the clock runs.
    pub inside: &'static str,
    /// Figures that the stage is part of; empty for the figures themselves.
    pub counts_in: Vec<&'static str>,
}

/// The statement of all timed regions.
pub(super) fn timed_region() -> Vec<TimedRegion> {
    let mut statement: Vec<TimedRegion> = Stage::ALL
        .into_iter()
        .map(|stage| {
            let mut counts_in = Vec::new();
            if stage.is_model() {
                counts_in.push("fps_model");
            }
            if stage.is_upstream() {
                counts_in.push("fps");
            }
            if stage == Stage::EndToEnd {
                counts_in.push("fps_end_to_end");
            }
            TimedRegion {
                name: stage.name(),
                inside: inside(stage),
                counts_in,
            }
        })
        .collect();
    statement.extend([
        TimedRegion {
            name: "fps",
            inside: "frames over encode, prompt, track, postprocess and copy: the region the Python benchmark times",
            counts_in: Vec::new(),
        },
        TimedRegion {
            name: "fps_model",
            inside: "frames over encode, prompt and track: the networks alone",
            counts_in: Vec::new(),
        },
        TimedRegion {
            name: "fps_end_to_end",
            inside: "frames over wall clock, from asking for a frame to handing its masks over, waiting for the decoder included, waiting for a frame to be due (--realtime) excluded; mask files and scoring excluded",
            counts_in: Vec::new(),
        },
        TimedRegion {
            name: "excluded",
            inside: "set-up (its own column), warm-up frames (counted), scoring, writing of masks and overlays, the journal",
            counts_in: Vec::new(),
        },
    ]);
    statement
}

fn inside(stage: Stage) -> &'static str {
    match stage {
        Stage::Decode => {
            "image file to pixels, on the decoder's own threads; of a video file waiting for ffmpeg's next frame"
        }
        Stage::Preprocess => "resize and normalisation to the model's input tensor",
        Stage::Encode => {
            "image encoder with memory attention's first self-attention, once per frame for all objects"
        }
        Stage::Prompt => "prompt or mask decoder and first memory, on the prompt frame",
        Stage::Track => "memory attention, mask decoder and memory encoder, on later frames",
        Stage::Postprocess => "logits to the thresholded mask at the video's own size",
        Stage::Copy => "transfers between host and device",
        Stage::EndToEnd => "wall clock from frame to frame",
    }
}
