//! What a test can do to the cloud, and what it can see of it.

use std::{
    collections::BTreeMap,
    sync::MutexGuard,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};

use super::{
    Simulator,
    backup::{BackupRecord, Given, Kind, Order, Progress, Stage},
    calls::Call,
    faults::Fault,
    service::Service,
    settings::{ListOrder, Settings},
    state::{Cloud, Instance, Project, Token},
};

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Cloud {
    /// Adds an instance to a project, given by id or by name; an instance of the same id is replaced.
    pub fn add_instance(&mut self, service: Service, project: &str, id: &str, single_node: bool) -> Option<()> {
        let project = self.project(project)?.id.clone();
        self.instances.retain(|known| known.id != id || known.service != service);
        self.instances.push(Instance { service, id: id.to_owned(), project, single_node, read_replica: false, busy: false });
        Some(())
    }

    /// Makes an RDS instance a read replica.
    pub fn make_read_replica(&mut self, id: &str) {
        for known in self.instances.iter_mut().filter(|known| known.service == Service::Rds && known.id == id) {
            known.read_replica = true;
        }
    }

    /// Adds a project to the first account; its name is its region's or `<region>_<sub>`.
    pub fn add_project(&mut self, id: &str, name: &str) {
        self.projects.retain(|known| known.id != id);
        self.projects.push(Project { domain: super::DOMAIN_ID.to_owned(), id: id.to_owned(), name: name.to_owned() });
    }

    /// Changes the password of the first account's user.
    pub fn set_password(&mut self, password: &str) {
        if let Some(first) = self.tenants.first_mut() {
            password.clone_into(&mut first.password);
        }
    }

    /// Adds a token that never expires.
    pub fn add_token(&mut self, value: &str, project: &str) -> Option<()> {
        let Project { domain, id, .. } = self.project(project)?.clone();
        self.tokens.push(Token { value: value.to_owned(), domain, project: Some(id), provider: None, expires: None });
        Some(())
    }

    /// Puts in a finished backup that nobody asked for over HTTP, in the instance's project. `text` is its name, for DCS its remark.
    pub fn add_backup(&mut self, service: Service, instance: &str, text: &str, kind: Kind, age: Duration) -> String {
        self.give(service, instance, text, Given { kind, age, ..Given::default() })
    }

    /// The same in any state.
    pub fn give(&mut self, service: Service, instance: &str, text: &str, given: Given) -> String {
        let project =
            self.instances.iter().find(|known| known.service == service && known.id == instance).map(|known| known.project.clone());
        let project = project.unwrap_or_else(|| super::PROJECTS[0].1.to_owned());
        let id = self.put(service, &project, instance, text, given.kind, given.age);
        if let Some(backup) = self.backups.iter_mut().find(|backup| backup.id == id) {
            backup.is_useless = given.is_useless;
            match given.stage {
                Stage::Completed => {}
                Stage::Failed => (backup.progress, backup.size) = (Progress::Failed, 0),
                Stage::Running => {
                    (backup.progress, backup.ended) = (Progress::Running, None);
                    // Only a word ends it: `due` is as far away as a test can last.
                    backup.due = backup.born + Duration::from_secs(24 * 3600);
                }
            }
        }
        id
    }

    /// The same in a project.
    pub(super) fn put(&mut self, service: Service, project: &str, instance: &str, text: &str, kind: Kind, age: Duration) -> String {
        let dcs = service == Service::Dcs;
        let doomed = std::mem::take(&mut self.doomed);
        let fail_percent = std::mem::take(&mut self.settings.fail_percent);
        let id = self
            .begin(Order {
                service,
                project: project.to_owned(),
                instance: instance.to_owned(),
                name: if dcs { String::new() } else { text.to_owned() },
                description: if dcs { text.to_owned() } else { String::new() },
                format: if dcs { "rdb".to_owned() } else { String::new() },
                legacy: false,
                tables: None,
            })
            .id
            .clone();
        self.doomed = doomed;
        self.settings.fail_percent = fail_percent;
        let age = SignedDuration::try_from(age).unwrap_or_default();
        if let Some(backup) = self.backups.last_mut() {
            backup.created = backup.created.checked_sub(age).unwrap_or(Timestamp::MIN);
            backup.kind = kind;
            backup.progress = Progress::Completed;
            backup.ended = Some(backup.created);
        }
        // Oldest first is what rotation relies on.
        self.backups.sort_by_key(|backup| backup.created);
        id
    }

    /// Puts in many, all of this moment and manual; their names begin with `text`.
    pub fn add_backups(&mut self, service: Service, instance: &str, text: &str, count: usize) -> Vec<String> {
        (0..count).map(|nth| self.add_backup(service, instance, &format!("{text}-{nth}"), Kind::Manual, Duration::ZERO)).collect()
    }

    /// Takes a backup away behind everybody's back.
    pub fn lose_backup(&mut self, id: &str) -> bool {
        let found = self.backups.iter_mut().find(|backup| backup.id == id && !backup.deleted);
        found.map(|backup| backup.deleted = true).is_some()
    }

    /// How often it was asked to delete each backup, by id; refused calls included.
    pub fn deletes(&self) -> BTreeMap<String, usize> {
        let mut deletes = BTreeMap::new();
        for call in self.calls.iter().filter(|call| call.operation == "delete") {
            let path = call.path_and_query.split('?').next().unwrap_or_default();
            *deletes.entry(path.rsplit('/').next().unwrap_or_default().to_owned()).or_default() += 1;
        }
        deletes
    }

    /// Makes the service say this word for a backup's state; the usual words mean what they usually mean.
    pub fn say_status(&mut self, id: &str, word: &str) -> bool {
        let now = self.now();
        let Some(backup) = self.backups.iter_mut().find(|backup| backup.id == id) else { return false };
        backup.progress = match word {
            "BUILDING" | "backuping" => Progress::Running,
            "COMPLETED" | "succeed" => Progress::Completed,
            "FAILED" | "failed" => Progress::Failed,
            other => Progress::Said(other.to_owned()),
        };
        backup.ended = (backup.progress != Progress::Running).then(|| backup.ended.unwrap_or(now));
        true
    }
}

