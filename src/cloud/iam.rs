//! Identity and Access Management: tokens by password or for the token of an identity provider, and projects by name (`POST /v3/auth/tokens`,
//! `POST /v3.0/OS-AUTH/id-token/tokens`, `GET /v3/auth/projects`, `GET /v3/projects`).

use super::{
    api::{Api, Lists, as_it_is},
    json,
    parse::{id, time},
    request::{Operation, Request},
    service::Unreadable,
};
use http::Method;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

/// What is fixed of it. It has no backups, and its own codes are those that every service passes on.
pub static API: Api = Api {
    label: "iam",
    name: "IAM",
    // Its own spelling.
    content_type: "application/json;charset=utf8",
    codes: &[],
    spelling: as_it_is,
    lists: Lists::Project,
    finds_by_id: false,
    backups_go_with_instance: false,
    page_size: 0,
    calls_per_minute: None,
};

/// Asks for a token of a user, for a project by id or, where that is not known, by its name, which is the region's.
pub fn token(domain_name: &str, username: &str, password: &SecretString, project_id: Option<&str>, region: &str) -> Request {
    Request {
        // The catalog is long, and nobody reads it.
        query: vec![("nocatalog", "1".into())],
        body: Some(json!({ "auth": {
            "identity": {
                "methods": ["password"],
                "password": { "user": { "name": username, "password": password.expose_secret(), "domain": { "name": domain_name } } },
            },
            "scope": { "project": scope(project_id, region) },
        } })),
        // The password is in it.
        confidential: true,
        ..Request::new(&API, Operation::Token, Method::POST, "/v3/auth/tokens".into())
    }
}

/// Asks for a token in exchange for one that an identity provider issued, for a project as [`token`] does.
pub fn token_of_id_token(identity_provider: &str, id_token: &SecretString, project_id: Option<&str>, region: &str) -> Request {
    Request {
        headers: vec![("x-idp-id", identity_provider.to_owned())],
        body: Some(json!({ "auth": {
            "id_token": { "id": id_token.expose_secret() },
            "scope": { "project": scope(project_id, region) },
        } })),
        confidential: true,
        ..Request::new(&API, Operation::Token, Method::POST, "/v3.0/OS-AUTH/id-token/tokens".into())
    }
}

fn scope(project_id: Option<&str>, region: &str) -> Value {
    project_id.map_or_else(|| json!({ "name": region }), |id| json!({ "id": id }))
}

/// What the body of the answer says of the token; the token itself is in a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFacts {
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// The project that it is for.
    pub project_id: Option<String>,
}

/// Reads the body of the answer to [`token`] and [`token_of_id_token`].
pub fn read_token(body: &[u8]) -> Result<TokenFacts, Unreadable> {
    let answer = json::object(body)?;
    let token = answer.get("token").ok_or_else(|| Unreadable("the answer has no token".into()))?;
    let expires_at = token.get("expires_at").and_then(Value::as_str).and_then(time);
    Ok(TokenFacts {
        expires_at: expires_at.ok_or_else(|| Unreadable("the answer has no token.expires_at".into()))?,
        project_id: id(token.get("project").and_then(|project| project.get("id"))),
    })
}

/// Asks which projects these credentials may use. It needs no permission (Huawei Cloud's page `iam_06_0003`, KeystoneListAuthProjects), and cannot be narrowed
/// to a name.
pub fn own_projects() -> Request {
    Request::new(&API, Operation::Projects, Method::GET, "/v3/auth/projects".into())
}

/// Asks which projects of the account have a region's name. It needs the permission to list projects.
pub fn projects(region: &str) -> Request {
    Request { query: vec![("name", region.to_owned())], ..Request::new(&API, Operation::Projects, Method::GET, "/v3/projects".into()) }
}

/// Reads the ids of the projects with exactly the region's name.
pub fn read_projects(body: &[u8], region: &str) -> Result<Vec<String>, Unreadable> {
    let name = |project: &Map<String, Value>| project.get("name").and_then(Value::as_str) == Some(region);
    let (_, projects) = json::with_items(body, "projects", |project| Some(id(project.get("id")).filter(|_| name(project))))?;
    let projects = projects.ok_or_else(|| Unreadable("the answer has no list projects".into()))?;
    Ok(projects.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_asked_for_by_project_id_or_else_by_region() {
        let password = SecretString::from("p");
        let scope = |project: Option<&str>| token("d", "u", &password, project, "eu-de").body.unwrap()["auth"]["scope"].clone();
        assert_eq!(scope(Some("p-1")), json!({ "project": { "id": "p-1" } }));
        assert_eq!(scope(None), json!({ "project": { "name": "eu-de" } }));
    }

    #[test]
    fn a_token_of_an_identity_provider_is_traded_under_the_providers_name() {
        let request = token_of_id_token("cluster", &SecretString::from("jwt"), None, "eu-de");
        assert_eq!(request.headers, [("x-idp-id", "cluster".to_owned())]);
        assert_eq!(request.body.unwrap(), json!({ "auth": { "id_token": { "id": "jwt" }, "scope": { "project": { "name": "eu-de" } } } }));
        assert!(request.confidential, "nothing of it is quoted");
    }

    #[test]
    fn a_tokens_expiry_and_project_are_read() {
        let body = br#"{"token":{"expires_at":"2015-11-09T01:42:57.527363Z","project":{"id":"p-1","name":"eu-de"}}}"#;
        let facts = read_token(body).unwrap();
        assert_eq!(facts.expires_at, "2015-11-09T01:42:57.527363Z".parse().unwrap());
        assert_eq!(facts.project_id.as_deref(), Some("p-1"));
        assert!(read_token(b"{}").is_err() && read_token(b"<html>").is_err());
    }

    #[test]
    fn only_projects_of_exactly_that_name_count() {
        let body = br#"{"projects":[{"id":"a","name":"eu-de"},{"id":"b","name":"eu-de_sub"},{"name":"eu-de"}]}"#;
        assert_eq!(read_projects(body, "eu-de").unwrap(), ["a"]);
    }
}
