//! Listings of the cloud, outside reconciles: a look for one object, and the polls that every running backup shares.

use crate::{
    api::backup::DatabaseBackup,
    cloud::{
        backup::{ListScope, RemoteBackup, RemoteState, Window},
        engine::Engine,
        permits::Urgency,
        session::{ListError, Listed, Session},
    },
    controller::{
        context::Context,
        store::backups::{Lot, Polled},
    },
    plan::{
        account::AccountKey,
        backup::{
            listing_result::{Covers, ListingResult, LookFor},
            name::own_marks,
            retry::AttemptContext,
        },
        clock::Moment,
        place::{Place, Project},
    },
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};
use tokio::time::sleep;

/// Looks for one object's backups at a place; or for everything that it ever had there. What it finds goes into the object's memory, and the
/// object is woken. A look at an instance serves all objects that wait for it.
pub fn look(ctx: &Arc<Context>, object: &Arc<DatabaseBackup>, session: Arc<Session>, place: Place, scope: ListScope, look_for: LookFor) {
    let (ctx, object) = (ctx.clone(), object.clone());
    // It may wait for its turn for long, beside thousands of others, so it keeps no more than it needs.
    tokio::spawn(async move {
        let (source, namespace) = (&object.spec.source, object.namespace().unwrap_or_default());
        let (Listed { backups, end }, started) = list(&ctx, &session, source.engine, &scope, Urgency::Urgent, &namespace).await;
        let (uid, account) = (object.uid().unwrap_or_default(), AccountKey::of(&object));
        let own: HashSet<String> = own_names(&object, &uid).collect();
        let covers = match (&end, &scope) {
            (Err(_), _) => Covers::Nothing,
            (Ok(()), ListScope::Backup { .. }) => Covers::TheBackup,
            (Ok(()), _) => Covers::Everything,
        };
        let is_own = |backup: &&RemoteBackup| own.contains(&backup.id) || own.contains(&backup.mark);
        let found = backups.iter().filter(is_own).cloned().collect();
        let result = ListingResult { place: Arc::new(place), started, covers, found };
        if covers == Covers::Everything {
            ctx.backups.share_survey(&account, source.engine, &source.instance_id, &backups, &result);
        }
        after_listing(&ctx, &session, &account);
        let attempt_context = attempt_context(&ctx, &account);
        ctx.backups.memory(&uid, |memory, status| {
            let place = result.place.clone();
            memory.looked(look_for, status, result);
            if let Err(error) = &end {
                memory.could_not_look(status, &place, started, error, attempt_context);
            }
        });
        ctx.backups.wake(&uid);
    });
}

/// Reads a listing, and notes when its first call began. That it waited for its turn before, perhaps for minutes, does not make it any older: who wants a
/// listing that is no older than a poll would never have one.
pub(in crate::controller) async fn list(
    ctx: &Context,
    session: &Session,
    engine: Engine,
    scope: &ListScope,
    urgency: Urgency,
    namespace: &str,
) -> (Listed, Moment) {
    let began = OnceLock::new();
    let now = || {
        let now = ctx.now();
        began.get_or_init(|| now);
        now.wall
    };
    let listed = session.list(engine, scope, urgency, namespace, now).await;
    (listed, began.get().copied().unwrap_or_else(|| ctx.now()))
}

/// By what an object's backups are recognised: the ids and the name in its status, the id that it is to adopt, and every name that it may ever have had.
fn own_names(object: &DatabaseBackup, uid: &str) -> impl Iterator<Item = String> {
    let (status, source) = (object.status.as_ref(), &object.spec.source);
    let recorded = status.into_iter().flat_map(|status| [status.backup_id.clone(), status.backup_name.clone()]);
    let marks: Vec<String> = own_marks(source.engine, &object.name_any(), uid, &source.instance_id).collect();
    recorded.chain([source.existing_backup_id.clone()]).flatten().chain(marks)
}

/// The account is verified again where the cloud refused its credentials, or its clock is no longer where the account says it is.
pub(in crate::controller) fn after_listing(ctx: &Context, session: &Session, account: &AccountKey) {
    if session.refused() || ctx.accounts.clock_changed(account, ctx.now()) {
        ctx.accounts.recheck(account);
    }
}

