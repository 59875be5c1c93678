//! The objects in the storm: who wants what of which instance, and what the cloud has of others.

use crate::{
    simulator::service::Service,
    size::{Dice, Size},
    world::World,
};
use database_backup_operator::{
    api::backup::{DatabaseBackup, DeletionPolicy},
    cloud::engine::Engine,
    plan::backup::name::backup_name,
};
use kube::ResourceExt;
use serde_json::json;
use std::time::Duration;

/// What somebody wants.
pub struct Wish {
    /// The object.
    pub object: DatabaseBackup,
    /// What becomes of it.
    pub fate: Fate,
    /// Number of kills after which it is asked for.
    pub born: usize,
    /// Number of kills after which it is deleted.
    pub dies: usize,
    /// Between deletion and flip.
    pub hesitates: Duration,
    /// Others have backups that look like its own.
    pub with_lookalikes: bool,
}

/// A finalizer of somebody else, who removes it when the storm is over.
pub const HOLD: &str = "example.com/hold";
/// The account that moves to another project and comes back.
pub const WANDERER: &str = "wanderer";

/// What its owner does with an object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Stays,
    /// Deletes it.
    IsDeleted,
    /// Deletes it, and flips its policy to Retain then.
    IsFlipped,
}

/// An object that the API server took.
pub struct Asked {
    /// As it was created.
    pub object: DatabaseBackup,
    /// Whether it is still there, as far as the client knows.
    pub end: End,
    /// Backups of others that look like its own.
    pub lookalikes: Vec<String>,
}

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It stays.
    Stays,
    /// It was deleted with the policy it had from the beginning.
    Deleted,
    /// Its policy was flipped to Retain before the operator had told of any deletion, so none can have begun.
    FlippedInTime,
    /// It was flipped when a deletion may have begun.
    FlippedLate,
}

impl Asked {
    pub fn name(&self) -> String {
        self.object.name_any()
    }

    pub fn engine(&self) -> Engine {
        self.object.spec.source.engine
    }

    /// The name of an attempt in the cloud.
    pub fn mark(&self, attempt: usize) -> String {
        let uid = self.object.uid().expect("it was created");
        let attempt = i32::try_from(attempt).expect("a few");
        backup_name(self.engine(), &self.name(), &uid, &self.object.spec.source.instance_id, attempt)
    }

    /// How many attempts it may take.
    pub fn allowed(&self) -> usize {
        usize::try_from(self.object.spec.backoff_limit).expect("not negative") + 1
    }

    /// Whether somebody else keeps it when it is deleted.
    pub fn is_held(&self) -> bool {
        self.object.finalizers().iter().any(|finalizer| finalizer == HOLD)
    }

    /// Whether its backups must be gone from the cloud.
    pub fn takes_along(&self) -> bool {
        self.end == End::Deleted && self.object.spec.deletion_policy == DeletionPolicy::Delete
    }

    /// Whether its backups may be deleted in the cloud.
    pub fn may_delete(&self) -> bool {
        self.takes_along() || self.end == End::FlippedLate
    }
}

/// In words.
pub fn told(asked: &[Asked]) -> String {
    let count = |wanted: fn(&Asked) -> bool| asked.iter().filter(|one| wanted(one)).count();
    let (all, gone) = (asked.len(), count(|one| one.end == End::Deleted));
    let (in_time, late) = (count(|one| one.end == End::FlippedInTime), count(|one| one.end == End::FlippedLate));
    format!("{all} objects ({gone} deleted, {} with their backups; {in_time} flipped in time, {late} late)", count(Asked::takes_along))
}

/// Accounts of both kinds of credentials, and one that moves.
pub async fn accounts(world: &World) -> [&'static str; 2] {
    world.account(WANDERER, 1000).await;
    world.account("by-password", 1000).await;
    world.secret("by-key", &[("accessKey", crate::simulator::ACCESS_KEY), ("secretKey", crate::simulator::SECRET_KEY)]).await;
    world.account_with("by-key", "accessKeySecretRef: {name: by-key}", 1000).await;
    ["by-password", "by-key"]
}

