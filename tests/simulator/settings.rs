//! The dials of the simulated cloud.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Dials. In the admin API durations are milliseconds and the names are these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "each is a dial of its own")]
pub struct Settings {
    /// How long a new backup takes.
    pub backup_duration_ms: u64,
    /// How many of a hundred new backups will fail, by dice.
    pub fail_percent: u8,
    /// How big a new backup gets.
    pub backup_size: u64,
    /// How long a new backup stays out of lists.
    pub list_lag_ms: u64,
    /// Running backups do not end until this is taken back.
    pub hold_backups: bool,
    /// How long an asynchronous delete (all but `TaurusDB`) takes.
    pub delete_duration_ms: u64,
    /// Every instance id exists in every project.
    pub any_instance: bool,
    /// Whether a name that exists in the project is refused. No document says that the real services do.
    pub check_duplicate_names: bool,
    /// Whether DCS lists deleted backups, with status `deleted`.
    pub list_deleted_dcs: bool,
    /// Backups that DCS keeps per instance; one more drops the oldest.
    pub dcs_backups_kept: usize,
    /// How many manual backups RDS, DDS and `GaussDB` keep in a project; one more is refused. None is no limit.
    pub manual_backups_per_project: Option<usize>,
    /// How many calls to RDS a user may make in a minute, of all kinds together; 0 is no limit.
    pub rds_calls_per_minute: usize,
    /// Whether RDS still lists the backups of an instance that is gone, or answers 404 DBS.200002. No document says.
    pub rds_lists_gone_instances: bool,
    /// `newest`, `oldest` or `shuffled`: only `GeminiDB` v4 and DDS document an order.
    pub list_order: ListOrder,
    /// The totals in lists of backups minus the records that there are.
    pub total_offset: i64,
    /// Somebody else makes backups, or deletes them again, all the time: one more is there, or is gone, before each page of a list.
    pub restless: bool,
    /// Whether a bad token is refused by the gateway (401 APIGW.0301) instead of by the service.
    pub gateway_checks_tokens: bool,
    /// How long tokens live.
    pub token_lifetime_ms: u64,
    /// The cloud's clock minus ours, in seconds; the `Date` of every answer follows it.
    pub clock_offset_seconds: i64,
    /// The cloud's clock stands at this time until it is set again; none lets it go like ours. The offset comes on top.
    pub clock_stands_at: Option<Timestamp>,
    /// The offset in which database services write their times.
    pub utc_offset_hours: i8,
    /// How long an access key is locked after more than five bad signatures in a row.
    pub access_key_lock_ms: u64,
    /// How many bad passwords within `user_lock_window_ms` lock a user out; 0 is no lock.
    pub user_lock_after: usize,
    /// After how long a bad password is forgotten.
    pub user_lock_window_ms: u64,
    /// How long a user is locked out.
    pub user_lock_ms: u64,
    /// The metadata service of a node.
    pub metadata: MetadataDials,
    /// The pod identity agent of a node.
    pub pod_identity: PodIdentityDials,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            backup_duration_ms: 1_000,
            fail_percent: 0,
            backup_size: 1_572_864_000,
            list_lag_ms: 0,
            hold_backups: false,
            delete_duration_ms: 300,
            any_instance: false,
            check_duplicate_names: true,
            list_deleted_dcs: false,
            dcs_backups_kept: 24,
            manual_backups_per_project: None,
            rds_calls_per_minute: 60,
            rds_lists_gone_instances: true,
            list_order: ListOrder::Newest,
            total_offset: 0,
            restless: false,
            gateway_checks_tokens: false,
            token_lifetime_ms: 86_400_000,
            clock_offset_seconds: 0,
            clock_stands_at: None,
            utc_offset_hours: 0,
            access_key_lock_ms: 300_000,
            user_lock_after: 5,
            user_lock_window_ms: 900_000,
            user_lock_ms: 900_000,
            metadata: MetadataDials::default(),
            pod_identity: PodIdentityDials::default(),
        }
    }
}

/// How the metadata service of a node behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetadataDials {
    /// Whether it asks for a token of its own.
    pub tokens: MetadataTokens,
    /// What a service without tokens answers when it is asked for one: 404, 405 or 503.
    pub no_tokens_status: u16,
    /// The id of the account whose agency the node has; none is a node without one.
    pub agency: Option<String>,
    /// How long access keys live that are made from now on. No document says how long real ones do.
    pub key_lifetime_ms: u64,
    /// It takes connections and never answers.
    pub hangs: bool,
}

impl Default for MetadataDials {
    fn default() -> Self {
        Self {
            tokens: MetadataTokens::Optional,
            no_tokens_status: 404,
            agency: Some(super::DOMAIN_ID.to_owned()),
            key_lifetime_ms: 86_400_000,
            hangs: false,
        }
    }
}

/// Whether the metadata service asks for a token of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetadataTokens {
    /// Nothing is told without one.
    Required,
    /// It has tokens, and answers without one too.
    Optional,
    /// An old service that knows of no tokens.
    None,
}

/// How the pod identity agent of a node behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PodIdentityDials {
    /// How it spells its fields.
    pub spelling: Spelling,
    /// What its fields lie in.
    pub wrapping: Wrapping,
    /// The id of the account whose agency the pod's service account has; none where no agency is bound to it.
    pub agency: Option<String>,
    /// What is answered where no agency is bound. No document says.
    pub no_agency_status: u16,
    /// How long access keys live that are made from now on. No document says how long real ones do.
    pub key_lifetime_ms: u64,
    /// It takes connections and never answers.
    pub hangs: bool,
}

impl Default for PodIdentityDials {
    fn default() -> Self {
        Self {
            spelling: Spelling::Snake,
            wrapping: Wrapping::Credential,
            agency: Some(super::DOMAIN_ID.to_owned()),
            no_agency_status: 401,
            key_lifetime_ms: 86_400_000,
            hangs: false,
        }
    }
}

/// The names of a credential's fields, of which the vendor's SDK reads three sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spelling {
    /// `access_key_id`, `secret_access_key`, `security_token`, `expiration`
    Snake,
    /// `accessKeyId`, `secretAccessKey`, `securityToken`, `expiration`
    Camel,
    /// `access`, `secret`, `securitytoken`, `expires_at`
    Short,
}

/// What a credential lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wrapping {
    /// `{"credential": {…}}`
    Credential,
    /// `{"credentials": {…}}`
    Credentials,
    /// Nothing: the fields are the object's own.
    Bare,
}

/// The order of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListOrder {
    /// Newest first.
    Newest,
    /// Oldest first.
    Oldest,
    /// Another order at every call.
    Shuffled,
}
