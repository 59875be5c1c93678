//! The parts of pages that are made from the sources.

use crate::markdown::{Page, ROOT};
use std::{fs, path::Path};

/// Compares what stands between `<!-- NAME: generated -->` and `<!-- /NAME -->` with what it has to be; `BLESS=1` writes it.
pub fn is_current(path: &str, name: &str, generated: &str) {
    let (begin, end) = (format!("<!-- {name}: generated -->\n"), format!("<!-- /{name} -->"));
    let page = Page::read(path);
    let parts = page.text.split_once(&begin).and_then(|(before, rest)| rest.split_once(&end).map(|(made, after)| (before, made, after)));
    let Some((before, made, after)) = parts else { panic!("{path} has no line {} and no line {end} behind it", begin.trim()) };
    let generated = format!("\n{}\n\n", generated.trim());
    if made == generated {
        return;
    }
    assert!(std::env::var_os("BLESS").is_some(), "{path} is not current: run `BLESS=1 cargo test --test docs` and commit the result");
    // In one step, since other tests read the page meanwhile.
    let (target, fresh) = (Path::new(ROOT).join(path), Path::new(ROOT).join(format!("{path}.new")));
    fs::write(&fresh, format!("{before}{begin}{generated}{end}{after}")).expect("the page can be written");
    fs::rename(fresh, target).expect("the page can be replaced");
}

/// A row of a table. What would end a cell is escaped.
pub fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// A word as code; nothing where there is none.
pub fn code(word: &str) -> String {
    if word.is_empty() { String::new() } else { format!("`{word}`") }
}
