//! Everything the simulated cloud knows, and how it changes with time.
//!
//! Time passes lazily: before anything looks at the backups, [`Cloud::settle`] ends those that are due.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use super::{
    agents::Agents,
    attempts::Ledger,
    backup::{Backup, Kind, Order, Progress},
    calls::Call,
    faults,
    identity::Provider,
    keys::AccessKey,
    message::Reply,
    pace::Pace,
    service::Service,
    settings::{ListOrder, Settings},
};

/// What the names (for DCS the remarks) of the backups begin with that the dial `restless` puts in.
pub const RESTLESS: &str = "restless";

/// An account of the cloud with its one IAM user. None sees another's projects.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// The account's name.
    pub domain: String,
    /// The account's id.
    pub id: String,
    /// The user's name.
    pub user: String,
    /// The user's id.
    pub user_id: String,
    /// The user's password.
    pub password: String,
}

/// A project; its name is its region's, or `<region>_<sub>`.
#[derive(Clone, Debug, Serialize)]
pub struct Project {
    /// The id of the account that it belongs to.
    pub domain: String,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A database instance.
#[derive(Clone, Debug, Serialize)]
pub struct Instance {
    /// Whose it is.
    pub service: Service,
    /// Its id.
    pub id: String,
    /// Its project's id.
    pub project: String,
    /// A DCS instance without a standby: cannot be backed up.
    pub single_node: bool,
    /// An RDS read replica: cannot be backed up.
    pub read_replica: bool,
    /// Something else runs on it: every create is refused as busy.
    pub busy: bool,
}

/// A token; without a project it is good for IAM only, without an end it never expires.
pub struct Token {
    /// The secret text.
    pub value: String,
    /// The id of the account whose user has it.
    pub domain: String,
    /// The project it is scoped to.
    pub project: Option<String>,
    /// The identity provider whose ID token bought it.
    pub provider: Option<String>,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// The simulated cloud.
pub struct Cloud {
    /// Dials.
    pub settings: Settings,
    /// Accounts; the first is whom everything belongs to that names no other.
    pub tenants: Vec<Tenant>,
    /// Projects of all accounts, the first one's first.
    pub projects: Vec<Project>,
    /// Instances.
    pub instances: Vec<Instance>,
    /// Backups, oldest first.
    pub backups: Vec<Backup>,
    /// Tokens that were issued or handed out.
    pub tokens: Vec<Token>,
    /// Access keys.
    pub access_keys: Vec<AccessKey>,
    /// OIDC identity providers.
    pub identity_providers: Vec<Provider>,
    /// Bad signatures and bad passwords so far.
    pub ledger: Ledger,
    /// The metadata service of a node, and the pod identity agent.
    pub agents: Agents,
    /// Projects in which their account's user may do nothing.
    pub denied_projects: BTreeSet<String>,
    /// Services that refuse everything for want of permission.
    pub denied: BTreeSet<Service>,
    /// What is not published: a service and the start of `METHOD /path`.
    pub unpublished: Vec<(Service, String)>,
    /// Backups that will fail: of which service, how many.
    pub doomed: Vec<(Option<Service>, u32)>,
    /// Requests so far.
    pub calls: Vec<Call>,
    /// The calls to RDS, which is the one service that says how many it allows.
    pub rds_pace: Pace,
    /// Where the dial `restless` is at work: whether backups become more there, or fewer.
    pub(super) tides: BTreeMap<(Service, String, String), bool>,
    dice: u64,
}

impl Cloud {
    /// A cloud with two accounts, each with projects, a user and an access key of its own.
    pub fn new() -> Self {
        let project = |domain: &'static str| {
            move |(name, id): &(&str, &str)| Project { domain: domain.to_owned(), id: (*id).to_owned(), name: (*name).to_owned() }
        };
        let tenant = |[domain, id, user, user_id, password]: [&str; 5]| Tenant {
            domain: domain.to_owned(),
            id: id.to_owned(),
            user: user.to_owned(),
            user_id: user_id.to_owned(),
            password: password.to_owned(),
        };
        let own = super::PROJECTS.iter().map(project(super::DOMAIN_ID));
        Self {
            settings: Settings::default(),
            tenants: vec![
                tenant([super::DOMAIN, super::DOMAIN_ID, super::USER, super::USER_ID, super::PASSWORD]),
                tenant([super::OTHER_DOMAIN, super::OTHER_DOMAIN_ID, super::OTHER_USER, super::OTHER_USER_ID, super::OTHER_PASSWORD]),
            ],
            projects: own.chain(super::OTHER_PROJECTS.iter().map(project(super::OTHER_DOMAIN_ID))).collect(),
            instances: Vec::new(),
            backups: Vec::new(),
            tokens: Vec::new(),
            access_keys: vec![
                AccessKey::new(super::ACCESS_KEY, super::SECRET_KEY, None, None),
                AccessKey::new(super::OTHER_ACCESS_KEY, super::OTHER_SECRET_KEY, None, None).of(super::OTHER_DOMAIN_ID),
            ],
            identity_providers: Vec::new(),
            ledger: Ledger::default(),
            agents: Agents::new(),
            denied_projects: BTreeSet::new(),
            denied: BTreeSet::new(),
            unpublished: Vec::new(),
            doomed: Vec::new(),
            calls: Vec::new(),
            rds_pace: Pace::default(),
            tides: BTreeMap::new(),
            dice: 1,
        }
    }

