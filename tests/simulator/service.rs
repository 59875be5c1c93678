//! The services that are simulated, and the operations that are told apart in the log and by faults.

use serde::{Deserialize, Serialize};

/// A simulated service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Tokens and projects.
    Iam,
    /// `GeminiDB`.
    GeminiDb,
    /// `TaurusDB`, and `GaussDB`(for `MySQL`), its older face.
    #[serde(alias = "gaussdbformysql")]
    TaurusDb,
    /// Distributed Cache Service.
    Dcs,
    /// Relational Database Service.
    Rds,
    /// Document Database Service.
    Dds,
    /// `GaussDB` (openGauss).
    GaussDb,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Iam, Self::GeminiDb, Self::TaurusDb, Self::Dcs, Self::Rds, Self::Dds, Self::GaussDb];

    /// Its name in logs, faults and the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::GeminiDb => "geminidb",
            Self::TaurusDb => "taurusdb",
            Self::Dcs => "dcs",
            Self::Rds => "rds",
            Self::Dds => "dds",
            Self::GaussDb => "gaussdb",
        }
    }

    /// The service of this name; `gaussdbformysql` is `taurusdb`. Case does not matter.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = if name == "gaussdbformysql" { "taurusdb" } else { name.as_str() };
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    /// The same for a test's own constant, where a misspelling should stop the test at once.
    #[allow(clippy::panic, reason = "only ever called with constants of a test")]
    pub fn expect(name: &str) -> Self {
        Self::named(name).unwrap_or_else(|| panic!("no simulated service is called {name:?}"))
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A token, by password or by OIDC.
    Token,
    /// The list of projects.
    Projects,
    /// The caller's account.
    Domains,
    /// A new backup.
    Create,
    /// The list of backups.
    List,
    /// The end of a backup.
    Delete,
    /// The state of a job.
    Jobs,
    /// The list of instances, or one.
    Instances,
    /// Nothing that is published.
    Unknown,
}

impl Operation {
    /// Its name in logs, faults and the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Projects => "projects",
            Self::Domains => "domains",
            Self::Create => "create",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Jobs => "jobs",
            Self::Instances => "instances",
            Self::Unknown => "unknown",
        }
    }
}
