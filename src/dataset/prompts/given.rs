//! Prompts that a person gives for a video without masks: a click or a box on one frame.

use super::Prompt;
use crate::error::{Classified, ErrorClass};
use thiserror::Error;

/// A prompt that was given, not made from a mask.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenPrompt {
    /// Index of the frame that it is on.
    pub frame: usize,
    /// A click or a box, in pixels of the video as displayed.
    pub prompt: Prompt,
}

/// A prompt that cannot be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum GivenError {
    /// The text is no prompt.
    #[error("'{text}' is not {wanted}")]
    Text {
        /// What was given.
        text: String,
        /// What it should look like.
        wanted: &'static str,
    },
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
        ErrorClass::Usage
    }
}

/// Reads `X,Y` into a click.
///
/// # Errors
/// Anything but two numbers.
pub fn parse_point(text: &str) -> Result<Prompt, GivenError> {
    let numbers = numbers::<2>(text).ok_or(GivenError::Text {
        text: text.to_owned(),
        wanted: "a point; write X,Y in pixels, such as 320,180",
    })?;
    let [x, y] = numbers;
    Ok(Prompt::Points {
        points: vec![(x, y)],
        labels: vec![super::POSITIVE],
    })
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
            Prompt::Mask(_) => return Ok(()),
        };
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
        assert_eq!(parse_point("12, 7"), Ok(Prompt::click((12, 7))));
        let given = parse_box("1,2,3.5,4").unwrap();
        assert!(matches!(
            given,
            Prompt::Box {
                x_max: 3.5,
                y_min: 2.0,
                ..
            }
        ));
        for text in ["", "1", "1,2,3", "a,b", "1,nan", "1;2"] {
            let error = parse_point(text).unwrap_err().to_string();
            assert!(error.contains("write X,Y"), "{error}");
        }
        let error = parse_box("9,2,3,4").unwrap_err().to_string();
        assert!(error.contains("9,2,3,4 has no inside"), "{error}");
        assert!(parse_box("1,2,3").is_err());
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
