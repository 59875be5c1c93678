//! Where backups are: a project of a cloud, and the host that serves the engine there.

use crate::{api::status::DatabaseBackupStatus, cloud::engine::Cloud};

/// A project of a cloud: where an account points.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Project {
    /// The cloud.
    pub cloud: Cloud,
    /// The region.
    pub region: String,
    /// The project's id.
    pub project_id: String,
}

/// Where backups are taken: a project, and the host that serves the engine there. A listing says something about one place only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The project.
    pub project: Project,
    /// The service's host, with its port if there is one; empty where the region has none.
    pub endpoint: String,
}

/// How a place stands to the one where a status says that the backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// The same; also for a status that names none yet.
    Here,
    /// The same project, at another host.
    OtherHost,
    /// Another cloud, region or project.
    Elsewhere,
}

impl Project {
    /// Whether a status says that its backup is, or will be, in this project; so it does as long as it names none.
    pub fn holds(&self, status: &DatabaseBackupStatus) -> bool {
        recorded(status).is_none_or(|words| self.is(words))
    }

    /// Whether it is the one of this cloud, region and project id.
    pub fn is(&self, [cloud, region, project_id]: [&str; 3]) -> bool {
        cloud == self.cloud.as_str() && region == self.region && project_id == self.project_id
    }
}

/// Cloud, region and project id where a status says that its backup is, or will be; absent as long as it names none.
pub fn recorded(status: &DatabaseBackupStatus) -> Option<[&str; 3]> {
    Some([status.cloud.as_deref()?, status.region.as_deref()?, status.project_id.as_deref()?])
}

impl Place {
    /// How it stands to where a status says that the backup is.
    pub fn whereabouts(&self, status: &DatabaseBackupStatus) -> Whereabouts {
        if !self.project.holds(status) {
            return Whereabouts::Elsewhere;
        }
        match status.endpoint.as_deref() {
            Some(host) if host != self.endpoint => Whereabouts::OtherHost,
            _ => Whereabouts::Here,
        }
    }
}
