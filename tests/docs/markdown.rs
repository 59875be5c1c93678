//! A page of the documentation as a reader's program sees it: headings, links, blocks of code, tables.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

/// The repository.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A page.
pub struct Page {
    /// Its path from the root of the repository.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// A block of code.
pub struct Block {
    /// The line on which it begins, from 1.
    pub line: usize,
    /// What stands behind the fence, such as `sh example`; absent where the block is indented instead.
    pub info: Option<String>,
    /// Its content.
    pub text: String,
    /// The heading of the second level above it, and the nearest one.
    pub under: (String, String),
}

/// A row of a table, without the row of its heads.
pub struct Row {
    /// The heading of the second level above it.
    pub section: String,
    /// The words in backticks of each cell.
    pub cells: Vec<Vec<String>>,
}

impl Page {
    /// The page under a path from the root. Panics where there is none.
    pub fn read(path: &str) -> Self {
        let text = fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.to_owned(), text }
    }

    /// Every page of the repository.
    pub fn all() -> Vec<Self> {
        let mut found = Vec::new();
        walk(Path::new(ROOT), &mut found);
        found.sort();
        found.iter().filter_map(|path| path.strip_prefix(ROOT).ok()?.to_str().map(Self::read)).collect()
    }

    /// What people read as documentation: the pages at the top and those under `docs`.
    pub fn documentation() -> Vec<Self> {
        Self::all().into_iter().filter(|page| !page.path.contains('/') || page.path.starts_with("docs/")).collect()
    }

    fn events(&self) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES).into_offset_iter()
    }

    fn line(&self, offset: usize) -> usize {
        self.text[..offset].matches('\n').count() + 1
    }

    /// Its blocks of code.
    pub fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut open, mut heading) = (Vec::new(), None::<Block>, None::<(HeadingLevel, String)>);
        let mut under = <(String, String)>::default();
        for (event, at) in self.events() {
            match event {
                Event::Start(Tag::Heading { level, .. }) => heading = Some((level, String::new())),
                Event::End(TagEnd::Heading(_)) => match heading.take() {
                    Some((HeadingLevel::H2, text)) => under = (text.clone(), text),
                    Some((_, text)) => under.1 = text,
                    None => {}
                },
                Event::Start(Tag::CodeBlock(kind)) => {
                    let info = match kind {
                        CodeBlockKind::Fenced(info) => Some(info.trim().to_owned()),
                        CodeBlockKind::Indented => None,
                    };
                    open = Some(Block { line: self.line(at.start), info, text: String::new(), under: under.clone() });
                }
                Event::End(TagEnd::CodeBlock) => blocks.extend(open.take()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(block) = &mut open {
                        block.text += &text;
                    } else if let Some((_, heading)) = &mut heading {
                        *heading += &text;
                    }
                }
                _ => {}
            }
        }
        blocks
    }

    /// What a link into the page may name: its headings as GitHub makes anchors of them, and `id`s.
    pub fn anchors(&self) -> BTreeSet<String> {
        let (mut anchors, mut seen, mut heading) = (BTreeSet::new(), BTreeMap::<String, usize>::new(), None::<String>);
        for (event, _) in self.events() {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let slug = slug(&heading.take().unwrap_or_default());
                    let times = seen.entry(slug.clone()).or_default();
                    anchors.insert(if *times == 0 { slug } else { format!("{slug}-{times}") });
                    *times += 1;
                }
                Event::Text(text) | Event::Code(text) => heading.iter_mut().for_each(|heading| *heading += &text),
                Event::InlineHtml(html) | Event::Html(html) => {
                    anchors.extend(html.split("id=\"").skip(1).filter_map(|rest| rest.split('"').next()).map(ToOwned::to_owned));
                }
                _ => {}
            }
        }
        anchors
    }

    /// Where its links and pictures lead, and on which line each stands.
    pub fn links(&self) -> Vec<(usize, String)> {
        let link = |(event, at): (Event<'_>, Range<usize>)| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some((self.line(at.start), dest_url.to_string())),
            _ => None,
        };
        self.events().filter_map(link).collect()
    }

    /// The rows of its tables.
    pub fn rows(&self) -> Vec<Row> {
        let (mut rows, mut section, mut heading, mut cells) = (Vec::new(), String::new(), None::<String>, Vec::<Vec<String>>::new());
        for (event, _) in self.events() {
            match event {
                Event::Start(Tag::Heading { level: HeadingLevel::H2, .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(HeadingLevel::H2)) => section = heading.take().unwrap_or_default(),
                Event::Start(Tag::TableRow) => cells.clear(),
                Event::Start(Tag::TableCell) => cells.push(Vec::new()),
                Event::End(TagEnd::TableRow) => rows.push(Row { section: section.clone(), cells: std::mem::take(&mut cells) }),
                Event::Code(code) if heading.is_none() => cells.last_mut().into_iter().for_each(|cell| cell.push(code.to_string())),
                Event::Text(text) | Event::Code(text) => heading.iter_mut().for_each(|heading| *heading += &text),
                _ => {}
            }
        }
        rows
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            if name != "target" && name != ".git" && name != "node_modules" {
                walk(&path, found);
            }
        } else if path.extension().is_some_and(|ending| ending == "md") {
            found.push(path);
        }
    }
}

/// The anchor that GitHub makes of a heading.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|char| char.is_alphanumeric() || [' ', '-', '_'].contains(char));
    kept.flat_map(char::to_lowercase).map(|char| if char == ' ' { '-' } else { char }).collect()
}
