//! Listings of the cloud, outside reconciles: a look for one object, and the polls that every running backup shares.

use super::{
    accounts::AccountKey,
    context::Context,
    fleet::{Watched, nudge},
};
use crate::{
    api::backup::DatabaseBackup,
    backup::{
        clock::Moment,
        memory::Memory,
        outcome::{self, Circumstances, Trouble},
    },
    cloud::{
        backup::{ListScope, RemoteBackup, RemoteState, Window},
        engine::Engine,
        session::{ListError, Session, Urgency},
    },
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Looks for one object's backup; or, to take stock, for everything that it ever had in the cloud. What it finds goes into the object's memory, and
/// the object is woken.
pub fn look(ctx: &Arc<Context>, object: &DatabaseBackup, session: Arc<Session>, scope: ListScope, stock: bool) {
    let nudge = nudge(object);
    let uid = object.uid().unwrap_or_default();
    let (engine, account) = (object.spec.source.engine, AccountKey::of(object));
    let mark = object.status.as_ref().and_then(|status| status.backup_name.clone());
    let id = object.status.as_ref().and_then(|status| status.backup_id.clone()).or(object.spec.source.existing_backup_id.clone());
    let ctx = ctx.clone();
    tokio::spawn(async move {
        let (started, by_id) = (ctx.clock.now(), matches!(scope, ListScope::Backup { .. }));
        match session.list(engine, &scope, Urgency::Urgent, || ctx.clock.now().wall).await {
            Ok(backups) if stock => drop(ctx.fleet.memory(&uid, |memory| memory.took_stock(started, backups, by_id))),
            Ok(backups) => {
                let mine = |backup: &RemoteBackup| Some(&backup.id) == id.as_ref() || Some(&backup.mark) == mark.as_ref();
                let found = backups.into_iter().filter(mine).collect();
                ctx.fleet.memory(&uid, |memory| memory.saw(started, found, by_id));
            }
            Err(error) => {
                recheck_if_refused(&ctx, &session, &account);
                let circumstances = circumstances(&ctx, &account, nudge);
                ctx.fleet.memory(&uid, |memory| failed(memory, started, &error, circumstances, Memory::could_not_look));
            }
        }
        ctx.fleet.wake(&uid);
    });
}

fn recheck_if_refused(ctx: &Context, session: &Session, account: &AccountKey) {
    if session.refused() {
        ctx.accounts.recheck(account);
    }
}

fn circumstances<'a>(ctx: &'a Context, account: &AccountKey, nudge: u64) -> Circumstances<'a> {
    Circumstances { now: ctx.clock.now(), epoch: ctx.accounts.epoch(account), nudge, settings: &ctx.options.settings }
}

/// What a listing begun at `started` came to that failed.
fn failed(
    memory: &mut Memory,
    started: Moment,
    error: &ListError,
    circumstances: Circumstances<'_>,
    note: impl FnOnce(&mut Memory, Trouble),
) {
    let trouble = trouble(error, memory.trouble.as_ref(), circumstances);
    note(memory, trouble);
    if matches!(error, ListError::Cloud(error) if error.tells_of_a_missing_instance()) {
        memory.instance_missing(started);
    }
}

fn trouble(error: &ListError, before: Option<&Trouble>, circumstances: Circumstances<'_>) -> Trouble {
    match error {
        ListError::Cloud(error) => outcome::unreadable(error, before, circumstances),
        ListError::Incomplete(message) => outcome::incomplete(message, before, circumstances),
    }
}

/// What one poll is about: an account and an engine, and for a service that lists per instance, the instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Topic {
    account: AccountKey,
    engine: Engine,
    instance_id: Option<String>,
    /// Whether it is about running backups; the settled ones have listings of their own, which go back to the beginning.
    running: bool,
}

/// When a topic may be polled again.
#[derive(Clone, Copy, Debug)]
struct Pace {
    not_before: Moment,
    under_way: bool,
}

type Paces = Arc<Mutex<HashMap<Topic, Pace>>>;

