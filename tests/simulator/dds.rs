//! Document Database Service (`cloud-apis.md` §7): the body of a create is wrapped in `backup` and its answer is flat, times have a blank and no
//! offset, sizes are KB, a backup that is being deleted is `DISABLED`, and lists show incremental backups of one instance only.

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

const ME: Service = Service::Dds;
const KINDS: [(&str, Kind); 3] = [("Auto", Kind::Auto), ("Manual", Kind::Manual), ("Incremental", Kind::Incremental)];

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
    match operation {
        Operation::Create => create(cloud, request, project),
        Operation::List => list(cloud, request, project),
        Operation::Delete => delete(cloud, project, path.get(3).copied().unwrap_or_default()),
        // No document names this job; others are called in this manner.
        Operation::Jobs => common::job(cloud, request, ME, project, "Backup_MongoDB"),
        Operation::Instances => Ok(instances(cloud, request, project)),
        _ => Err(Reply::not_published()),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn bad(bad: Bad) -> Reply {
    match bad {
        Bad::Parameter(what) => Reply::error(400, "DBS.280001", &format!("Parameter error: {what}.")),
        Bad::Name => Reply::error(400, "DBS.280277", "Invalid backup name."),
        Bad::Description => Reply::error(400, "DBS.280127", "Invalid backup description."),
        Bad::InstanceId => Reply::error(400, "DBS.280404", "Invalid DB instance ID."),
        Bad::BackupId => Reply::error(400, "DBS.280124", "Invalid backup."),
        Bad::Limit => Reply::error(400, "DBS.280439", "Invalid limit."),
        Bad::Offset => Reply::error(400, "DBS.280440", "Invalid offset."),
    }
}

fn busy() -> Reply {
    Reply::error(403, "DBS.200019", "Another operation is being performed on the DB instance or the DB instance is faulty.")
}

fn refused(obstacle: &Obstacle) -> Reply {
    match obstacle {
        Obstacle::NoInstance => Reply::error(404, "DBS.200002", "The DB instance does not exist."),
        Obstacle::NameTaken => Reply::error(400, "DBS.201201", "The backup already exists."),
        Obstacle::BackingUp | Obstacle::Busy | Obstacle::ReadReplica => busy(),
        // The code is documented here, and its status at `GeminiDB` only.
        Obstacle::Quota => Reply::error(500, "DBS.200165", "The quota of backups has been reached."),
    }
}

fn create(cloud: &mut Cloud, request: &Request, project: &str) -> Checked<Reply> {
    let body = json_object(request).map_err(|why| bad(Bad::Parameter(why)))?;
    let body = body.get("backup").and_then(Value::as_object).ok_or_else(|| bad(Bad::Parameter("backup")))?;
    let wish = Wish::read(body).map_err(bad)?;
    if let Some(obstacle) = wish.obstacle(cloud, ME, project) {
        return Err(refused(&obstacle));
    }
    let backup = wish.begin(cloud, ME, project);
    Ok(Reply::json(200, json!({ "job_id": backup.job, "backup_id": backup.id })))
}

fn list(cloud: &mut Cloud, request: &Request, project: &str) -> Checked<Reply> {
    let question = Question::read(request, &KINDS, rules::parse_blank_time).map_err(bad)?;
    if question.kind == Some(Kind::Incremental) && question.instance.is_none() {
        return Err(bad(Bad::Parameter("instance_id")));
    }
    if request.parameter("mode").is_some_and(|mode| !["Sharding", "ReplicaSet", "Single"].contains(&mode.as_str())) {
        return Err(bad(Bad::Parameter("mode")));
    }
    // Whoever names no type gets backups of whole instances; an incremental one has to be named together with its instance.
    let named = question.backup.is_some() && question.instance.is_some();
    let whole_only = question.kind.is_none() && !named;
    let filters = Filters::read(cloud, request, project);
    let (total, page) =
        question.answer(cloud, ME, project, |backup| !(whole_only && backup.kind == Kind::Incremental) && filters.pass(backup));
    let backups: Vec<Value> = page.iter().enumerate().map(|(place, backup)| item(backup, place)).collect();
    Ok(Reply::json(200, json!({ "backups": backups, "total_count": total })))
}

/// What the vendor's SDK can ask for beyond what Open Telekom Cloud documents, where it does nothing. Orders are left out.
struct Filters {
    mode: Option<String>,
    status: Option<String>,
    name: Option<String>,
    description: Option<String>,
    instance_name: Option<String>,
}

impl Filters {
    fn read(cloud: &Cloud, request: &Request, project: &str) -> Self {
        let more = |name: &str| request.parameter(name).filter(|_| !cloud.is_open_telekom(project));
        Self {
            mode: request.parameter("mode"),
            status: more("backup_status"),
            name: more("backup_name"),
            description: more("backup_description"),
            instance_name: more("instance_name"),
        }
    }

    fn pass(&self, backup: &Backup) -> bool {
        let like = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|wanted| text.contains(wanted.as_str()));
        self.mode.as_deref().is_none_or(|mode| mode == "ReplicaSet")
            && self.status.as_ref().is_none_or(|wanted| *wanted == backup.status())
            && like(&self.name, &backup.name)
            && like(&self.description, &backup.description)
            && like(&self.instance_name, &instance_name(&backup.instance))
    }
}

