//! `TaurusDB` (`cloud-apis.md` §4): create answers 201 with the backup and a job, delete is immediate, sizes are MB.
//!
//! The same service under its older name, `GaussDB`(for `MySQL`), has the prefix `/mysql/v3`: 200 without a job, and no delete.

use serde_json::{Value, json};

use super::{
    access,
    backup::{Backup, Order, Progress},
    geminidb::{instance_name, job_state, json_object},
    message::{Reply, Request},
    rules::{self, BadPage, Page, Window},
    service::{Operation, Service},
    state::{Checked, Cloud},
};

const ME: Service = Service::TaurusDb;

/// What this method and path ask for.
pub fn operation(method: &str, path: &[&str]) -> Operation {
    match (method, path) {
        ("POST", ["v3", _, "backups", "create"] | ["mysql", "v3", _, "backups", "create"]) => Operation::Create,
        ("GET", ["v3", _, "backups"] | ["mysql", "v3", _, "backups"]) => Operation::List,
        ("DELETE", ["v3", _, "backups", _]) => Operation::Delete,
        ("GET", ["v3", _, "jobs"] | ["mysql", "v3", _, "jobs"]) => Operation::Jobs,
        ("GET", ["v3", _, "instances"]) => Operation::Instances,
        _ => Operation::Unknown,
    }
}

/// Answers a request that was found to be this operation.
pub fn answer(cloud: &mut Cloud, request: &Request, operation: Operation, path: &[&str]) -> Checked<Reply> {
    let legacy = path.first() == Some(&"mysql");
    let path = &path[usize::from(legacy)..];
    let project = path.get(1).copied().unwrap_or_default();
    access::enter(cloud, ME, request, project)?;
    if request.header("x-language").is_some_and(|language| !["en-us", "zh-cn"].contains(&language)) {
        return Err(invalid("X-Language"));
    }
    match operation {
        Operation::Create => create(cloud, request, project, legacy),
        Operation::List => list(cloud, request, project, legacy),
        Operation::Delete => delete(cloud, project, path.get(3).copied().unwrap_or_default()),
        Operation::Jobs => job(cloud, request, project),
        Operation::Instances => Ok(instances(cloud, request, project)),
        _ => Err(Reply::not_published()),
    }
}

fn invalid(what: &str) -> Reply {
    Reply::error(400, "DBS.280001", &format!("Parameter error: {what}."))
}

fn bad_instance_id() -> Reply {
    Reply::error(400, "DBS.280404", "The instance ID is in an invalid format.")
}

fn create(cloud: &mut Cloud, request: &Request, project: &str, legacy: bool) -> Checked<Reply> {
    let body = json_object(request).map_err(invalid)?;
    let instance = body.get("instance_id").and_then(Value::as_str).ok_or_else(|| invalid("instance_id"))?;
    let name = body.get("name").and_then(Value::as_str).ok_or_else(|| invalid("name"))?;
    if !rules::name_ok(name) {
        return Err(Reply::error(400, "DBS.280277", "The backup name is invalid."));
    }
    let description = match body.get("description") {
        None | Some(Value::Null) => "",
        Some(Value::String(text)) => text,
        Some(_) => return Err(invalid("description")),
    };
    if !rules::description_ok(description) {
        return Err(Reply::error(400, "DBS.280127", "The backup description is invalid."));
    }
    if !rules::id_ok(instance) {
        return Err(bad_instance_id());
    }
    let known = cloud.instance(ME, project, instance).ok_or_else(|| Reply::error(404, "DBS.200002", "The DB instance does not exist."))?;
    if cloud.name_taken(ME, project, name) {
        return Err(Reply::error(409, "DBS.201209", "The backup name already exists."));
    }
    if cloud.backing_up(ME, instance) {
        return Err(Reply::error(409, "DBS.201205", "A backup is being created for the DB instance."));
    }
    if known.busy {
        return Err(Reply::error(
            409,
            "DBS.200019",
            "Another operation is being performed on the DB instance or the DB instance is faulty.",
        ));
    }
    let hours = cloud.settings.utc_offset_hours;
    let backup = cloud.begin(Order {
        service: ME,
        project: project.to_owned(),
        instance: instance.to_owned(),
        name: name.to_owned(),
        description: description.to_owned(),
        format: String::new(),
        legacy,
        tables: None,
    });
    let shown = json!({
        "id": backup.id,
        "name": backup.name,
        "begin_time": rules::offset_time(backup.created, hours),
        "status": backup.status(),
        "type": "manual",
        "instance_id": backup.instance,
        "description": backup.description,
    });
    Ok(if legacy {
        Reply::json(200, json!({ "backup": shown }))
    } else {
        Reply::json(201, json!({ "backup": shown, "job_id": backup.job }))
    })
}

