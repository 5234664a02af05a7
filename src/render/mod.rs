//! One document model (headings, paragraphs, tables, key/value pairs, plots) and its renderers:
//! terminal, Markdown, HTML and CSV.
//!
//! Producers build [`Block`]s and [`Section`]s without regard to how they look; renderers do not
//! depend on what they show. The HTML page needs no script and loads nothing: style, plots (SVG)
//! and pictures are in it. It has light and dark colours and prints in light ones.

mod csv;
mod document;
mod html;
mod markdown;
pub mod plot;
mod terminal;

pub use csv::csv;
pub use document::{
    Block, Card, Cell, Document, Exhibit, Item, Key, Picture, Plot, Sample, Section, Table, Tone,
    counted,
};
pub use html::html;
pub use markdown::markdown;
pub use terminal::{Style, sections, terminal};