fn item(backup: &Backup, place: usize) -> Value {
    let word = backup.kind.word();
    // The vendor's table has the words in one case and its example in the other: every page has both, beginning with the example's.
    let word = match KINDS.iter().find(|(_, kind)| *kind == backup.kind) {
        Some((documented, _)) if place % 2 == 1 => documented,
        _ => word,
    };
    json!({
        "id": backup.id,
        "name": backup.name,
        "instance_id": backup.instance,
        "instance_name": instance_name(&backup.instance),
        "datastore": { "type": "DDS-Community", "version": "4.0" },
        "type": word,
        "begin_time": rules::blank_time(backup.created),
        "end_time": backup.ended.map_or(String::new(), rules::blank_time),
        "status": backup.status(),
        "size": if backup.progress == Progress::Running { 0 } else { backup.size / 1024 },
        "description": backup.description,
        "instance_status": "normal",
        "instance_mode": "ReplicaSet",
        "is_instance_restoring": false,
        "backup_method": if backup.kind == Kind::Incremental { "Incremental" } else { "Physical" },
        "kms_enable": false,
        "deletable": !backup.automatic(),
    })
}

fn delete(cloud: &mut Cloud, project: &str, id: &str) -> Checked<Reply> {
    match common::delete(cloud, ME, project, id) {
        Ok(_) => Ok(Reply::json(200, json!({ "job_id": uuid::Uuid::new_v4().to_string() }))),
        Err(why) => Err(match why {
            Stays::BadId => bad(Bad::BackupId),
            Stays::NeverWas => Reply::error(400, "DBS.201204", "The backup file does not exist or does not match the DB instance."),
            Stays::IsGone => Reply::error(400, "DBS.201214", "The backup file does not exist."),
            // A running backup holds its instance, and so does a delete that is under way.
            Stays::IsRunning | Stays::IsVanishing => busy(),
            // The schedule's own backups go when it lets them go; no code is documented for whoever tries.
            Stays::IsAutomatic => bad(Bad::Parameter("backup_id")),
        }),
    }
}

fn instances(cloud: &Cloud, request: &Request, project: &str) -> Reply {
    common::instances(cloud, request, ME, project, |instance| {
        json!({
            "id": instance.id, "name": instance_name(&instance.id), "status": "normal", "mode": "ReplicaSet", "engine": "wiredTiger",
            "datastore": { "type": "DDS-Community", "version": "4.0" }, "actions": [],
        })
    })
}
