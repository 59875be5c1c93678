//! `GaussDB`, once `GaussDB`(for openGauss) (`cloud-apis.md` §8): sizes are MB with fractions. Create and delete answer 202 at Open Telekom Cloud
//! and 200 at Huawei Cloud, and only the latter says what it deletes.

use serde_json::{Value, json};

use super::{
    access,
    backup::{Backup, Kind, Progress},
    common::{self, Bad, Obstacle, Question, Stays, Wish},
    geminidb::{instance_name, json_object},
    message::{Reply, Request},
    rules,
    service::{Operation, Service},
    state::{Checked, Cloud},
};

const ME: Service = Service::GaussDb;
const KINDS: [(&str, Kind); 2] = [("auto", Kind::Auto), ("manual", Kind::Manual)];

/// What this method and path ask for.
pub fn operation(method: &str, path: &[&str]) -> Operation {
    match (method, path) {
        ("POST", ["v3", _, "backups"]) => Operation::Create,
        ("GET", ["v3" | "v3.1" | "v3.2", _, "backups"]) => Operation::List,
        ("DELETE", ["v3", _, "backups", _]) => Operation::Delete,
        ("GET", ["v3", _, "jobs"]) => Operation::Jobs,
        ("GET", ["v3", _, "instances"]) => Operation::Instances,
        _ => Operation::Unknown,
    }
}

/// Answers a request that was found to be this operation.
pub fn answer(cloud: &mut Cloud, request: &Request, operation: Operation, path: &[&str]) -> Checked<Reply> {
    let project = path.get(1).copied().unwrap_or_default();
    // Open Telekom Cloud documents `/v3` alone.
    if path.first() != Some(&"v3") && cloud.is_open_telekom(project) {
        return Err(Reply::not_published());
    }
    access::enter(cloud, ME, request, project)?;
    common::check_language(request).map_err(bad)?;
    match operation {
        Operation::Create => create(cloud, request, project),
        Operation::List => list(cloud, request, project),
        Operation::Delete => delete(cloud, project, path.get(3).copied().unwrap_or_default()),
        Operation::Jobs => common::job(cloud, request, ME, project, "BackupSnapshotGaussDBV5InInstance"),
        Operation::Instances => Ok(instances(cloud, request, project)),
        _ => Err(Reply::not_published()),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn bad(bad: Bad) -> Reply {
    match bad {
        Bad::Parameter(what) => Reply::error(400, "DBS.280001", &format!("Parameter error: {what}.")),
        Bad::Name => Reply::error(400, "DBS.201210", "Invalid backup name."),
        Bad::Description => Reply::error(400, "DBS.280127", "Invalid backup description."),
        Bad::InstanceId => Reply::error(400, "DBS.280404", "Invalid DB instance ID or node ID format."),
        Bad::BackupId => Reply::error(400, "DBS.280124", "Invalid backup file id"),
        Bad::Limit => {
            Reply::error(400, "DBS.280439", "Invalid records. The number of records must be an integer less than or equal to 100.")
        }
        Bad::Offset => Reply::error(400, "DBS.280440", "Invalid offset, please enter a non negative integer."),
    }
}

fn refused(obstacle: &Obstacle) -> Reply {
    match obstacle {
        Obstacle::NoInstance => Reply::error(404, "DBS.200002", "The DB instance does not exist."),
        Obstacle::NameTaken => Reply::error(409, "DBS.201201", "The backup name already exists."),
        Obstacle::BackingUp => Reply::error(409, "DBS.201205", "Backup is in progress, please wait."),
        Obstacle::Busy | Obstacle::ReadReplica => {
            Reply::error(409, "DBS.200019", "Another operation is being performed on the DB instance or the DB instance is faulty.")
        }
        Obstacle::Quota => Reply::error(413, "DBS.200046", "The quota has been reached."),
    }
}

fn create(cloud: &mut Cloud, request: &Request, project: &str) -> Checked<Reply> {
    let body = json_object(request).map_err(|why| bad(Bad::Parameter(why)))?;
    let wish = Wish::read(&body).map_err(bad)?;
    if let Some(obstacle) = wish.obstacle(cloud, ME, project) {
        return Err(refused(&obstacle));
    }
    let hours = cloud.settings.utc_offset_hours;
    let status = if cloud.is_open_telekom(project) { 202 } else { 200 };
    let backup = wish.begin(cloud, ME, project);
    let shown = json!({
        "id": backup.id,
        "name": backup.name,
        "description": backup.description,
        "status": backup.status(),
        "type": "manual",
        "begin_time": rules::offset_time(backup.created, hours),
        "instance_id": backup.instance,
    });
    Ok(Reply::json(status, json!({ "backup": shown, "job_id": backup.job })))
}

fn list(cloud: &mut Cloud, request: &Request, project: &str) -> Checked<Reply> {
    let question = Question::read(request, &KINDS, rules::parse_offset_time).map_err(bad)?;
    let (total, page) = question.answer(cloud, ME, project, |backup| matches!(backup.kind, Kind::Auto | Kind::Manual));
    let hours = cloud.settings.utc_offset_hours;
    let backups: Vec<Value> = page.iter().map(|backup| item(backup, hours)).collect();
    Ok(Reply::json(200, json!({ "backups": backups, "total_count": total })))
}

#[allow(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn item(backup: &Backup, hours: i8) -> Value {
    json!({
        "id": backup.id,
        "name": backup.name,
        "description": if backup.automatic() { Value::Null } else { json!(backup.description) },
        "status": backup.status(),
        "size": if backup.progress == Progress::Running { 0.0 } else { backup.size as f64 / 1024.0 / 1024.0 },
        "type": backup.kind.word(),
        "datastore": { "type": "GaussDB", "version": "8.0" },
        "begin_time": rules::offset_time(backup.created, hours),
        "end_time": backup.ended.map_or(String::new(), |at| rules::offset_time(at, hours)),
        "instance_id": backup.instance,
    })
}

fn delete(cloud: &mut Cloud, project: &str, id: &str) -> Checked<Reply> {
    match common::delete(cloud, ME, project, id) {
        Ok(_) if cloud.is_open_telekom(project) => Ok(Reply::json(202, json!({}))),
        Ok(backup) => Ok(Reply::json(200, json!({ "backup_id": backup.id, "backup_name": backup.name }))),
        Err(why) => Err(match why {
            Stays::BadId => bad(Bad::BackupId),
            Stays::NeverWas => Reply::error(404, "DBS.201010", "The backup file does not exist."),
            Stays::IsGone => Reply::error(400, "DBS.201203", "The backup file does not exist."),
            Stays::IsRunning | Stays::IsVanishing => Reply::error(400, "DBS.201208", "The operation is not allowed by the backup status."),
            Stays::IsAutomatic => Reply::error(400, "DBS.201218", "The backup file is not manual."),
        }),
    }
}

fn instances(cloud: &Cloud, request: &Request, project: &str) -> Reply {
    common::instances(cloud, request, ME, project, |instance| {
        json!({
            "id": instance.id, "name": instance_name(&instance.id), "type": "Ha",
            "status": if cloud.backing_up(ME, &instance.id) { "BACKING UP" } else { "ACTIVE" },
            "datastore": { "type": "GaussDB", "version": "8.0" },
        })
    })
}
