//! What every project service checks before it looks at the request itself: the caller, the permission, the project.

use super::{
    auth::{By, Refusal, authenticate},
    message::{Reply, Request},
    service::Service,
    state::{Checked, Cloud},
};

impl Cloud {
    /// Withdraws the permission of a project's user there, or grants it again.
    pub fn deny_project(&mut self, project: &str, denied: bool) {
        if denied {
            self.denied_projects.insert(project.to_owned());
        } else {
            self.denied_projects.remove(project);
        }
    }
}

/// Lets the caller in, or says no with this service's own code.
pub fn enter(cloud: &mut Cloud, service: Service, request: &Request, project: &str) -> Checked<()> {
    let caller = authenticate(cloud, request).map_err(|refusal| refused(cloud, service, &refusal))?;
    let known = cloud.projects.iter().find(|known| known.id == project && known.domain == caller.domain);
    let allowed = match caller.by {
        By::Token(scope) => known.is_some() && scope.as_deref() == Some(project),
        By::AccessKey => match (known, request.header("x-project-id")) {
            (None, _) => false,
            (Some(_), Some(header)) => header == project,
            // Without the header a signed call reaches the region's main project only.
            (Some(known), None) => !known.name.contains('_'),
        },
    };
    if !allowed {
        return Err(wrong_project(service));
    }
    if cloud.denied.contains(&service) || cloud.denied_projects.contains(project) {
        return Err(forbidden(service));
    }
    Ok(())
}

/// The answer to a caller that is not recognised.
pub fn refused(cloud: &Cloud, service: Service, refusal: &Refusal) -> Reply {
    let gateway = |why: &str| Reply::gateway_error(401, "APIGW.0301", &format!("Incorrect IAM authentication information: {why}"));
    let by_gateway = cloud.settings.gateway_checks_tokens;
    match (refusal, service) {
        (Refusal::Signature(why), _) => gateway(why),
        (Refusal::Missing, Service::Dcs) if !by_gateway => Reply::dcs_error(401, "DCS.1003", "Missing token."),
        (Refusal::Missing | Refusal::TokenInvalid | Refusal::TokenExpired, Service::Iam) => {
            Reply::iam_error(401, "Unauthorized", "The request you have made requires authentication.")
        }
        (Refusal::Missing, _) => gateway("x-auth-token not found"),
        (Refusal::TokenInvalid, _) if by_gateway => gateway("decrypt token fail"),
        (Refusal::TokenExpired, _) if by_gateway => gateway("token expires"),
        (Refusal::TokenInvalid, Service::Dcs) => Reply::dcs_error(401, "DCS.1001", "Invalid token."),
        (Refusal::TokenExpired, Service::Dcs) => Reply::dcs_error(401, "DCS.1002", "Token expired."),
        (Refusal::TokenInvalid | Refusal::TokenExpired, Service::Dds) => Reply::error(401, "DBS.280056", "Invalid token."),
        (Refusal::TokenInvalid | Refusal::TokenExpired, Service::GeminiDb | Service::TaurusDb | Service::Rds | Service::GaussDb) => {
            Reply::error(403, "DBS.280056", "Invalid token.")
        }
    }
}

fn wrong_project(service: Service) -> Reply {
    match service {
        Service::GeminiDb | Service::Dds => Reply::error(400, "DBS.200010", "The tenant does not match the project."),
        Service::TaurusDb | Service::Rds | Service::GaussDb => {
            Reply::error(403, "DBS.200010", "The tenant is not allowed to use this project.")
        }
        Service::Dcs => Reply::dcs_error(401, "DCS.1004", "The project ID does not match the token."),
        Service::Iam => Reply::iam_error(403, "Forbidden", "You are not authorized to perform the requested action."),
    }
}

fn forbidden(service: Service) -> Reply {
    match service {
        Service::GeminiDb | Service::Dds => Reply::error(403, "DBS.280032", "You do not have the permission to perform this operation."),
        Service::TaurusDb | Service::Rds | Service::GaussDb => Reply::error(403, "DBS.280015", "Access denied."),
        Service::Dcs => Reply::dcs_error(403, "DCS.2003", "You do not have the permission to perform this operation."),
        Service::Iam => Reply::iam_error(403, "Forbidden", "You are not authorized to perform the requested action."),
    }
}
