//! Events (`events.k8s.io/v1`); what is said again within six minutes becomes a series of the first. kube's `Recorder` does the same but for two things: it
//! puts the whole name of the object into the Event's, which the API server refuses where the two are longer than a name may be; and whoever says something
//! waits until it is written. Here it waits in a queue, and reconciles go on.

use super::{
    lanes::{Intake, Lanes, Worker, lanes},
    places::Places,
};
use crate::{
    api::MANAGER,
    cloud::digest::sha256,
    controller::api_error::explained,
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
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

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

/// Events that are written at once.
const WRITERS: usize = 2;
/// How far apart a writer writes them once it has written [`AT_ONCE`] without a pause: together 25 a second. An Event costs the API server as much as a
/// status, and a burst of a thousand backups, whose statuses are what everybody waits for, has two thousand of them: they are written after it. So an Event also
/// gives way while all places for answers of the API server are taken, for [`GIVES_WAY`] at most.
const PACE: Duration = Duration::from_millis(80);
/// See [`PACE`].
const GIVES_WAY: Duration = Duration::from_secs(5);
/// Between two looks whether there is a place.
const LOOK: Duration = Duration::from_millis(20);
/// How many a writer writes without a pause.
const AT_ONCE: u32 = 25;
/// Events that wait for each writer: together those of a burst of 1,000 backups, and room for Warnings. One has up to 2 KB (a name, a namespace and a note of the
/// greatest length), and most have a fifth of that; so 5 MB are waiting at the very most.
const ROOM: usize = 1250;
/// Of these, how many places only Warnings may take.
const FOR_WARNINGS: usize = 250;
/// How many Events a writer remembers to make a series of their repetitions, in 64 bytes each.
const REMEMBERED: usize = 1000;
/// How long the end of the process waits for the Events that were said before it.
const FLUSH: Duration = Duration::from_secs(2);

/// Takes Events in. Nothing waits for one to be written.
pub struct Events {
    queue: Intake<Said>,
    dropped: Arc<AtomicU64>,
}

/// Writes the Events that were taken in.
pub struct Writer {
    client: Client,
    answers: Places,
    instance: String,
    lanes: Lanes<Said>,
    dropped: Arc<AtomicU64>,
}

/// A [`Writer`] at work; it ends when this is dropped.
pub struct Writing {
    ended: CancellationToken,
    task: AbortOnDropHandle<()>,
}

/// An Event as it waits.
#[derive(Debug)]
struct Said {
    regarding: ObjectReference,
    notice: Notice,
    at: Moment,
}

impl Events {
    /// A queue for Events, and who writes them in the name of this process; `instance` is the name of its Pod or machine, `answers` the places for answers of
    /// the API server ([`ANSWERS`](super::ANSWERS)).
    pub fn new(client: Client, instance: Option<String>, answers: Places) -> (Self, Writer) {
        let instance = instance.filter(|name| !name.is_empty()).unwrap_or_else(|| MANAGER.into());
        let instance = cut(&instance, INSTANCE_BYTES).to_owned();
        let ((queue, lanes), dropped) = (lanes(WRITERS, ROOM), Arc::<AtomicU64>::default());
        (Self { queue, dropped: dropped.clone() }, Writer { client, answers, instance, lanes, dropped })
    }

    /// Has one about an object written. Those about an object are written in the order in which they were said, and tell when that was; should the API server
    /// be so slow that no more of them have room, the newest are dropped. `now`: when it is said.
    pub fn publish(&self, regarding: ObjectReference, mut notice: Notice, now: Moment) {
        notice.note.truncate(cut(&notice.note, NOTE_BYTES).len());
        notice.note.shrink_to_fit();
        let spare = if notice.is_warning { 0 } else { FOR_WARNINGS };
        let object = regarding.uid.clone().unwrap_or_default();
        let is_taken = self.queue.push(&object, Said { regarding, notice, at: now }, spare);
        if !is_taken && self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!("more Events are said than the Kubernetes API takes: the newest are dropped until there is room");
        }
    }
}

