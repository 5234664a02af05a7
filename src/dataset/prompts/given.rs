//! Prompts that a person gives for a video without masks: clicks, a box or a mask on one frame.

use super::Prompt;
use crate::dataset::Labels;
use crate::error::{Classified, ErrorClass};
use crate::media::image::{ImageError, read_label_png};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A prompt that was given, not made from a mask.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenPrompt {
    /// Index of the frame that it is on.
    pub frame: usize,
    /// Clicks, a box or a mask, in pixels of the video as displayed.
    pub prompt: Prompt,
}

/// A prompt that cannot be.
#[derive(Debug, Error)]
pub enum GivenError {
    /// The text is not a prompt.
    #[error("'{text}' is not {wanted}")]
    Text {
        /// What was given.
        text: String,
        /// What it should look like.
        wanted: &'static str,
    },
    /// Coordinates between 0 and 1.
    #[error(
        "the {what} {text} looks normalised (0 to 1); coordinates are in pixels: in this video of \
         {width}x{height} it would be {meant}"
    )]
    Normalised {
        /// Point or box.
        what: &'static str,
        /// It, as it was given.
        text: String,
        /// Columns of the video as displayed.
        width: usize,
        /// Rows of it.
        height: usize,
        /// The pixels that it would mean.
        meant: String,
    },
    /// A mask of another size.
    #[error(
        "the mask prompt is {found_width}x{found_height} pixels, the video is {width}x{height}; draw \
         it at the size of the video"
    )]
    MaskSize {
        /// Columns of the mask.
        found_width: usize,
        /// Rows of the mask.
        found_height: usize,
        /// Columns of the video as displayed.
        width: usize,
        /// Rows of it.
        height: usize,
    },
    /// A mask without an object.
    #[error("the mask prompt {path} shows no object: every pixel is 0")]
    EmptyMask {
        /// The file.
        path: String,
    },
    /// A file of prompts that cannot be understood.
    #[error(
        "{path}: {why}; write a list such as [{{\"frame\": 0, \"points\": [[320, 180]], \"labels\": [1]}}]"
    )]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// A mask file that cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A box without an inside.
    #[error(
        "the box {text} has no inside; give the upper left corner first, then the lower right one: \
         X0 < X1 and Y0 < Y1"
    )]
    Empty {
        /// The box.
        text: String,
    },
    /// A coordinate outside of the frame.
    #[error(
        "the {what} {text} lies outside of the video: {axis} is {value}, the video is \
         {width}x{height} pixels"
    )]
    Outside {
        /// Point or box.
        what: &'static str,
        /// It, as it was given.
        text: String,
        /// `x` or `y`.
        axis: char,
        /// The coordinate.
        value: String,
        /// Columns of the video as displayed.
        width: usize,
        /// Rows of it.
        height: usize,
    },
    /// A frame behind the last.
    #[error("there is no frame {frame} to prompt on: the video has {frames} frames, 0 to {last}")]
    NoFrame {
        /// The frame.
        frame: usize,
        /// How many there are.
        frames: usize,
        /// The last one's index.
        last: usize,
    },
}

impl Classified for GivenError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Image(error) => error.class(),
            Self::MaskSize { .. } | Self::EmptyMask { .. } | Self::File { .. } => ErrorClass::Data,
            _ => ErrorClass::Usage,
        }
    }
}

/// Reads the clicks of one object: `X,Y` or `X,Y,LABEL`, several with semicolons between; label 1
/// is the object, 0 what is not, and 1 where there is none.
///
/// # Errors
/// Anything but two numbers and a label; no click on the object.
pub fn parse_point(text: &str) -> Result<Prompt, GivenError> {
    let wanted = |wanted| GivenError::Text {
        text: text.to_owned(),
        wanted,
    };
    let (mut points, mut labels) = (Vec::new(), Vec::new());
    for click in text.split(';') {
        let (point, label) = match (numbers::<2>(click), numbers::<3>(click)) {
            (Some([x, y]), _) => ((x, y), super::POSITIVE),
            (_, Some([x, y, label])) if label == 0.0 || label == 1.0 => ((x, y), label as i32),
            _ => {
                return Err(wanted(
                    "a point; write X,Y in pixels, such as 320,180; several clicks of one object as \
                     X,Y,1;X,Y,0 (1 the object, 0 not)",
                ));
            }
        };
        points.push(point);
        labels.push(label);
    }
    if !labels.contains(&super::POSITIVE) {
        return Err(wanted(
            "an object: at least one click must be on it (X,Y or X,Y,1)",
        ));
    }
    Ok(Prompt::Points { points, labels })
}

