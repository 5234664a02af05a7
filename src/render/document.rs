//! The document model.

use super::plot::{Chart, Shape};

/// How a text is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// Better, or within the limit.
    Good,
    /// Worse, or beyond the limit.
    Bad,
    /// To be looked at.
    Warning,
    /// Of less weight.
    Muted,
}

/// A part of a document.
#[derive(Clone, Debug)]
pub enum Block {
    /// A heading inside a section.
    Heading(String),
    /// Text.
    Paragraph(String),
    /// Why there is nothing to see, in a line.
    Nothing(String),
    /// What must not be overlooked.
    Notes(Vec<String>),
    /// Sentences one below the other.
    List(Vec<Item>),
    /// Names and values.
    Pairs(Vec<(String, Cell)>),
    /// A table.
    Table(Table),
    /// Things beside each other, each with a few pairs.
    Cards(Vec<Card>),
    /// A plot; for HTML only.
    Plot(Box<Plot>),
    /// What colours mean; for HTML only.
    Legend(Vec<Key>),
    /// Pictures; for HTML only.
    Gallery(Vec<Exhibit>),
}

/// A document of sections.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its title.
    pub title: String,
    /// What it is about, in a line.
    pub about: String,
    /// Small print below.
    pub small: String,
    /// Its sections.
    pub sections: Vec<Section>,
}

/// A card.
#[derive(Clone, Debug, Default)]
pub struct Card {
    /// Its heading.
    pub heading: String,
    /// Below the heading, in small print.
    pub note: String,
    /// CSS colour of its edge; none where empty.
    pub colour: String,
    /// Whether its values are shown large.
    pub large: bool,
    /// Names and values.
    pub pairs: Vec<(String, Cell)>,
    /// Names and values for programs that read the page.
    pub data: Vec<(&'static str, String)>,
}

/// A plot with its heading, what it shows and which direction is good.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Its anchor.
    pub id: String,
    /// Its heading.
    pub heading: String,
    /// What it shows.
    pub caption: String,
    /// What colours and shapes mean.
    pub legend: Vec<Key>,
    /// What is drawn.
    pub chart: Chart,
}

/// An entry of a legend.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// A CSS colour.
    pub colour: String,
    /// What it means.
    pub words: String,
    /// The form of the sample.
    pub sample: Sample,
}

/// The form of a legend's sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// A filled box.
    Box,
    /// A line.
    Line,
    /// A dashed line.
    Dashed,
    /// A dot of a shape.
    Dot(Shape),
    /// A ring.
    Ring,
}

/// Something shown with pictures.
#[derive(Clone, Debug, Default)]
pub struct Exhibit {
    /// Its heading.
    pub heading: String,
    /// Lines below it.
    pub lines: Vec<String>,
    /// Pictures with their captions.
    pub pictures: Vec<(Picture, String)>,
    /// Why there are none; may be empty.
    pub missing: String,
    /// Names and values for programs that read the page.
    pub data: Vec<(&'static str, String)>,
}

/// A JPEG in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The file.
    pub jpeg: Vec<u8>,
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its text.
    pub text: String,
    /// How it is meant.
    pub tone: Tone,
}

/// A part of a document with a heading.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its anchor.
    pub id: String,
    /// Its words in the list of contents; not in it where empty.
    pub link: String,
    /// Its heading.
    pub heading: String,
    /// What it is, in a sentence; may be empty.
    pub lead: String,
    /// What it contains.
    pub blocks: Vec<Block>,
}

/// A cell of a table, or the value of a pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// Its text.
    pub text: String,
    /// What the text means, in small print; why there is no value, where [`Self::missing`].
    pub hint: String,
    /// How it is meant.
    pub tone: Tone,
    /// Whether it is a number, which is aligned to the right.
    pub number: bool,
    /// Whether there is no value.
    pub missing: bool,
    /// Whether it is prose that may be broken into lines.
    pub long: bool,
    /// Names and values for programs that read the page.
    pub data: Vec<(&'static str, String)>,
}

/// A table. The first cell of each row is its heading; a row of a single cell is a heading over
/// those that follow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Its anchor.
    pub id: String,
    /// Headings of the columns.
    pub head: Vec<Cell>,
    /// Rows.
    pub rows: Vec<Vec<Cell>>,
}

impl Block {
    /// A heading.
    pub fn heading(text: impl Into<String>) -> Self {
        Self::Heading(text.into())
    }

    /// Why there is nothing to see.
    pub fn nothing(why: impl Into<String>) -> Self {
        Self::Nothing(why.into())
    }

    /// A list of plain entries.
    pub fn list(items: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let item = |text: String| Item {
            text,
            tone: Tone::Plain,
        };
        Self::List(items.into_iter().map(Into::into).map(item).collect())
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Heading(text) | Self::Paragraph(text) | Self::Nothing(text) => text.is_empty(),
            Self::Notes(items) => items.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Pairs(pairs) => pairs.is_empty(),
            Self::Table(table) => table.rows.is_empty(),
            Self::Cards(cards) => cards.is_empty(),
            Self::Legend(keys) => keys.is_empty(),
            Self::Gallery(exhibits) => exhibits.is_empty(),
            Self::Plot(_) => false,
        }
    }
}

impl Section {
    /// A section.
    pub fn new(id: &str, link: &str, heading: &str, lead: &str, blocks: Vec<Block>) -> Self {
        let own = str::to_owned;
        Self {
            id: own(id),
            link: own(link),
            heading: own(heading),
            lead: own(lead),
            blocks,
        }
    }
}

impl Key {
    /// An entry.
    pub fn new(colour: impl Into<String>, words: impl Into<String>, sample: Sample) -> Self {
        Self {
            colour: colour.into(),
            words: words.into(),
            sample,
        }
    }
}

impl Cell {
    /// Words.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// A number with its unit; over a column, the heading of numbers.
    pub fn number(text: impl Into<String>) -> Self {
        Self {
            number: true,
            ..Self::text(text)
        }
    }

    /// Prose that may be broken into lines.
    pub fn long(text: impl Into<String>) -> Self {
        Self {
            long: true,
            ..Self::text(text)
        }
    }

    /// A dash and why there is no value.
    pub fn missing(why: impl Into<String>) -> Self {
        Self {
            hint: why.into(),
            missing: true,
            ..Self::number("")
        }
    }

    /// With small print.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// In another tone.
    pub fn toned(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    /// With a name and value for programs that read the page.
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.data.push((name, value.to_string()));
        self
    }

    /// With the value behind a rounded text, in full.
    pub fn valued(self, metric: &str, value: Option<f64>) -> Self {
        let cell = self.with("metric", metric);
        match value {
            Some(value) => cell.with("value", value),
            None => cell,
        }
    }
}

impl Table {
    /// A table without rows.
    pub fn new(id: impl Into<String>, head: impl IntoIterator<Item = Cell>) -> Self {
        Self {
            id: id.into(),
            head: head.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    /// With these rows.
    pub fn with_rows(
        mut self,
        rows: impl IntoIterator<Item = impl IntoIterator<Item = Cell>>,
    ) -> Self {
        self.rows = rows
            .into_iter()
            .map(|row| row.into_iter().collect())
            .collect();
        self
    }
}

/// `1 video`, `2 videos`.
pub fn counted(count: usize, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    }
}

/// A card where there is no room for one: its values in brackets.
pub(super) fn in_a_line(card: &Card) -> String {
    let values: Vec<&str> = card
        .pairs
        .iter()
        .filter(|(_, value)| !value.missing)
        .map(|(_, value)| value.text.as_str())
        .collect();
    format!("{} ({})", card.heading, values.join("; "))
}
