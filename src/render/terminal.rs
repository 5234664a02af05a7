//! Documents as text for a terminal.

use super::document::in_a_line;
use super::{Block, Cell, Section, Table, Tone};
use std::io::IsTerminal;
use textwrap::core::display_width;

/// How text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether to use ANSI colours.
    pub colour: bool,
    /// Columns that text is wrapped to.
    pub width: usize,
    /// Whether tables are fitted to the width as well. Where a program reads the text they are not:
    /// a row stays a line.
    pub fitted: bool,
}

/// Spaces between columns.
const GAP: usize = 3;
/// The longest reason that stands in a cell in place of a dash.
const SHORT_REASON: usize = 20;
/// The narrowest column of prose.
const PROSE: usize = 24;

impl Style {
    /// Plain text, 80 columns.
    pub const PLAIN: Self = Self {
        colour: false,
        width: 80,
        fitted: true,
    };

    /// For standard output: colours on a terminal unless `NO_COLOR` is set to anything
    /// (no-color.org) or `TERM` is `dumb`; as wide as `COLUMNS` or else the terminal, from 40 on; 80
    /// columns of text and tables of any width where there is neither.
    pub fn stdout() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = std::io::stdout().is_terminal();
        let columns = std::env::var("COLUMNS").ok().and_then(|w| w.parse().ok());
        let of_terminal = || {
            let size = terminal.then(terminal_size::terminal_size).flatten();
            size.map(|(terminal_size::Width(columns), _)| usize::from(columns))
        };
        let width: Option<usize> = columns.or_else(of_terminal);
        Self {
            colour: terminal && !set("NO_COLOR") && !dumb,
            width: width.unwrap_or(Self::PLAIN.width).max(40),
            fitted: width.is_some(),
        }
    }

    fn paint(self, text: &str, code: &str) -> String {
        if self.colour && !code.is_empty() && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    fn toned(self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Plain => "",
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Warning => "33",
            Tone::Muted => "2",
        };
        self.paint(text, code)
    }

    fn filled(self, text: &str, first: &str, later: &str) -> String {
        let options = textwrap::Options::new(self.width)
            .initial_indent(first)
            .subsequent_indent(later)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
            .word_separator(textwrap::WordSeparator::AsciiSpace);
        textwrap::fill(text, options) + "\n"
    }
}

/// Blocks as text; an empty line between them, none after a heading.
pub fn terminal(blocks: &[Block], style: Style) -> String {
    let mut out = String::new();
    let mut below_heading = true;
    for block in blocks {
        let text = if block.is_empty() {
            String::new()
        } else {
            of_block(block, style)
        };
        if text.is_empty() {
            continue;
        }
        if !below_heading {
            out.push('\n');
        }
        below_heading = matches!(block, Block::Heading(_));
        out.push_str(&text);
    }
    out
}

/// Sections as text.
pub fn sections(sections: &[Section], style: Style) -> String {
    let mut blocks = Vec::new();
    for section in sections {
        blocks.push(Block::Heading(section.heading.clone()));
        blocks.push(Block::Paragraph(section.lead.clone()));
        blocks.extend(section.blocks.iter().cloned());
    }
    terminal(&blocks, style)
}

fn of_block(block: &Block, style: Style) -> String {
    match block {
        Block::Heading(text) => style.paint(text, "1") + "\n",
        Block::Paragraph(text) | Block::Nothing(text) => style.filled(text, "", ""),
        Block::Notes(items) => items
            .iter()
            .map(|note| {
                style.toned(
                    &style.filled(&format!("NOTE: {note}"), "", ""),
                    Tone::Warning,
                )
            })
            .collect(),
        Block::List(items) => items
            .iter()
            .map(|item| style.toned(&style.filled(&item.text, "  ", "    "), item.tone))
            .collect(),
        Block::Pairs(pairs) => {
            let widest = pairs.iter().map(|(name, _)| display_width(name)).max();
            let widest = widest.unwrap_or(0);
            let line = |(name, value): &(String, Cell)| {
                let space = " ".repeat(widest - display_width(name) + 2);
                let indent = " ".repeat(widest + 4);
                let first = format!("  {name}{space}");
                style.filled(&shown(value), &first, &indent)
            };
            pairs.iter().map(line).collect()
        }
        Block::Table(table) => of_table(table, style),
        Block::Cards(cards) => {
            let card = |card| style.filled(&in_a_line(card), "", "  ");
            cards.iter().map(card).collect()
        }
        Block::Plot(_) | Block::Legend(_) | Block::Gallery(_) => String::new(),
    }
}

/// A cell's text; a short reason or a dash where there is no value.
fn shown(cell: &Cell) -> String {
    match cell.missing {
        false => cell.text.clone(),
        true if (1..=SHORT_REASON).contains(&display_width(&cell.hint)) => cell.hint.clone(),
        true => "-".to_owned(),
    }
}

