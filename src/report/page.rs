//! The page around the sections: one file that loads nothing.

use super::html::escape;

/// A whole HTML document.
pub(super) fn page(title: &str, header: &str, contents: &[(&str, &str)], body: &str) -> String {
    let links: String = contents
        .iter()
        .map(|(id, words)| format!("<a href=\"#{id}\">{}</a>", escape(words)))
        .collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         img-src data:; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n<header>\n{header}</header>\n\
         <nav>{links}</nav>\n<main>\n{body}</main>\n</body>\n</html>\n",
        escape(title),
        include_str!("style.css")
    )
}