    /// The cloud's clock.
    pub fn now(&self) -> Timestamp {
        let offset = SignedDuration::from_secs(self.settings.clock_offset_seconds);
        let told = self.settings.clock_stands_at.unwrap_or_else(Timestamp::now);
        told.checked_add(offset).unwrap_or(Timestamp::MAX)
    }

    /// The project of this id or, failing that, of this name.
    pub fn project(&self, id_or_name: &str) -> Option<&Project> {
        self.projects
            .iter()
            .find(|project| project.id == id_or_name)
            .or_else(|| self.projects.iter().find(|project| project.name == id_or_name))
    }

    /// Whether a project is one of Open Telekom Cloud's, by its region; the others are Huawei Cloud's.
    pub fn is_open_telekom(&self, project: &str) -> bool {
        let regions = ["eu-de", "eu-nl", "eu-ch2"];
        self.project(project).is_some_and(|project| regions.iter().any(|region| project.name.starts_with(region)))
    }

    /// The instance, if it exists in this project.
    pub fn instance(&self, service: Service, project: &str, id: &str) -> Option<Instance> {
        let known = self.instances.iter().find(|known| known.service == service && known.project == project && known.id == id).cloned();
        known.or_else(|| {
            self.settings.any_instance.then(|| Instance {
                service,
                id: id.to_owned(),
                project: project.to_owned(),
                single_node: false,
                read_replica: false,
                busy: false,
            })
        })
    }

    /// Lets time pass for the backups.
    pub fn settle(&mut self) {
        let now = Instant::now();
        for backup in self.backups.iter_mut().filter(|backup| !backup.deleted) {
            if backup.progress == Progress::Running && backup.due <= now && !self.settings.hold_backups {
                let taken = SignedDuration::try_from(backup.due - backup.born).unwrap_or_default();
                backup.end(backup.created.checked_add(taken).unwrap_or(backup.created));
            }
            if backup.vanishes.is_some_and(|at| at <= now) {
                backup.deleted = true;
            }
        }
    }

    /// Ends every running backup now.
    pub fn complete_all(&mut self) {
        let now = self.now();
        for backup in self.backups.iter_mut().filter(|backup| backup.running()) {
            backup.end(now);
        }
    }