impl Writer {
    /// Starts to write, in a task of its own.
    pub fn start(self) -> Writing {
        let ended = CancellationToken::new();
        let until = ended.clone();
        let Self { client, answers, instance, lanes, dropped } = self;
        let ended_too = ended.clone();
        let worker = move || Scribe {
            client: client.clone(),
            answers: answers.clone(),
            instance: instance.clone(),
            series: AllSeries::default(),
            dropped: dropped.clone(),
            pace: Pace::default(),
            ended: ended_too.clone(),
        };
        let task = AbortOnDropHandle::new(tokio::spawn(async move { lanes.run(&until, worker).await }));
        Writing { ended, task }
    }
}

impl Writing {
    /// Writes what was said until now, for a short while at most. Nothing is taken in any more.
    pub async fn finish(self) {
        self.ended.cancel();
        if tokio::time::timeout(FLUSH, self.task).await.is_err() {
            tracing::warn!("the Events that were said last are not written: the Kubernetes API takes too long");
        }
    }
}

/// Writes the Events of one lane.
struct Scribe {
    client: Client,
    answers: Places,
    instance: String,
    series: AllSeries,
    dropped: Arc<AtomicU64>,
    pace: Pace,
    /// From then on it writes what is left without a pause.
    ended: CancellationToken,
}

impl Worker<Said> for Scribe {
    async fn work(&mut self, said: Said, is_last: bool) {
        let reason = said.notice.reason;
        let pause = self.pace.next(Instant::now());
        tokio::select! { () = self.turn(pause) => {}, () = self.ended.cancelled() => {} }
        if let Err(error) = self.write(said).await {
            tracing::warn!(error = explained(&error), reason, "an Event could not be written");
        }
        if is_last {
            match self.dropped.swap(0, Ordering::Relaxed) {
                0 => {}
                count => tracing::warn!(count, "Events were dropped, and there is room again"),
            }
        }
    }
}

impl Scribe {
    /// Waits for its time, and until statuses leave room.
    async fn turn(&self, pause: Duration) {
        sleep(pause).await;
        let room = async {
            while self.answers.are_taken() {
                sleep(LOOK).await;
            }
        };
        // When its time is over it no longer gives way.
        drop(timeout(GIVES_WAY, room).await);
    }

    /// Writes one. Those about objects of the cluster go into the namespace `default`, where kubectl looks for them.
    async fn write(&mut self, said: Said) -> Result<(), kube::Error> {
        let Said { regarding, notice, at } = said;
        let api: Api<Event> = Api::namespaced(self.client.clone(), regarding.namespace.as_deref().unwrap_or("default"));
        let key = key(&regarding, &notice);
        if let Some((hash, count)) = self.series.again(key, at) {
            let patch = json!({ "series": EventSeries { count, last_observed_time: MicroTime(at.wall) } });
            match api.patch(&name(&regarding, hash), &PatchParams::default(), &Patch::Merge(&patch)).await {
                // It expired, or was deleted: another one begins.
                Err(kube::Error::Api(refused)) if refused.is_not_found() => {}
                answer => return answer.map(drop),
            }
        }
        let hash = hash(&regarding, &notice, at);
        api.create(&PostParams::default(), &event(regarding, &notice, hash, &self.instance, at)).await?;
        self.series.begin(key, hash, at);
        Ok(())
    }
}

/// When the last Event would have been written, had each taken its time.
#[derive(Default)]
struct Pace(Option<Instant>);

impl Pace {
    /// In how long the next one may be written.
    fn next(&mut self, now: Instant) -> Duration {
        let next = self.0.map_or(now, |last| last.max(now)) + PACE;
        self.0 = Some(next);
        next.duration_since(now).saturating_sub(PACE * AT_ONCE)
    }
}

/// The latest Events, by what makes two of them the same one again.
#[derive(Default)]
struct AllSeries(HashMap<u64, Series>);

struct Series {
    /// What stands behind the object's name in that of the Event.
    hash: u64,
    count: i32,
    last: Moment,
}