fn attempt_context<'a>(ctx: &'a Context, account: &AccountKey) -> AttemptContext<'a> {
    AttemptContext { now: ctx.now(), credentials_generation: ctx.accounts.credentials_generation(account), settings: &ctx.options.settings }
}

/// Settled objects that are told of a listing at the same time.
const AT_A_TIME: usize = 250;
/// How often it is looked whether they rest again, and between two looks.
const RESTS: usize = 100;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// Once there is something to poll for there often is more in a moment, such as the next of hundreds of accounts.
const SOON: Duration = Duration::from_millis(50);

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
        tokio::select! {
            _ = tick.tick() => {}
            // After a start thousands may have ended: they do not wait for the next tick. One listing is to serve all of them.
            () = ctx.backups.poll_soon.notified() => {
                sleep(SOON).await;
                if !ctx.know_all_backups() {
                    continue;
                }
            }
        }
        ctx.backups.wake_due(ctx.now());
        let settled = topics(ctx.backups.due(&ctx.options.settings, ctx.now()), false);
        let running = topics(ctx.backups.running_lots(), true);
        paces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|topic, pace| pace.under_way || running.contains(topic) || settled.contains(topic));
        // Most of the time nothing is, and then not a thousand backups are looked through for it.
        if !running.iter().chain(&settled).any(|topic| may_be_due(&ctx, &paces, topic)) {
            continue;
        }
        let running = by_topic(ctx.backups.running());
        let crowds = crowds(&running);
        for (topic, waiting) in running {
            poll_if_due(&ctx, &paces, topic, || waiting, &crowds);
        }
        for topic in settled {
            let waiting = || {
                let instance_id = topic.instance_id.as_deref();
                ctx.backups.settled(&topic.account, topic.engine, instance_id, &ctx.options.settings, ctx.now())
            };
            poll_if_due(&ctx, &paces, topic.clone(), waiting, &crowds);
        }
    }
}

impl Topic {
    fn of((account, engine, instance_id): Lot, running: bool) -> Self {
        Self { account: AccountKey::clone(&account), engine, instance_id: instance_id.map(|instance_id| instance_id.to_string()), running }
    }
}

/// One listing serves everything of a lot.
fn topics(lots: BTreeSet<Lot>, running: bool) -> BTreeSet<Topic> {
    lots.into_iter().map(|lot| Topic::of(lot, running)).collect()
}

fn by_topic(polled: Vec<Polled>) -> BTreeMap<Topic, Vec<Polled>> {
    let mut topics: BTreeMap<Topic, Vec<Polled>> = BTreeMap::new();
    for backup in polled {
        topics.entry(Topic::of(backup.lot(), backup.is_running)).or_default().push(backup);
    }
    topics
}

/// How many instances with running backups are polled one by one, by namespace: of each account, and of each of its engines.
type Crowds = HashMap<(AccountKey, Option<Engine>), HashMap<String, u32>>;

fn crowds(topics: &BTreeMap<Topic, Vec<Polled>>) -> Crowds {
    let mut crowds = Crowds::new();
    for (topic, waiting) in topics.iter().filter(|(topic, _)| topic.running && topic.instance_id.is_some()) {
        let namespaces: HashSet<String> = waiting.iter().map(|backup| backup.namespace.to_string()).collect();
        for engine in [None, Some(topic.engine)] {
            let crowd = crowds.entry((topic.account.clone(), engine)).or_default();
            for namespace in &namespaces {
                *crowd.entry(namespace.clone()).or_default() += 1;
            }
        }
    }
    crowds
}

/// What share of the instances that are polled one by one a namespace makes it: of those of the account, and of those of the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Share {
    of_account: u32,
    of_engine: u32,
}

/// On whose behalf an instance is polled, and what share of the account's instances that are polled one by one that makes it: the namespace that has the
/// fewest of them waits the shortest, and each has the same part of the rate.
fn turn(topic: &Topic, waiting: &[Polled], crowds: &Crowds) -> (String, Share) {
    // A listing of all instances serves everybody.
    if topic.instance_id.is_none() {
        return Default::default();
    }
    let share = |namespace: &String, engine| {
        let crowd = crowds.get(&(topic.account.clone(), engine));
        crowd.map_or(1, |crowd| crowd.get(namespace).copied().unwrap_or_default().max(1) * size(crowd))
    };
    let share = |namespace: &String| Share { of_account: share(namespace, None), of_engine: share(namespace, Some(topic.engine)) };
    let shares = waiting.iter().map(|backup| backup.namespace.to_string()).map(|namespace| (share(&namespace), namespace));
    let (share, namespace) = shares.min().unwrap_or_default();
    (namespace, share)
}

