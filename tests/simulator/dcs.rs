//! Distributed Cache Service (`cloud-apis.md` §5): backups have a remark and no name, lists are per instance and 204 when empty, the
//! default page is 10, sizes are bytes, and the 25th backup drops the oldest.

use serde_json::{Value, json};

use super::{
    access,
    backup::{Backup, Order, Progress},
    geminidb::{instance_name, json_object},
    message::{Reply, Request},
    rules::{self, BadPage, Page, Window},
    service::{Operation, Service},
    state::{Checked, Cloud, Instance},
};

const ME: Service = Service::Dcs;

/// What this method and path ask for.
pub fn operation(method: &str, path: &[&str]) -> Operation {
    match (method, path) {
        ("POST", ["v2", _, "instances", _, "backups"]) => Operation::Create,
        ("GET", ["v2", _, "instances", _, "backups"]) => Operation::List,
        ("DELETE", ["v2", _, "instances", _, "backups", _]) => Operation::Delete,
        ("GET", ["v2", _, "instances"] | ["v2", _, "instances", _]) => Operation::Instances,
        _ => Operation::Unknown,
    }
}

/// Answers a request that was found to be this operation.
pub fn answer(cloud: &mut Cloud, request: &Request, operation: Operation, path: &[&str]) -> Checked<Reply> {
    let project = path.get(1).copied().unwrap_or_default();
    let instance = path.get(3).copied();
    access::enter(cloud, ME, request, project)?;
    match (operation, instance) {
        (Operation::Create, Some(instance)) => create(cloud, request, project, instance),
        (Operation::List, Some(instance)) => list(cloud, request, project, instance),
        (Operation::Delete, Some(instance)) => delete(cloud, project, instance, path.get(5).copied().unwrap_or_default()),
        (Operation::Instances, Some(instance)) => known(cloud, project, instance).map(|instance| Reply::json(200, shown(cloud, &instance))),
        (Operation::Instances, None) => instances(cloud, request, project),
        _ => Err(Reply::not_published()),
    }
}

fn invalid(what: &str) -> Reply {
    Reply::dcs_error(400, "DCS.4062", &format!("Invalid parameter: {what}."))
}

fn known(cloud: &Cloud, project: &str, instance: &str) -> Checked<Instance> {
    if !rules::id_ok(instance) {
        return Err(Reply::dcs_error(400, "DCS.4061", "Invalid instance ID."));
    }
    cloud.instance(ME, project, instance).ok_or_else(|| Reply::dcs_error(404, "DCS.3022", "The DCS instance does not exist."))
}

fn create(cloud: &mut Cloud, request: &Request, project: &str, instance: &str) -> Checked<Reply> {
    let body = json_object(request).map_err(|_| Reply::dcs_error(400, "DCS.4004", "The request body is empty or not in JSON format."))?;
    let remark = match body.get("remark") {
        None | Some(Value::Null) => "",
        Some(Value::String(text)) => text,
        Some(_) => return Err(invalid("remark")),
    };
    if remark.chars().count() > 128 {
        return Err(Reply::dcs_error(400, "DCS.4098", "The remark is longer than 128 characters."));
    }
    let format = match body.get("backup_format") {
        None | Some(Value::Null) => "rdb",
        Some(Value::String(text)) if text == "aof" || text == "rdb" => text,
        Some(_) => return Err(invalid("backup_format")),
    };
    let instance = known(cloud, project, instance)?;
    if instance.single_node {
        return Err(Reply::dcs_error(400, "DCS.4086", "Only master/standby and cluster instances can be backed up."));
    }
    if cloud.backing_up(ME, &instance.id) {
        return Err(Reply::dcs_error(400, "DCS.4096", "The instance is being backed up."));
    }
    if instance.busy {
        return Err(Reply::dcs_error(400, "DCS.4026", "The operation is not allowed in the current state of the instance."));
    }
    let backup = cloud.begin(Order {
        service: ME,
        project: project.to_owned(),
        instance: instance.id.clone(),
        name: String::new(),
        description: remark.to_owned(),
        format: format.to_owned(),
        legacy: false,
        tables: None,
    });
    let reply = Reply::json(200, json!({ "backup_id": backup.id }));
    cloud.rotate_dcs(&instance.id);
    Ok(reply)
}

