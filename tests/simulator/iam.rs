//! IAM (`cloud-apis.md` §11): tokens by password, tokens for OIDC tokens, and the list of projects.

use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    access,
    auth::{Caller, authenticate},
    geminidb::json_object,
    identity::Rejection,
    message::{Reply, Request},
    rules,
    service::{Operation, Service},
    state::{Checked, Cloud, Project, Tenant, Token},
};

const ME: Service = Service::Iam;

/// What this method and path ask for.
pub fn operation(method: &str, path: &[&str]) -> Operation {
    match (method, path) {
        ("POST", ["v3", "auth", "tokens"] | ["v3.0", "OS-AUTH", "id-token", "tokens"]) => Operation::Token,
        ("GET", ["v3", "projects"] | ["v3", "auth", "projects"]) => Operation::Projects,
        ("GET", ["v3", "auth", "domains"]) => Operation::Domains,
        _ => Operation::Unknown,
    }
}

/// Answers a request that was found to be this operation.
pub fn answer(cloud: &mut Cloud, request: &Request, operation: Operation, path: &[&str]) -> Checked<Reply> {
    match operation {
        Operation::Token if path[0] == "v3.0" => by_oidc(cloud, request),
        Operation::Token => by_password(cloud, request),
        Operation::Projects => {
            // One's own projects need no permission.
            let caller = if path[1] == "auth" { known(cloud, request)? } else { enter(cloud, request)? };
            Ok(projects(cloud, request, &caller.domain))
        }
        Operation::Domains => {
            let caller = enter(cloud, request)?;
            let own = cloud.tenants.iter().filter(|tenant| tenant.id == caller.domain);
            let domains: Vec<Value> = own.map(|tenant| json!({ "id": tenant.id, "name": tenant.domain, "enabled": true })).collect();
            Ok(Reply::json(200, json!({ "domains": domains, "links": links() })))
        }
        _ => Err(Reply::not_published()),
    }
}

fn known(cloud: &mut Cloud, request: &Request) -> Checked<Caller> {
    authenticate(cloud, request).map_err(|refusal| access::refused(cloud, ME, &refusal))
}

fn enter(cloud: &mut Cloud, request: &Request) -> Checked<Caller> {
    let caller = known(cloud, request)?;
    if cloud.denied.contains(&ME) { Err(forbidden()) } else { Ok(caller) }
}

fn bad_request(why: &str) -> Reply {
    Reply::iam_error(400, "Bad Request", why)
}

fn unauthorized() -> Reply {
    Reply::iam_error(401, "Unauthorized", "The username or password is wrong.")
}

fn forbidden() -> Reply {
    Reply::iam_error(403, "Forbidden", "You are not authorized to perform the requested action.")
}

fn by_password(cloud: &mut Cloud, request: &Request) -> Checked<Reply> {
    let body = Value::Object(json_object(request).map_err(bad_request)?);
    let identity = body.pointer("/auth/identity").ok_or_else(|| bad_request("auth.identity is missing"))?;
    let methods = identity.get("methods").and_then(Value::as_array).ok_or_else(|| bad_request("auth.identity.methods is missing"))?;
    if methods.iter().any(|method| method != "password") || methods.is_empty() {
        return Err(bad_request("only the method password is supported here"));
    }
    let text =
        |pointer: &str| identity.pointer(pointer).and_then(Value::as_str).ok_or_else(|| bad_request(&format!("{pointer} is missing")));
    let [domain, name, password] = [text("/password/user/domain/name")?, text("/password/user/name")?, text("/password/user/password")?];
    let known = cloud.tenants.iter().find(|tenant| (&*tenant.domain, &*tenant.user) == (domain, name));
    let tenant = known.cloned().ok_or_else(unauthorized)?;
    let now = cloud.now();
    if cloud.ledger.user_is_locked(name, now) {
        // The list of error codes has this one; that it comes in this envelope is a guess.
        return Err(Reply::error(401, "IAM.0061", "Account locked."));
    }
    let is_right = tenant.password == password;
    cloud.ledger.password(name, is_right, now, &cloud.settings);
    if !is_right {
        return Err(unauthorized());
    }
    issue(cloud, request, &body, &tenant, None)
}

