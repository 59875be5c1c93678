//! The sources as the compiler reads them: every path that a file names, whoever imported it and however.

use proc_macro2::{TokenStream, TokenTree};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use syn::{Attribute, File, Item, UseTree, visit::Visit};

/// A file of the sources, without its tests.
pub struct Source {
    /// Path under `src`.
    pub path: String,
    /// What is in it.
    pub file: File,
}

impl Source {
    /// A file with this text.
    pub fn parse(path: &str, text: &str) -> Self {
        let mut file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        file.items.retain(|item| !is_test(attributes(item)));
        Self { path: path.to_owned(), file }
    }

    /// The module that it is, from the crate's root: `["plan", "backup", "watch"]`.
    pub fn module(&self) -> Vec<String> {
        let mut parts: Vec<String> = self.path.trim_end_matches(".rs").split('/').map(ToOwned::to_owned).collect();
        if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            parts.pop();
        }
        parts
    }

    /// Every path that it names. Those of this crate begin with `crate`, however they are written.
    pub fn paths(&self) -> BTreeSet<Vec<String>> {
        let mut paths = Paths { module: self.module(), found: BTreeSet::new() };
        paths.visit_file(&self.file);
        paths.found
    }

    /// Every word in it.
    pub fn words(&self) -> BTreeSet<String> {
        let mut words = Words(BTreeSet::new());
        for item in &self.file.items {
            words.take(quote(item));
        }
        words.0
    }
}

/// Every file of the sources.
pub fn all() -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("src is there").flatten() {
            let path = entry.path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    let is_test = |path: &Path| path.components().any(|part| ["tests.rs", "tests", "model"].iter().any(|name| part.as_os_str() == *name));
    let mut files: Vec<Source> = paths
        .iter()
        .map(|path| (path.strip_prefix(&root).expect("under src"), fs::read_to_string(path).expect("text")))
        .filter(|(path, _)| path.extension().is_some_and(|ending| ending == "rs") && !is_test(path))
        .map(|(path, text)| Source::parse(&path.to_string_lossy(), &text))
        .collect();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

/// Which files each file uses: those in whose modules the paths lie that it names.
pub fn uses(files: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let modules: BTreeMap<Vec<String>, &str> = files.iter().map(|file| (file.module(), file.path.as_str())).collect();
    let file_of = |path: &[String]| (1..=path.len()).rev().find_map(|length| modules.get(&path[..length]).copied());
    let used = |file: &Source| {
        let module = file.module();
        let named = |path: &Vec<String>| match path[0].as_str() {
            "crate" => file_of(&path[1..]),
            // A child of the file's own module, if there is one of that name.
            _ => Some([&module[..], path].concat())
                .filter(|child| modules.contains_key(&child[..=module.len()]))
                .and_then(|child| file_of(&child)),
        };
        file.paths().iter().filter_map(named).filter(|used| *used != file.path).map(ToOwned::to_owned).collect()
    };
    files.iter().map(|file| (file.path.clone(), used(file))).collect()
}

struct Paths {
    module: Vec<String>,
    found: BTreeSet<Vec<String>>,
}

impl Paths {
    fn add(&mut self, mut path: Vec<String>) {
        let up = path.iter().take_while(|part| *part == "super").count();
        if up > 0 || path[0] == "self" {
            let rest = path.split_off(up.max(1));
            let kept = self.module.len().saturating_sub(up);
            path = [&["crate".to_owned()][..], &self.module[..kept], &rest].concat();
        }
        self.found.insert(path);
    }

    fn add_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &dyn ToString| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.add_tree(&with(&path.ident), &path.tree),
            UseTree::Name(name) if name.ident == "self" => self.add(before.to_vec()),
            UseTree::Name(name) => self.add(with(&name.ident)),
            UseTree::Rename(rename) => self.add(with(&rename.ident)),
            UseTree::Glob(_) => self.add(before.to_vec()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(before, tree)),
        }
    }

    /// Paths in what a macro is given, which is no syntax tree yet.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.end(&mut path);
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.end(&mut path);
                    colons = 0;
                    self.add_tokens(group.stream());
                }
                _ => {
                    self.end(&mut path);
                    colons = 0;
                }
            }
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Vec<String>) {
        if path.len() > 1 {
            self.add(std::mem::take(path));
        }
        path.clear();
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if is_test(&module.attrs) {
            return;
        }
        self.module.push(module.ident.to_string());
        syn::visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    /// `pub(super)` uses nothing.
    fn visit_visibility(&mut self, _visibility: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.add(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        self.visit_path(&invoked.path);
        self.add_tokens(invoked.tokens.clone());
    }
}

struct Words(BTreeSet<String>);

impl Words {
    fn take(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Ident(word) => drop(self.0.insert(word.to_string())),
                TokenTree::Group(group) => self.take(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
}

fn quote(item: &Item) -> TokenStream {
    quote::ToTokens::to_token_stream(item)
}

fn is_test(attributes: &[Attribute]) -> bool {
    let cfg = |attribute: &Attribute| attribute.path().is_ident("cfg").then(|| attribute.parse_args::<TokenStream>().ok()).flatten();
    attributes.iter().filter_map(cfg).any(|tokens| tokens.to_string().starts_with("test") || tokens.to_string().starts_with("all (test"))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
