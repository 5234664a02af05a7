//! Documents as Markdown.

use super::document::in_a_line;
use super::{Block, Cell, Section, Table};

/// Sections as Markdown; their headings are of the third level.
pub fn markdown(sections: &[Section]) -> String {
    let mut out = String::new();
    for section in sections {
        if !section.heading.is_empty() {
            out.push_str(&format!("### {}\n\n", escaped(&section.heading)));
        }
        if !section.lead.is_empty() {
            out.push_str(&format!("{}\n\n", escaped(&section.lead)));
        }
        for block in section.blocks.iter().filter(|block| !block.is_empty()) {
            out.push_str(&of_block(block));
        }
    }
    out
}

fn of_block(block: &Block) -> String {
    let list = |items: &mut dyn Iterator<Item = String>| {
        let lines: String = items.map(|item| format!("- {item}\n")).collect();
        format!("{lines}\n")
    };
    match block {
        Block::Heading(text) => format!("#### {}\n\n", escaped(text)),
        Block::Paragraph(text) | Block::Nothing(text) => format!("{}\n\n", escaped(text)),
        Block::Notes(items) => list(
            &mut items
                .iter()
                .map(|note| format!("**Note:** {}", escaped(note))),
        ),
        Block::List(items) => list(&mut items.iter().map(|item| escaped(&item.text))),
        Block::Pairs(pairs) => list(
            &mut pairs
                .iter()
                .map(|(name, value)| format!("{}: {}", escaped(name), of_cell(value))),
        ),
        Block::Table(table) => of_table(table),
        Block::Cards(cards) => list(&mut cards.iter().map(|card| escaped(&in_a_line(card)))),
        Block::Plot(_) | Block::Legend(_) | Block::Gallery(_) => String::new(),
    }
}

fn of_table(table: &Table) -> String {
    let line = |row: &[Cell]| {
        let cells: Vec<String> = row.iter().map(of_cell).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rules: Vec<&str> = table
        .head
        .iter()
        .map(|cell| if cell.number { "---:" } else { "---" })
        .collect();
    let body: String = table.rows.iter().map(|row| line(row)).collect();
    format!("{}|{}|\n{body}\n", line(&table.head), rules.join("|"))
}

fn of_cell(cell: &Cell) -> String {
    match cell.missing {
        true => format!("- ({})", escaped(&cell.hint)),
        false => escaped(&cell.text),
    }
}

/// Text that Markdown takes as it stands.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
