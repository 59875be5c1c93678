//! Watches that feed the memory before they cause a reconcile.

use super::{Runtime, readable::readable};
use crate::controller::{api_error::explained, kind::Kind, object::keep, store::health::Subject};
use futures::{
    Stream, StreamExt, TryStreamExt, future,
    stream::{self, BoxStream},
};
use kube::{
    Api, Resource,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store},
        watcher,
        watcher::Event,
    },
};
use std::{io, sync::Arc, time::Duration};
use tokio::{sync::watch::Receiver, time::timeout};

/// How long the next piece of a listing may take. Without a limit a connection that was lost unnoticed would be waited for.
const NEXT_PIECE: Duration = Duration::from_secs(30);
/// How long a watch runs, in seconds, before it is renewed; one that was lost unnoticed is found out then. Renewing costs one request.
const WATCH_SECONDS: u32 = 120;

/// Something that a watch showed.
pub enum Change<K> {
    /// A version of an object.
    Applied(Arc<K>),
    /// An object that is gone.
    Deleted(K),
    /// A listing begins, after a start or a break of the watch.
    ListBegins,
    /// Everything that it showed.
    Listed(Vec<Arc<K>>),
}

/// Objects of one page of a listing. Each may have a megabyte and a half, and a page is in memory as a whole before anything of it is dropped.
const PAGE: u32 = 10;

/// Watches a kind: `hear` gets everything before the stream does. Of each object that is kept which somebody reads.
/// Errors are logged and end here: a controller would pause for them, although it has other things to do.
pub fn watch<K: Kind>(
    runtime: Arc<Runtime>,
    subject: Subject,
    api: Api<DeserializeGuard<K>>,
    hear: impl Fn(Change<K>) + Send + 'static,
) -> (impl Stream<Item = Result<K, watcher::Error>> + Send, Store<K>) {
    let (reader, writer) = reflector::store();
    let (store, known, listed) = (reader.clone(), reader.clone(), reader.clone());
    let config = watcher::Config::default().timeout(WATCH_SECONDS).page_size(PAGE);
    let events = relisting(move || watcher(api.clone(), config.clone()).boxed(), runtime.revisions.subscribe())
        .default_backoff()
        .try_filter_map(move |event| future::ok(readable(event, &known)))
        .modify(keep)
        .reflect(writer)
        .inspect_ok(move |event| match event {
            Event::Apply(object) => {
                if let Some(object) = store.get(&ObjectRef::from_obj(object)) {
                    hear(Change::Applied(object));
                }
            }
            Event::Delete(object) => hear(Change::Deleted(object.clone())),
            Event::InitDone => hear(Change::Listed(store.state())),
            Event::Init => hear(Change::ListBegins),
            Event::InitApply(_) => {}
        })
        .inspect(move |event| note(&runtime, &subject, event));
    (triggers(events, listed).map(Ok).boxed(), reader)
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

/// What has to be reconciled. After a listing that is everything, and not before the store has it: an object that was new or newer would not be found
/// there, or only its old version, and nothing would come after it.
fn triggers<K>(events: impl Stream<Item = watcher::Result<Event<K>>>, store: Store<K>) -> impl Stream<Item = K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    events.flat_map(move |event| {
        let (one, all) = match event {
            Ok(Event::Apply(object) | Event::Delete(object)) => (Some(object), Vec::new()),
            Ok(Event::InitDone) => (None, store.state()),
            Ok(Event::Init | Event::InitApply(_)) | Err(_) => (None, Vec::new()),
        };
        stream::iter(one.into_iter().chain(all.into_iter().map(Arc::unwrap_or_clone)))
    })
}

/// Says when a watch fails, and when a listing brought it up to date again.
fn note<K>(runtime: &Runtime, subject: &Subject, event: &watcher::Result<Event<K>>) {
    match event {
        Ok(Event::InitDone) => runtime.health.listed(subject),
        Ok(_) => {}
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
    use kube::{ResourceExt, core::Status};
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

    #[tokio::test]
    async fn what_a_listing_shows_is_reconciled_once_it_is_in_the_store_and_not_before() {
        let (store, writer) = reflector::store();
        let listing = ["old", "new"].map(|name| Ok(Event::InitApply(object(name))));
        let events = [Ok(Event::Init)].into_iter().chain(listing).chain([Ok(Event::InitDone), Ok(Event::Apply(object("later")))]);
        let found = store.clone();
        let names: Vec<String> = triggers(stream::iter(events).reflect(writer), store)
            .inspect(|object| assert!(found.get(&ObjectRef::from_obj(object)).is_some(), "{object:?} is not in the store"))
            .map(|object| object.name_any())
            .collect()
            .await;
        assert_eq!((names.len(), names.last().map(String::as_str)), (3, Some("later")), "{names:?}");
    }
}
