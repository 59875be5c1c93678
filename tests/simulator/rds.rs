//! Relational Database Service (`cloud-apis.md` §6): create answers 200 without a job and with a time without an offset, lists are per instance
//! even where the backup is named, and show no description, sizes are KB, and a user may make 60 calls a minute (see [`super::pace`]).

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

const ME: Service = Service::Rds;
const KINDS: [(&str, Kind); 4] =
    [("auto", Kind::Auto), ("manual", Kind::Manual), ("fragment", Kind::Fragment), ("incremental", Kind::Incremental)];

/// What this method and path ask for.
pub fn operation(method: &str, path: &[&str]) -> Operation {
    match (method, path) {
        ("POST", ["v3", _, "backups"]) => Operation::Create,
        ("GET", ["v3", _, "backups"]) => Operation::List,
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
    common::check_language(request).map_err(bad)?;
    match operation {
        Operation::Create => create(cloud, request, project),
        Operation::List => list(cloud, request, project),
        Operation::Delete => delete(cloud, project, path.get(3).copied().unwrap_or_default()),
        // The tasks that can be asked for are those of instances; a backup has none.
        Operation::Jobs => Err(common::no_job()),
        Operation::Instances => Ok(instances(cloud, request, project)),
        _ => Err(Reply::not_published()),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn bad(bad: Bad) -> Reply {
    let invalid = |what: &str| Reply::error(400, "DBS.280001", &format!("Parameter error: {what}."));
    match bad {
        Bad::Parameter(what) => invalid(what),
        Bad::Name => Reply::error(400, "DBS.280277", "Invalid object name."),
        Bad::Description => Reply::error(400, "DBS.280127", "Invalid backup description."),
        Bad::InstanceId => Reply::error(400, "DBS.280404", "Invalid DB instance ID or node ID format."),
        // Its table has no codes for these.
        Bad::BackupId => invalid("backup_id"),
        Bad::Limit => invalid("limit"),
        Bad::Offset => invalid("offset"),
    }
}

fn no_instance() -> Reply {
    Reply::error(404, "DBS.200002", "The DB instance does not exist.")
}

fn refused(obstacle: &Obstacle) -> Reply {
    match obstacle {
        Obstacle::NoInstance => no_instance(),
        // That it is refused is documented and the code is not, so this is one that no table has.
        Obstacle::ReadReplica => Reply::error(400, "RDS.3999", "Read replicas do not support manual backups."),
        Obstacle::NameTaken => Reply::error(409, "DBS.201201", "The object already exists."),
        Obstacle::BackingUp => Reply::error(409, "DBS.201205", "Backup is in progress, please wait."),
        Obstacle::Busy => {
            Reply::error(409, "DBS.200019", "Another operation is being performed on the DB instance or the DB instance is faulty.")
        }
        Obstacle::Quota => Reply::error(413, "RDS.3003", "The number of manual backup creations has reached the upper limit."),
    }
}

fn create(cloud: &mut Cloud, request: &Request, project: &str) -> Checked<Reply> {
    let body = json_object(request).map_err(|why| bad(Bad::Parameter(why)))?;
    let wish = Wish::read(&body).map_err(bad)?;
    if let Some(obstacle) = wish.obstacle(cloud, ME, project) {
        return Err(refused(&obstacle));
    }
    let backup = wish.begin(cloud, ME, project);
    let shown = json!({
        "id": backup.id,
        "name": backup.name,
        "description": backup.description,
        // As in the vendor's example, and nowhere else.
        "begin_time": rules::bare_time(backup.created),
        "status": backup.status(),
        "type": "manual",
        "instance_id": backup.instance,
    });
    Ok(Reply::json(200, json!({ "backup": shown })))
}

fn list(cloud: &mut Cloud, request: &Request, project: &str) -> Checked<Reply> {
    let question = Question::read(request, &KINDS, rules::parse_offset_time).map_err(bad)?;
    let instance = question.instance.as_deref().ok_or_else(|| bad(Bad::Parameter("instance_id")))?;
    if !cloud.settings.rds_lists_gone_instances && cloud.instance(ME, project, instance).is_none() {
        return Err(no_instance());
    }
    let (total, page) = question.answer(cloud, ME, project, |_| true);
    let hours = cloud.settings.utc_offset_hours;
    let backups: Vec<Value> = page.iter().map(|backup| item(backup, hours)).collect();
    Ok(Reply::json(200, json!({ "backups": backups, "total_count": total })))
}

fn item(backup: &Backup, hours: i8) -> Value {
    let kilobytes = if backup.progress == Progress::Running { 0 } else { backup.size / 1024 };
    json!({
        "id": backup.id,
        "name": backup.name,
        "type": backup.kind.word(),
        "size": kilobytes,
        "status": backup.status(),
        "begin_time": rules::offset_time(backup.created, hours),
        "end_time": backup.ended.map_or(String::new(), |at| rules::offset_time(at, hours)),
        "datastore": { "type": "MySQL", "version": "8.0" },
        "databases": [],
        "instance_id": backup.instance,
        "associated_with_ddm": false,
        "min_data_volume_capacity_for_restore": kilobytes,
    })
}

fn delete(cloud: &mut Cloud, project: &str, id: &str) -> Checked<Reply> {
    match common::delete(cloud, ME, project, id) {
        Ok(_) => Ok(Reply::empty(200)),
        Err(why) => Err(match why {
            Stays::BadId => bad(Bad::BackupId),
            Stays::NeverWas => Reply::error(404, "DBS.201010", "The backup information does not exist."),
            Stays::IsGone => Reply::error(400, "DBS.201203", "The backup file does not exist."),
            Stays::IsRunning => Reply::error(409, "RDS.3004", "Backup is in progress, please wait."),
            Stays::IsVanishing => Reply::error(400, "RDS.3016", "The backup file is being deleted. Try again later."),
            // The schedule's own backups go when it lets them go; no code is documented for whoever tries.
            Stays::IsAutomatic => bad(Bad::Parameter("backup_id")),
        }),
    }
}

fn instances(cloud: &Cloud, request: &Request, project: &str) -> Reply {
    common::instances(cloud, request, ME, project, |instance| {
        json!({
            "id": instance.id, "name": instance_name(&instance.id),
            "status": if cloud.backing_up(ME, &instance.id) { "BACKING UP" } else { "ACTIVE" },
            "type": if instance.read_replica { "Replica" } else { "Single" },
            "datastore": { "type": "MySQL", "version": "8.0" },
        })
    })
}
