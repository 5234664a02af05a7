//! The files and entries that docs/extending.md names exist.

use crate::support::ROOT;
use std::fs;
use std::path::Path;

#[test]
fn every_row_names_a_file_and_an_entry_in_it() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/extending.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [file, entry] = [1, 2].map(|at: usize| cells[at].split('`').nth(1).unwrap());
        let source = fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
        assert!(source.contains(entry), "no `{entry}` in {file}");
        count += 1;
    }
    assert!(count >= 3, "{page}");
}
