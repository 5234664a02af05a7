//! Tables as CSV.

use super::Table;

/// The table as CSV text: its headings, then its rows.
///
/// # Errors
/// The encoder's own error; it does not occur for text in memory.
pub fn csv(table: &Table) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    for row in std::iter::once(&table.head).chain(&table.rows) {
        out.write_record(row.iter().map(|cell| &cell.text))?;
    }
    out.into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))
}