/// The errors of this path come in the other envelope, by its page.
fn by_oidc(cloud: &mut Cloud, request: &Request) -> Checked<Reply> {
    let invalid = || Reply::error(400, "IAM.0011", "Request body is invalid.");
    let unauthenticated = || Reply::error(401, "IAM.0001", "The request you have made requires authentication.");
    // That the wrong Content-Type and the missing header are 400 too is a guess.
    let body = Value::Object(json_object(request).map_err(|_| invalid())?);
    let token = body.pointer("/auth/id_token/id").and_then(Value::as_str).ok_or_else(invalid)?;
    let name = request.header("x-idp-id").filter(|name| !name.is_empty()).ok_or_else(invalid)?;
    let known = cloud.identity_providers.iter().find(|provider| provider.name == name).cloned();
    let provider = known.ok_or_else(|| Reply::error(404, "IAM.0004", &format!("Could not find identity_provider: {name}.")))?;
    provider.verify(token, cloud.now()).map_err(|rejection| match rejection {
        Rejection::Malformed => invalid(),
        Rejection::Untrusted(_) => unauthenticated(),
        // A guess: the page lists 403 as "Access denied", and does not say what a subject without a rule gets.
        Rejection::Unmapped => Reply::error(403, "IAM.0003", "Policy doesn't allow identity:authenticate to be performed."),
    })?;
    let tenant = cloud.tenants.iter().find(|tenant| tenant.id == provider.domain).cloned().ok_or_else(unauthenticated)?;
    issue(cloud, request, &body, &tenant, Some(&provider.name)).map_err(|refusal| {
        let code = match refusal.status {
            400 => "IAM.0011",
            403 => "IAM.0003",
            _ => "IAM.0004",
        };
        let message = refusal.body.as_ref().and_then(|body| body.pointer("/error/message")).and_then(Value::as_str);
        Reply::error(refusal.status, code, message.unwrap_or_default())
    })
}

fn issue(cloud: &mut Cloud, request: &Request, body: &Value, tenant: &Tenant, provider: Option<&str>) -> Checked<Reply> {
    let project = scope(cloud, body, tenant)?;
    let domain = json!({ "id": tenant.id, "name": tenant.domain });
    let is_denied = project.as_ref().is_some_and(|project| cloud.denied_projects.contains(&project.id));
    if cloud.denied.contains(&ME) || is_denied {
        // A guess for a project where the user has no rights: Keystone says 401 there, the vendor's page lists 403.
        return Err(forbidden());
    }
    let issued = cloud.now();
    let lifetime = SignedDuration::from_millis(i64::try_from(cloud.settings.token_lifetime_ms).unwrap_or(i64::MAX));
    let expires = issued.checked_add(lifetime).map_err(|_| bad_request("lifetime"))?;
    // As long as real ones: a client that limits header sizes should notice here.
    let value = format!("MIIsim{}", (0..64).map(|_| Uuid::new_v4().simple().to_string()).collect::<String>());
    let mut token = json!({
        "methods": [if provider.is_some() { "mapped" } else { "password" }],
        "issued_at": rules::micros_time(issued),
        "expires_at": rules::micros_time(expires),
        "user": { "id": tenant.user_id, "name": tenant.user, "domain": domain, "password_expires_at": "" },
        "roles": [{ "id": "0", "name": "te_admin" }],
    });
    if request.parameter("nocatalog").is_none() {
        token["catalog"] = json!([]);
    }
    if let Some(name) = provider {
        token["user"]["OS-FEDERATION"] = json!({ "identity_provider": { "id": name }, "protocol": { "id": "oidc" }, "groups": [] });
    }
    if let Some(project) = &project {
        token["project"] = json!({ "id": project.id, "name": project.name, "domain": domain });
    }
    let (domain, project) = (tenant.id.clone(), project.map(|project| project.id));
    cloud.tokens.push(Token { value: value.clone(), domain, project, provider: provider.map(str::to_owned), expires: Some(expires) });
    let mut reply = Reply::json(201, json!({ "token": token }));
    reply.headers.push(("X-Subject-Token", value));
    Ok(reply)
}

fn scope(cloud: &Cloud, body: &Value, tenant: &Tenant) -> Checked<Option<Project>> {
    let Some(project) = body.pointer("/auth/scope/project") else { return Ok(None) };
    let (key, wanted) = match (project.get("id").and_then(Value::as_str), project.get("name").and_then(Value::as_str)) {
        (Some(id), _) => ("id", id),
        (None, Some(name)) => ("name", name),
        (None, None) => return Err(bad_request("auth.scope.project needs an id or a name")),
    };
    let same = |known: &&Project| known.domain == tenant.id && if key == "id" { known.id == wanted } else { known.name == wanted };
    let found = cloud.projects.iter().find(same).cloned();
    found.map(Some).ok_or_else(|| Reply::iam_error(404, "Not Found", &format!("Could not find project, {key}: {wanted}.")))
}

fn projects(cloud: &Cloud, request: &Request, domain: &str) -> Reply {
    let name = request.parameter("name");
    let own = cloud.projects.iter().filter(|project| project.domain == domain);
    let shown = own.filter(|project| name.as_ref().is_none_or(|name| *name == project.name)).map(|project| {
        json!({
            "id": project.id, "name": project.name, "domain_id": domain, "parent_id": domain, "description": "",
            "enabled": true, "is_domain": false, "links": { "self": format!("https://iam/v3/projects/{}", project.id) },
        })
    });
    Reply::json(200, json!({ "projects": shown.collect::<Vec<_>>(), "links": links() }))
}

fn links() -> Value {
    json!({ "self": "https://iam/v3", "previous": null, "next": null })
}
