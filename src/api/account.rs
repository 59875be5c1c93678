//! `CloudAccount` and `ClusterCloudAccount`: whose credentials are used, in which project.

use crate::cloud::{endpoints::Overrides, engine::Cloud};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An account of the cloud, for the backups of its own namespace.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "dbbackup.dev",
    version = "v1alpha1",
    kind = "CloudAccount",
    plural = "cloudaccounts",
    shortname = "cacct",
    category = "dbbackup",
    namespaced,
    doc = "An account of the cloud, for the backups of its own namespace. Whoever may use it may back up, and see, every instance of its project.",
    status = "CloudAccountStatus",
    derive = "PartialEq",
    printcolumn(name = "Cloud", type_ = "string", json_path = ".spec.cloud"),
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.region"),
    printcolumn(name = "Project", type_ = "string", json_path = ".status.projectId"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Used-By", type_ = "integer", json_path = ".status.usedBy", priority = 1),
    printcolumn(name = "Verified", type_ = "date", json_path = ".status.lastVerifiedTime", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[x_kube(validation = Rule::new("!has(oldSelf.projectId) || (has(self.projectId) && self.projectId == oldSelf.projectId)")
    .message("projectId is immutable once set: create another account instead").field_path(".projectId"))]
#[x_kube(validation = Rule::new("!has(self.credentials.instanceAgency) && !has(self.credentials.podIdentity)")
    .message("instanceAgency and podIdentity are the operator's own rights: they are for ClusterCloudAccounts").field_path(".credentials"))]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
pub struct CloudAccountSpec {
    /// What both kinds of account have.
    #[serde(flatten)]
    pub account: AccountSpec,
}

/// What both kinds of account have.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AccountSpec {
    /// `HuaweiCloud` or `OpenTelekomCloud`; picks the endpoint table. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("cloud is immutable: create another account instead"))]
    pub cloud: Cloud,

    /// The region, for example `eu-de` or `ap-southeast-1`. Immutable.
    #[schemars(regex(pattern = r"^[a-z0-9-]{2,32}$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("region is immutable: create another account instead"))]
    pub region: String,

    /// The project's id. Default: looked up by the region's name, and shown in status. Immutable once set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9-]{1,64}$"))]
    pub project_id: Option<String>,

    /// Who asks: exactly one of the fields. Secrets and ServiceAccounts are those of the account's own namespace.
    pub credentials: AccountCredentials,

    /// Requests a second to the cloud's services, for everything that uses this account: 1 to 1000, default 5.
    #[serde(default = "default_rate")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_requests_per_second: i32,
}

fn default_rate() -> i32 {
    5
}

/// An account of the cloud, for the namespaces that it allows.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "dbbackup.dev",
    version = "v1alpha1",
    kind = "ClusterCloudAccount",
    plural = "clustercloudaccounts",
    shortname = "ccacct",
    category = "dbbackup",
    doc = "An account of the cloud, for the backups of the namespaces that it allows. Whoever may use it may back up, and see, every instance of its project.",
    status = "CloudAccountStatus",
    derive = "PartialEq",
    printcolumn(name = "Cloud", type_ = "string", json_path = ".spec.cloud"),
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.region"),
    printcolumn(name = "Project", type_ = "string", json_path = ".status.projectId"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Used-By", type_ = "integer", json_path = ".status.usedBy", priority = 1),
    printcolumn(name = "Verified", type_ = "date", json_path = ".status.lastVerifiedTime", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[x_kube(validation = Rule::new("!has(oldSelf.projectId) || (has(self.projectId) && self.projectId == oldSelf.projectId)")
    .message("projectId is immutable once set: create another account instead").field_path(".projectId"))]
#[schemars(transform = of_cluster_accounts)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
pub struct ClusterCloudAccountSpec {
    /// What both kinds of account have.
    #[serde(flatten)]
    pub account: AccountSpec,

    /// The namespaces whose backups may use this account.
    pub allowed_namespaces: AllowedNamespaces,

    /// Other addresses than those of the endpoint table, each an `https` URL without a path. A host that is not the cloud's own has to be named by the
    /// operator's `--allowed-endpoint-hosts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Overrides>,
}

/// What two of the common fields mean for a cluster account.
fn of_cluster_accounts(schema: &mut Schema) {
    let mut describe = |field: &str, description: &str| {
        if let Some(field) = schema.pointer_mut(&format!("/properties/{field}")).and_then(Value::as_object_mut) {
            field.insert("description".into(), description.into());
        }
    };
    describe(
        "region",
        "The region, for example `eu-de` or `ap-southeast-1`. It must be in the endpoint table unless `endpoints` are given. Immutable.",
    );
    describe(
        "credentials",
        "Who asks: exactly one of the fields. Secrets and ServiceAccounts are those of the operator's `--cluster-resource-namespace`.",
    );
}

impl AccountSpec {
    /// Requests a second to the cloud's services.
    pub fn rate(&self) -> u32 {
        u32::try_from(self.max_requests_per_second).unwrap_or(1).max(1)
    }
}

/// Who asks the cloud: exactly one of the fields.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = Rule::new(
    "[has(self.passwordSecretRef), has(self.accessKeySecretRef), has(self.tokenSecretRef), \
    has(self.workloadIdentity), has(self.instanceAgency), has(self.podIdentity)].filter(x, x).size() == 1")
    .message("set exactly one of passwordSecretRef, accessKeySecretRef, tokenSecretRef, workloadIdentity, instanceAgency and podIdentity"))]
