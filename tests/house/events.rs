//! The fields of every log event: in a JSON line they stand beside the line's own, and a key that stands twice makes pipelines drop the line.

use crate::source::{Source, all};
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;

/// What a line has of its own.
const OWN: [&str; 7] = ["timestamp", "level", "message", "target", "span", "spans", "fields"];
const MACROS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

/// The fields of each event, in their order.
#[derive(Default)]
struct Events(Vec<Vec<String>>);

impl<'ast> Visit<'ast> for Events {
    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        let path: Vec<String> = invoked.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if path.first().is_some_and(|first| first == "tracing") && path.last().is_some_and(|last| MACROS.contains(&last.as_str())) {
            self.0.push(fields(invoked.tokens.clone()));
        }
    }
}

/// The names before `=`, or of the values that stand alone; the text at the end is the message.
fn fields(tokens: TokenStream) -> Vec<String> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is = |token: &TokenTree, mark: char| matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark);
    let name = |argument: &[TokenTree]| {
        let named = argument.split(|token| is(token, '=')).next().unwrap_or_default();
        let is_text = matches!(argument.first(), Some(TokenTree::Literal(_)));
        let words = named.iter().filter(|token| !is(token, '%') && !is(token, '?')).map(ToString::to_string);
        (!is_text).then(|| words.collect::<String>()).filter(|name| !name.is_empty() && !name.contains(':'))
    };
    tokens.split(|token| is(token, ',')).filter_map(name).collect()
}

fn doubled(files: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in files {
        let mut events = Events::default();
        events.visit_file(&file.file);
        for mut event in events.0 {
            event.sort();
            let twice = event.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone());
            let own = event.iter().filter(|name| OWN.contains(&name.as_str())).cloned();
            wrong.extend(twice.chain(own).map(|name| format!("src/{}: {name} in {event:?}", file.path)));
        }
    }
    wrong
}

#[test]
fn no_event_has_a_field_twice_or_one_that_every_line_has() {
    assert_eq!(doubled(&all()), [""; 0]);
    let mut events = Events::default();
    for file in all() {
        events.visit_file(&file.file);
    }
    assert!(events.0.len() > 20 && events.0.iter().flatten().any(|name| name == "cloud.request_id"), "{:?}", events.0);
}

#[test]
fn a_planted_field_is_found_however_it_is_written() {
    for (event, is_wrong) in [
        ("tracing::info!(message = x, \"said\")", true),
        ("tracing::warn!(%target, \"said\")", true),
        ("tracing::info!(a = 1, %level)", true),
        ("tracing::info!(a = f(1, 2), ?a, \"said\")", true),
        ("tracing::info!(status.message = x, error = e, target = \"x\")", true),
        ("tracing::info!(target: \"x\", status.message = x, %error, \"message {level}\")", false),
        ("tracing::info!(\"{target} {level}\")", false),
    ] {
        let file = Source::parse("plan/x.rs", &format!("fn f() {{ {event}; }}"));
        assert_eq!(!doubled(&[file]).is_empty(), is_wrong, "{event}");
    }
}
