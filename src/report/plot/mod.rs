//! Plots as plain data ([`Chart`]), and their drawing as SVG in the colours of the page.
//!
//! A chart is drawn twice, for wide and for narrow pages, so that its text has the same size on
//! both; the style sheet shows one of them. Colours are names of the style sheet's variables.

mod axis;
mod draw;
mod theme;
mod thin;

pub(super) use axis::Axis;
pub(super) use theme::Colour;
pub(super) use thin::thin;

use super::ReportError;

/// A plot. Everything is in the units of its axes.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// What a screen reader calls it.
    pub name: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn, back to front.
    pub marks: Vec<Mark>,
    /// Heights on wide and on narrow pages, in CSS pixels.
    pub heights: [u32; 2],
}

/// Something drawn.
#[derive(Clone, Debug)]
pub(super) enum Mark {
    /// A line through points.
    Line {
        points: Vec<(f64, f64)>,
        colour: Colour,
        /// In CSS pixels.
        width: u32,
        dashed: bool,
    },
    /// A filled polygon.
    Area {
        points: Vec<(f64, f64)>,
        colour: Colour,
        alpha: f64,
    },
    /// Dots; hollow ones are rings.
    Dots {
        points: Vec<(f64, f64)>,
        colour: Colour,
        /// In CSS pixels.
        radius: u32,
        alpha: f64,
        hollow: bool,
    },
    /// A few words that end at a point, moved by some CSS pixels.
    Text {
        at: (f64, f64),
        words: String,
        colour: Colour,
        moved: (i32, i32),
    },
}

impl Chart {
    /// Both drawings, as HTML.
    ///
    /// # Errors
    /// What the drawing library refuses.
    pub fn html(&self) -> Result<String, ReportError> {
        let [wide, narrow] = self.heights;
        let failed = |why: String| ReportError::Plot {
            plot: self.name.clone(),
            why,
        };
        let wide = draw::svg(self, draw::Page::Wide, wide).map_err(failed)?;
        let narrow = draw::svg(self, draw::Page::Narrow, narrow).map_err(failed)?;
        Ok(format!("{wide}{narrow}"))
    }
}

impl Mark {
    /// A solid line of two CSS pixels.
    pub fn line(points: Vec<(f64, f64)>, colour: Colour) -> Self {
        Self::Line {
            points,
            colour,
            width: 2,
            dashed: false,
        }
    }

    /// A dashed line of two CSS pixels.
    pub fn dashed(points: Vec<(f64, f64)>, colour: Colour) -> Self {
        Self::Line {
            points,
            colour,
            width: 2,
            dashed: true,
        }
    }

    /// Filled dots.
    pub fn dots(points: Vec<(f64, f64)>, colour: Colour, radius: u32, alpha: f64) -> Self {
        Self::Dots {
            points,
            colour,
            radius,
            alpha,
            hollow: false,
        }
    }
}

#[cfg(test)]
mod tests;
