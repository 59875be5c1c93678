//! The events of a watch that begins with everything that there is: a page of a listing where that is all; else a streaming list (`sendInitialEvents`), so that
//! however many objects there are, and however much hangs on them, one is in memory at a time. Where the API server has no streaming lists, page after page.
//!
//! A page comes first since it comes at once: before an API server shows the newest version in a stream it waits up to 100 ms for etcd to tell it that it has it.
//!
//! kube's `watcher` can stream, too, but asks for any version that the server may have, which may be older than what was seen or decided before; and it does not
//! know what to do where the server refuses.

use super::readable::Readable;
use crate::controller::kind::Kind;
use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, WatchEvent, WatchParams},
    core::Status,
    runtime::{watcher, watcher::Event},
};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
    vec::IntoIter,
};
use tokio::time::{Sleep, sleep};

/// How long a watch runs before it is renewed; one that was lost unnoticed is found out then. Renewing costs one request.
const WATCH: Duration = Duration::from_secs(120);
/// The server ends it then; if its end does not come for so long, the connection is lost.
const GRACE: Duration = Duration::from_secs(5);
/// How long it may take to show everything that there is, in seconds.
const INITIAL_SECONDS: u32 = 600;
/// Objects of one page of a listing. Each may have a megabyte and a half, and a page is in memory as a whole before anything of it is dropped.
const PAGE: u32 = 10;
/// On the bookmark that says that everything was shown.
const SHOWN: &str = "k8s.io/initial-events-end";

type Item<K> = watcher::Result<Event<Readable<K>>>;
type Events<K> = BoxStream<'static, kube::Result<WatchEvent<Readable<K>>>>;

enum State<K: Kind> {
    /// Nothing is known.
    Start,
    /// What is left of a page, what to ask for the next one with, and the version of the listing.
    Page(IntoIter<Readable<K>>, Option<String>, String),
    /// What there is is being shown.
    Initial(Events<K>),
    /// Changes are shown; until the time is up.
    Watching(String, Events<K>, Pin<Box<Sleep>>),
    /// The watch is to go on from this version.
    Resume(String),
}

/// Whether an API server does not stream lists. It is found out once.
#[derive(Clone, Default)]
pub(super) struct Paging(Arc<AtomicBool>);

/// Everything that there is, and then every change. It goes on after errors, for as long as it is asked.
pub(super) fn streaming<K: Kind>(api: Api<Readable<K>>, paging: Paging) -> impl Stream<Item = Item<K>> + Send {
    stream::unfold((api, paging, State::Start), |(api, paging, mut state)| async move {
        loop {
            let (item, next) = step(&api, &paging, state).await;
            state = next;
            if let Some(item) = item {
                return Some((item, (api, paging, state)));
            }
        }
    })
}

async fn step<K: Kind>(api: &Api<Readable<K>>, paging: &Paging, state: State<K>) -> (Option<Item<K>>, State<K>) {
    match state {
        State::Start => match page(api, None).await {
            Ok(State::Page(_, Some(_), _)) if !paging.0.load(Ordering::Relaxed) => everything(api, paging).await,
            Ok(page) => (Some(Ok(Event::Init)), page),
            Err(error) => failed(error),
        },
        State::Page(mut objects, more, version) => match (objects.next(), more) {
            (Some(object), more) => (Some(Ok(Event::InitApply(object))), State::Page(objects, more, version)),
            (None, Some(more)) => page(api, Some(&more)).await.map_or_else(failed, |page| (None, page)),
            (None, None) => (Some(Ok(Event::InitDone)), State::Resume(version)),
        },
        State::Initial(mut events) => match events.next().await {
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                (Some(Ok(Event::InitApply(object))), State::Initial(events))
            }
            Some(Ok(WatchEvent::Bookmark(bookmark))) if bookmark.metadata.annotations.contains_key(SHOWN) => {
                (Some(Ok(Event::InitDone)), watching(bookmark.metadata.resource_version, events))
            }
            Some(Ok(WatchEvent::Bookmark(_) | WatchEvent::Deleted(_))) => (None, State::Initial(events)),
            Some(Ok(WatchEvent::Error(refused))) => failed(kube::Error::Api(refused.boxed())),
            Some(Err(error)) => failed(error),
            None => failed(ended()),
        },
        State::Watching(version, mut events, mut until) => {
            let event = tokio::select! {
                event = events.next() => event,
                () = &mut until => None,
            };
            changed(version, event, events, until)
        }
        State::Resume(version) => {
            let seconds = u32::try_from(WATCH.as_secs()).unwrap_or(u32::MAX);
            match api.watch(&WatchParams { timeout: Some(seconds), ..WatchParams::default() }, &version).await {
                Ok(events) => (None, watching(version, events.boxed())),
                Err(error) => (Some(Err(watcher::Error::WatchStartFailed(error))), State::Resume(version)),
            }
        }
    }
}