impl Simulator {
    /// The cloud itself, for what no method covers. Do not hold it across an await.
    pub fn cloud(&self) -> MutexGuard<'_, Cloud> {
        self.shared.cloud()
    }

    /// Adds an instance (`geminidb`, `taurusdb`, `dcs`, `rds`, `dds` or `gaussdb`) to the default project.
    pub fn add_instance(&self, engine: &str, id: &str) {
        self.add_instance_in(super::PROJECTS[0].1, engine, id);
    }

    /// Adds an instance to a project, given by id or by name.
    #[allow(clippy::expect_used, reason = "a misspelt project should stop the test at once")]
    pub fn add_instance_in(&self, project: &str, engine: &str, id: &str) {
        self.cloud().add_instance(Service::expect(engine), project, id, false).expect("no such project");
    }

    /// Adds a DCS instance that cannot be backed up.
    pub fn add_single_node_dcs(&self, id: &str) {
        self.cloud().add_instance(Service::Dcs, super::PROJECTS[0].1, id, true);
    }

    /// Adds an RDS read replica, which cannot be backed up, to the default project.
    pub fn add_read_replica(&self, id: &str) {
        self.add_instance("rds", id);
        self.cloud().make_read_replica(id);
    }

    /// Removes an instance. DCS deletes its backups with it; RDS, DDS and `GaussDB` the automatic ones.
    pub fn remove_instance(&self, id: &str) {
        self.cloud().remove_instance(id);
    }

    /// Says that something else runs on the instance, which refuses creates as busy.
    pub fn set_instance_busy(&self, id: &str, busy: bool) {
        for instance in self.cloud().instances.iter_mut().filter(|instance| instance.id == id) {
            instance.busy = busy;
        }
    }

    /// Makes every instance id exist in every project.
    pub fn any_instance(&self, enabled: bool) {
        self.cloud().settings.any_instance = enabled;
    }

    /// Adds a project.
    pub fn add_project(&self, id: &str, region_name: &str) {
        self.cloud().add_project(id, region_name);
    }

    /// Removes a project.
    pub fn remove_project(&self, id: &str) {
        self.cloud().projects.retain(|project| project.id != id);
    }

    /// Changes the password of the first account's user. Tokens that exist stay good.
    pub fn set_password(&self, password: &str) {
        self.cloud().set_password(password);
    }

    /// Adds a token of the default project that never expires.
    pub fn add_token(&self, value: &str) {
        self.add_token_in(super::PROJECTS[0].1, value);
    }

    /// Adds a token of a project, given by id or by name.
    #[allow(clippy::expect_used, reason = "a misspelt project should stop the test at once")]
    pub fn add_token_in(&self, project: &str, value: &str) {
        self.cloud().add_token(value, project).expect("no such project");
    }

    /// Makes every token that exists invalid.
    pub fn revoke_tokens(&self) {
        self.cloud().tokens.clear();
    }

    /// Withdraws the caller's permission at a service, or grants it again.
    pub fn deny(&self, service: &str, denied: bool) {
        let service = Service::expect(service);
        let mut cloud = self.cloud();
        if denied {
            cloud.denied.insert(service);
        } else {
            cloud.denied.remove(&service);
        }
    }

    /// Takes an API off the gateway (404 APIGW.0101): `start` is the start of `METHOD /path`, for example `GET /v4/` or `DELETE `.
    pub fn unpublish(&self, service: &str, start: &str) {
        self.cloud().unpublished.push((Service::expect(service), start.to_owned()));
    }

    /// How long tokens live that are issued from now on.
    pub fn token_lifetime(&self, lifetime: Duration) {
        self.cloud().settings.token_lifetime_ms = millis(lifetime);
    }

    /// Changes any dial.
    pub fn settings(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.cloud().settings);
    }

    /// How long backups take that begin from now on.
    pub fn set_backup_duration(&self, duration: Duration) {
        self.cloud().settings.backup_duration_ms = millis(duration);
    }

    /// How big backups get that begin from now on.
    pub fn set_backup_size(&self, bytes: u64) {
        self.cloud().settings.backup_size = bytes;
    }

    /// How long backups that begin from now on stay out of lists.
    pub fn set_list_lag(&self, lag: Duration) {
        self.cloud().settings.list_lag_ms = millis(lag);
    }

    /// The order of lists.
    pub fn set_list_order(&self, order: ListOrder) {
        self.cloud().settings.list_order = order;
    }

    /// What the totals in lists of backups are off by.
    pub fn set_total_offset(&self, records: i64) {
        self.cloud().settings.total_offset = records;
    }

    /// Somebody else's backups come and go all the time: no listing of several pages holds still.
    pub fn set_restless(&self, restless: bool) {
        self.cloud().settings.restless = restless;
    }

    /// The cloud's clock stands at this time until it is set again.
    pub fn stop_clock_at(&self, now: Timestamp) {
        self.cloud().settings.clock_stands_at = Some(now);
    }

    /// The cloud's clock minus ours.
    pub fn set_clock_offset(&self, offset: SignedDuration) {
        self.cloud().settings.clock_offset_seconds = offset.as_secs();
    }

    /// Lets the next backups (of one service, or of any) end as failed.
    pub fn fail_next_backups(&self, count: u32, service: Option<&str>) {
        self.cloud().doomed.push((service.map(Service::expect), count));
    }

    /// Ends all running backups now, held ones too.
    pub fn complete_all(&self) {
        self.cloud().complete_all();
    }

    /// Keeps running backups running until this is taken back.
    pub fn hold_backups(&self, hold: bool) {
        self.cloud().hold(hold);
    }

    /// Puts in a finished backup; `text` is its name, for DCS its remark. Answers its id.
    pub fn add_backup(&self, service: &str, instance: &str, text: &str) -> String {
        self.cloud().add_backup(Service::expect(service), instance, text, Kind::Manual, Duration::ZERO)
    }

    /// Puts in so many finished backups of somebody else at once. Answers their ids.
    pub fn add_backups(&self, service: &str, instance: &str, count: usize) -> Vec<String> {
        self.cloud().add_backups(Service::expect(service), instance, "foreign", count)
    }

    /// Puts in a finished backup of the cloud's own schedule, so old.
    pub fn add_automatic_backup(&self, service: &str, instance: &str, text: &str, age: Duration) -> String {
        self.cloud().add_backup(Service::expect(service), instance, text, Kind::Auto, age)
    }

    /// Puts in a finished backup of any kind, so old: RDS has `Fragment` and `Incremental` ones too, DDS `Incremental` ones.
    pub fn add_backup_of_kind(&self, service: &str, instance: &str, text: &str, kind: Kind, age: Duration) -> String {
        self.cloud().add_backup(Service::expect(service), instance, text, kind, age)
    }

    /// Puts in a backup in any state. Answers its id.
    pub fn give_backup(&self, service: &str, instance: &str, text: &str, given: Given) -> String {
        self.cloud().give(Service::expect(service), instance, text, given)
    }

    /// Takes a backup away behind everybody's back.
    pub fn lose_backup(&self, id: &str) -> bool {
        self.cloud().lose_backup(id)
    }

    /// Makes the service say this word for a backup's state.
    pub fn set_backup_status(&self, id: &str, word: &str) -> bool {
        self.cloud().say_status(id, word)
    }

    /// Adds a fault; the same as `faults.push`.
    pub fn inject(&self, fault: Fault) {
        self.faults.push(fault);
    }

    /// All backups, deleted ones included, oldest first.
    pub fn backups(&self) -> Vec<BackupRecord> {
        self.cloud().backups.iter().map(BackupRecord::from).collect()
    }

    /// All requests since the last reset.
    pub fn calls(&self) -> Vec<Call> {
        self.cloud().calls.clone()
    }

    /// How many requests asked for this operation.
    pub fn count(&self, service: Option<&str>, operation: &str) -> usize {
        let service = service.map(Service::expect);
        let same = |call: &&Call| call.operation == operation && service.is_none_or(|wanted| wanted == call.service);
        self.cloud().calls.iter().filter(same).count()
    }

    /// How often it was asked to delete each backup, by id; refused calls included.
    pub fn deletes(&self) -> BTreeMap<String, usize> {
        self.cloud().deletes()
    }

    /// Backups of an instance whose name, or for DCS the first word of the remark, is this; deleted ones included.
    pub fn backups_named(&self, instance: &str, mark: &str) -> Vec<BackupRecord> {
        let named = |backup: &BackupRecord| {
            if backup.service == Service::Dcs { backup.remark.split(' ').next() == Some(mark) } else { backup.name == mark }
        };
        self.backups().into_iter().filter(|backup| backup.instance == instance && named(backup)).collect()
    }

    /// Forgets all requests.
    pub fn reset_calls(&self) {
        self.cloud().reset_calls();
    }

    /// The most requests that arrived within any one second.
    pub fn max_requests_in_a_second(&self) -> usize {
        self.cloud().busiest_second()
    }

    /// How many calls to RDS were refused because their user made more than `rds_calls_per_minute`.
    pub fn rds_calls_refused(&self) -> usize {
        self.cloud().rds_pace.refused()
    }

    /// The most calls to RDS, refused ones included, that one user made within any minute.
    pub fn rds_busiest_minute(&self) -> usize {
        self.cloud().rds_pace.busiest_minute()
    }

    /// Waits until a condition of the cloud holds; `false` when it did not in time. For tests that are not async.
    pub fn wait_until(&self, patience: Duration, condition: impl Fn(&Self) -> bool) -> bool {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if condition(self) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        condition(self)
    }
}
