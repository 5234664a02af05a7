//! Documents as one HTML file that loads nothing.

use super::{
    Block, Card, Cell, Document, Exhibit, Key, Picture, Plot, Sample, Section, Table, Tone,
};
use crate::error::Result;
use base64::Engine;
use maud::{DOCTYPE, Markup, PreEscaped, Render, html};

/// Text from outside: escaped, and without characters that would control the page's direction or a
/// terminal.
pub(super) struct Safe<'t>(pub &'t str);

impl Render for Safe<'_> {
    fn render_to(&self, out: &mut String) {
        let safe: String = self
            .0
            .chars()
            .map(|c| match c {
                '\n' | '\t' => c,
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
                c if c.is_control() => '\u{fffd}',
                c => c,
            })
            .collect();
        safe.as_str().render_to(out);
    }
}

/// The page of a document.
///
/// # Errors
/// A plot that the drawing library refuses.
pub fn html(document: &Document) -> Result<String> {
    let linked = document.sections.iter().filter(|s| !s.link.is_empty());
    let mut sections = Vec::new();
    for section in &document.sections {
        sections.push(of_section(section)?);
    }
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; img-src data:; style-src 'unsafe-inline'";
                title { (Safe(&document.title)) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                header {
                    h1 { (Safe(&document.title)) }
                    p { (Safe(&document.about)) }
                    p { small { (Safe(&document.small)) } }
                }
                nav { @for section in linked { a href={ "#" (section.id) } { (Safe(&section.link)) } } }
                main { @for section in &sections { (section) } }
            }
        }
    };
    Ok(page.into_string())
}

fn of_section(section: &Section) -> Result<Markup> {
    let mut blocks = Vec::new();
    for block in section.blocks.iter().filter(|block| !block.is_empty()) {
        blocks.push(of_block(block)?);
    }
    Ok(html! {
        section id=(section.id) {
            h2 { (Safe(&section.heading)) }
            @if !section.lead.is_empty() { p.lead { (Safe(&section.lead)) } }
            @for block in &blocks { (block) }
        }
    })
}

fn of_block(block: &Block) -> Result<Markup> {
    Ok(match block {
        Block::Heading(text) => html! { h3 { (Safe(text)) } },
        Block::Paragraph(text) => html! { p { (Safe(text)) } },
        Block::Nothing(text) => html! { p.nothing { (Safe(text)) } },
        Block::Notes(items) => html! { ul.notes { @for item in items { li { (Safe(item)) } } } },
        Block::List(items) => html! {
            ul { @for item in items { li class=[class(item.tone)] { (Safe(&item.text)) } } }
        },
        Block::Pairs(pairs) => html! { dl.pairs { (of_pairs(pairs)) } },
        Block::Table(table) => of_table(table),
        Block::Cards(cards) => html! { div.models { @for card in cards { (of_card(card)) } } },
        Block::Legend(keys) => of_legend(keys),
        Block::Plot(plot) => of_plot(plot)?,
        Block::Gallery(exhibits) => {
            html! { ol.objects { @for exhibit in exhibits { (of_exhibit(exhibit)) } } }
        }
    })
}

fn class(tone: Tone) -> Option<&'static str> {
    match tone {
        Tone::Plain => None,
        Tone::Good => Some("good"),
        Tone::Bad => Some("bad"),
        Tone::Warning => Some("warning"),
        Tone::Muted => Some("none"),
    }
}

/// An opening tag with `data-` attributes: their names are not known to the template.
fn element(
    tag: &str,
    attributes: &[(&str, &str)],
    data: &[(&str, String)],
    body: &Markup,
) -> Markup {
    let mut out = format!("<{tag}");
    let data = data
        .iter()
        .map(|(name, value)| (format!("data-{name}"), value.as_str()));
    let attributes = attributes
        .iter()
        .map(|(name, value)| ((*name).to_owned(), *value));
    for (name, value) in attributes
        .chain(data)
        .filter(|(_, value)| !value.is_empty())
    {
        let value = Safe(value).render();
        out.push_str(&format!(" {name}=\"{}\"", value.into_string()));
    }
    PreEscaped(format!("{out}>{}</{tag}>", body.0))
}

/// What is in a cell.
fn inside(cell: &Cell) -> Markup {
    html! {
        @if cell.missing {
            span.none { (PreEscaped("&ndash;")) }
            @if !cell.hint.is_empty() { " " small { (Safe(&cell.hint)) } }
        } @else {
            (Safe(&cell.text))
            @if !cell.hint.is_empty() { small { (Safe(&cell.hint)) } }
        }
    }
}

fn of_cell(cell: &Cell, tag: &str, attributes: &[(&str, &str)]) -> Markup {
    let classes = [
        cell.number.then_some("number"),
        cell.long.then_some("long"),
        class(cell.tone),
    ];
    let classes: Vec<&str> = classes.into_iter().flatten().collect();
    let classes = classes.join(" ");
    let mut all = attributes.to_vec();
    all.push(("class", classes.as_str()));
    element(tag, &all, &cell.data, &inside(cell))
}