/// The first page of a listing of the newest version, or the next one.
async fn page<K: Kind>(api: &Api<Readable<K>>, next: Option<&str>) -> kube::Result<State<K>> {
    let params = ListParams { limit: Some(PAGE), continue_token: next.map(ToOwned::to_owned), ..ListParams::default() };
    let list = api.list(&params).await?;
    let more = list.metadata.continue_.filter(|token| !token.is_empty());
    Ok(State::Page(list.items.into_iter(), more, list.metadata.resource_version.unwrap_or_default()))
}

/// Has everything streamed, of the newest version.
async fn everything<K: Kind>(api: &Api<Readable<K>>, paging: &Paging) -> (Option<Item<K>>, State<K>) {
    let params = WatchParams { timeout: Some(INITIAL_SECONDS), send_initial_events: true, ..WatchParams::default() };
    match api.watch(&params, "").await {
        Ok(events) => (Some(Ok(Event::Init)), State::Initial(events.boxed())),
        Err(kube::Error::Api(refused)) if is_unsupported(&refused) => {
            tracing::info!("the API server does not stream lists: they are read in pages");
            paging.0.store(true, Ordering::Relaxed);
            (None, State::Start)
        }
        Err(error) => failed(error),
    }
}

fn watching<K: Kind>(version: String, events: Events<K>) -> State<K> {
    State::Watching(version, events, Box::pin(sleep(WATCH + GRACE)))
}

fn changed<K: Kind>(
    version: String,
    event: Option<kube::Result<WatchEvent<Readable<K>>>>,
    events: Events<K>,
    until: Pin<Box<Sleep>>,
) -> (Option<Item<K>>, State<K>) {
    let newer = |object: &Readable<K>| object.resource_version().filter(|version| !version.is_empty());
    match event {
        Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => match newer(&object) {
            Some(newer) => (Some(Ok(Event::Apply(object))), State::Watching(newer, events, until)),
            None => (Some(Err(watcher::Error::NoResourceVersion)), State::Start),
        },
        Some(Ok(WatchEvent::Deleted(object))) => match newer(&object) {
            Some(newer) => (Some(Ok(Event::Delete(object))), State::Watching(newer, events, until)),
            None => (Some(Err(watcher::Error::NoResourceVersion)), State::Start),
        },
        Some(Ok(WatchEvent::Bookmark(bookmark))) => (None, State::Watching(bookmark.metadata.resource_version, events, until)),
        Some(Ok(WatchEvent::Error(refused))) => {
            // What it was to go on from is no longer there.
            let next = if refused.code == 410 { State::Start } else { State::Resume(version) };
            (Some(Err(watcher::Error::WatchError(refused.boxed()))), next)
        }
        Some(Err(error)) => (Some(Err(watcher::Error::WatchFailed(error))), State::Resume(version)),
        None => (None, State::Resume(version)),
    }
}

/// What there is could not be shown.
fn failed<K: Kind>(error: kube::Error) -> (Option<Item<K>>, State<K>) {
    (Some(Err(watcher::Error::InitialListFailed(error))), State::Start)
}

fn ended() -> kube::Error {
    let message = "the listing ended before it had shown everything";
    kube::Error::Service(io::Error::new(io::ErrorKind::UnexpectedEof, message).into())
}