#[serde(rename_all = "camelCase")]
pub struct AccountCredentials {
    /// A Secret with the keys `domainName`, `username` and `password` of an IAM user; the operator gets and renews an IAM token with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<SecretRef>,

    /// A Secret with the keys `accessKey`, `secretKey` and, for temporary keys, `securityToken`; each request is signed with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_secret_ref: Option<SecretRef>,

    /// A Secret with the key `token`: an IAM token that somebody else keeps fresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<SecretRef>,

    /// Without a Secret: the token of a ServiceAccount, which the operator asks Kubernetes for and trades at IAM. The cluster has to be registered there as an
    /// identity provider, and the operator needs the right to ask for that ServiceAccount's tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<WorkloadIdentity>,

    /// Without a Secret: the agency of the node that the operator runs on, by the node's metadata service. For ClusterCloudAccounts only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_agency: Option<InstanceAgency>,

    /// Without a Secret: the agency that CCE Pod Identity associates with the operator's own ServiceAccount. For ClusterCloudAccounts only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_identity: Option<PodIdentity>,
}

/// Whose token is traded at IAM, and how.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadIdentity {
    /// Name of the identity provider at IAM that the cluster is registered as.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    pub identity_provider: String,

    /// Name of the ServiceAccount. The provider's mapping says what its tokens are good for.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 253))]
    pub service_account_name: String,

    /// Whom the token is for: the client id of the identity provider. Never an audience of the Kubernetes API itself, which would accept the token, too.
    #[schemars(regex(pattern = r"^[!-~]{1,256}$"))]
    #[x_kube(validation = Rule::new("!self.matches('^(https?://)?kubernetes([.]default([.].*)?)?/?$')")
        .message("that is an audience of the Kubernetes API itself: write the client id of the identity provider at IAM"))]
    pub audience: String,
}

/// The node's agency; there is nothing to say about it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceAgency {}

/// The agency of the operator's Pod; there is nothing to say about it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct PodIdentity {}

/// A Secret, by name.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(min = 1, max = 253))]
    pub name: String,
}

/// The namespaces whose backups may use a cluster account.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("(self.from == 'Selector') == has(self.selector)")
    .message("selector must be set with from Selector, and only then").field_path(".selector"))]
#[serde(rename_all = "camelCase")]
pub struct AllowedNamespaces {
    /// `All` namespaces, or those whose labels match `selector` (`Selector`).
    pub from: NamespacesFrom,
    /// Labels of the namespaces, with `from: Selector`. An empty selector matches every namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// How the allowed namespaces are chosen.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamespacesFrom {
    /// Every namespace.
    All,
    /// Namespaces with certain labels.
    Selector,
}

/// What the operator found out about the account.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CloudAccountStatus {
    /// The `metadata.generation` that this status speaks of; -1 until the operator has seen the object.
    #[serde(default = "unseen")]
    pub observed_generation: i64,

    /// The project that is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,

    /// When the cloud last accepted the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_verified_time: Option<Time>,

    /// How many backups and schedules name the account. Counted when the account is looked at, every 5 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub used_by: Option<i32>,

    /// How many backups the account is still needed for to delete them from the cloud: with `deletionPolicy: Delete`, or with a time at which they expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub needed_for_deletion: Option<i32>,

    /// `Ready`, `Reconciling` and `Stalled`; and `ClockSkew` while this machine's clock and the cloud's are so far apart that nothing is deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

fn unseen() -> i64 {
    -1
}

impl Default for CloudAccountStatus {
    fn default() -> Self {
        Self {
            observed_generation: unseen(),
            project_id: None,
            last_verified_time: None,
            used_by: None,
            needed_for_deletion: None,
            conditions: Vec::new(),
        }
    }
}
