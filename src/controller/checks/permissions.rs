//! What the operator does with the Kubernetes API: what its roles have to grant, no more and no less, and whether they do.

use super::definitions;
use crate::{
    api::{GROUP, crds},
    controller::context::Options,
};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::{Api, Client, ResourceExt, api::PostParams};
use std::{collections::BTreeSet, fmt};

/// One verb on one resource, in one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// API group; empty for the core.
    pub group: &'static str,
    /// Resource, with its subresource behind a slash.
    pub resource: &'static str,
    /// What is done with it.
    pub verb: &'static str,
    /// Where; absent for every namespace, and for a resource without.
    pub namespace: Option<String>,
    /// The only object that it is about, if there is one.
    pub name: Option<String>,
    /// What does not work without it, where the rest does.
    pub without: Option<&'static str>,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(name) = &self.name {
            write!(f, " \"{name}\"")?;
        }
        self.namespace.as_ref().map_or(Ok(()), |namespace| write!(f, " in namespace {namespace}"))
    }
}

/// Resource of the operator's own group, verbs, and what does not work without them.
type PermissionRow = (&'static str, &'static str, &'static [&'static str], Option<&'static str>);

/// In every namespace that is served.
const SERVED: [PermissionRow; 8] = [
    (GROUP, "cloudaccounts", &["list", "watch"], None),
    (GROUP, "cloudaccounts/status", &["update"], None),
    // create, delete: what a schedule makes, and what its retention takes away. patch: the finalizer under deletionPolicy Delete.
    (GROUP, "databasebackups", &["create", "delete", "get", "list", "patch", "watch"], None),
    (GROUP, "databasebackups/status", &["update"], None),
    (GROUP, "databasebackupschedules", &["get", "list", "watch"], None),
    (GROUP, "databasebackupschedules/status", &["update"], None),
    ("events.k8s.io", "events", &["create", "patch"], Some("no Events are written")),
    // One by one and by name: never listed or watched.
    ("", "secrets", &["get"], Some("CloudAccounts work where a Role grants it, and are SecretForbidden elsewhere")),
];

/// Of the whole cluster; a Role cannot grant it.
const CLUSTER: [PermissionRow; 3] = [
    (GROUP, "clustercloudaccounts", &["list", "watch"], Some(NO_CLUSTER_ACCOUNTS)),
    (GROUP, "clustercloudaccounts/status", &["update"], Some(NO_CLUSTER_ACCOUNTS)),
    // Their labels, which an account may select by.
    ("", "namespaces", &["get"], Some(NO_CLUSTER_ACCOUNTS)),
];
const NO_CLUSTER_ACCOUNTS: &str = "ClusterCloudAccounts cannot be used (AccountKindUnavailable)";

/// The Lease of the replica that acts.
#[derive(Clone, Debug)]
pub struct LeaseName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// Everything that the operator does with these flags. `lease` is absent without leader election.
pub fn used(options: &Options, lease: Option<&LeaseName>) -> Vec<Permission> {
    let served: BTreeSet<&String> = options.namespaces.iter().collect();
    let mut places: Vec<Option<String>> = served.into_iter().map(|namespace| Some(namespace.clone())).collect();
    if places.is_empty() {
        places.push(None);
    }
    let mut permissions: Vec<Permission> =
        places.iter().flat_map(|place| SERVED.iter().flat_map(|row| expand(row, place.as_ref(), None))).collect();
    permissions.extend(CLUSTER.iter().flat_map(|row| expand(row, None, None)));
    for crd in crds::all() {
        let row = ("apiextensions.k8s.io", "customresourcedefinitions", &["get"][..], Some("the served definitions are not compared"));
        permissions.extend(expand(&row, None, Some(&crd.name_any())));
    }
    if let Some(lease) = lease {
        let row = |verbs: &'static [&'static str]| ("coordination.k8s.io", "leases", verbs, None);
        // A name cannot be granted for what does not exist yet.
        permissions.extend(expand(&row(&["create"]), Some(&lease.namespace), None));
        permissions.extend(expand(&row(&["get", "update"]), Some(&lease.namespace), Some(&lease.name)));
    }
    permissions
}

fn expand(row: &PermissionRow, namespace: Option<&String>, name: Option<&String>) -> impl Iterator<Item = Permission> {
    let (group, resource, verbs, without) = *row;
    let (namespace, name) = (namespace.cloned(), name.cloned());
    verbs.iter().map(move |verb| Permission { group, resource, verb, namespace: namespace.clone(), name: name.clone(), without })
}

