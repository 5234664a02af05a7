//! A chart drawn with plotters as one SVG element.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::{Axis, Tick};
use super::theme::themed;
use super::{Chart, Colour, Mark, Shape};
use crate::render::html::Safe;
use maud::{PreEscaped, html};

/// For which width of page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Wide,
    Narrow,
}

impl Page {
    fn class(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Narrow => "narrow",
        }
    }

    /// CSS pixels.
    fn width(self) -> u32 {
        match self {
            Self::Wide => 960,
            Self::Narrow => 350,
        }
    }
}

/// Coordinates are whole numbers in plotters: so many of them are a CSS pixel.
const FINE: u32 = 2;
/// Height of text in CSS pixels.
const TEXT: u32 = 12;
/// plotters writes a font's size divided by this.
const FONT: f64 = 1.24;
/// Width of a digit, as part of the height of text.
const DIGIT: f64 = 0.58;

/// Draws it.
pub(super) fn svg(chart: &Chart, page: Page, height: u32) -> Result<maud::Markup, String> {
    let (width, height) = (page.width() * FINE, height * FINE);
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
        draw(chart, page, &root).map_err(|error| error.to_string())?;
        root.present().map_err(|error| error.to_string())?;
    }
    // What plotters wrote between its own <svg …> and </svg>.
    let body = text.split_once('>').map_or("", |(_, body)| body);
    let body = body.trim().trim_end_matches("</svg>");
    Ok(html! {
        svg class=(page.class()) viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(Safe(&chart.name)) {
            (PreEscaped(themed(body)))
        }
    })
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failure = Box<dyn std::error::Error>;

/// What has to stay free right of a plot for the horizontal axis's labels, which are centred below their
/// ticks. `columns`: the plot with that margin.
fn room_at_the_end(x: &Axis, ticks: &[Tick], columns: u32, text: u32) -> u32 {
    let (from, to) = (x.place(x.from), x.place(x.to));
    let over = ticks.iter().map(|tick| {
        let half = tick.text.chars().count() as f64 * DIGIT * f64::from(text) / 2.0;
        let part = (to - x.place(tick.at)) / (to - from).max(f64::MIN_POSITIVE);
        half - part * f64::from(columns.saturating_sub(text))
    });
    text.max(over.fold(0.0, f64::max) as u32 + text / 4)
}

