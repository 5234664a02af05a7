//! Small pieces of HTML. Text goes in through [`escape`] alone: names of videos, objects and models
//! come from outside.

/// Text that HTML takes as it stands, in elements and in attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            // They would turn around what stands behind them.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A cell of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cell {
    html: String,
    class: &'static str,
    data: Vec<(&'static str, String)>,
}

impl Cell {
    /// A number with its unit.
    pub fn number(text: &str) -> Self {
        Self {
            html: escape(text),
            class: "number",
            data: Vec::new(),
        }
    }

    /// Words.
    pub fn text(text: &str) -> Self {
        Self {
            html: escape(text),
            ..Self::default()
        }
    }

    /// HTML that was made here.
    pub fn html(html: String) -> Self {
        Self {
            html,
            ..Self::default()
        }
    }

    /// A dash and why there is no value.
    pub fn missing(why: &str) -> Self {
        Self {
            html: missing(why),
            class: "number",
            data: Vec::new(),
        }
    }

    /// With a `data-` attribute, for programs that read the page.
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

    /// In another class.
    pub fn classed(mut self, class: &'static str) -> Self {
        self.class = class;
        self
    }

    fn render(&self, tag: &str, scope: &str) -> String {
        let mut out = format!("<{tag}{scope}");
        if !self.class.is_empty() {
            out.push_str(&format!(" class=\"{}\"", self.class));
        }
        for (name, value) in &self.data {
            out.push_str(&format!(" data-{name}=\"{}\"", escape(value)));
        }
        out.push_str(&format!(">{}</{tag}>", self.html));
        out
    }
}

/// A dash and why there is no value.
pub(super) fn missing(why: &str) -> String {
    format!(
        "<span class=\"none\">&ndash;</span> <small>{}</small>",
        escape(why)
    )
}

/// A table in a box of its own that scrolls sideways where the page is narrow. The first cell of
/// each row is its heading; a row of a single cell is a heading over those that follow.
pub(super) fn table(id: &str, head: &[Cell], rows: &[Vec<Cell>]) -> String {
    let mut out = format!("<div class=\"scroll\"><table id=\"{id}\">");
    if !head.is_empty() {
        let cells: String = head
            .iter()
            .map(|cell| cell.render("th", " scope=\"col\""))
            .collect();
        out.push_str(&format!("<thead><tr>{cells}</tr></thead>"));
    }
    out.push_str("<tbody>");
    let columns = head.len().max(rows.iter().map(Vec::len).max().unwrap_or(1));
    for row in rows {
        out.push_str("<tr>");
        match row.as_slice() {
            [only] if columns > 1 => {
                let span = format!(" scope=\"colgroup\" colspan=\"{columns}\"");
                out.push_str(&only.clone().classed("group").render("th", &span));
            }
            cells => {
                for (at, cell) in cells.iter().enumerate() {
                    out.push_str(&match at {
                        0 => cell.render("th", " scope=\"row\""),
                        _ => cell.render("td", ""),
                    });
                }
            }
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    out
}

/// A part of the page with its heading and, in a sentence, what it is.
pub(super) fn section(id: &str, heading: &str, lead: &str, body: &str) -> String {
    let lead = match lead {
        "" => String::new(),
        lead => format!("<p class=\"lead\">{}</p>\n", escape(lead)),
    };
    format!(
        "<section id=\"{id}\">\n<h2>{}</h2>\n{lead}{body}</section>\n",
        escape(heading)
    )
}

/// A plot with its heading, what it shows and which direction is good.
pub(super) fn figure(id: &str, heading: &str, caption: &str, legend: &str, plot: &str) -> String {
    format!(
        "<figure id=\"{id}\"><figcaption><h3>{}</h3><p>{}</p>{legend}</figcaption>\n{plot}</figure>\n",
        escape(heading),
        escape(caption)
    )
}

/// What the colours of a plot mean: CSS colour and words each.
pub(super) fn legend<'a>(entries: impl IntoIterator<Item = (String, &'a str, Key)>) -> String {
    let items: String = entries
        .into_iter()
        .map(|(colour, words, key)| {
            format!(
                "<li><i class=\"{}\" style=\"--key:{colour}\"></i>{}</li>",
                key.class(),
                escape(words)
            )
        })
        .collect();
    match items.as_str() {
        "" => String::new(),
        items => format!("<ul class=\"legend\">{items}</ul>"),
    }
}

/// The form of a legend's sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Box,
    Line,
    Dashed,
    Dot,
    Ring,
}

impl Key {
    fn class(self) -> &'static str {
        match self {
            Self::Box => "key",
            Self::Line => "key line",
            Self::Dashed => "key dashed",
            Self::Dot => "key dot",
            Self::Ring => "key ring",
        }
    }
}

/// A paragraph.
pub(super) fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", escape(text))
}

/// Why there is nothing to see, in a line.
pub(super) fn nothing(why: &str) -> String {
    format!("<p class=\"nothing\">{}</p>\n", escape(why))
}

/// What must not be overlooked.
pub(super) fn notes(notes: &[String]) -> String {
    let items: String = notes
        .iter()
        .map(|note| format!("<li>{}</li>", escape(note)))
        .collect();
    match items.as_str() {
        "" => String::new(),
        items => format!("<ul class=\"notes\">{items}</ul>\n"),
    }
}

/// Sentences one below the other.
pub(super) fn list(items: &[String]) -> String {
    let items: String = items
        .iter()
        .map(|item| format!("<li>{}</li>", escape(item)))
        .collect();
    match items.as_str() {
        "" => String::new(),
        items => format!("<ul>{items}</ul>\n"),
    }
}

/// `1 video`, `2 videos`.
pub(super) fn counted(count: usize, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let hostile = "<img src=x onerror=\"a('b')\">&\u{0}\u{202e}";
        let escaped = escape(hostile);
        assert_eq!(
            escaped,
            "&lt;img src=x onerror=&quot;a(&#39;b&#39;)&quot;&gt;&amp;\u{fffd}\u{fffd}"
        );
        let cells = [Cell::text(hostile).with("video", hostile)];
        let page = table("t", &cells, &[cells.to_vec(), cells.to_vec()])
            + &section("s", hostile, hostile, "")
            + &figure(
                "f",
                hostile,
                hostile,
                &legend([(String::new(), hostile, Key::Dot)]),
                "",
            )
            + &notes(&[hostile.to_owned()])
            + &missing(hostile)
            + &nothing(hostile)
            + &paragraph(hostile)
            + &list(&[hostile.to_owned()]);
        assert!(!page.contains("<img") && !page.contains("\"a("), "{page}");
        assert_eq!(page.matches("&lt;img").count(), 16, "{page}");
    }

    #[test]
    fn a_row_of_one_cell_spans_the_table() {
        let text = table(
            "t",
            &[Cell::text(""), Cell::text("a")],
            &[
                vec![Cell::text("Speed")],
                vec![Cell::text("fps"), Cell::number("2")],
            ],
        );
        assert!(text.contains("<th scope=\"colgroup\" colspan=\"2\" class=\"group\">Speed</th>"));
        assert!(text.contains("<th scope=\"row\">fps</th><td class=\"number\">2</td>"));
    }
}