/// Kubernetes before 1.34 may refuse `sendInitialEvents` (422, the feature gate `WatchList`), and one that does not know it finds the request bad.
fn is_unsupported(refused: &Status) -> bool {
    matches!(refused.code, 400 | 422)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::schedule::DatabaseBackupSchedule;
    use axum::{Router, extract::State as Shared, http::StatusCode};
    use kube::Client;
    use serde_json::{Value, json};
    use std::{collections::VecDeque, sync::Mutex};

    /// What an API server answers one after another, and the queries that it got.
    type Script = Arc<(Mutex<VecDeque<(u16, String)>>, Mutex<Vec<String>>)>;

    async fn answer(Shared(script): Shared<Script>, uri: axum::http::Uri) -> (StatusCode, String) {
        script.1.lock().unwrap().push(uri.query().unwrap_or_default().to_owned());
        let next = script.0.lock().unwrap().pop_front();
        let (code, body) = next.unwrap_or((500, json!({ "kind": "Status", "code": 500, "status": "Failure" }).to_string()));
        (StatusCode::from_u16(code).unwrap(), body)
    }

    /// The first `count` things that a watch shows at a server that answers so, and what it asked.
    async fn watched(answers: &[(u16, Vec<String>)], count: usize) -> (Vec<String>, Vec<String>) {
        let answers = answers.iter().map(|(code, lines)| (*code, lines.join("\n") + "\n")).collect();
        let script: Script = Arc::new((Mutex::new(answers), Mutex::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let app = Router::new().fallback(answer).with_state(script.clone());
        let _server = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move { axum::serve(listener, app).await }));
        let client = Client::try_from(kube::Config::new(url)).unwrap();
        let api = DatabaseBackupSchedule::api(client, None);
        let shown = streaming::<DatabaseBackupSchedule>(api, Paging::default()).take(count).map(|item| match item {
            Ok(Event::Init) => "begins".to_owned(),
            Ok(Event::InitApply(object)) => format!("shows {}", object.name_any()),
            Ok(Event::InitDone) => "is complete".to_owned(),
            Ok(Event::Apply(object)) => format!("applied {}", object.name_any()),
            Ok(Event::Delete(object)) => format!("deleted {}", object.name_any()),
            Err(watcher::Error::InitialListFailed(_)) => "could not list".to_owned(),
            Err(watcher::Error::WatchStartFailed(_)) => "could not watch".to_owned(),
            Err(error) => format!("failed: {error}"),
        });
        let shown = shown.collect().await;
        let asked = script.1.lock().unwrap().clone();
        (shown, asked)
    }

    fn object(name: &str, version: &str) -> Value {
        json!({
            "apiVersion": "dbbackup.dev/v1alpha1", "kind": "DatabaseBackupSchedule",
            "metadata": { "name": name, "namespace": "shop", "resourceVersion": version },
            "spec": { "schedule": "@daily", "backupTemplate": { "spec": { "source": { "engine": "DCS", "instanceId": "i-1" } } } },
        })
    }

    /// The type comes first, as the API server writes it.
    fn line(type_: &str, object: &Value) -> String {
        format!(r#"{{"type":"{type_}","object":{object}}}"#)
    }

    fn event(type_: &str, name: &str, version: &str) -> String {
        line(type_, &object(name, version))
    }

    fn bookmark(version: &str, annotations: &Value) -> String {
        let metadata = json!({ "resourceVersion": version, "annotations": annotations });
        line("BOOKMARK", &json!({ "apiVersion": "dbbackup.dev/v1alpha1", "kind": "DatabaseBackupSchedule", "metadata": metadata }))
    }

    fn complete(version: &str) -> String {
        bookmark(version, &json!({ SHOWN: "true" }))
    }

    /// A page of a listing. `more`: there are others behind it.
    fn page(version: &str, names: &[&str], more: &str) -> (u16, Vec<String>) {
        let items: Vec<Value> = names.iter().map(|name| object(name, version)).collect();
        let metadata = json!({ "resourceVersion": version, "continue": more });
        (200, vec![json!({ "apiVersion": "dbbackup.dev/v1alpha1", "kind": "DatabaseBackupScheduleList", "metadata": metadata, "items": items }).to_string()])
    }

    #[tokio::test]
    async fn what_fits_into_a_page_comes_as_one_and_then_every_change_from_its_version_on() {
        let changes = vec![event("MODIFIED", "a", "8"), event("DELETED", "b", "9")];
        let (shown, asked) = watched(&[page("7", &["a", "b"], ""), (200, changes)], 6).await;
        assert_eq!(shown, ["begins", "shows a", "shows b", "is complete", "applied a", "deleted b"]);
        assert_eq!(asked[0].trim_start_matches('&'), "limit=10", "the newest");
        assert!(!asked[1].contains("sendInitialEvents") && asked[1].ends_with("resourceVersion=7"), "{}", asked[1]);
    }

    #[tokio::test]
    async fn what_does_not_is_streamed_one_by_one_and_then_every_change_from_that_version_on() {
        let first =
            vec![event("ADDED", "a", "3"), bookmark("4", &json!({})), event("ADDED", "b", "5"), complete("7"), event("MODIFIED", "a", "8")];
        let (shown, asked) = watched(&[page("2", &["a"], "more"), (200, first), (200, vec![event("DELETED", "b", "9")])], 6).await;
        assert_eq!(shown, ["begins", "shows a", "shows b", "is complete", "applied a", "deleted b"]);
        assert!(asked[1].contains("sendInitialEvents=true") && asked[1].ends_with("resourceVersion="), "the newest: {}", asked[1]);
        assert!(!asked[2].contains("sendInitialEvents") && asked[2].ends_with("resourceVersion=8"), "{}", asked[2]);
    }

    #[tokio::test]
    async fn a_listing_that_breaks_off_is_never_taken_for_a_whole_one() {
        let more = || page("2", &["a"], "more");
        let (shown, _) =
            watched(&[more(), (200, vec![event("ADDED", "a", "3")]), more(), (200, vec![event("ADDED", "a", "3"), complete("3")])], 6)
                .await;
        assert_eq!(shown, ["begins", "shows a", "could not list", "begins", "shows a", "is complete"]);
    }

    #[tokio::test]
    async fn a_version_that_is_gone_leads_to_a_new_listing() {
        let gone = line("ERROR", &json!({ "kind": "Status", "code": 410, "status": "Failure", "message": "too old" }));
        let (shown, _) = watched(&[page("3", &[], ""), (200, vec![gone]), page("9", &["a"], "")], 6).await;
        assert_eq!(
            (&shown[..2], &shown[3..]),
            (&strings(["begins", "is complete"])[..], &strings(["begins", "shows a", "is complete"])[..])
        );
    }

    fn strings<const N: usize>(words: [&str; N]) -> [String; N] {
        words.map(ToOwned::to_owned)
    }

    #[tokio::test]
    async fn a_server_that_does_not_stream_lists_is_asked_for_page_after_page_from_then_on() {
        let refused =
            json!({ "kind": "Status", "code": 422, "status": "Failure", "reason": "Invalid", "message": "sendInitialEvents is forbidden" });
        let gone = json!({ "kind": "Status", "code": 410, "status": "Failure", "reason": "Expired", "message": "the token is too old" });
        let (first, second) = (|| page("3", &["a"], "more"), || page("3", &["b"], ""));
        let answers = [first(), (422, vec![refused.to_string()]), first(), (410, vec![gone.to_string()]), first(), second()];
        let (shown, asked) = watched(&answers, 7).await;
        assert_eq!(shown, ["begins", "shows a", "could not list", "begins", "shows a", "shows b", "is complete"]);
        assert!(asked[3].contains("continue=more") && asked[5].contains("continue=more"), "{asked:?}");
        assert_eq!(asked.iter().filter(|query| query.contains("sendInitialEvents")).count(), 1, "it is found out once");
    }
}