fn draw(chart: &Chart, page: Page, root: &Area<'_>) -> Result<(), Failure> {
    let text = TEXT * FINE;
    let (x, y) = (&chart.x, &chart.y);
    // On narrow pages names stand above their rows, not beside them.
    let above = !y.names.is_empty() && page == Page::Narrow;
    let (columns, rows) = root.dim_in_pixel();
    let most_y = (rows / (text * 3)).max(2) as usize;
    let y_ticks = y.ticks(most_y);
    let most_x = (columns / (text * 6)).max(2) as usize;
    let x_ticks = x.ticks(most_x);
    let widest = y_ticks.iter().map(|tick| tick.text.chars().count()).max();
    let left = match above {
        true => text / 2,
        false => (widest.unwrap_or(0) as f64 * DIGIT * f64::from(text)) as u32 + text,
    };
    let title_room = if y.title.is_empty() {
        text / 2
    } else {
        text * 2
    };
    let bottom = if x.title.is_empty() {
        text * 2
    } else {
        text * 7 / 2
    };
    if !y.title.is_empty() {
        let style = font(Colour::Muted, HPos::Left, VPos::Top);
        // A font's own height is more than that of its letters.
        root.draw_text(&y.title, &style, (0, text as i32 / 4))?;
    }
    if !x.title.is_empty() {
        let style = font(Colour::Muted, HPos::Right, VPos::Bottom);
        let corner = (columns as i32 - text as i32, rows as i32 - 2);
        root.draw_text(&x.title, &style, corner)?;
    }
    let mut drawn = ChartBuilder::on(root)
        .margin_top(title_room)
        .margin_right(room_at_the_end(
            x,
            &x_ticks,
            columns.saturating_sub(left),
            text,
        ))
        .margin_bottom(bottom - text * 2)
        .set_label_area_size(LabelAreaPosition::Left, left)
        .set_label_area_size(LabelAreaPosition::Bottom, text * 5 / 2)
        .build_cartesian_2d(
            Ruler::new(x, &x_ticks, true),
            Ruler::new(y, &y_ticks, !above),
        )?;
    let grid = Colour::Grid.stand_in(false).stroke_width(FINE);
    let mut mesh = drawn.configure_mesh();
    mesh.bold_line_style(grid)
        .light_line_style(TRANSPARENT)
        .axis_style(Colour::Muted.stand_in(false).stroke_width(FINE))
        .set_all_tick_mark_size(4)
        // Long enough that the labels of both axes stay apart where these meet.
        .set_tick_mark_size(LabelAreaPosition::Bottom, text * 5 / 8)
        .x_label_style(font(Colour::Muted, HPos::Center, VPos::Top))
        .y_label_style(font(Colour::Muted, HPos::Right, VPos::Center));
    if !y.names.is_empty() {
        mesh.disable_y_mesh();
    }
    mesh.draw()?;
    for mark in &chart.marks {
        let place = |(a, b): &(f64, f64)| (x.place(*a), y.place(*b));
        match mark {
            Mark::Line {
                points,
                colour,
                width,
                dashed,
            } => {
                let style = colour.stand_in(*dashed).stroke_width(width * FINE);
                let path = PathElement::new(points.iter().map(place).collect::<Vec<_>>(), style);
                drawn.draw_series([path])?;
            }
            Mark::Area {
                points,
                colour,
                alpha,
            } => {
                let style = colour.stand_in(false).mix(*alpha).filled();
                let polygon = Polygon::new(points.iter().map(place).collect::<Vec<_>>(), style);
                drawn.draw_series([polygon])?;
            }
            Mark::Dots {
                points,
                colour,
                radius,
                alpha,
                hollow,
                shape,
            } => {
                let colour = colour.stand_in(false).mix(*alpha);
                let style = if *hollow {
                    colour.stroke_width(FINE + 1)
                } else {
                    colour.filled()
                };
                let size = radius * FINE;
                let dots = points.iter().map(place);
                if *shape == Shape::Circle {
                    drawn.draw_series(dots.map(|at| Circle::new(at, size, style)))?;
                } else {
                    let corners = shape.corners(size);
                    drawn.draw_series(dots.map(|at| {
                        let outline: Vec<(i32, i32)> =
                            corners.iter().chain(corners.first()).copied().collect();
                        let filled = if *hollow { Vec::new() } else { corners.clone() };
                        EmptyElement::at(at)
                            + Polygon::new(filled, style)
                            + PathElement::new(outline, style)
                    }))?;
                }
            }
            Mark::Text {
                at,
                words,
                colour,
                moved,
            } => {
                let fine = FINE as i32;
                let words = EmptyElement::at(place(at))
                    + Text::new(
                        words.clone(),
                        (moved.0 * fine, moved.1 * fine),
                        font(*colour, HPos::Right, VPos::Center),
                    );
                drawn.draw_series([words])?;
            }
        }
    }
    if above {
        let names = y_ticks.iter().map(|tick| {
            let style = font(Colour::Muted, HPos::Left, VPos::Bottom);
            EmptyElement::at((x.place(x.from), y.place(tick.at + 0.42)))
                + Text::new(tick.text.clone(), (text as i32 / 4, text as i32), style)
        });
        drawn.draw_series(names)?;
    }
    Ok(())
}

/// An axis as plotters has it: straight, with our labels at our places.
struct Ruler {
    range: Range<f64>,
    labels: Vec<(f64, String)>,
}

impl Ruler {
    fn new(axis: &Axis, ticks: &[Tick], labelled: bool) -> Self {
        let label = |tick: &Tick| match labelled {
            true => (axis.place(tick.at), tick.text.clone()),
            false => (axis.place(tick.at), String::new()),
        };
        Self {
            range: axis.place(axis.from)..axis.place(axis.to),
            labels: ticks.iter().map(label).collect(),
        }
    }
}

impl Ranged for Ruler {
    type ValueType = f64;
    type FormatOption = NoDefaultFormatting;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        match hint.weight().allow_light_points() {
            true => Vec::new(),
            false => self.labels.iter().map(|(place, _)| *place).collect(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Ruler {
    fn format_ext(&self, value: &f64) -> String {
        let found = self.labels.iter().find(|(place, _)| place == value);
        found.map_or(String::new(), |(_, text)| text.clone())
    }
}

fn font(colour: Colour, across: HPos, along: VPos) -> TextStyle<'static> {
    ("sans-serif", f64::from(TEXT * FINE) * FONT)
        .into_font()
        .color(&colour.stand_in(false))
        .pos(Pos::new(across, along))
}
