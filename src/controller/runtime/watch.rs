//! Watches that feed the memory before they cause a reconcile.

use super::{
    Runtime,
    readable::{Readable, readable},
    streaming::{Paging, streaming},
};
use crate::controller::{api_error::explained, kind::Kind, store::health::Subject};
use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use std::{io, pin::pin, sync::Arc, time::Duration};
use tokio::{sync::watch::Receiver, time::timeout};

/// How long the next piece of a listing may take. Without a limit a connection that was lost unnoticed would be waited for.
const NEXT_PIECE: Duration = Duration::from_secs(30);

/// Something that a watch showed.
pub enum Change<K> {
    /// A version of an object.
    Applied(Arc<K>),
    /// An object that is gone.
    Deleted(K),
    /// A listing begins, after a start or a break of the watch.
    ListBegins,
    /// An object that it shows.
    Shown(Arc<K>),
    /// It has shown everything that there is.
    Listed,
}

/// Watches a kind for as long as the process runs: `hear` gets everything, and of each object what somebody reads. `known`: the last version of an object.
/// Errors are logged and end here, and the watch goes on after a pause.
pub(super) async fn watch<K: Kind>(
    runtime: &Runtime,
    subject: &Subject,
    api: Api<Readable<K>>,
    known: impl Fn(&ObjectMeta) -> Option<Arc<K>>,
    hear: impl Fn(Change<K>),
) {
    let paging = Paging::default();
    let start = move || streaming(api.clone(), paging.clone()).boxed();
    let mut events = pin!(relisting(start, runtime.revisions.subscribe()).default_backoff());
    while let Some(event) = events.next().await {
        let noted = event.as_ref().map(|event| matches!(event, Event::InitDone));
        note(runtime, subject, noted);
        if let Some(event) = event.ok().and_then(|event| readable(event, &known)) {
            hear(change(event));
        }
    }
}

fn change<K: Kind>(event: Event<K>) -> Change<K> {
    match event {
        Event::Apply(object) => Change::Applied(Arc::new(object)),
        Event::Delete(object) => Change::Deleted(object),
        Event::Init => Change::ListBegins,
        Event::InitApply(object) => Change::Shown(Arc::new(object)),
        Event::InitDone => Change::Listed,
    }
}

/// A watcher that begins anew, with a listing, where kube's would ask for ever for a version that the server does not have: when the server answers a
/// request to watch with 410, or with 404 since the kind is gone, which is another kind when it comes back. Where a listing does not go on. And when the
/// store was `put_back`: a version of before lies in the future then, and the server would be silent until it is reached.
fn relisting<'a, K: Send + 'a>(
    start: impl Fn() -> BoxStream<'a, watcher::Result<Event<K>>> + Send + 'a,
    put_back: Receiver<u64>,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + 'a {
    stream::unfold((start, None::<BoxStream<'a, _>>, false, put_back), |(start, running, lists, mut put_back)| async move {
        let mut running = running.unwrap_or_else(&start);
        let event = loop {
            let next = async {
                if lists {
                    timeout(NEXT_PIECE, running.next()).await.unwrap_or_else(|_| Some(Err(silence())))
                } else {
                    running.next().await
                }
            };
            tokio::select! {
                event = next => break event,
                // An error says that the process ends.
                Ok(()) = put_back.changed() => {}
            }
            running = start();
        }?;
        let lists = matches!(event, Ok(Event::Init | Event::InitApply(_)));
        let is_over = match &event {
            Err(watcher::Error::InitialListFailed(_)) => true,
            Err(watcher::Error::WatchStartFailed(kube::Error::Api(refused))) => matches!(refused.code, 404 | 410),
            _ => false,
        };
        Some((event, (start, (!is_over).then_some(running), lists, put_back)))
    })
}

fn silence() -> watcher::Error {
    let message = format!("no answer within {} s", NEXT_PIECE.as_secs());
    watcher::Error::InitialListFailed(kube::Error::Service(io::Error::new(io::ErrorKind::TimedOut, message).into()))
}

/// Says when a watch fails, and when a listing brought it up to date again.
fn note(runtime: &Runtime, subject: &Subject, is_listed: Result<bool, &watcher::Error>) {
    match is_listed {
        Ok(true) => runtime.health.listed(subject),
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(error = explained(error), %subject, "the watch failed and is tried again");
            if matches!(error, watcher::Error::InitialListFailed(_)) {
                runtime.health.not_listed(subject, error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::core::Status;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn object(name: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.name = Some(name.into());
        object
    }

    fn refused(code: u16) -> watcher::Result<Event<ConfigMap>> {
        let status = Status::failure("no", "Reason").with_code(code);
        Err(watcher::Error::WatchStartFailed(kube::Error::Api(Box::new(status))))
    }

    #[tokio::test]
    async fn a_watch_that_is_refused_with_410_or_404_begins_anew_with_a_listing_and_others_go_on() {
        for (code, starts) in [(410, 2), (404, 2), (403, 1), (500, 1)] {
            let started = AtomicUsize::new(0);
            let start = || {
                started.fetch_add(1, Ordering::Relaxed);
                stream::iter([Ok(Event::Init), refused(code), Ok(Event::InitDone)]).boxed()
            };
            let events: Vec<_> = relisting(start, never()).take(3).collect().await;
            assert_eq!(started.load(Ordering::Relaxed), starts, "{code}");
            assert!(matches!(events.last(), Some(Ok(event)) if matches!(event, Event::Init) == (starts == 2)), "{code}: {events:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_that_does_not_go_on_is_given_up_and_begun_anew() {
        let started = AtomicUsize::new(0);
        let start = || match started.fetch_add(1, Ordering::Relaxed) {
            0 => stream::iter([Ok(Event::Init), Ok(Event::InitApply(object("first")))]).chain(stream::pending()).boxed(),
            _ => stream::iter([Ok(Event::Init), Ok(Event::InitDone)]).chain(stream::pending()).boxed(),
        };
        let mut events = std::pin::pin!(relisting(start, never()));
        let five: Vec<_> = events.by_ref().take(5).collect().await;
        assert!(matches!(&five[2], Err(error) if format!("{error:?}").contains("no answer within 30 s")), "{five:?}");
        assert!(matches!(&five[3..], [Ok(Event::Init), Ok(Event::InitDone)]), "{five:?}");
        assert!(timeout(NEXT_PIECE * 100, events.next()).await.is_err(), "a watch may be silent");
    }

    /// The store is never put back.
    fn never() -> Receiver<u64> {
        tokio::sync::watch::channel(0).1
    }

    #[tokio::test]
    async fn a_watch_of_a_store_that_was_put_back_begins_anew_with_a_listing() {
        let started = AtomicUsize::new(0);
        let start = || {
            started.fetch_add(1, Ordering::Relaxed);
            stream::iter([Ok(Event::Init), Ok(Event::<ConfigMap>::InitDone)]).chain(stream::pending()).boxed()
        };
        let (sender, receiver) = tokio::sync::watch::channel(0);
        let mut events = std::pin::pin!(relisting(start, receiver));
        let first: Vec<_> = events.by_ref().take(2).collect().await;
        assert!(first.iter().all(Result::is_ok) && started.load(Ordering::Relaxed) == 1);
        sender.send_replace(1);
        assert!(matches!(events.next().await, Some(Ok(Event::Init))));
        assert_eq!(started.load(Ordering::Relaxed), 2);
    }
}
