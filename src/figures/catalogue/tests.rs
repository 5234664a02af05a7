//! The catalogue is consistent, and the documentation is its rendering.

use super::*;
use crate::render::{Block, Cell, Section, Table, markdown};
use std::collections::BTreeSet;

#[test]
fn every_name_occurs_once_and_every_figure_is_read_somewhere() {
    let names: BTreeSet<&str> = figures().map(|figure| figure.name).collect();
    assert_eq!(names.len(), figures().count());
    for figure in figures() {
        let read = figure.of_object.is_some() || figure.of_model.is_some();
        assert!(
            read || matches!(figure.compared, Compared::Derived(_)),
            "{}",
            figure.name
        );
        assert!(!figure.definition.is_empty(), "{}", figure.name);
        if matches!(figure.compared, Compared::Column) {
            assert!(figure.column.is_some(), "{}", figure.name);
        }
        if !matches!(figure.compared, Compared::No) {
            assert_ne!(figure.better, Better::Neither, "{}", figure.name);
            let areas = [Area::Scores, Area::Speed, Area::Memory];
            assert!(areas.contains(&figure.area), "{}", figure.name);
        }
    }
}

/// The table of `docs/metrics.md`.
fn documented() -> String {
    let head = [
        "figure",
        "column of `summary.csv`",
        "unit",
        "better",
        "definition",
        "missing where",
    ];
    let rows = figures().map(|figure| {
        let column = figure.column.map_or("", |column| column.name);
        let better = match figure.better {
            Better::Higher => "higher",
            Better::Lower => "lower",
            Better::Neither => "",
        };
        [
            figure.name,
            column,
            figure.unit.name(),
            better,
            &figure.definition.replace('`', ""),
            figure.missing,
        ]
        .map(Cell::text)
    });
    let table = Table::new(
        "figures",
        head.map(|text| Cell::text(text.replace('`', ""))),
    );
    let table = Block::Table(table.with_rows(rows));
    markdown(&[Section::new("", "", "", "", vec![table])])
}

/// `MASKLET_WRITE_DOCS=1` writes the table.
#[test]
fn the_documentation_has_the_table_of_the_catalogue() {
    const BEGIN: &str = "<!-- catalogue: begin -->\n";
    const END: &str = "<!-- catalogue: end -->";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    if std::env::var_os("MASKLET_WRITE_DOCS").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{}{END}{after}", documented())).unwrap();
        return;
    }
    assert!(
        found == documented(),
        "docs/metrics.md is not the catalogue's table: run this test with MASKLET_WRITE_DOCS=1"
    );
}
