//! What RDS, DDS and `GaussDB` share (`cloud-apis.md` §6–8): a new backup is made of an instance, a name and a description, a list takes the same
//! questions, and the same things keep a backup from being made or deleted. Each service has its own words and codes for them.

use serde_json::{Map, Value, json};

use super::{
    backup::{Backup, Kind, Order},
    geminidb::{instance_name, job_state},
    message::{Reply, Request},
    rules::{self, BadPage, Page, Window},
    service::Service,
    state::{Checked, Cloud},
};

/// What is wrong with a request.
pub enum Bad {
    /// What no code of its own stands for.
    Parameter(&'static str),
    /// The name of a backup.
    Name,
    /// The description of a backup.
    Description,
    /// The id of an instance.
    InstanceId,
    /// The id of a backup.
    BackupId,
    /// `limit`
    Limit,
    /// `offset`
    Offset,
}

/// Wrong is also a language that the services do not have.
pub fn check_language(request: &Request) -> Result<(), Bad> {
    match request.header("x-language") {
        None | Some("en-us" | "zh-cn") => Ok(()),
        Some(_) => Err(Bad::Parameter("X-Language")),
    }
}

/// The backup that somebody wants.
pub struct Wish {
    instance: String,
    name: String,
    description: String,
}

impl Wish {
    /// Reads `instance_id`, `name` and `description`.
    pub fn read(body: &Map<String, Value>) -> Result<Self, Bad> {
        let text = |name: &'static str| body.get(name).and_then(Value::as_str).ok_or(Bad::Parameter(name));
        let (instance, name) = (text("instance_id")?, text("name")?);
        let description = match body.get("description") {
            None | Some(Value::Null) => "",
            Some(Value::String(text)) => text,
            Some(_) => return Err(Bad::Parameter("description")),
        };
        if !rules::name_ok(name) {
            return Err(Bad::Name);
        }
        if !rules::description_ok(description) {
            return Err(Bad::Description);
        }
        if !rules::id_ok(instance) {
            return Err(Bad::InstanceId);
        }
        Ok(Self { instance: instance.to_owned(), name: name.to_owned(), description: description.to_owned() })
    }

    /// What keeps it from being granted, in the order in which it is looked for.
    pub fn obstacle(&self, cloud: &Cloud, service: Service, project: &str) -> Option<Obstacle> {
        let Some(instance) = cloud.instance(service, project, &self.instance) else { return Some(Obstacle::NoInstance) };
        let met = [
            (Obstacle::ReadReplica, instance.read_replica),
            (Obstacle::NameTaken, cloud.name_taken(service, project, &self.name)),
            (Obstacle::BackingUp, cloud.backing_up(service, &self.instance)),
            (Obstacle::Busy, instance.busy),
            (Obstacle::Quota, is_full(cloud, service, project)),
        ];
        met.into_iter().find_map(|(obstacle, is_met)| is_met.then_some(obstacle))
    }

    /// Starts the backup.
    pub fn begin<'a>(self, cloud: &'a mut Cloud, service: Service, project: &str) -> &'a Backup {
        cloud.begin(Order {
            service,
            project: project.to_owned(),
            instance: self.instance,
            name: self.name,
            description: self.description,
            format: String::new(),
            legacy: false,
            tables: None,
        })
    }
}

/// What keeps a backup from being made.
pub enum Obstacle {
    /// The project has no such instance.
    NoInstance,
    /// The instance is a read replica.
    ReadReplica,
    /// The project has a backup of this name.
    NameTaken,
    /// A backup of the instance is being taken.
    BackingUp,
    /// Something else runs on the instance.
    Busy,
    /// The project has as many manual backups as it may have.
    Quota,
}

fn is_full(cloud: &Cloud, service: Service, project: &str) -> bool {
    let counts =
        |backup: &&Backup| backup.service == service && backup.project == project && backup.kind == Kind::Manual && !backup.deleted;
    cloud.settings.manual_backups_per_project.is_some_and(|most| cloud.backups.iter().filter(counts).count() >= most)
}

/// What a list is asked for.
pub struct Question {
    page: Page,
    window: Window,
    /// Only those of this instance.
    pub instance: Option<String>,
    /// Only this one.
    pub backup: Option<String>,
    /// Only those of this kind.
    pub kind: Option<Kind>,
}

