//! What is seen of one schedule and around it when a decision is made.

use super::{
    child::{Child, Instance},
    survey::Target,
};
use crate::{
    api::schedule::{DatabaseBackupScheduleSpec, DatabaseBackupScheduleStatus},
    plan::{account::AccountKey, backup::seen::Account, clock::Moment, settings::Settings},
};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// One schedule, its backups, and the time.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Name.
    pub name: &'a str,
    /// Namespace.
    pub namespace: &'a str,
    /// UID.
    pub uid: &'a str,
    /// Generation of the spec.
    pub generation: Option<i64>,
    /// It is being deleted.
    pub deleting: bool,
    /// What was asked for.
    pub spec: &'a DatabaseBackupScheduleSpec,
    /// What the operator wrote last.
    pub status: &'a DatabaseBackupScheduleStatus,
    /// Its backups, and what looks like one of them.
    pub children: &'a [Child],
    /// Ids of backups that objects have adopted.
    pub adopted: &'a BTreeSet<String>,
    /// The account that its template names.
    pub account: &'a Account,
    /// The timing flags.
    pub settings: &'a Settings,
    /// Now.
    pub now: Moment,
}

impl<'a> Seen<'a> {
    /// Its own backups.
    pub fn own(&self) -> impl Iterator<Item = &'a Child> + use<'a> {
        self.children.iter().filter(|child| child.is_of_the_schedule())
    }

    /// The instance of its template, as that account sees it.
    pub fn target(&self) -> Target {
        let template = &self.spec.backup_template.spec;
        Target {
            account: AccountKey::named(&template.account_ref, self.namespace),
            instance: Instance { engine: template.source.engine, id: template.source.instance_id.clone() },
        }
    }

    /// A number that differs from schedule to schedule.
    pub fn lot(&self) -> u64 {
        self.uid.bytes().fold(0, |lot, byte| lot.wrapping_mul(31).wrapping_add(byte.into()))
    }

    /// The cloud's time now, if it is known; else this machine's.
    pub fn cloud_now(&self) -> Timestamp {
        self.account.cloud_now().unwrap_or(self.now.wall)
    }
}