fn size(crowd: &HashMap<String, u32>) -> u32 {
    u32::try_from(crowd.len()).unwrap_or(u32::MAX)
}

/// Whether a topic's account can be used, and its last poll is over and long enough ago.
fn may_be_due(ctx: &Context, paces: &Paces, topic: &Topic) -> bool {
    let pace = paces.lock().unwrap_or_else(PoisonError::into_inner).get(topic).copied();
    pace.is_none_or(|pace| !pace.under_way && pace.not_before.mono <= ctx.now().mono) && ctx.accounts.session(&topic.account).is_some()
}

/// `waiting`: what the poll is about, which is asked for only when the topic's time has come.
fn poll_if_due(ctx: &Arc<Context>, paces: &Paces, topic: Topic, waiting: impl FnOnce() -> Vec<Polled>, crowds: &Crowds) {
    let Some(session) = ctx.accounts.session(&topic.account) else { return };
    let now = ctx.now();
    if !may_be_due(ctx, paces, &topic) {
        return;
    }
    let mut waiting = waiting();
    // What is seen elsewhere than where a backup is says nothing of it.
    let project = project_of(&session);
    waiting.retain(|backup| backup.is_in(&project));
    let (namespace, share) = turn(&topic, &waiting, crowds);
    let interval = interval(ctx, &session, &topic, &waiting, share, now);
    if !waiting.iter().any(|backup| backup.wants_a_look(interval, now)) {
        return;
    }
    paces.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.clone(), Pace { not_before: now.plus(interval), under_way: true });
    let (ctx, paces) = (ctx.clone(), paces.clone());
    tokio::spawn(async move {
        let pause = poll_once(&ctx, &session, &topic, &waiting, &namespace).await.unwrap_or_default().max(interval);
        let not_before = now.plus(pause);
        paces.lock().unwrap_or_else(PoisonError::into_inner).insert(topic, Pace { not_before, under_way: false });
    });
}

impl Polled {
    /// A running backup that this process has never seen is due at once, as after a restart; one that it has just asked for, after an interval.
    fn wants_a_look(&self, interval: Duration, now: Moment) -> bool {
        if self.is_running { self.seen.is_none_or(|seen| now.since(seen) >= interval) } else { self.is_due }
    }
}

/// How often a topic is polled: as its youngest backup wants it, and never so that single instances take more than half of the account's rate, or of what the
/// service allows.
fn interval(ctx: &Context, session: &Session, topic: &Topic, waiting: &[Polled], share: Share, now: Moment) -> Duration {
    let settings = &ctx.options.settings;
    let wanted = waiting.iter().map(|backup| settings.poll_after(now.since_wall(backup.asked))).min().unwrap_or(settings.poll_interval);
    let spread = |share: u32, calls_per_second: f64| Duration::from_secs_f64(f64::from(share) * 2.0 / calls_per_second);
    let of_account = spread(share.of_account, f64::from(session.permits().rate()));
    wanted.max(of_account).max(spread(share.of_engine, session.calls_per_second(topic.engine)))
}

fn project_of(session: &Session) -> Project {
    Project { cloud: session.cloud(), region: session.region().to_owned(), project_id: session.project_id().to_owned() }
}