impl AllSeries {
    /// The Event that this is a repetition of, and how many there are with it.
    fn again(&mut self, key: u64, now: Moment) -> Option<(u64, i32)> {
        let series = self.0.get_mut(&key).filter(|series| now.since(series.last) < SERIES)?;
        (series.count, series.last) = (series.count.saturating_add(1), now);
        Some((series.hash, series.count))
    }

    /// An Event was written. Where too many are remembered, all are forgotten, and what is said again is an Event of its own.
    fn begin(&mut self, key: u64, hash: u64, now: Moment) {
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, series| now.since(series.last) < SERIES);
        }
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        self.0.insert(key, Series { hash, count: 1, last: now });
    }
}

/// What makes two Events the same one again; the text does not count.
fn key(regarding: &ObjectReference, notice: &Notice) -> u64 {
    let weight = if notice.is_warning { "Warning" } else { "Normal" };
    digest(&[regarding.uid.as_deref().unwrap_or_default(), notice.reason, notice.action, weight])
}

fn digest(parts: &[&str]) -> u64 {
    sha256(parts).first_chunk().copied().map(u64::from_be_bytes).unwrap_or_default()
}

fn event(regarding: ObjectReference, notice: &Notice, hash: u64, instance: &str, now: Moment) -> Event {
    let type_ = if notice.is_warning { "Warning" } else { "Normal" };
    Event {
        metadata: ObjectMeta { name: Some(name(&regarding, hash)), namespace: regarding.namespace.clone(), ..ObjectMeta::default() },
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

/// What stands behind the object's name. It comes from all that tells one Event from another: where two long names are cut to the same, their UIDs differ.
fn hash(regarding: &ObjectReference, notice: &Notice, now: Moment) -> u64 {
    let object = regarding.name.as_deref().unwrap_or(MANAGER);
    digest(&[regarding.uid.as_deref().unwrap_or_default(), object, notice.reason, notice.action, &now.wall.as_nanosecond().to_string()])
}

/// `<object's name, cut>.<16 hex>`.
fn name(regarding: &ObjectReference, hash: u64) -> String {
    let object = regarding.name.as_deref().unwrap_or(MANAGER);
    // A part of a name must not end in a hyphen, nor be empty.
    let object = cut(object, NAME_CHARS - HASH_CHARS - 1).trim_end_matches(['-', '.']);
    format!("{object}.{hash:0HASH_CHARS$x}")
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
        name_at(object, uid, NOW)
    }

    fn name_at(object: &str, uid: &str, now: Moment) -> String {
        let about = about(object, uid);
        name(&about, hash(&about, &notice(""), now))
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

    #[tokio::test(start_paused = true)]
    async fn a_few_events_are_written_at_once_and_those_of_a_burst_one_after_another() {
        let (mut pace, begun) = (Pace::default(), Instant::now());
        let mut write = async || {
            sleep(pace.next(Instant::now())).await;
            begun.elapsed()
        };
        for _ in 0..AT_ONCE {
            assert_eq!(write().await, Duration::ZERO);
        }
        for nth in 1..100 {
            assert_eq!(write().await, PACE * nth);
        }
        sleep(PACE * 1000).await;
        let rested = begun.elapsed();
        for _ in 0..AT_ONCE {
            assert_eq!(write().await, rested, "and after a rest a few at once again");
        }
    }

    #[test]
    fn two_objects_whose_names_are_cut_to_the_same_have_events_of_their_own() {
        let long = "a".repeat(252);
        assert_ne!(name_for(&format!("{long}b"), "u-1"), name_for(&format!("{long}c"), "u-2"));
        assert_ne!(name_for(&long, "u-1"), name_for(&long, "u-2"), "one that was made anew");
        let later = name_at(&long, "u-1", NOW.plus(Duration::from_nanos(1)));
        assert_ne!(name_for(&long, "u-1"), later);
    }

    #[test]
    fn texts_are_cut_to_what_the_api_server_takes() {
        let event = event(about("a", "u-1"), &notice(&"ü".repeat(600)), 1, "me", NOW);
        assert_eq!(event.note.unwrap().chars().count(), 512);
        assert_eq!(cut("aü", 2), "a");
        assert_eq!(cut("aü", 3), "aü");
    }

    fn said(reason: &'static str, is_warning: bool) -> Notice {
        Notice { reason, is_warning, ..notice("") }
    }

    /// A client of an API server that takes connections and never answers.
    fn silent() -> (std::net::TcpListener, Client) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut config = kube::Config::new(url.parse().unwrap());
        config.proxy_url = None;
        (listener, Client::try_from(config).unwrap())
    }

    #[tokio::test]
    async fn a_full_queue_drops_the_newest_and_counts_them_and_a_warning_has_room_when_others_have_none() {
        let (_listener, client) = silent();
        let (events, writer) = Events::new(client, None, Places::new(1));
        let dropped = || events.dropped.load(Ordering::Relaxed);
        let publish = |uid: &str, is_warning| events.publish(about("a", uid), said("Completed", is_warning), NOW);
        let (normal, all) = (ROOM - FOR_WARNINGS, ROOM);
        (0..normal).for_each(|_| publish("u-1", false));
        assert_eq!(dropped(), 0);
        (0..5).for_each(|_| publish("u-1", false));
        assert_eq!(dropped(), 5);
        (normal..all).for_each(|_| publish("u-1", true));
        assert_eq!(dropped(), 5);
        publish("u-1", true);
        assert_eq!(dropped(), 6);
        publish("u-2", false);
        assert_eq!(dropped(), 6, "the object of another writer");
        drop(writer);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_gives_way_while_statuses_take_all_places_but_not_for_ever() {
        let (_listener, client) = silent();
        let answers = Places::new(1);
        let scribe = Scribe {
            client,
            answers: answers.clone(),
            instance: "me".into(),
            series: AllSeries::default(),
            dropped: Arc::default(),
            pace: Pace::default(),
            ended: CancellationToken::new(),
        };
        let begun = Instant::now();
        scribe.turn(Duration::from_secs(1)).await;
        assert_eq!(begun.elapsed().as_secs(), 1, "there is a place");
        let taken = answers.take("").await;
        scribe.turn(Duration::ZERO).await;
        assert_eq!(begun.elapsed().as_secs(), 6, "there is none");
        let mut turn = std::pin::pin!(scribe.turn(Duration::ZERO));
        assert!(timeout(Duration::from_secs(2), &mut turn).await.is_err());
        drop(taken);
        turn.await;
        assert_eq!(begun.elapsed().as_secs(), 8, "there is one again");
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_process_waits_for_events_for_a_short_while_and_not_for_an_api_server_that_is_silent() {
        let (_listener, client) = silent();
        let (events, writer) = Events::new(client, None, Places::new(1));
        let writing = writer.start();
        for uid in ["u-1", "u-2", "u-3"] {
            events.publish(about("a", uid), notice("said"), NOW);
        }
        let begun = tokio::time::Instant::now();
        writing.finish().await;
        assert_eq!(begun.elapsed().as_secs(), FLUSH.as_secs());
    }

    #[test]
    fn what_is_said_again_within_six_minutes_is_one_event_and_the_memory_for_that_is_bounded() {
        let mut series = AllSeries::default();
        let at = |second| NOW.plus(Duration::from_secs(second));
        assert_eq!(series.again(1, at(0)), None);
        series.begin(1, 7, at(0));
        assert_eq!(series.again(1, at(359)), Some((7, 2)));
        assert_eq!(series.again(1, at(700)), Some((7, 3)));
        assert_eq!(series.again(1, at(1060)), None, "six minutes later");
        for key in 2..5000 {
            series.begin(key, 7, at(700));
            assert!(series.0.len() <= REMEMBERED);
        }
        assert_eq!(series.again(4999, at(701)), Some((7, 2)));
    }

    #[test]
    fn another_text_is_the_same_event_again_and_another_object_reason_or_weight_is_not() {
        let of = |uid: &str, notice: &Notice| key(&about("a", uid), notice);
        let first = of("u-1", &notice("one"));
        assert_eq!(of("u-1", &notice("two")), first);
        for other in [of("u-2", &notice("")), of("u-1", &said("Failed", false)), of("u-1", &said("Completed", true))] {
            assert_ne!(other, first);
        }
    }
}