    /// Holds running backups, or lets them go; one that was held past its time ends at this moment.
    pub fn hold(&mut self, hold: bool) {
        self.settle();
        if self.settings.hold_backups && !hold {
            let now = Instant::now();
            for backup in self.backups.iter_mut().filter(|backup| backup.running()) {
                backup.due = backup.due.max(now);
            }
        }
        self.settings.hold_backups = hold;
        self.settle();
    }

    /// Whether the instance is busy with a backup.
    pub fn backing_up(&self, service: Service, instance: &str) -> bool {
        self.backups.iter().any(|backup| backup.service == service && backup.instance == instance && backup.running())
    }

    /// Whether the project has a backup of this name.
    pub fn name_taken(&self, service: Service, project: &str, name: &str) -> bool {
        let same = |backup: &Backup| backup.service == service && backup.project == project && backup.name == name;
        self.settings.check_duplicate_names && self.backups.iter().any(|backup| same(backup) && !backup.deleted)
    }

    /// Starts a backup; the caller has checked that it may.
    pub fn begin(&mut self, order: Order) -> &Backup {
        let doomed = self.draw_doom(order.service);
        let created = self.now();
        let born = Instant::now();
        let hex = Uuid::new_v4().simple().to_string();
        let id = match order.service {
            Service::Dcs => Uuid::new_v4().to_string(),
            Service::TaurusDb if order.legacy => Uuid::new_v4().to_string(),
            Service::TaurusDb => format!("{hex}br07"),
            Service::Iam | Service::GeminiDb => format!("{hex}br06"),
            Service::Rds => format!("{hex}br01"),
            Service::Dds => format!("{hex}br02"),
            Service::GaussDb => format!("{hex}br14"),
        };
        let name = if order.service == Service::Dcs { format!("backup_{}", created.strftime("%Y%m%d%H%M%S")) } else { order.name };
        let at = self.backups.len();
        self.backups.push(Backup {
            id,
            service: order.service,
            project: order.project,
            instance: order.instance,
            name,
            description: order.description,
            format: order.format,
            kind: Kind::Manual,
            legacy: order.legacy,
            tables: order.tables,
            job: Uuid::new_v4().to_string(),
            created,
            ended: None,
            progress: Progress::Running,
            doomed,
            size: self.settings.backup_size,
            is_useless: false,
            deleted: false,
            born,
            due: born + Duration::from_millis(self.settings.backup_duration_ms),
            visible: born + Duration::from_millis(self.settings.list_lag_ms),
            vanishes: None,
        });
        &self.backups[at]
    }

    fn draw_doom(&mut self, service: Service) -> bool {
        let doom = self.doomed.iter_mut().find(|(of, left)| *left > 0 && of.is_none_or(|of| of == service));
        if let Some((_, left)) = doom {
            *left -= 1;
            return true;
        }
        self.settings.fail_percent > 0 && faults::next(&mut self.dice) % 100 < u64::from(self.settings.fail_percent)
    }

    /// Where the dice start.
    pub fn seed(&mut self, seed: u64) {
        self.dice = seed;
    }

    /// Starts an asynchronous delete.
    pub fn vanish_soon(&mut self, id: &str) {
        let at = Instant::now() + Duration::from_millis(self.settings.delete_duration_ms);
        if let Some(backup) = self.backups.iter_mut().find(|backup| backup.id == id) {
            backup.vanishes = Some(at);
        }
        self.settle();
    }

    /// Backups that a list may show, in the order of lists.
    pub fn listed(&mut self, service: Service, project: &str) -> Vec<Backup> {
        let now = Instant::now();
        let deleted_too = service == Service::Dcs && self.settings.list_deleted_dcs;
        let shown = |backup: &&Backup| {
            backup.service == service && backup.project == project && backup.visible <= now && (deleted_too || !backup.deleted)
        };
        let mut listed: Vec<Backup> = self.backups.iter().filter(shown).cloned().collect();
        match self.settings.list_order {
            ListOrder::Oldest => {}
            ListOrder::Newest => listed.reverse(),
            ListOrder::Shuffled => {
                for last in (1..listed.len()).rev() {
                    let pick = faults::next(&mut self.dice) % (last as u64 + 1);
                    listed.swap(last, usize::try_from(pick).unwrap_or(0));
                }
            }
        }
        // A schedule's backup that a test put in with an earlier time still sorts by that time.
        match self.settings.list_order {
            ListOrder::Newest => listed.sort_by_key(|backup| std::cmp::Reverse(backup.created)),
            ListOrder::Oldest => listed.sort_by_key(|backup| backup.created),
            ListOrder::Shuffled => {}
        }
        listed
    }