/// Where an object is shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// By clicks or a box.
    Here(Prompt),
    /// By its pixels in a label PNG.
    InMask {
        /// The file.
        file: PathBuf,
        /// Its number in it.
        label: u32,
    },
}

/// The objects of a mask file: that of a binary mask, or every one of a label map. 255 beside
/// others is void.
///
/// # Errors
/// The file is not a mask, or shows nothing.
pub fn mask_labels(path: &Path) -> Result<Vec<u32>, GivenError> {
    let map = read_label_png(path)?;
    let objects = Labels::of(&[map.labels()]).objects;
    if objects.is_empty() {
        return Err(GivenError::EmptyMask {
            path: path.display().to_string(),
        });
    }
    Ok(objects.into_iter().collect())
}

/// One entry of a file of prompts: clicks, or a box, or a mask.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default)]
    frame: usize,
    points: Option<Vec<(f32, f32)>>,
    labels: Option<Vec<i32>>,
    r#box: Option<[f32; 4]>,
    mask: Option<PathBuf>,
}

/// Reads a JSON list of prompts, an object each: `frame` (0 without it) and one of `points` with
/// `labels` (1 the object, 0 not; all 1 without them), `box` (`[x0, y0, x1, y1]`) and `mask` (a PNG,
/// beside the file where its path is relative).
///
/// # Errors
/// The file cannot be read or understood; the entry is named.
pub fn read_prompts(path: &Path) -> Result<Vec<(usize, Shown)>, GivenError> {
    let failed = |why: String| GivenError::File {
        path: path.display().to_string(),
        why,
    };
    let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
    let entries: Vec<Entry> = serde_json::from_str(&text).map_err(|e| failed(e.to_string()))?;
    if entries.is_empty() {
        return Err(failed("it holds no prompt".to_owned()));
    }
    let mut prompts = Vec::new();
    for (at, entry) in entries.into_iter().enumerate() {
        let wrong = |why: &str| failed(format!("entry {} {why}", at + 1));
        let found = match (entry.points, entry.r#box, entry.mask) {
            (Some(points), None, None) => {
                let labels = entry
                    .labels
                    .unwrap_or_else(|| vec![super::POSITIVE; points.len()]);
                if labels.len() != points.len() || labels.iter().any(|l| !(0..=1).contains(l)) {
                    return Err(wrong("needs a label for every point, 0 or 1"));
                }
                if !labels.contains(&super::POSITIVE) {
                    return Err(wrong("has no click on the object (label 1)"));
                }
                vec![Shown::Here(Prompt::Points { points, labels })]
            }
            (None, Some(corners), None) if entry.labels.is_none() => {
                let text = corners.map(|v| v.to_string()).join(",");
                vec![Shown::Here(parse_box(&text)?)]
            }
            (None, None, Some(mask)) if entry.labels.is_none() => {
                let file = path.parent().unwrap_or(Path::new("")).join(mask);
                let labels = mask_labels(&file)?.into_iter();
                let shown = |label| Shown::InMask {
                    file: file.clone(),
                    label,
                };
                labels.map(shown).collect()
            }
            _ => return Err(wrong("needs one of points (with labels), box and mask")),
        };
        prompts.extend(found.into_iter().map(|shown| (entry.frame, shown)));
    }
    Ok(prompts)
}

