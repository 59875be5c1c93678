//! What whoever waits for a backup gets to see of it.

use super::api_error::explained;
use crate::{
    api::{GROUP, backup::DatabaseBackup},
    cloud::parse::clean,
    plan::wait::{Look, Trouble},
};
use futures::{Stream, StreamExt, TryFutureExt, future, stream};
use kube::{
    Api, Client,
    api::{ListParams, WatchEvent, WatchParams},
    core::Status,
};
use std::{error::Error, time::Duration};
use tokio::time::sleep;

/// How long a watch goes on before everything begins anew, with a listing. A connection that was lost without a word, a version that the server no longer
/// has, and a store that was put back are found out then; it costs two requests.
const RENEWAL: Duration = Duration::from_secs(60);
/// How far apart two beginnings are at least.
const INTERVAL: Duration = Duration::from_secs(2);

/// Looks at one backup each time that it changes, without end. It is listed and watched by its name, so a Role that names it is enough.
///
/// kube's own watcher says nothing when a watch that was refused goes on again; a refusal that has passed would look like one that lasts.
pub fn looks(client: Client, namespace: String, name: &str) -> impl Stream<Item = Look> + Send + use<> {
    let api: Api<DatabaseBackup> = Api::namespaced(client, &namespace);
    let selector = format!("metadata.name={name}");
    renewed(move || watched(api.clone(), selector.clone()).try_flatten_stream())
        .map(move |seen| seen.map_err(|error| trouble(&error, &namespace)))
}

/// One listing and the watch from there on, as long as that goes on. What was listed counts once the watch has begun: one without the other is no good.
async fn watched(
    api: Api<DatabaseBackup>,
    selector: String,
) -> kube::Result<impl Stream<Item = kube::Result<Option<DatabaseBackup>>> + Send> {
    let listed = api.list(&ListParams::default().fields(&selector)).await?;
    let version = listed.metadata.resource_version.unwrap_or_default();
    let changes = api.watch(&WatchParams::default().fields(&selector), &version).await?;
    // Whatever ends it, the next listing says what has become of the object.
    let changes = tokio_stream::StreamExt::map_while(changes, |event| match event {
        Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => Some(Some(Some(object))),
        Ok(WatchEvent::Deleted(_)) => Some(Some(None)),
        Ok(WatchEvent::Bookmark(_)) => Some(None),
        Ok(WatchEvent::Error(_)) | Err(_) => None,
    });
    let first = future::ready(listed.items.into_iter().next());
    Ok(stream::once(first).chain(changes.filter_map(future::ready)).map(Ok))
}

/// Begins what ends, and what goes on for too long, again and again.
fn renewed<S: Stream>(start: impl Fn() -> S) -> impl Stream<Item = S::Item> {
    // It counts from the beginning, when it is made.
    let interval = || stream::once(sleep(INTERVAL)).filter_map(|()| future::ready(None));
    stream::repeat_with(move || start().take_until(sleep(RENEWAL)).chain(interval())).flatten()
}

fn trouble(error: &kube::Error, namespace: &str) -> Trouble {
    let (is_refusal, message) = match error {
        kube::Error::Api(status) => match status.code {
            403 => (true, forbidden(status, namespace)),
            404 => (true, format!("databasebackups.{GROUP} is not served: install the CRDs (`database-backup-operator crd` prints them)")),
            code => (code == 401, explained(error)),
        },
        error => (false, explained(error as &(dyn Error + 'static))),
    };
    Trouble { is_refusal, message }
}

/// The API server's words name who it was and which right is missing.
fn forbidden(status: &Status, namespace: &str) -> String {
    let role = "wait-for-backups";
    format!(
        "{} (403): grant it with `kubectl -n {namespace} create role {role} --verb=list,watch --resource=databasebackups.{GROUP}` and `kubectl -n \
         {namespace} create rolebinding {role} --role={role} --serviceaccount=NAMESPACE:NAME` (or --user=NAME)",
        clean(&status.message, 256)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_goes_on_is_begun_anew_each_minute_and_one_that_ends_at_once_not_before_its_time() {
        let (started, begun) = (AtomicUsize::new(0), Instant::now());
        let start = || stream::iter([started.fetch_add(1, Ordering::Relaxed)]);
        let seen: Vec<usize> = renewed(|| start().chain(stream::pending())).take(3).collect().await;
        assert_eq!((seen, begun.elapsed().as_secs()), (vec![0, 1, 2], 2 * RENEWAL.as_secs()));
        let begun = Instant::now();
        let seen: Vec<usize> = renewed(start).take(3).collect().await;
        assert_eq!((seen, begun.elapsed().as_secs()), (vec![3, 4, 5], 2 * INTERVAL.as_secs()));
    }

    #[test]
    fn a_refusal_is_told_from_a_server_that_is_in_trouble_and_says_what_to_do() {
        for (code, is_refusal, expected) in [
            (401, true, "renew the credentials"),
            (403, true, "no (403): grant it with `kubectl -n shop create role wait-for-backups --verb=list,watch"),
            (404, true, "install the CRDs"),
            (410, false, "no (410 Reason)"),
            (503, false, "no (503 Reason)"),
        ] {
            let error = kube::Error::Api(Box::new(Status::failure("no", "Reason").with_code(code)));
            let trouble = trouble(&error, "shop");
            assert!(trouble.is_refusal == is_refusal && trouble.message.contains(expected), "{code}: {trouble:?}");
        }
    }
}