    /// The total that a list of so many records tells.
    pub fn told(&self, records: usize) -> usize {
        let told = i64::try_from(records).unwrap_or(i64::MAX).saturating_add(self.settings.total_offset);
        usize::try_from(told).unwrap_or_default()
    }

    /// With the dial `restless`: somebody else's backup comes, or goes, before a page is answered. Within one listing the change has one direction, so
    /// that no two of its pages have the same total; on a first page it may turn.
    pub fn stir(&mut self, service: Service, project: &str, instance: Option<&str>, is_first_page: bool) {
        if !self.settings.restless {
            return;
        }
        let instance = instance.unwrap_or(RESTLESS).to_owned();
        let is_stray = |backup: &Backup| {
            let text = if service == Service::Dcs { &backup.description } else { &backup.name };
            (backup.service, &*backup.project, &backup.instance) == (service, project, &instance) && text.starts_with(RESTLESS)
        };
        let strays = self.backups.iter().filter(|backup| is_stray(backup)).count();
        // DCS keeps few backups of an instance, and nobody's own may be rotated out by these.
        let most = if service == Service::Dcs { 1 } else { 40 };
        let grows = self.tides.entry((service, project.to_owned(), instance.clone())).or_insert(true);
        if is_first_page && strays >= most {
            *grows = false;
        } else if strays == 0 || is_first_page && strays <= most / 2 {
            *grows = true;
        }
        if *grows {
            let text = format!("{RESTLESS}-{}", &Uuid::new_v4().simple().to_string()[..12]);
            let id = self.put(service, project, &instance, &text, Kind::Manual, Duration::ZERO);
            // At once, whatever the lag is: the page is about to be answered.
            self.backups.iter_mut().filter(|backup| backup.id == id).for_each(|backup| backup.visible = backup.born);
        } else if let Some(last) = self.backups.iter().rposition(is_stray) {
            self.backups.remove(last);
        }
    }

    /// Drops the oldest backups of a DCS instance beyond what is kept.
    pub fn rotate_dcs(&mut self, instance: &str) {
        let kept = self.settings.dcs_backups_kept;
        let mine = |backup: &&mut Backup| backup.service == Service::Dcs && backup.instance == instance && !backup.deleted;
        let surplus = self.backups.iter_mut().filter(mine).count().saturating_sub(kept);
        self.backups.iter_mut().filter(mine).take(surplus).for_each(|oldest| oldest.deleted = true);
    }

    /// Removes an instance. DCS takes all its backups along; RDS, DDS and `GaussDB` those of the schedule, and keep the manual ones.
    pub fn remove_instance(&mut self, id: &str) {
        self.instances.retain(|instance| instance.id != id);
        for backup in self.backups.iter_mut().filter(|backup| backup.instance == id) {
            backup.deleted |= match backup.service {
                Service::Dcs => true,
                Service::Rds | Service::Dds | Service::GaussDb => backup.automatic(),
                Service::Iam | Service::GeminiDb | Service::TaurusDb => false,
            };
        }
    }

    /// Whether this method and path are published here.
    pub fn published(&self, service: Service, method: &str, path: &str) -> bool {
        let line = format!("{method} {path}");
        !self.unpublished.iter().any(|(of, start)| *of == service && line.starts_with(start.as_str()))
    }
}

/// Either the value or the refusal that goes out.
pub type Checked<T> = Result<T, Reply>;
