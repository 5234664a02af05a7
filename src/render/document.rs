//! The document model.

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