/// A table in a box of its own that scrolls sideways where the page is narrow.
fn of_table(table: &Table) -> Markup {
    let columns = table
        .rows
        .iter()
        .map(Vec::len)
        .chain([table.head.len()])
        .max();
    let span = columns.unwrap_or(1).to_string();
    let row = |cells: &[Cell]| {
        if let [only] = cells
            && span != "1"
        {
            let group = [
                ("scope", "colgroup"),
                ("colspan", span.as_str()),
                ("class", "group"),
            ];
            return element("th", &group, &only.data, &inside(only));
        }
        let cells = cells.iter().enumerate().map(|(at, cell)| match at {
            0 => of_cell(cell, "th", &[("scope", "row")]),
            _ => of_cell(cell, "td", &[]),
        });
        let cells: Vec<Markup> = cells.collect();
        html! { @for cell in &cells { (cell) } }
    };
    html! {
        div.scroll {
            table id=(table.id) {
                @if !table.head.is_empty() {
                    thead { tr { @for cell in &table.head { (of_cell(cell, "th", &[("scope", "col")])) } } }
                }
                tbody { @for cells in &table.rows { tr { (row(cells)) } "\n" } }
            }
        }
    }
}

fn of_pairs(pairs: &[(String, Cell)]) -> Markup {
    html! {
        @for (name, value) in pairs {
            div { dt { (Safe(name)) } (of_cell(&Cell { number: false, ..value.clone() }, "dd", &[])) }
        }
    }
}

fn of_card(card: &Card) -> Markup {
    let list = if card.large { "tiles" } else { "pairs" };
    let body = html! {
        h3 { (Safe(&card.heading)) }
        @if !card.note.is_empty() { p { small { (Safe(&card.note)) } } }
        dl class=(list) { (of_pairs(&card.pairs)) }
    };
    let colour = match card.colour.as_str() {
        "" => String::new(),
        colour => format!("--key:{colour}"),
    };
    element(
        "div",
        &[("class", "model"), ("style", &colour)],
        &card.data,
        &body,
    )
}

fn of_legend(keys: &[Key]) -> Markup {
    let sample = |sample: Sample| match sample {
        Sample::Box => "",
        Sample::Line => "line",
        Sample::Dashed => "dashed",
        Sample::Dot(shape) => shape.class(),
        Sample::Ring => "ring",
    };
    html! {
        @if !keys.is_empty() {
            ul.legend {
                @for key in keys {
                    li {
                        i class={ "key " (sample(key.sample)) } style={ "--key:" (key.colour) } {}
                        (Safe(&key.words))
                    }
                }
            }
        }
    }
}

fn of_plot(plot: &Plot) -> Result<Markup> {
    let drawn = plot.chart.html()?;
    Ok(html! {
        figure id=(plot.id) {
            figcaption { h3 { (Safe(&plot.heading)) } p { (Safe(&plot.caption)) } (of_legend(&plot.legend)) }
            (drawn)
        }
    })
}

fn of_exhibit(exhibit: &Exhibit) -> Markup {
    let source = |picture: &Picture| {
        let text = base64::engine::general_purpose::STANDARD.encode(&picture.jpeg);
        format!("data:image/jpeg;base64,{text}")
    };
    let body = html! {
        h3 { (Safe(&exhibit.heading)) }
        @for line in &exhibit.lines { div { (Safe(line)) } }
        @if !exhibit.missing.is_empty() { p.nothing { (Safe(&exhibit.missing)) } }
        @if !exhibit.pictures.is_empty() {
            div.shots {
                @for (picture, words) in &exhibit.pictures {
                    figure {
                        img src=(source(picture)) width=(picture.width) height=(picture.height) alt=(Safe(words));
                        figcaption { (Safe(words)) }
                    }
                }
            }
        }
    };
    element("li", &[], &exhibit.data, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let hostile = "<img src=x onerror=\"a('b')\">&\u{0}\u{202e}";
        let text = || hostile.to_owned();
        let cell = || Cell::text(hostile).hint(hostile).with("video", hostile);
        let table = Table::new("t", [cell(), cell()])
            .with_rows([vec![cell()], vec![cell(), Cell::missing(hostile)]]);
        let blocks = vec![
            Block::heading(hostile),
            Block::Paragraph(text()),
            Block::nothing(hostile),
            Block::Notes(vec![text()]),
            Block::list([hostile]),
            Block::Pairs(vec![(text(), cell())]),
            Block::Table(table),
            Block::Legend(vec![Key::new("", hostile, Sample::Ring)]),
            Block::Cards(vec![Card {
                heading: text(),
                note: text(),
                pairs: vec![(text(), cell())],
                data: vec![("run", text())],
                ..Card::default()
            }]),
            Block::Gallery(vec![Exhibit {
                heading: text(),
                lines: vec![text()],
                missing: text(),
                data: vec![("video", text())],
                ..Exhibit::default()
            }]),
        ];
        let page = html(&Document {
            title: text(),
            about: text(),
            small: text(),
            sections: vec![Section::new("s", hostile, hostile, hostile, blocks)],
        })
        .unwrap();
        assert!(!page.contains("<img") && !page.contains("\"a("), "{page}");
        assert!(
            !page.contains('\u{0}') && !page.contains('\u{202e}'),
            "{page}"
        );
        assert_eq!(page.matches("&lt;img").count(), 41, "{page}");
    }

    #[test]
    fn a_row_of_one_cell_spans_the_table() {
        let table = Table::new("t", [Cell::text(""), Cell::text("a")]).with_rows([
            vec![Cell::text("Speed")],
            vec![Cell::text("fps"), Cell::number("2")],
        ]);
        let text = of_table(&table).into_string();
        assert!(text.contains("<th scope=\"colgroup\" colspan=\"2\" class=\"group\">Speed</th>"));
        assert!(text.contains("<th scope=\"row\">fps</th><td class=\"number\">2</td>"));
    }
}