fn of_table(table: &Table, style: Style) -> String {
    let columns = table.head.len();
    let all = || std::iter::once(&table.head).chain(&table.rows);
    // A row of one cell is a heading over others and makes no column wider.
    let mut widths: Vec<usize> = (0..columns)
        .map(|at| {
            let cells = all()
                .filter(|row| row.len() > 1)
                .filter_map(|row| row.get(at));
            cells
                .map(|cell| display_width(&shown(cell)))
                .max()
                .unwrap_or(0)
        })
        .collect();
    let whole = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * columns.saturating_sub(1);
    let prose = (0..columns).find(|at| all().any(|row| row.get(*at).is_some_and(|c| c.long)));
    if style.fitted
        && whole(&widths) > style.width
        && let Some(at) = prose
    {
        let over = whole(&widths) - style.width;
        if let Some(width) = widths.get_mut(at) {
            *width = width.saturating_sub(over).max(PROSE.min(*width));
        }
    }
    let mut out = String::new();
    let mut from = 1.min(columns);
    loop {
        // At least one column beside the first, however narrow the terminal is.
        let mut used = widths.first().copied().unwrap_or(0);
        let mut to = from;
        while let Some(width) = widths.get(to) {
            used += GAP + width;
            if to > from && style.fitted && used > style.width {
                break;
            }
            to += 1;
        }
        let shown: Vec<usize> = (0..1.min(columns)).chain(from..to).collect();
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&of_columns(table, &shown, &widths, style));
        from = to;
        if from >= columns {
            return out;
        }
    }
}

/// Some columns of a table.
fn of_columns(table: &Table, columns: &[usize], widths: &[usize], style: Style) -> String {
    let width = |at: usize| widths.get(at).copied().unwrap_or(0);
    let line = |row: &[Cell], code: &str| -> String {
        if let [only] = row
            && table.head.len() > 1
        {
            return style.paint(&only.text, "1") + "\n";
        }
        let cells: Vec<(&Cell, Vec<String>, usize)> = columns
            .iter()
            .filter_map(|at| {
                let cell = row.get(*at)?;
                let text = shown(cell);
                let lines = match cell.long && display_width(&text) > width(*at) {
                    true => textwrap::wrap(&text, width(*at))
                        .into_iter()
                        .map(|line| line.into_owned())
                        .collect(),
                    false => vec![text],
                };
                Some((cell, lines, *at))
            })
            .collect();
        let height = cells.iter().map(|(_, lines, _)| lines.len()).max();
        let mut out = String::new();
        for number in 0..height.unwrap_or(1) {
            let mut text = String::new();
            let mut pending = 0;
            for (place, (cell, lines, at)) in cells.iter().enumerate() {
                let part = lines.get(number).map_or("", String::as_str);
                let space = width(*at).saturating_sub(display_width(part));
                let gap = if place > 0 { GAP } else { 0 };
                let (before, after) = if cell.number { (space, 0) } else { (0, space) };
                pending += gap + before;
                if !part.is_empty() {
                    text.push_str(&" ".repeat(pending));
                    pending = 0;
                    text.push_str(&style.toned(part, cell.tone));
                }
                pending += if part.is_empty() {
                    space - before
                } else {
                    after
                };
            }
            out.push_str(&style.paint(&text, code));
            out.push('\n');
        }
        out
    };
    let mut out = line(&table.head, "1");
    let rule = columns.iter().map(|at| width(*at)).sum::<usize>();
    out.push_str(&"-".repeat(rule + GAP * columns.len().saturating_sub(1)));
    out.push('\n');
    for row in &table.rows {
        out.push_str(&line(row, ""));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table::new(
            "t",
            [
                Cell::text("name"),
                Cell::number("size"),
                Cell::text("what it is"),
            ],
        )
        .with_rows([
            vec![Cell::text("Group")],
            vec![
                Cell::text("größe"),
                Cell::number("12.0 MiB").toned(Tone::Good),
                Cell::long(
                    "words that go on and on until nobody reads them any more, and then some",
                ),
            ],
            vec![
                Cell::text("b"),
                Cell::missing("too long a reason for a cell"),
                Cell::text(""),
            ],
        ])
    }

    #[test]
    fn columns_align_and_prose_is_wrapped_where_the_width_asks_for_it() {
        let style = Style {
            width: 50,
            ..Style::PLAIN
        };
        assert_eq!(
            terminal(&[Block::Table(table())], style),
            "name        size   what it is\n\
             --------------------------------------------------\n\
             Group\n\
             größe   12.0 MiB   words that go on and on until\n\
             \x20                  nobody reads them any more, and\n\
             \x20                  then some\n\
             b              -\n"
        );
    }

    #[test]
    fn through_a_pipe_a_row_is_a_line() {
        let style = Style {
            fitted: false,
            width: 40,
            colour: false,
        };
        let text = terminal(&[Block::Table(table())], style);
        assert_eq!(text.lines().count(), 5, "{text}");
        let notes = Block::Notes(vec!["a ".repeat(40)]);
        assert!(terminal(&[notes], style).lines().count() > 1);
    }

    #[test]
    fn colours_surround_text_and_change_no_width() {
        let style = Style {
            colour: true,
            ..Style::PLAIN
        };
        let coloured = terminal(&[Block::Table(table())], style);
        assert!(
            coloured.contains("\u{1b}[32m12.0 MiB\u{1b}[0m"),
            "{coloured}"
        );
        let mut plain = String::new();
        for part in coloured.split('\u{1b}') {
            plain.push_str(
                part.split_once('m')
                    .filter(|_| part.starts_with('['))
                    .map_or(part, |p| p.1),
            );
        }
        assert_eq!(plain, terminal(&[Block::Table(table())], Style::PLAIN));
    }
}
