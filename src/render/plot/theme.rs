//! Colours by role. While a plot is drawn each has a stand-in that occurs nowhere else; in the
//! finished SVG it becomes a variable of the style sheet, so that light and dark pages differ.

use plotters::style::RGBColor;

/// A colour by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Text and outlines.
    Ink,
    /// Text that steps back, axes.
    Muted,
    /// Grid lines.
    Grid,
    /// Better, or within the limit.
    Good,
    /// Worse, or beyond the limit.
    Bad,
    /// One of several things beside each other; colours repeat from the eighth on.
    Series(usize),
}

/// Series that have a colour of their own.
const SERIES: usize = 8;
/// First byte of every stand-in.
const MARK: u8 = 1;

impl Colour {
    /// The stand-in; dashed lines have one of their own.
    pub(super) fn stand_in(self, dashed: bool) -> RGBColor {
        let (role, index) = match self {
            Self::Ink => (0, 0),
            Self::Muted => (1, 0),
            Self::Grid => (2, 0),
            Self::Good => (3, 0),
            Self::Bad => (4, 0),
            Self::Series(index) => (5, (index % SERIES) as u8),
        };
        RGBColor(MARK, role, index + if dashed { 0x80 } else { 0 })
    }

    /// The variable's value in a style attribute.
    pub fn css(self) -> String {
        match self {
            Self::Ink => "var(--ink)".to_owned(),
            Self::Muted => "var(--muted)".to_owned(),
            Self::Grid => "var(--grid)".to_owned(),
            Self::Good => "var(--good)".to_owned(),
            Self::Bad => "var(--bad)".to_owned(),
            Self::Series(index) => format!("var(--s{})", index % SERIES),
        }
    }

    fn of_stand_in(text: &str) -> Option<(Self, bool)> {
        let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
        let (mark, role, index) = (byte(0)?, byte(2)?, byte(4)?);
        let colour = match role {
            0 => Self::Ink,
            1 => Self::Muted,
            2 => Self::Grid,
            3 => Self::Good,
            4 => Self::Bad,
            5 => Self::Series(usize::from(index & 0x7F)),
            _ => return None,
        };
        (mark == MARK).then_some((colour, index & 0x80 != 0))
    }
}

/// Puts variables in the place of stand-ins, and leaves out what says nothing.
pub(super) fn themed(svg: &str) -> String {
    let mut out = String::with_capacity(svg.len());
    let mut rest = svg;
    while let Some(at) = rest.find("\"#") {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        // `"#RRGGBB"` is nine bytes.
        let colour = found
            .get(..9)
            .filter(|text| text.ends_with('"'))
            .and_then(|text| Colour::of_stand_in(text.get(2..8)?));
        match colour {
            Some((colour, dashed)) => {
                out.push_str(&format!("\"{}\"", colour.css()));
                if dashed {
                    out.push_str(" stroke-dasharray=\"10 8\"");
                }
                rest = found.get(9..).unwrap_or_default();
            }
            None => {
                out.push_str("\"#");
                rest = found.get(2..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out.replace(" opacity=\"1\"", "")
        .replace(" stroke=\"none\"", "")
        .replace(" font-family=\"sans-serif\"", "")
}
