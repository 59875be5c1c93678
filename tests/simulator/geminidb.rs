//! `GeminiDB` (`cloud-apis.md` §3): create answers 202 with a job, lists are v4 and v3.1, delete is asynchronous, sizes are KB.

use serde_json::{Map, Value, json};

use super::{
    access,
    backup::{Backup, Kind, Order, Progress},
    message::{Reply, Request},
    rules::{self, BadPage, Page, Window},
    service::{Operation, Service},
    state::{Checked, Cloud},
};

const ME: Service = Service::GeminiDb;

/// What this method and path ask for.
pub fn operation(method: &str, path: &[&str]) -> Operation {
    match (method, path) {
        ("POST", ["v3", _, "instances", _, "backups"]) => Operation::Create,
        ("GET", ["v4" | "v3.1", _, "backups"]) => Operation::List,
        ("DELETE", ["v3", _, "backups", _]) => Operation::Delete,
        ("GET", ["v3", _, "jobs"]) => Operation::Jobs,
        ("GET", ["v3", _, "instances"]) => Operation::Instances,
        _ => Operation::Unknown,
    }
}

/// Answers a request that was found to be this operation.
pub fn answer(cloud: &mut Cloud, request: &Request, operation: Operation, path: &[&str]) -> Checked<Reply> {
    let project = path.get(1).copied().unwrap_or_default();
    access::enter(cloud, ME, request, project)?;
    if !rules::id_ok(project) {
        return Err(Reply::error(400, "DBS.280408", "The project ID is in an invalid format."));
    }
    match operation {
        Operation::Create => create(cloud, request, project, path.get(3).copied().unwrap_or_default()),
        Operation::List => list(cloud, request, project),
        Operation::Delete => delete(cloud, project, path.get(3).copied().unwrap_or_default()),
        Operation::Jobs => Ok(jobs(cloud, request, project)),
        Operation::Instances => Ok(instances(cloud, request, project)),
        _ => Err(Reply::not_published()),
    }
}

fn invalid(what: &str) -> Reply {
    Reply::error(400, "DBS.280001", &format!("Parameter error: {what}."))
}

fn create(cloud: &mut Cloud, request: &Request, project: &str, instance: &str) -> Checked<Reply> {
    let body = json_object(request).map_err(invalid)?;
    let name = body.get("name").and_then(Value::as_str).ok_or_else(|| invalid("name"))?;
    if !rules::name_ok(name) {
        return Err(Reply::error(400, "DBS.280277", "The backup name is invalid."));
    }
    let description = body.get("description").and_then(Value::as_str).ok_or_else(|| invalid("description"))?;
    if description.is_empty() || !rules::description_ok(description) {
        return Err(Reply::error(400, "DBS.280127", "The backup description is invalid."));
    }
    let tables = body.get("database_tables").filter(|tables| !tables.is_null()).cloned();
    if tables.as_ref().is_some_and(|tables| !tables.is_array()) {
        return Err(invalid("database_tables"));
    }
    if !rules::id_ok(instance) {
        return Err(Reply::error(400, "DBS.280404", "The instance ID is in an invalid format."));
    }
    let known = cloud.instance(ME, project, instance).ok_or_else(|| Reply::error(404, "DBS.200002", "The DB instance does not exist."))?;
    if cloud.name_taken(ME, project, name) {
        return Err(Reply::error(400, "DBS.201201", "The backup name or ID already exists."));
    }
    if known.busy || cloud.backing_up(ME, instance) {
        return Err(Reply::error(
            403,
            "DBS.200019",
            "Another operation is being performed on the DB instance or the DB instance is faulty.",
        ));
    }
    let backup = cloud.begin(Order {
        service: ME,
        project: project.to_owned(),
        instance: instance.to_owned(),
        name: name.to_owned(),
        description: description.to_owned(),
        format: String::new(),
        legacy: false,
        tables: tables.filter(|tables| tables.as_array().is_some_and(|list| !list.is_empty())),
    });
    Ok(Reply::json(202, json!({ "job_id": backup.job, "backup_id": backup.id })))
}

fn list(cloud: &mut Cloud, request: &Request, project: &str) -> Checked<Reply> {
    let page = Page::read(request, 100, 100).map_err(|bad| match bad {
        BadPage::Limit => Reply::error(400, "DBS.280439", "The limit parameter is invalid."),
        BadPage::Offset => Reply::error(400, "DBS.280440", "The offset parameter is invalid."),
    })?;
    let window = Window::read(request, rules::parse_offset_time).ok_or_else(|| invalid("begin_time, end_time"))?;
    let tables = match request.parameter("type").as_deref() {
        None | Some("Instance") => false,
        Some("DatabaseTable") => true,
        Some(_) => return Err(invalid("type")),
    };
    let automatic = match request.parameter("backup_type").as_deref() {
        None => None,
        Some("Auto") => Some(true),
        Some("Manual") => Some(false),
        // Case counts here, unlike in `TaurusDB`, whose values are lower case.
        Some(_) => return Err(invalid("backup_type")),
    };
    let datastore = request.parameter("datastore_type");
    if datastore.as_deref().is_some_and(|datastore| !["cassandra", "redis", "mongodb", "influxdb"].contains(&datastore)) {
        return Err(invalid("datastore_type"));
    }
    let instance = request.parameter("instance_id");
    if instance.as_deref().is_some_and(|id| !rules::id_ok(id)) {
        return Err(Reply::error(400, "DBS.280404", "The instance ID is in an invalid format."));
    }
    let id = request.parameter("backup_id");
    if id.as_deref().is_some_and(|id| !rules::id_ok(id)) {
        return Err(Reply::error(400, "DBS.280124", "The backup ID is in an invalid format."));
    }
    if id.is_none() {
        cloud.stir(ME, project, instance.as_deref(), page.is_first());
    }
    let mut found = cloud.listed(ME, project);
    found.retain(|backup| {
        backup.tables.is_some() == tables
            && automatic.is_none_or(|wanted| wanted == backup.automatic())
            && instance.as_ref().is_none_or(|wanted| *wanted == backup.instance)
            && id.as_ref().is_none_or(|wanted| *wanted == backup.id)
            && datastore.as_deref().is_none_or(|wanted| wanted == "cassandra")
            && window.holds(backup.created)
    });
    let total = cloud.told(found.len());
    let hours = cloud.settings.utc_offset_hours;
    let backups: Vec<Value> = page.cut(found).iter().map(|backup| item(backup, hours)).collect();
    Ok(Reply::json(200, json!({ "total_count": total, "backups": backups })))
}