fn list(cloud: &mut Cloud, request: &Request, project: &str, legacy: bool) -> Checked<Reply> {
    let page = Page::read(request, 100, 100).map_err(|bad| match bad {
        BadPage::Limit => Reply::error(400, "DBS.280439", "The limit parameter is invalid."),
        BadPage::Offset => invalid("offset"),
    })?;
    let window = Window::read(request, rules::parse_offset_time).ok_or_else(|| invalid("begin_time, end_time"))?;
    let automatic = match request.parameter("backup_type").as_deref() {
        None => None,
        Some("auto") => Some(true),
        Some("manual") => Some(false),
        Some(_) => return Err(invalid("backup_type")),
    };
    let instance = request.parameter("instance_id");
    if instance.as_deref().is_some_and(|id| !rules::id_ok(id)) {
        return Err(bad_instance_id());
    }
    let id = request.parameter("backup_id");
    if id.as_deref().is_some_and(|id| !rules::id_ok(id)) {
        return Err(Reply::error(400, "DBS.280124", "The backup ID is in an invalid format."));
    }
    // Fuzzy, since nobody says that it is exact; the older interface does not know it.
    let name = request.parameter("name").filter(|_| !legacy);
    if id.is_none() {
        cloud.stir(ME, project, instance.as_deref(), page.is_first());
    }
    let mut found = cloud.listed(ME, project);
    found.retain(|backup| {
        automatic.is_none_or(|wanted| wanted == backup.automatic())
            && instance.as_ref().is_none_or(|wanted| *wanted == backup.instance)
            && id.as_ref().is_none_or(|wanted| *wanted == backup.id)
            && name.as_ref().is_none_or(|wanted| backup.name.contains(wanted.as_str()))
            && window.holds(backup.created)
    });
    let total = cloud.told(found.len());
    let hours = cloud.settings.utc_offset_hours;
    let backups: Vec<Value> = page.cut(found).iter().map(|backup| item(backup, hours)).collect();
    Ok(Reply::json(200, json!({ "backups": backups, "total_count": total })))
}

fn item(backup: &Backup, hours: i8) -> Value {
    let minutes = backup.ended.map_or(0, |end| end.duration_since(backup.created).as_mins());
    json!({
        "id": backup.id,
        "name": backup.name,
        "begin_time": rules::offset_time(backup.created, hours),
        "end_time": backup.ended.map_or(String::new(), |at| rules::offset_time(at, hours)),
        "status": backup.status(),
        "take_up_time": minutes,
        "type": backup.kind.word(),
        "size": if backup.progress == Progress::Running { json!(0) } else { megabytes(backup.size) },
        "datastore": { "type": "gaussdb-mysql", "version": "8.0" },
        "instance_id": backup.instance,
        "instance_name": instance_name(&backup.instance),
        "description": backup.description,
    })
}

/// MB as the service writes them: an integer where it fits, a float where it does not.
#[allow(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn megabytes(bytes: u64) -> Value {
    const MB: u64 = 1024 * 1024;
    if bytes.is_multiple_of(MB) { json!(bytes / MB) } else { json!(bytes as f64 / MB as f64) }
}

fn delete(cloud: &mut Cloud, project: &str, id: &str) -> Checked<Reply> {
    if !rules::id_ok(id) {
        return Err(Reply::error(400, "DBS.280124", "The backup ID is in an invalid format."));
    }
    let there = |backup: &&mut Backup| backup.service == ME && backup.project == project && backup.id == id && !backup.deleted;
    let backup = cloud.backups.iter_mut().find(there).ok_or_else(|| Reply::error(400, "DBS.201203", "The backup does not exist."))?;
    if backup.running() {
        return Err(Reply::error(400, "DBS.201208", "The backup is not in the COMPLETED state."));
    }
    if backup.automatic() {
        return Err(Reply::error(400, "DBS.201204", "The backup type does not allow this operation."));
    }
    backup.deleted = true;
    Ok(Reply::json(200, json!({ "backup_id": backup.id, "backup_name": backup.name })))
}

fn job(cloud: &Cloud, request: &Request, project: &str) -> Checked<Reply> {
    let id = request.parameter("id").ok_or_else(|| invalid("id"))?;
    let hours = cloud.settings.utc_offset_hours;
    let mine = |backup: &&Backup| backup.service == ME && backup.project == project && backup.job == id;
    let backup = cloud.backups.iter().find(mine).ok_or_else(|| Reply::error(400, "DBS.200543", "The job does not exist."))?;
    let (status, progress, reason) = job_state(backup);
    Ok(Reply::json(
        200,
        json!({ "job": {
            "id": backup.job, "name": "CreateGaussDBforMySQLBackup", "status": status, "process": progress, "fail_reason": reason,
            "created": rules::offset_time(backup.created, hours),
            "ended": backup.ended.map_or(String::new(), |at| rules::offset_time(at, hours)),
            "instance": { "id": backup.instance, "name": instance_name(&backup.instance) }, "entities": {},
        }}),
    ))
}

fn instances(cloud: &Cloud, request: &Request, project: &str) -> Reply {
    let id = request.parameter("id");
    let mine = cloud.instances.iter().filter(|instance| instance.service == ME && instance.project == project);
    let instances: Vec<Value> = mine
        .filter(|instance| id.as_ref().is_none_or(|id| *id == instance.id))
        .map(|instance| {
            let status = if cloud.backing_up(ME, &instance.id) { "BACKING UP" } else { "ACTIVE" };
            json!({
                "id": instance.id, "name": instance_name(&instance.id), "status": status, "type": "Cluster",
                "datastore": { "type": "gaussdb-mysql", "version": "8.0" },
            })
        })
        .collect();
    Reply::json(200, json!({ "total_count": instances.len(), "instances": instances }))
}
