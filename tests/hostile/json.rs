//! Answers that are hostile as JSON, all the way through the client.

use crate::{
    memory::measured,
    server::{answer, check_message, create, list, server, session},
};
use database_backup_operator::cloud::{codes::Class, engine::Engine};
use tokio::io::AsyncWriteExt;

/// A create call and a listing of an engine, both answered with this.
async fn met(what: &str, engine: Engine, status: &'static str, body: &str) -> (Option<String>, Option<String>) {
    let measured = measured().await;
    let whole = answer(status, body.as_bytes());
    let host = server(move |mut socket| {
        let whole = whole.clone();
        async move { socket.write_all(&whole).await }
    })
    .await;
    let session = session(&host).await;
    let created = match create(&session, engine).await.0 {
        Ok(created) => Some(created.backup_id),
        Err(error) => {
            check_message(&error.to_string());
            assert!(!error.is_definite_rejection(), "{what}: {error}");
            None
        }
    };
    // A session of its own: nobody hands out the permits here, and RDS allows a new one a single call.
    let session = self::session(&host).await;
    let listed = list(&session, engine).await.0.err().map(|error| error.to_string());
    if let Some(message) = &listed {
        check_message(message);
    }
    measured.check(what);
    (created, listed)
}

/// Bodies from which no backup and no listing may be read.
fn bodies() -> Vec<(&'static str, String)> {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let field = |value: &str| {
        let fields = ["backup_id", "job_id", "backup", "backups", "total_count", "backup_record_response", "total_num"];
        format!("{{{}}}", fields.map(|name| format!("\"{name}\":{value}")).join(","))
    };
    let id = |value: &str| format!(r#"{{"backup_id":{value},"backup":{{"id":{value}}},"backups":[{{"id":{value}}}],"total_count":1}}"#);
    vec![
        ("lists 100,000 deep", deep("[", "]")),
        ("lists 100,000 deep and never closed", "[".repeat(100_000)),
        ("objects 100,000 deep", deep("{\"a\":", "}")),
        ("fields 100,000 deep", field(&deep("[", "]"))),
        ("null everywhere", field("null")),
        ("texts everywhere", field("\"x\"").replace("\"backup_id\":\"x\"", "\"backup_id\":\"\"")),
        ("numbers everywhere", field("1e400")),
        ("lists everywhere", field("[[]]")),
        ("truth everywhere", field("true")),
        ("an id without end", id(&format!("\"{}\"", "x".repeat(300_000)))),
        ("an id of two lines", id("\"a\\nb\"")),
        ("an id with NUL", id("\"a\\u0000b\"")),
        ("an id that turns the text", id("\"a\\u202eb\"")),
        ("an id of spaces", id("\"   \"")),
        ("an id that is a number", id("12345678901234567890")),
        ("half a surrogate", id("\"\\ud800\"")),
        ("NUL bytes", "\0".repeat(1000)),
        ("a BOM", format!("\u{feff}{}", id("\"a\""))),
        ("two documents", format!("{0}{0}", id("\"a\""))),
        ("a number of many digits", field(&"9".repeat(10_000))),
    ]
}

#[tokio::test]
async fn no_shapeless_body_is_taken_for_a_backup_or_for_a_listing() {
    for (what, body) in bodies() {
        for engine in Engine::all() {
            let (created, listed) = met(what, engine, "200 OK", &body).await;
            assert_eq!(created, None, "{what}, {}", engine.as_str());
            assert!(listed.is_some(), "{what}, {}", engine.as_str());
        }
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_not_json() {
    let measured = measured().await;
    let whole = answer("200 OK", b"{\"backup_id\":\"\xff\xfe\",\"backup\":{\"id\":\"\xc0\x80\"}}");
    let host = server(move |mut socket| {
        let whole = whole.clone();
        async move { socket.write_all(&whole).await }
    })
    .await;
    let session = session(&host).await;
    for engine in Engine::all() {
        let error = create(&session, engine).await.0.expect_err("no text");
        assert_eq!((error.class(), error.is_definite_rejection()), (Class::Unreadable, false), "{error}");
        check_message(&error.to_string());
    }
    measured.check("no text");
}

/// Each would take hundreds of megabytes as a tree of values.
#[tokio::test]
async fn millions_of_small_values_take_no_more_memory_than_the_body() {
    let item = |text: &str, bytes: usize| text.repeat(bytes / text.len());
    for (what, body) in [
        ("objects in a list that nobody reads", format!(r#"{{"x":[{}0],"backups":[],"total_count":0}}"#, item(r#"{"":0},"#, 7_000_000))),
        ("records", format!(r#"{{"total_count":1,"backups":[{}{{}}]}}"#, item(r#"{"id":"a"},"#, 7_000_000))),
        (
            "one record of a million objects",
            format!(r#"{{"total_count":1,"backups":[{{{}"id":"a"}}]}}"#, item(r#""a":{"":{}},"#, 7_000_000)),
        ),
        ("words", format!(r#"{{"total_count":1,"backups":[{{"id":"a","status":"{}"}}]}}"#, item("a ", 7_000_000))),
        ("escapes", format!(r#"{{"total_count":1,"backups":[{{"id":"a","status":"{}"}}]}}"#, item("\\u0041", 7_000_000))),
    ] {
        met(what, Engine::TaurusDB, "200 OK", &body).await;
    }
    let refusal = format!(r#"{{{}"error_code":"DBS.0","error_msg":"{}"}}"#, item(r#""a":{"":0},"#, 500_000), item("a ", 500_000));
    met("a refusal", Engine::TaurusDB, "400 Bad Request", &refusal).await;
}

#[tokio::test]
async fn of_two_ids_the_last_counts_and_a_listing_of_twins_is_incomplete() {
    let twice = r#"{"backup":{"id":"a","id":"b"},"backups":[{"id":"c"},{"id":"c"}],"total_count":2}"#;
    let (created, listed) = met("twice", Engine::TaurusDB, "200 OK", twice).await;
    assert_eq!(created.as_deref(), Some("b"));
    assert_eq!(listed.as_deref(), Some("the cloud's listing does not hold together: it has fewer records than its total says"));
}