#[allow(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn item(backup: &Backup, hours: i8) -> Value {
    let running = backup.progress == Progress::Running;
    json!({
        "id": backup.id,
        "name": backup.name,
        "description": backup.description,
        "instance_id": backup.instance,
        "instance_name": instance_name(&backup.instance),
        "datastore": { "type": "cassandra", "version": "3.11" },
        "type": match backup.kind {
            Kind::Manual => "Manual",
            Kind::Auto => "Auto",
            Kind::Fragment => "Fragment",
            Kind::Incremental => "Incremental",
        },
        "size": if running { 0.0 } else { backup.size as f64 / 1024.0 },
        "status": backup.status(),
        "begin_time": rules::offset_time(backup.created, hours),
        "end_time": backup.ended.map_or(String::new(), |at| rules::offset_time(at, hours)),
        "database_tables": backup.tables,
    })
}

fn delete(cloud: &mut Cloud, project: &str, id: &str) -> Checked<Reply> {
    if !rules::id_ok(id) {
        return Err(Reply::error(400, "DBS.201212", "The backup ID is in an invalid format."));
    }
    let there = |backup: &&Backup| backup.service == ME && backup.project == project && backup.id == id && !backup.deleted;
    let backup = cloud.backups.iter().find(there).ok_or_else(|| Reply::error(400, "DBS.201214", "The backup does not exist."))?;
    // A running backup holds its instance, and so does a delete that is under way.
    if backup.running() || backup.vanishing() {
        return Err(Reply::error(
            403,
            "DBS.200019",
            "Another operation is being performed on the DB instance or the DB instance is faulty.",
        ));
    }
    cloud.vanish_soon(id);
    Ok(Reply::json(202, json!({ "job_id": uuid::Uuid::new_v4().to_string() })))
}

fn jobs(cloud: &Cloud, request: &Request, project: &str) -> Reply {
    let id = request.parameter("id");
    let hours = cloud.settings.utc_offset_hours;
    let mine = |backup: &&Backup| backup.service == ME && backup.project == project;
    let jobs: Vec<Value> = cloud
        .backups
        .iter()
        .filter(mine)
        .filter(|backup| id.as_ref().is_none_or(|id| *id == backup.job))
        .map(|backup| {
            let (status, progress, reason) = job_state(backup);
            json!({
                "id": backup.job, "name": "BackupInstance", "status": status, "progress": progress, "fail_reason": reason,
                "start_time": rules::offset_time(backup.created, hours),
                "end_time": backup.ended.map_or(String::new(), |at| rules::offset_time(at, hours)),
                "instance": { "id": backup.instance, "name": instance_name(&backup.instance) },
            })
        })
        .collect();
    Reply::json(200, json!({ "total_count": jobs.len(), "jobs": jobs }))
}

fn instances(cloud: &Cloud, request: &Request, project: &str) -> Reply {
    let id = request.parameter("id");
    let mine = cloud.instances.iter().filter(|instance| instance.service == ME && instance.project == project);
    let instances: Vec<Value> = mine
        .filter(|instance| id.as_ref().is_none_or(|id| *id == instance.id))
        .map(|instance| {
            json!({
                "id": instance.id, "name": instance_name(&instance.id), "status": "normal", "mode": "Cluster", "engine": "rocksDB",
                "datastore": { "type": "cassandra", "version": "3.11" }, "actions": [],
            })
        })
        .collect();
    Reply::json(200, json!({ "total_count": instances.len(), "instances": instances }))
}

/// The display name of an instance.
pub fn instance_name(id: &str) -> String {
    format!("db-{}", id.chars().take(8).collect::<String>())
}

/// Status, progress and failure reason of a backup's job.
pub fn job_state(backup: &Backup) -> (&'static str, &'static str, &'static str) {
    match backup.progress {
        Progress::Running => ("Running", "60%", ""),
        Progress::Failed => ("Failed", "", "The backup could not be taken."),
        Progress::Completed | Progress::Said(_) => ("Completed", "", ""),
    }
}

/// The body as a JSON object, declared as JSON.
pub fn json_object(request: &Request) -> Result<Map<String, Value>, &'static str> {
    if !request.is_json() {
        return Err("Content-Type must be application/json");
    }
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(body)) => Ok(body),
        _ => Err("the request body is not a JSON object"),
    }
}