/// One listing for everything in `waiting`. Answers with the pause that the cloud asked for, if it did.
async fn poll_once(ctx: &Arc<Context>, session: &Arc<Session>, topic: &Topic, waiting: &[Polled], namespace: &str) -> Option<Duration> {
    let scope = scope(topic, waiting, session.cloud_now(), ctx.now());
    let (Listed { backups, end }, started) = list(ctx, session, topic.engine, &scope, Urgency::Poll, namespace).await;
    after_listing(ctx, session, &topic.account);
    let covers = match (&end, &scope) {
        (Err(_), _) => Covers::Nothing,
        (Ok(()), ListScope::Project { window: Some(_), .. }) => Covers::AWindow,
        (Ok(()), _) => Covers::Everything,
    };
    let place = Place { project: project_of(session), endpoint: session.host(topic.engine).unwrap_or_default().to_owned() };
    let result = ListingResult { place: Arc::new(place), started, covers, found: Vec::new() };
    hand_out(ctx, topic, waiting, &backups, &result).await;
    let error = end.err()?;
    tracing::warn!(%error, account = %topic.account, engine = topic.engine.as_str(), "the listing that running backups share is not complete");
    let attempt_context = attempt_context(ctx, &topic.account);
    let shown: HashSet<&str> = backups.iter().map(|backup| backup.id.as_str()).collect();
    for backup in waiting.iter().filter(|backup| !shown.contains(backup.backup_id.as_str())) {
        ctx.backups.memory(&backup.uid, |memory, status| memory.could_not_poll(status, &result.place, started, &error, attempt_context));
        ctx.backups.wake(&backup.uid);
    }
    match error {
        ListError::Cloud(error) => error.retry_after(),
        ListError::Incomplete(_) => None,
    }
}

/// The window begins an hour before the oldest backup that is waited for, since clocks differ and a project's history is long, and ends a day ahead.
/// There is none for settled backups, nor where an imported one is among them: it may be of any age. Nor where this machine's clock, by which requests are
/// dated, and the cloud's disagree.
fn scope(topic: &Topic, waiting: &[Polled], cloud_now: Option<Timestamp>, now: Moment) -> ListScope {
    let automatic = waiting.iter().any(|backup| backup.is_imported);
    if let Some(instance_id) = &topic.instance_id {
        return ListScope::Instance { instance_id: instance_id.clone(), automatic };
    }
    let agree = cloud_now.is_none_or(|cloud_now| now.agrees_with(cloud_now));
    let oldest = waiting.iter().map(|backup| backup.asked).min().filter(|_| topic.running && agree && !automatic);
    let window = oldest.and_then(|oldest| {
        let begin = oldest.checked_sub(SignedDuration::from_hours(1)).ok()?;
        let end = now.wall.checked_add(SignedDuration::from_hours(24)).ok()?;
        (begin < now.wall).then_some(Window { begin, end })
    });
    ListScope::Project { window, automatic }
}

/// Tells every waiting object what the listing showed of it, and wakes those for which that is news. Settled ones come out of their rest for it: so many at a
/// time as memory has room for, however many there are.
async fn hand_out(ctx: &Context, topic: &Topic, waiting: &[Polled], backups: &[RemoteBackup], result: &ListingResult) {
    let mut by_key: HashMap<&str, Vec<&RemoteBackup>> = HashMap::new();
    for backup in backups {
        by_key.entry(&backup.id).or_default().push(backup);
        by_key.entry(&backup.mark).or_default().push(backup);
    }
    let mut before: &[Polled] = &[];
    for some in waiting.chunks(AT_A_TIME) {
        if !topic.running {
            until_they_rest(ctx, before).await;
        }
        for object in some {
            hand_to(ctx, object, &by_key, result);
        }
        before = some;
    }
}

fn hand_to(ctx: &Context, object: &Polled, by_key: &HashMap<&str, Vec<&RemoteBackup>>, result: &ListingResult) {
    let keys = [object.backup_id.as_str(), object.mark.as_str()];
    let mut found: Vec<RemoteBackup> = Vec::new();
    for backup in keys.iter().filter(|key| !key.is_empty()).filter_map(|key| by_key.get(key)).flatten() {
        if !found.iter().any(|known| known.id == backup.id) {
            found.push((*backup).clone());
        }
    }
    let still_running = matches!(found.as_slice(), [only] if only.state == RemoteState::Running);
    let was_in_trouble = ctx.backups.memory(&object.uid, |memory, status| {
        let retry = memory.retry.is_some();
        memory.polled(status, ListingResult { found, ..result.clone() });
        retry
    });
    if !still_running || was_in_trouble == Some(true) {
        ctx.backups.wake(&object.uid);
    }
}

/// Waits until objects rest again that were woken; and not for ever, since one of them may have something to do.
async fn until_they_rest(ctx: &Context, some: &[Polled]) {
    for _ in 0..RESTS {
        if !ctx.backups.is_any_live(some.iter().map(|object| &*object.uid)) {
            return;
        }
        sleep(BETWEEN_LOOKS).await;
    }
}