impl Question {
    /// Reads a list's query: kinds are called by `kinds`, and times are written so that `time` reads them.
    pub fn read(request: &Request, kinds: &[(&str, Kind)], time: impl Fn(&str) -> Option<jiff::Timestamp>) -> Result<Self, Bad> {
        let page = Page::read(request, 100, 100).map_err(|bad| match bad {
            BadPage::Limit => Bad::Limit,
            BadPage::Offset => Bad::Offset,
        })?;
        let window = Window::read(request, time).filter(Window::is_open).ok_or(Bad::Parameter("begin_time, end_time"))?;
        let kind = match request.parameter("backup_type") {
            None => None,
            // Case counts.
            Some(asked) => Some(kinds.iter().find(|(word, _)| *word == asked).map(|(_, kind)| *kind).ok_or(Bad::Parameter("backup_type"))?),
        };
        let instance = request.parameter("instance_id");
        if instance.as_deref().is_some_and(|id| !rules::id_ok(id)) {
            return Err(Bad::InstanceId);
        }
        let backup = request.parameter("backup_id");
        if backup.as_deref().is_some_and(|id| !rules::id_ok(id)) {
            return Err(Bad::BackupId);
        }
        Ok(Self { page, window, instance, backup, kind })
    }

    /// The page, and how many there are in all; `also` says what else a backup must be.
    pub fn answer(self, cloud: &mut Cloud, service: Service, project: &str, also: impl Fn(&Backup) -> bool) -> (usize, Vec<Backup>) {
        if self.backup.is_none() {
            cloud.stir(service, project, self.instance.as_deref(), self.page.is_first());
        }
        let mut found = cloud.listed(service, project);
        found.retain(|backup| {
            self.kind.is_none_or(|wanted| wanted == backup.kind)
                && self.instance.as_ref().is_none_or(|wanted| *wanted == backup.instance)
                && self.backup.as_ref().is_none_or(|wanted| *wanted == backup.id)
                && self.window.holds(backup.created)
                && also(backup)
        });
        (cloud.told(found.len()), self.page.cut(found))
    }
}

/// Why a backup cannot be deleted.
pub enum Stays {
    /// The id is no id.
    BadId,
    /// The project never had it.
    NeverWas,
    /// It is deleted.
    IsGone,
    /// It is being taken.
    IsRunning,
    /// It is being deleted.
    IsVanishing,
    /// The schedule took it.
    IsAutomatic,
}

/// Starts to delete a manual backup, which takes the service a while; the backup as it was.
pub fn delete(cloud: &mut Cloud, service: Service, project: &str, id: &str) -> Result<Backup, Stays> {
    if !rules::id_ok(id) {
        return Err(Stays::BadId);
    }
    let there = |backup: &&Backup| backup.service == service && backup.project == project && backup.id == id;
    let backup = cloud.backups.iter().find(there).cloned().ok_or(Stays::NeverWas)?;
    match &backup {
        backup if backup.deleted => Err(Stays::IsGone),
        backup if backup.vanishing() => Err(Stays::IsVanishing),
        backup if backup.running() => Err(Stays::IsRunning),
        backup if backup.automatic() => Err(Stays::IsAutomatic),
        _ => {
            cloud.vanish_soon(id);
            Ok(backup)
        }
    }
}

/// The job that takes a backup, as DDS and `GaussDB` show it; those of the backup's end are not to be seen.
pub fn job(cloud: &Cloud, request: &Request, service: Service, project: &str, name: &str) -> Checked<Reply> {
    let id = request.parameter("id").ok_or_else(|| Reply::error(400, "DBS.280001", "Parameter error: id."))?;
    let hours = cloud.settings.utc_offset_hours;
    let mine = |backup: &&Backup| backup.service == service && backup.project == project && backup.job == id;
    let backup = cloud.backups.iter().find(mine).ok_or_else(no_job)?;
    let (status, progress, reason) = job_state(backup);
    Ok(Reply::json(
        200,
        json!({ "job": {
            "id": backup.job, "name": name, "status": status, "progress": progress,
            "fail_reason": if reason.is_empty() { Value::Null } else { json!(reason) },
            "created": rules::offset_time(backup.created, hours),
            "ended": backup.ended.map_or(String::new(), |at| rules::offset_time(at, hours)),
            "instance": { "id": backup.instance, "name": instance_name(&backup.instance) },
        }}),
    ))
}

/// There is no such job.
pub fn no_job() -> Reply {
    Reply::error(400, "DBS.200543", "The job does not exist.")
}

/// The instances of a project, each shown by `show`; `id` picks one.
pub fn instances(
    cloud: &Cloud,
    request: &Request,
    service: Service,
    project: &str,
    show: impl Fn(&super::state::Instance) -> Value,
) -> Reply {
    let id = request.parameter("id");
    let mine = cloud.instances.iter().filter(|instance| instance.service == service && instance.project == project);
    let instances: Vec<Value> = mine.filter(|instance| id.as_ref().is_none_or(|id| *id == instance.id)).map(show).collect();
    Reply::json(200, json!({ "total_count": instances.len(), "instances": instances }))
}
