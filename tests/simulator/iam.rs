//! IAM (`cloud-apis.md` §11): tokens by password, tokens for OIDC tokens, and the list of projects.

use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    access,
    auth::{Caller, authenticate},
    geminidb::json_object,
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
    let given = (text("/password/user/domain/name")?, text("/password/user/name")?, text("/password/user/password")?);
    let known = cloud.tenants.iter().find(|tenant| (&*tenant.domain, &*tenant.user, &*tenant.password) == given);
    let tenant = known.cloned().ok_or_else(unauthorized)?;
    issue(cloud, request, &body, &tenant, "password")
}

fn by_oidc(cloud: &mut Cloud, request: &Request) -> Checked<Reply> {
    let body = Value::Object(json_object(request).map_err(bad_request)?);
    let provider = request.header("x-idp-id").ok_or_else(|| bad_request("X-Idp-Id is missing"))?;
    let token = body.pointer("/auth/id_token/id").and_then(Value::as_str).ok_or_else(|| bad_request("auth.id_token.id is missing"))?;
    let known = cloud.identity_providers.iter().find(|(name, _)| name == provider);
    let Some((_, audience)) = known else { return Err(Reply::iam_error(404, "Not Found", "Could not find identity provider.")) };
    let claims = claims(token).ok_or_else(|| bad_request("the id token is not a JWT"))?;
    let meant_for_us = match (&claims["aud"], audience) {
        (_, None) => true,
        (Value::Array(all), Some(wanted)) => all.iter().any(|one| one == wanted),
        (one, Some(wanted)) => one == wanted,
    };
    let alive = claims["exp"].as_i64().is_some_and(|end| end > cloud.now().as_second());
    if !meant_for_us || !alive {
        return Err(Reply::iam_error(401, "Unauthorized", "The id token is expired or meant for somebody else."));
    }
    let tenant = cloud.tenants.first().cloned().ok_or_else(unauthorized)?;
    issue(cloud, request, &body, &tenant, "mapped")
}

/// The claims of a JWT. Its signature is not checked: no key of the issuer is here.
fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let mut bits = 0u32;
    let mut held = 0;
    let mut bytes = Vec::new();
    for c in payload.bytes() {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    serde_json::from_slice(&bytes).ok()
}

fn issue(cloud: &mut Cloud, request: &Request, body: &Value, tenant: &Tenant, method: &str) -> Checked<Reply> {
    let project = scope(cloud, body, tenant)?;
    let domain = json!({ "id": tenant.id, "name": tenant.domain });
    if cloud.denied.contains(&ME) {
        return Err(forbidden());
    }
    let issued = cloud.now();
    let lifetime = SignedDuration::from_millis(i64::try_from(cloud.settings.token_lifetime_ms).unwrap_or(i64::MAX));
    let expires = issued.checked_add(lifetime).map_err(|_| bad_request("lifetime"))?;
    // As long as real ones: a client that limits header sizes should notice here.
    let value = format!("MIIsim{}", (0..64).map(|_| Uuid::new_v4().simple().to_string()).collect::<String>());
    let mut token = json!({
        "methods": [method],
        "issued_at": rules::micros_time(issued),
        "expires_at": rules::micros_time(expires),
        "user": { "id": tenant.user_id, "name": tenant.user, "domain": domain, "password_expires_at": "" },
        "roles": [{ "id": "0", "name": "te_admin" }],
    });
    if request.parameter("nocatalog").is_none() {
        token["catalog"] = json!([]);
    }
    if let Some(project) = &project {
        token["project"] = json!({ "id": project.id, "name": project.name, "domain": domain });
    }
    let (domain, project) = (tenant.id.clone(), project.map(|project| project.id));
    cloud.tokens.push(Token { value: value.clone(), domain, project, expires: Some(expires) });
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