/// Backups of others on instances that nobody here asks for; some come from another cluster's operator.
pub fn strangers(world: &World, dice: &mut Dice) -> Vec<String> {
    let mut ids = vec![];
    for (nth, service) in ["geminidb", "taurusdb", "dcs"].into_iter().cycle().take(24).enumerate() {
        let (instance, text) = (format!("stranger-{}", nth / 6), format!("dbb-storm-{nth}-{:020x}", dice.seed()));
        world.cloud.add_instance(service, &instance);
        ids.push(if nth % 4 == 0 {
            world.cloud.add_automatic_backup(service, &instance, &text, Duration::from_secs(60))
        } else {
            world.cloud.add_backup(service, &instance, &text)
        });
    }
    // So many that listings of a project take several pages.
    for service in ["geminidb", "taurusdb"] {
        ids.extend(world.cloud.add_backups(service, "stranger-crowd", 150));
    }
    ids
}

/// Who wants what. One to three neighbours share an instance, so that turns matter; with all their attempts they stay under DCS's 24 backups.
pub fn wishes(world: &World, size: &Size, accounts: &[&str], dice: &mut Dice) -> Vec<Wish> {
    let mut wishes = vec![];
    let mut instances = 0;
    while wishes.len() < size.objects {
        // Not RDS: with the calls that it allows, a storm would last for an hour.
        let service = dice.pick(&[Service::GeminiDb, Service::TaurusDb, Service::TaurusDb, Service::Dcs, Service::Dds, Service::GaussDb]);
        let instance = format!("{:08x}in{instances:04}", dice.below(1 << 30));
        instances += 1;
        world.cloud.add_instance(service.name(), &instance);
        let together = dice.pick(&[1, 1, 1, 2, 3]);
        for _ in 0..together.min(size.objects - wishes.len()) {
            wishes.push(wish(wishes.len(), service, &instance, size, accounts, dice));
        }
    }
    wishes
}

fn wish(nth: usize, service: Service, instance: &str, size: &Size, accounts: &[&str], dice: &mut Dice) -> Wish {
    const WAVES: usize = 8;
    let engine = match service {
        Service::GeminiDb => Engine::GeminiDB,
        Service::Dcs => Engine::DCS,
        Service::Dds => Engine::DDS,
        Service::GaussDb => Engine::GaussDB,
        // Two faces of one service.
        _ => dice.pick(&[Engine::TaurusDB, Engine::GaussDBforMySQL]),
    };
    let can_delete = engine != Engine::GaussDBforMySQL;
    let (policy, fate) = match dice.below(100) {
        0..10 => ("Retain", Fate::IsDeleted),
        10..20 if can_delete => ("Delete", Fate::Stays),
        20..40 if can_delete => ("Delete", Fate::IsDeleted),
        40..50 if can_delete => ("Delete", Fate::IsFlipped),
        _ => ("Retain", Fate::Stays),
    };
    // Everything is asked for before the last fifth of the storm.
    let born = nth * WAVES / size.objects * size.kills * 4 / 5 / WAVES;
    // An account is away only when all of its objects have been taken on: whoever is asked for elsewhere belongs there.
    let wanders = born == 0 && dice.percent(50);
    let dies = if wanders { size.kills / 2 } else { born } + dice.below(size.kills / 4);
    let spec = json!({
        "accountRef": { "kind": "ClusterCloudAccount", "name": if wanders { WANDERER } else { dice.pick(accounts) } },
        "source": { "engine": engine.as_str(), "instanceId": instance },
        "deletionPolicy": policy,
        "backoffLimit": dice.below(4),
    });
    let mut object = DatabaseBackup::new(&format!("storm-{nth:04}"), serde_json::from_value(spec).expect("a valid spec"));
    if fate == Fate::IsDeleted && dice.percent(30) {
        object.metadata.finalizers = Some(vec![HOLD.to_owned()]);
    }
    Wish {
        object,
        fate,
        born,
        dies: dies.min(size.kills),
        hesitates: dice.pick(&[Duration::ZERO, Duration::from_millis(50), Duration::from_millis(500)]),
        with_lookalikes: nth.is_multiple_of(8),
    }
}

/// Backups of somebody else on the same instance, whose names nearly are this object's.
pub fn lookalikes(world: &World, asked: &Asked) -> Vec<String> {
    let mark = asked.mark(1);
    let service = asked.engine().api().label;
    let texts = match asked.engine() {
        Engine::DCS => [format!("{mark}0 nightly"), format!("of {mark}"), mark.to_ascii_uppercase()],
        _ => [format!("{}0", &mark[..mark.len() - 1]), format!("x{mark}").chars().take(64).collect(), mark.to_ascii_uppercase()],
    };
    // A digit more or less may be what the mark ends with.
    let texts = texts.into_iter().filter(|text| text.split(' ').next() != Some(&mark));
    texts.map(|text| world.cloud.add_backup(service, &asked.object.spec.source.instance_id, &text)).collect()
}