/// What a check of the cluster found.
#[derive(Debug, Default)]
pub struct Findings {
    /// The operator cannot work.
    pub problems: Vec<String>,
    /// It works, but for what these say.
    pub notes: Vec<String>,
    /// How many permissions are granted.
    pub granted: usize,
}

/// Asks the Kubernetes API whether the definitions are served, and for each permission.
///
/// # Errors
/// It did not answer.
pub async fn check(client: &Client, options: &Options, lease: Option<&LeaseName>) -> Result<Findings, kube::Error> {
    let mut findings = Findings::default();
    for permission in used(options, lease) {
        match (is_granted(client, &permission).await?, permission.without) {
            (true, _) => findings.granted += 1,
            (false, None) => findings.problems.push(format!("it may not {permission}")),
            (false, Some(without)) => findings.notes.push(format!("it may not {permission}: {without}")),
        }
    }
    match definitions::missing(client).await {
        Ok(missing) => findings.problems.extend(missing),
        // That is among the notes already.
        Err(kube::Error::Api(refused)) if refused.is_forbidden() => {}
        Err(error) => return Err(error),
    }
    Ok(findings)
}

async fn is_granted(client: &Client, permission: &Permission) -> Result<bool, kube::Error> {
    let (resource, subresource) =
        permission.resource.split_once('/').map_or((permission.resource, None), |(resource, sub)| (resource, Some(sub)));
    let attributes = ResourceAttributes {
        group: Some(permission.group.into()),
        resource: Some(resource.into()),
        subresource: subresource.map(Into::into),
        verb: Some(permission.verb.into()),
        namespace: permission.namespace.clone(),
        name: permission.name.clone(),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..SelfSubjectAccessReviewSpec::default() };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cloud::{client::agents::AgencyOptions, endpoints::EndpointPolicy},
        plan::{backup::description::ClusterName, settings::Settings},
    };
    use std::time::Duration;

    fn options(namespaces: &[&str]) -> Options {
        Options {
            namespaces: namespaces.iter().map(ToString::to_string).collect(),
            settings: Settings {
                poll_interval: Duration::from_secs(15),
                settle_delay: Duration::from_secs(300),
                resync_interval: Duration::from_secs(43_200),
                blocked_grace: Duration::from_secs(300),
                gone_after: Duration::from_secs(600),
                retry_backoff: Duration::from_secs(60),
            },
            cluster_resource_namespace: "operator".into(),
            endpoint_policy: EndpointPolicy::default(),
            agencies: AgencyOptions::default(),
            cluster_name: ClusterName::default(),
        }
    }

    #[test]
    fn a_right_reads_as_a_sentence() {
        let lease = LeaseName { namespace: "operator".into(), name: "leader".into() };
        let said: Vec<String> = used(&options(&["shop", "shop"]), Some(&lease)).iter().map(ToString::to_string).collect();
        for expected in [
            "create databasebackups.dbbackup.dev in namespace shop",
            "delete databasebackups.dbbackup.dev in namespace shop",
            "patch databasebackups.dbbackup.dev in namespace shop",
            "update databasebackupschedules/status.dbbackup.dev in namespace shop",
            "get secrets in namespace shop",
            "get customresourcedefinitions.apiextensions.k8s.io \"databasebackups.dbbackup.dev\"",
            "get customresourcedefinitions.apiextensions.k8s.io \"databasebackupschedules.dbbackup.dev\"",
            "create leases.coordination.k8s.io in namespace operator",
            "update leases.coordination.k8s.io \"leader\" in namespace operator",
        ] {
            assert_eq!(said.iter().filter(|permission| *permission == expected).count(), 1, "{expected}: {said:#?}");
        }
    }

    #[test]
    fn no_right_changes_a_schedule() {
        for permission in used(&options(&[]), None).iter().filter(|permission| permission.resource == "databasebackupschedules") {
            assert!(["get", "list", "watch"].contains(&permission.verb), "{permission}");
        }
    }

    #[test]
    fn no_right_lists_secrets_or_touches_the_spec_of_an_account() {
        for permission in used(&options(&[]), None) {
            assert!(permission.resource != "secrets" || permission.verb == "get", "{permission}");
            assert!(!permission.resource.ends_with("accounts") || ["list", "watch"].contains(&permission.verb), "{permission}");
        }
    }
}
