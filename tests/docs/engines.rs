//! What names every engine, and has to name a further one: tables, lists, and the folder of examples.

use crate::markdown::{Page, ROOT};
use database_backup_operator::cloud::engine::Engine;
use std::{collections::BTreeSet, fs, path::Path};

fn every_engine() -> BTreeSet<String> {
    Engine::all().map(|engine| engine.as_str().to_owned()).collect()
}

/// What a column of the tables of a section names first.
fn column(path: &str, section: &str, column: usize) -> BTreeSet<String> {
    let rows = Page::read(path).rows().into_iter().filter(|row| row.section == section);
    rows.filter_map(|row| row.cells.get(column)?.first().cloned()).collect()
}

#[test]
fn the_tables_of_the_engines_have_a_row_for_each() {
    for (path, section, at) in [("README.md", "Which engine is mine?", 1), ("docs/compatibility.md", "Clouds and engines", 0)] {
        assert_eq!(column(path, section, at), every_engine(), "{path}, {section:?}");
    }
}

#[test]
fn the_fields_of_other_addresses_and_the_values_that_are_taken_are_all_named() {
    let (accounts, troubleshooting) = (Page::read("docs/accounts.md").text, Page::read("docs/troubleshooting.md").text);
    for engine in Engine::all() {
        let (field, value) = (format!("`{}`", engine.api().label), format!("`{}`", engine.as_str()));
        assert!(
            accounts.lines().any(|line| line.starts_with("The fields are `iam`") && line.contains(&field)),
            "docs/accounts.md: {field}"
        );
        assert!(
            troubleshooting.lines().any(|line| line.starts_with("The engines are written") && line.contains(&value)),
            "docs/troubleshooting.md: {value}"
        );
    }
}

#[test]
fn each_engine_has_an_example() {
    let files = fs::read_dir(Path::new(ROOT).join("deploy/examples")).expect("a folder");
    let texts = files.map(|file| fs::read_to_string(file.expect("an entry").path()).expect("text"));
    let shown: BTreeSet<String> = texts
        .flat_map(|text| text.lines().filter_map(|line| line.trim().strip_prefix("engine: ").map(ToOwned::to_owned)).collect::<Vec<_>>())
        .collect();
    assert_eq!(shown, every_engine());
}
