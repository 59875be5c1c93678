//! The engines and clouds by name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::VariantArray;

/// The database service that an instance belongs to.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::VariantArray)]
pub enum Engine {
    /// GeminiDB with its Cassandra, Mongo, Influx and Redis APIs.
    GeminiDB,
    /// GaussDB(for MySQL) through its older API, `/mysql/v3`, which has no delete.
    GaussDBforMySQL,
    /// TaurusDB, the present name and API of GaussDB(for MySQL).
    TaurusDB,
    /// Distributed Cache Service for Redis.
    DCS,
    /// Relational Database Service: MySQL, PostgreSQL, SQL Server and MariaDB.
    RDS,
    /// Document Database Service, compatible with MongoDB.
    DDS,
    /// GaussDB with its openGauss kernel.
    GaussDB,
}

impl Engine {
    /// Every engine, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::VARIANTS.iter().copied()
    }
}

/// The public cloud that an account belongs to; picks the endpoint table.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr)]
pub enum Cloud {
    /// Huawei Cloud, `myhuaweicloud.com`.
    HuaweiCloud,
    /// Open Telekom Cloud, `otc.t-systems.com`.
    OpenTelekomCloud,
}

impl Cloud {
    /// The cloud as written in manifests.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
