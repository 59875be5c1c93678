//! Events (`events.k8s.io/v1`); what is said again within six minutes becomes a series of the first. kube's `Recorder` does the same but for one thing: it
//! puts the whole name of the object into the Event's, which the API server refuses where the two are longer than a name may be.

use crate::{
    api::MANAGER,
    cloud::digest::sha256,
    plan::{clock::Moment, notice::Notice},
};
use k8s_openapi::api::{
    core::v1::ObjectReference,
    events::v1::{Event, EventSeries},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// For how long a repetition belongs to a series: as long as with kube's `Recorder` and client-go.
const SERIES: Duration = Duration::from_secs(6 * 60);
/// Longest name of an object, in characters.
const NAME_CHARS: usize = 253;
/// Hex digits behind an object's name, so that no two Events have one name.
const HASH_CHARS: usize = 16;
/// Longest text, in bytes: the API server's `NoteLengthLimit`.
const NOTE_BYTES: usize = 1024;
/// Longest name of who reports, in bytes: its `ReportingInstanceLengthLimit`.
const INSTANCE_BYTES: usize = 128;

/// Writes Events.
pub struct Events {
    client: Client,
    instance: String,
    series: Mutex<HashMap<Key, Series>>,
}

/// What makes two of them the same one again; the text does not count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    uid: String,
    reason: &'static str,
    action: &'static str,
    is_warning: bool,
}

struct Series {
    name: String,
    count: i32,
    last: Moment,
}

impl Events {
    /// Writes Events in the name of this process; `instance` is the name of its Pod or machine.
    pub fn new(client: Client, instance: Option<String>) -> Self {
        let instance = instance.filter(|name| !name.is_empty()).unwrap_or_else(|| MANAGER.into());
        Self { client, instance: cut(&instance, INSTANCE_BYTES).to_owned(), series: Mutex::default() }
    }

    /// Writes one about an object. Those about objects of the cluster go into the namespace `default`, where kubectl looks for them.
    ///
    /// # Errors
    /// The API server refused it, or did not answer.
    pub async fn publish(&self, regarding: ObjectReference, notice: &Notice, now: Moment) -> Result<(), kube::Error> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), regarding.namespace.as_deref().unwrap_or("default"));
        let uid = regarding.uid.clone().unwrap_or_default();
        let key = Key { uid, reason: notice.reason, action: notice.action, is_warning: notice.is_warning };
        if let Some((name, count)) = self.again(&key, now) {
            let patch = json!({ "series": EventSeries { count, last_observed_time: MicroTime(now.wall) } });
            match api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await {
                // It expired, or was deleted: another one begins.
                Err(kube::Error::Api(refused)) if refused.is_not_found() => {}
                answer => return answer.map(drop),
            }
        }
        let event = event(regarding, notice, &self.instance, now);
        let name = event.metadata.name.clone().unwrap_or_default();
        api.create(&PostParams::default(), &event).await?;
        self.all().insert(key, Series { name, count: 1, last: now });
        Ok(())
    }

    /// The Event that this is a repetition of, and how many there are with it.
    fn again(&self, key: &Key, now: Moment) -> Option<(String, i32)> {
        let mut all = self.all();
        all.retain(|_, series| now.since(series.last) < SERIES);
        let series = all.get_mut(key)?;
        (series.count, series.last) = (series.count.saturating_add(1), now);
        Some((series.name.clone(), series.count))
    }

    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Series>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn event(regarding: ObjectReference, notice: &Notice, instance: &str, now: Moment) -> Event {
    let type_ = if notice.is_warning { "Warning" } else { "Normal" };
    Event {
        metadata: ObjectMeta { name: Some(name(&regarding, notice, now)), namespace: regarding.namespace.clone(), ..ObjectMeta::default() },
        event_time: Some(MicroTime(now.wall)),
        reporting_controller: Some(MANAGER.into()),
        reporting_instance: Some(instance.to_owned()),
        regarding: Some(regarding),
        reason: Some(notice.reason.into()),
        action: Some(notice.action.into()),
        note: Some(cut(&notice.note, NOTE_BYTES).to_owned()),
        type_: Some(type_.into()),
        ..Event::default()
    }
}

/// `<object's name, cut>.<16 hex>`. The hex comes from all that tells one Event from another: where two long names are cut to the same, their UIDs differ.
fn name(regarding: &ObjectReference, notice: &Notice, now: Moment) -> String {
    let object = regarding.name.as_deref().unwrap_or(MANAGER);
    let parts = [regarding.uid.as_deref().unwrap_or_default(), object, notice.reason, notice.action, &now.wall.as_nanosecond().to_string()];
    let mut hash = hex::encode(sha256(&parts));
    hash.truncate(HASH_CHARS);
    // A part of a name must not end in a hyphen, nor be empty.
    let object = cut(object, NAME_CHARS - HASH_CHARS - 1).trim_end_matches(['-', '.']);
    format!("{object}.{hash}")
}

/// The longest beginning of at most so many bytes.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment { wall: jiff::Timestamp::UNIX_EPOCH, mono: Duration::ZERO };

    fn about(name: &str, uid: &str) -> ObjectReference {
        ObjectReference { name: Some(name.into()), uid: Some(uid.into()), namespace: Some("shop".into()), ..ObjectReference::default() }
    }

    fn notice(note: &str) -> Notice {
        Notice { reason: "Completed", action: "CreateBackup", is_warning: false, note: note.into() }
    }

    fn name_for(object: &str, uid: &str) -> String {
        name(&about(object, uid), &notice(""), NOW)
    }

    #[test]
    fn the_name_of_an_event_is_legal_however_long_the_objects_is() {
        let cut_at_a_dot = format!("{}.{}", "a".repeat(235), "b".repeat(17));
        let cut_at_hyphens = format!("{}-----------{}", "a".repeat(230), "b".repeat(12));
        for object in
            ["a".to_owned(), "a".repeat(236), "a".repeat(237), "a".repeat(253), "a.".repeat(126) + "a", cut_at_a_dot, cut_at_hyphens]
        {
            let name = name_for(&object, "u-1");
            let is_label = |part: &str| !part.is_empty() && !part.starts_with('-') && !part.ends_with('-');
            assert!(name.len() <= NAME_CHARS && name.split('.').all(is_label), "{name}");
            assert!(name.rsplit_once('.').is_some_and(|(kept, _)| object.starts_with(kept)), "{name}");
        }
    }

    #[test]
    fn two_objects_whose_names_are_cut_to_the_same_have_events_of_their_own() {
        let long = "a".repeat(252);
        assert_ne!(name_for(&format!("{long}b"), "u-1"), name_for(&format!("{long}c"), "u-2"));
        assert_ne!(name_for(&long, "u-1"), name_for(&long, "u-2"), "one that was made anew");
        let later = name(&about(&long, "u-1"), &notice(""), NOW.plus(Duration::from_nanos(1)));
        assert_ne!(name_for(&long, "u-1"), later);
    }

    #[test]
    fn texts_are_cut_to_what_the_api_server_takes() {
        let event = event(about("a", "u-1"), &notice(&"ü".repeat(600)), "me", NOW);
        assert_eq!(event.note.unwrap().chars().count(), 512);
        assert_eq!(cut("aü", 2), "a");
        assert_eq!(cut("aü", 3), "aü");
    }
}