/// Polls until it is aborted, and never ends by itself: one listing for everything that waits for the same account and engine.
pub async fn poll(ctx: Arc<Context>) -> ! {
    let paces = Paces::default();
    let mut tick = tokio::time::interval((ctx.options.settings.poll_interval / 5).max(Duration::from_millis(10)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let topics = topics(ctx.fleet.watched(&ctx.options.settings, ctx.clock.now()));
        paces.lock().unwrap_or_else(PoisonError::into_inner).retain(|topic, pace| pace.under_way || topics.contains_key(topic));
        let crowds = crowds(&topics);
        for (topic, waiting) in topics {
            let crowd = crowds.get(&topic.account).copied().unwrap_or_default();
            poll_if_due(&ctx, &paces, topic, waiting, crowd);
        }
    }
}

fn topics(watched: Vec<Watched>) -> BTreeMap<Topic, Vec<Watched>> {
    let mut topics: BTreeMap<Topic, Vec<Watched>> = BTreeMap::new();
    for backup in watched {
        let instance_id = (!backup.engine.service().lists_by_project()).then(|| backup.instance_id.clone());
        let topic = Topic { account: backup.account.clone(), engine: backup.engine, instance_id, running: backup.is_running };
        topics.entry(topic).or_default().push(backup);
    }
    topics
}

/// How many instances of an account with running backups are polled one by one.
fn crowds(topics: &BTreeMap<Topic, Vec<Watched>>) -> HashMap<AccountKey, u32> {
    let mut crowds = HashMap::new();
    for topic in topics.keys().filter(|topic| topic.running && topic.instance_id.is_some()) {
        *crowds.entry(topic.account.clone()).or_default() += 1;
    }
    crowds
}

fn poll_if_due(ctx: &Arc<Context>, paces: &Paces, topic: Topic, waiting: Vec<Watched>, crowd: u32) {
    let Some(session) = ctx.accounts.session(&topic.account) else { return };
    let now = ctx.clock.now();
    let interval = interval(ctx, &session, &topic, &waiting, crowd, now);
    {
        let mut paces = paces.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open = paces.get(&topic).is_none_or(|pace| !pace.under_way && pace.not_before.mono <= now.mono);
        if !is_open || !waiting.iter().any(|backup| backup.wants_a_look(interval, now)) {
            return;
        }
        paces.insert(topic.clone(), Pace { not_before: now.plus(interval), under_way: true });
    }
    let (ctx, paces) = (ctx.clone(), paces.clone());
    tokio::spawn(async move {
        let pause = poll_once(&ctx, &session, &topic, &waiting).await.unwrap_or_default().max(interval);
        let not_before = now.plus(pause);
        paces.lock().unwrap_or_else(PoisonError::into_inner).insert(topic, Pace { not_before, under_way: false });
    });
}

impl Watched {
    /// A running backup that this process has never seen is due at once, as after a restart; one that it has just asked for, after an interval.
    fn wants_a_look(&self, interval: Duration, now: Moment) -> bool {
        if self.is_running { self.seen.is_none_or(|seen| now.since(seen) >= interval) } else { self.is_due }
    }
}

/// How often a topic is polled: as its youngest backup wants it, and never so that single instances take more than half of the account's rate.
fn interval(ctx: &Context, session: &Session, topic: &Topic, waiting: &[Watched], crowd: u32, now: Moment) -> Duration {
    let settings = &ctx.options.settings;
    let wanted = waiting.iter().map(|backup| settings.poll_after(now.since_wall(backup.asked))).min().unwrap_or(settings.poll_interval);
    if topic.instance_id.is_none() {
        return wanted;
    }
    wanted.max(Duration::from_secs_f64(f64::from(crowd) * 2.0 / f64::from(session.rate().max(1))))
}

/// One listing for everything in `waiting`. Answers with the pause that the cloud asked for, if it did.
async fn poll_once(ctx: &Arc<Context>, session: &Arc<Session>, topic: &Topic, waiting: &[Watched]) -> Option<Duration> {
    let started = ctx.clock.now();
    match session.list(topic.engine, &scope(topic, waiting, started.wall), Urgency::Poll, || ctx.clock.now().wall).await {
        Ok(backups) => {
            tell(ctx, waiting, &backups, started);
            None
        }
        Err(error) => {
            tracing::warn!(%error, account = %topic.account, engine = topic.engine.as_str(), "running backups could not be listed");
            recheck_if_refused(ctx, session, &topic.account);
            for backup in waiting {
                let circumstances = circumstances(ctx, &topic.account, backup.nudge);
                ctx.fleet.memory(&backup.uid, |memory| failed(memory, started, &error, circumstances, Memory::could_not_poll));
                ctx.fleet.wake(&backup.uid);
            }
            match error {
                ListError::Cloud(error) => error.retry_after,
                ListError::Incomplete(_) => None,
            }
        }
    }
}

/// The window begins an hour before the oldest backup that is waited for, since clocks differ and a project's history is long, and ends a day ahead.
/// There is none for settled backups, nor where an imported one is among them: it may be of any age.
fn scope(topic: &Topic, waiting: &[Watched], now: Timestamp) -> ListScope {
    let oldest =
        waiting.iter().map(|backup| backup.asked).min().filter(|_| topic.running && !waiting.iter().any(|backup| backup.is_imported));
    let window = oldest.and_then(|oldest| {
        let begin = oldest.checked_sub(SignedDuration::from_hours(1)).ok()?;
        let end = now.checked_add(SignedDuration::from_hours(24)).ok()?;
        Some(Window { begin, end })
    });
    match &topic.instance_id {
        Some(instance_id) => ListScope::Instance { instance_id: instance_id.clone(), window },
        None => ListScope::Project { window },
    }
}

/// Tells every waiting object what the listing showed of it, and wakes those for which that is news.
fn tell(ctx: &Context, waiting: &[Watched], backups: &[RemoteBackup], started: Moment) {
    let mut by_key: HashMap<&str, Vec<&RemoteBackup>> = HashMap::new();
    for backup in backups {
        by_key.entry(&backup.id).or_default().push(backup);
        by_key.entry(&backup.mark).or_default().push(backup);
    }
    for object in waiting {
        let keys = [object.backup_id.as_str(), object.mark.as_str()];
        let mut found: Vec<RemoteBackup> = Vec::new();
        for backup in keys.iter().filter(|key| !key.is_empty()).filter_map(|key| by_key.get(key)).flatten() {
            if !found.iter().any(|known| known.id == backup.id) {
                found.push((*backup).clone());
            }
        }
        let still_running = matches!(found.as_slice(), [only] if only.state == RemoteState::Running);
        let was_in_trouble = ctx.fleet.memory(&object.uid, |memory| {
            let trouble = memory.trouble.is_some();
            memory.polled(started, found);
            trouble
        });
        if !still_running || was_in_trouble == Some(true) {
            ctx.fleet.wake(&object.uid);
        }
    }
}
