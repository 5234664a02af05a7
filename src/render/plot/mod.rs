//! Plots as plain data ([`Chart`]), and their drawing as SVG in the colours of the page.
//!
//! A chart is drawn twice, for wide and for narrow pages, so that its text has the same size on
//! both; the style sheet shows one of them. Colours are names of the style sheet's variables.

mod axis;
mod draw;
mod theme;
mod thin;

pub use axis::Axis;
pub use theme::Colour;
pub use thin::thin;

use crate::error::Error;
use maud::{Markup, html};

/// A plot. Everything is in the units of its axes.
#[derive(Clone, Debug)]
pub struct Chart {
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
pub enum Mark {
    /// A line through points.
    Line {
        /// Its points.
        points: Vec<(f64, f64)>,
        /// Its colour.
        colour: Colour,
        /// In CSS pixels.
        width: u32,
        /// Whether it is dashed.
        dashed: bool,
    },
    /// A filled polygon.
    Area {
        /// Its corners.
        points: Vec<(f64, f64)>,
        /// Its colour.
        colour: Colour,
        /// Opacity, 0 to 1.
        alpha: f64,
    },
    /// Dots; hollow ones are rings.
    Dots {
        /// Their centres.
        points: Vec<(f64, f64)>,
        /// Their colour.
        colour: Colour,
        /// In CSS pixels.
        radius: u32,
        /// Opacity, 0 to 1.
        alpha: f64,
        /// Whether only the outline is drawn.
        hollow: bool,
        /// Their shape.
        shape: Shape,
    },
    /// A few words that end at a point, moved by some CSS pixels.
    Text {
        /// The point.
        at: (f64, f64),
        /// The words.
        words: String,
        /// Their colour.
        colour: Colour,
        /// In CSS pixels, to the right and down.
        moved: (i32, i32),
    },
}

/// The shape of dots, so that series differ without colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A circle.
    Circle,
    /// A square.
    Square,
    /// A triangle on its base.
    Triangle,
    /// A square on its corner.
    Diamond,
    /// A triangle on its tip.
    Wedge,
}

impl Shape {
    /// The shape of a series; together with its colour it repeats after 40 series.
    pub fn of_series(index: usize) -> Self {
        match index % 5 {
            0 => Self::Circle,
            1 => Self::Square,
            2 => Self::Triangle,
            3 => Self::Diamond,
            _ => Self::Wedge,
        }
    }

    /// Its name in the style sheet.
    pub fn class(self) -> &'static str {
        match self {
            Self::Circle => "dot",
            Self::Square => "square",
            Self::Triangle => "triangle",
            Self::Diamond => "diamond",
            Self::Wedge => "wedge",
        }
    }

    /// Its corners around the point, for a radius; none of a circle.
    fn corners(self, radius: u32) -> Vec<(i32, i32)> {
        let r = radius as i32;
        let s = r * 9 / 10;
        match self {
            Self::Circle => Vec::new(),
            Self::Square => vec![(-s, -s), (s, -s), (s, s), (-s, s)],
            Self::Triangle => vec![(-r, s), (r, s), (0, -r)],
            Self::Diamond => vec![(0, -r), (r, 0), (0, r), (-r, 0)],
            Self::Wedge => vec![(-r, -s), (r, -s), (0, r)],
        }
    }
}

impl Chart {
    /// Both drawings, as HTML.
    ///
    /// # Errors
    /// What the drawing library refuses.
    pub(super) fn html(&self) -> Result<Markup, Error> {
        let failed = |why: String| {
            Error::run(format!(
                "the plot \"{}\" cannot be drawn: {why}; please file an issue with the journal",
                self.name
            ))
        };
        let [wide, narrow] = self.heights;
        let wide = draw::svg(self, draw::Page::Wide, wide).map_err(failed)?;
        let narrow = draw::svg(self, draw::Page::Narrow, narrow).map_err(failed)?;
        Ok(html! { (wide) (narrow) })
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
            shape: Shape::Circle,
        }
    }

    /// The same in another shape.
    pub fn shaped(mut self, of: Shape) -> Self {
        if let Self::Dots { shape, .. } = &mut self {
            *shape = of;
        }
        self
    }
}

#[cfg(test)]
mod tests;