fn list(cloud: &mut Cloud, request: &Request, project: &str, instance: &str) -> Checked<Reply> {
    let page = Page::read(request, 10, 1000).map_err(|bad| match bad {
        BadPage::Limit => invalid("limit"),
        BadPage::Offset => invalid("offset"),
    })?;
    let window = Window::read(request, rules::parse_digits_time).ok_or_else(|| invalid("begin_time, end_time"))?;
    let instance = known(cloud, project, instance)?;
    cloud.stir(ME, project, Some(&instance.id), page.is_first());
    let mut found = cloud.listed(ME, project);
    found.retain(|backup| backup.instance == instance.id && window.holds(backup.created));
    let nothing = found.is_empty();
    let total = cloud.told(found.len());
    let records: Vec<Value> = page.cut(found).iter().map(record).collect();
    // "When there is nothing" is read as: nothing at all. A page past the end is an ordinary answer.
    if nothing && total == 0 {
        return Ok(Reply::empty(204));
    }
    Ok(Reply::json(200, json!({ "total_num": total, "backup_record_response": records })))
}

fn record(backup: &Backup) -> Value {
    let running = backup.progress == Progress::Running;
    json!({
        "backup_id": backup.id,
        "backup_name": backup.name,
        "instance_id": backup.instance,
        "remark": backup.description,
        "status": backup.status(),
        "progress": if running { "40.00" } else { "100.00" },
        "size": if running { 0 } else { backup.size },
        "backup_type": backup.kind.word(),
        "backup_format": backup.format,
        "created_at": rules::millis_time(backup.created),
        "updated_at": backup.ended.map_or(String::new(), rules::millis_time),
        "execution_at": rules::millis_time(backup.created),
        "error_code": if backup.progress == Progress::Failed { "dcs.08.0002" } else { "" },
        "is_support_restore": if backup.progress == Progress::Completed && !backup.is_useless { "TRUE" } else { "FALSE" },
        // The vendor's own examples show an object where a text is promised.
        "period": {},
    })
}

fn delete(cloud: &mut Cloud, project: &str, instance: &str, id: &str) -> Checked<Reply> {
    let instance = known(cloud, project, instance)?;
    let there = |backup: &&Backup| backup.service == ME && backup.instance == instance.id && backup.id == id && !backup.deleted;
    let backup = cloud.backups.iter().find(there).ok_or_else(|| Reply::dcs_error(400, "DCS.4031", "The backup record does not exist."))?;
    if backup.running() {
        return Err(Reply::dcs_error(400, "DCS.4026", "The operation is not allowed in the current state of the instance."));
    }
    cloud.vanish_soon(id);
    Ok(Reply::empty(204))
}

fn instances(cloud: &Cloud, request: &Request, project: &str) -> Checked<Reply> {
    let page = Page::read(request, 10, 1000).map_err(|_| invalid("limit, offset"))?;
    let id = request.parameter("instance_id");
    let mine = cloud.instances.iter().filter(|instance| instance.service == ME && instance.project == project);
    let all: Vec<Value> =
        mine.filter(|instance| id.as_ref().is_none_or(|id| *id == instance.id)).map(|known| shown(cloud, known)).collect();
    let total = all.len();
    Ok(Reply::json(200, json!({ "instance_num": total, "instances": page.cut(all) })))
}

fn shown(cloud: &Cloud, instance: &Instance) -> Value {
    json!({
        "instance_id": instance.id,
        "name": instance_name(&instance.id),
        "engine": "Redis",
        "engine_version": "5.0",
        "cache_mode": if instance.single_node { "single" } else { "ha" },
        "spec_code": if instance.single_node { "redis.single.xu1.large.2" } else { "redis.ha.xu1.large.r2.2" },
        "product_type": "generic",
        "status": "RUNNING",
        "task_running": cloud.backing_up(ME, &instance.id),
    })
}
