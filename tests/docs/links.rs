//! What the pages link to within the repository is there.

use crate::markdown::{Page, ROOT};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

#[test]
fn every_relative_link_and_its_anchor_lead_somewhere() {
    let pages = Page::all();
    let anchors: BTreeMap<&str, BTreeSet<String>> = pages.iter().map(|page| (page.path.as_str(), page.anchors())).collect();
    let wrong: Vec<String> = pages.iter().flat_map(|page| broken(page, &anchors)).collect();
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

fn broken(page: &Page, anchors: &BTreeMap<&str, BTreeSet<String>>) -> Vec<String> {
    let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
    let mut wrong = Vec::new();
    for (line, link) in page.links() {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
        let target = if path.is_empty() { PathBuf::from(&page.path) } else { plain(&folder.join(path)) };
        let known = anchors.get(target.to_string_lossy().as_ref());
        let is_there = known.is_some() || Path::new(ROOT).join(&target).exists();
        if !is_there || (!anchor.is_empty() && !known.is_some_and(|known| known.contains(anchor))) {
            wrong.push(format!("{}:{line}: {link}", page.path));
        }
    }
    wrong
}

/// Without `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
        plain
    })
}

#[test]
fn a_planted_link_is_found() {
    let text = "# A page\n\n## Its part, with `code`\n\n[a](#its-part-with-code) [b](#its-part) [c](src/lib.rs) [d](src/lip.rs) [e](https://x.example/y)\n";
    let page = Page { path: "page.md".into(), text: text.into() };
    let anchors = [("page.md", page.anchors())].into();
    assert_eq!(broken(&page, &anchors), ["page.md:5: #its-part", "page.md:5: src/lip.rs"]);
}