/// Reads `X0,Y0,X1,Y1` into a box.
///
/// # Errors
/// Anything but four numbers, the second corner being below and to the right of the first.
pub fn parse_box(text: &str) -> Result<Prompt, GivenError> {
    let numbers = numbers::<4>(text).ok_or(GivenError::Text {
        text: text.to_owned(),
        wanted: "a box; write X0,Y0,X1,Y1 in pixels, such as 100,80,240,200",
    })?;
    let [x_min, y_min, x_max, y_max] = numbers;
    if x_min >= x_max || y_min >= y_max {
        return Err(GivenError::Empty {
            text: text.to_owned(),
        });
    }
    Ok(Prompt::Box {
        x_min,
        y_min,
        x_max,
        y_max,
    })
}

fn numbers<const N: usize>(text: &str) -> Option<[f32; N]> {
    let numbers: Vec<f32> = text
        .split(',')
        .map(|part| part.trim().parse().ok().filter(|n: &f32| n.is_finite()))
        .collect::<Option<_>>()?;
    numbers.try_into().ok()
}

impl GivenPrompt {
    /// Checks that the prompt lies in a video of `width` x `height` pixels and `frames` frames.
    /// A box may end at the far edges.
    ///
    /// # Errors
    /// The first coordinate that does not, or the frame.
    pub fn check(&self, width: usize, height: usize, frames: usize) -> Result<(), GivenError> {
        if self.frame >= frames {
            return Err(GivenError::NoFrame {
                frame: self.frame,
                frames,
                last: frames.saturating_sub(1),
            });
        }
        let (what, corners, text) = match &self.prompt {
            Prompt::Points { points, .. } => {
                let list: Vec<String> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
                ("point", points.clone(), list.join(" "))
            }
            Prompt::Box {
                x_min,
                y_min,
                x_max,
                y_max,
            } => (
                "box",
                vec![(*x_min, *y_min), (*x_max, *y_max)],
                format!("{x_min},{y_min},{x_max},{y_max}"),
            ),
            Prompt::Mask(mask) if (mask.width(), mask.height()) != (width, height) => {
                return Err(GivenError::MaskSize {
                    found_width: mask.width(),
                    found_height: mask.height(),
                    width,
                    height,
                });
            }
            Prompt::Mask(_) => return Ok(()),
        };
        let flat = || corners.iter().flat_map(|(x, y)| [*x, *y]);
        if flat().all(|v| (0.0..=1.0).contains(&v)) && flat().any(|v| v.fract() != 0.0) {
            let pixels = corners.iter().map(|(x, y)| {
                let side = |v: f32, size: usize| (v * size as f32).round();
                format!("{},{}", side(*x, width), side(*y, height))
            });
            let between = if what == "box" { "," } else { ";" };
            let meant = pixels.collect::<Vec<_>>().join(between);
            return Err(GivenError::Normalised {
                what,
                text,
                width,
                height,
                meant,
            });
        }
        let outside = |axis: char, value: f32, size: usize| {
            let beyond = match what {
                "point" => value >= size as f32,
                _ => value > size as f32,
            };
            (value < 0.0 || beyond).then(|| GivenError::Outside {
                what,
                text: text.clone(),
                axis,
                value: value.to_string(),
                width,
                height,
            })
        };
        for (x, y) in corners {
            if let Some(error) = outside('x', x, width).or_else(|| outside('y', y, height)) {
                return Err(error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(prompt: Prompt, frame: usize) -> Result<(), String> {
        let given = GivenPrompt { frame, prompt };
        given.check(64, 48, 10).map_err(|error| error.to_string())
    }

    #[test]
    fn texts_become_prompts() {
        assert_eq!(parse_point("12, 7").unwrap(), Prompt::click((12, 7)));
        let clicks = parse_point("12,7,1; 3,4,0;5,6").unwrap();
        let expected = Prompt::Points {
            points: vec![(12.0, 7.0), (3.0, 4.0), (5.0, 6.0)],
            labels: vec![1, 0, 1],
        };
        assert_eq!(clicks, expected);
        let error = parse_point("12,7,0").unwrap_err().to_string();
        assert!(
            error.contains("at least one click must be on it"),
            "{error}"
        );
        let given = parse_box("1,2,3.5,4").unwrap();
        assert!(matches!(
            given,
            Prompt::Box {
                x_max: 3.5,
                y_min: 2.0,
                ..
            }
        ));
        for text in ["", "1", "1,2,3", "a,b", "1,nan", "1;2", "48 32", "1,2;"] {
            let error = parse_point(text).unwrap_err().to_string();
            assert!(error.contains("write X,Y"), "{error}");
        }
        let error = parse_box("9,2,3,4").unwrap_err().to_string();
        assert!(error.contains("9,2,3,4 has no inside"), "{error}");
        assert!(parse_box("1,2,3").is_err());
    }

    #[test]
    fn normalised_coordinates_are_refused_with_the_pixels() {
        for (prompt, words) in [
            (parse_point("0.5,0.5"), "64x48 it would be 32,24"),
            (parse_box("0.25,0.25,0.5,1"), "it would be 16,12,32,48"),
        ] {
            let error = at(prompt.unwrap(), 0).unwrap_err();
            assert!(
                error.contains("normalised") && error.contains(words),
                "{error}"
            );
        }
        assert_eq!(at(parse_point("1,0").unwrap(), 0), Ok(()));
        assert_eq!(at(parse_point("0.5,20").unwrap(), 0), Ok(()));
    }

    #[test]
    fn files_of_prompts_hold_clicks_boxes_and_masks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("prompts.json");
        let mask = crate::mask::Mask::from_fn(48, 64, |y, x| y < 5 && x < 6);
        crate::media::image::write_mask_png(&dir.path().join("m.png"), &mask).unwrap();
        let text = r#"[
            {"points": [[12, 7], [3.5, 4]], "labels": [1, 0]},
            {"frame": 3, "box": [1, 2, 3, 4]},
            {"frame": 5, "mask": "m.png"}
        ]"#;
        std::fs::write(&path, text).unwrap();
        let prompts = read_prompts(&path).unwrap();
        let frames: Vec<usize> = prompts.iter().map(|(frame, _)| *frame).collect();
        assert_eq!(frames, [0, 3, 5]);
        let file = dir.path().join("m.png");
        assert_eq!(prompts[2].1, Shown::InMask { file, label: 1 });
        let error = at(Prompt::Mask(crate::mask::Mask::empty(48, 65)), 0).unwrap_err();
        assert!(
            error.contains("65x48 pixels, the video is 64x48"),
            "{error}"
        );
        for (text, words) in [
            ("", "EOF"),
            ("[]", "holds no prompt"),
            ("[{}]", "entry 1 needs one of"),
            (
                r#"[{"points": [[1, 2]], "labels": [0]}]"#,
                "no click on the object",
            ),
            (
                r#"[{"points": [[1, 2]], "labels": [1, 1]}]"#,
                "a label for every point",
            ),
            (r#"[{"point": [1, 2]}]"#, "unknown field"),
            (
                r#"[{"box": [1, 2, 3, 4], "mask": "m.png"}]"#,
                "entry 1 needs one of",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read_prompts(&path).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn what_lies_outside_is_named_with_the_size() {
        assert_eq!(at(parse_point("63,47").unwrap(), 9), Ok(()));
        assert_eq!(at(parse_box("0,0,64,48").unwrap(), 0), Ok(()));
        for (prompt, words) in [
            (
                parse_point("64,3"),
                "point 64,3 lies outside of the video: x is 64",
            ),
            (parse_point("3,-1"), "y is -1, the video is 64x48 pixels"),
            (
                parse_box("0,0,64,49"),
                "box 0,0,64,49 lies outside of the video: y is 49",
            ),
        ] {
            let error = at(prompt.unwrap(), 0).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        let error = at(parse_point("1,1").unwrap(), 10).unwrap_err();
        assert!(
            error.contains("no frame 10") && error.contains("0 to 9"),
            "{error}"
        );
    }
}
