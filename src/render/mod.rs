//! One document model (headings, paragraphs, tables, key/value pairs, plots) and its renderers:
//! terminal, Markdown, HTML and CSV.
//!
//! Producers build [`Block`]s and know nothing of how they look; renderers know nothing of what
//! they show.

mod csv;
mod document;
mod markdown;
mod terminal;

pub use csv::csv;
pub use document::{Block, Cell, Item, Section, Table, Tone, counted};
pub use markdown::markdown;
pub use terminal::{Style, sections, terminal};
