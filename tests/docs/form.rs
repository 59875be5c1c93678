//! The form of the pages: `tests/system/docs.rs` runs what it can tell from an example.

use crate::markdown::Page;

#[test]
fn the_readme_is_short() {
    let lines = Page::read("README.md").text.lines().count();
    assert!(lines <= 150, "README.md has {lines} lines; what is more than 150 belongs into docs/");
}

#[test]
fn each_block_of_code_says_its_language_and_whether_it_is_an_example() {
    let wrong: Vec<String> = Page::documentation().iter().flat_map(misshapen).collect();
    assert!(wrong.is_empty(), "blocks of code that nobody can place:\n{}", wrong.join("\n"));
}

fn misshapen(page: &Page) -> Vec<String> {
    let mut wrong = Vec::new();
    for block in page.blocks() {
        let place = format!("{}:{}", page.path, block.line);
        let Some(info) = block.info else {
            wrong.push(format!("{place}: indented; use a fence"));
            continue;
        };
        let words: Vec<&str> = info.split_whitespace().collect();
        match words.as_slice() {
            [] => wrong.push(format!("{place}: a fence without a language")),
            [_] | ["sh" | "yaml", "example"] => {}
            _ => wrong.push(format!("{place}: {info:?}; the one word that may follow a language is `example`")),
        }
    }
    wrong
}

#[test]
fn a_planted_block_is_found() {
    let text = "text\n\n    indented\n\n```\nbare\n```\n\n```sh run\nx\n```\n\n```sh example\nx\n```\n\n```yaml\nx\n```\n";
    let page = Page { path: "p.md".into(), text: text.into() };
    let wrong = misshapen(&page);
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    assert!(wrong[0].starts_with("p.md:3:") && wrong[1].starts_with("p.md:5:") && wrong[2].contains("sh run"), "{wrong:?}");
}
