//! The definitions that the API server serves, compared with this program's: at the start, from time to time, and whenever they are suspected to be older.

use crate::{
    api::crds,
    controller::{api_error::explained, context::Context, store::definitions::NOT_SERVED},
};
use futures::future::{join, try_join_all};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, ResourceExt};
use std::sync::Arc;
use tokio::time::sleep;

/// Compares again and again, saying what is missing whenever that changes.
pub async fn watch(ctx: Arc<Context>) -> ! {
    let mut known_finding = None;
    loop {
        compare(&ctx, &mut known_finding).await;
        let soon = ctx.options.settings.passing_retry(1);
        if !ctx.definitions.are_served() {
            sleep(soon).await;
            continue;
        }
        tokio::select! {
            () = sleep(ctx.options.settings.secret_reread(false)) => {}
            // What may not be read is taken for good at once: without a pause that would be a circle.
            () = ctx.definitions.suspected() => sleep(soon).await,
        }
    }
}

/// Where the definitions may not be read (a Role cannot grant it), they are taken for good: the check of each stored intent is what safety rests on.
/// An API server that does not answer says nothing about them.
async fn compare(ctx: &Context, known_finding: &mut Option<Finding>) {
    let finding = match missing(&ctx.runtime.client).await {
        Ok(missing) if missing.is_empty() => Finding::Served,
        Ok(missing) => Finding::Missing(missing.join("; ")),
        Err(kube::Error::Api(refused)) if refused.is_forbidden() => Finding::NotReadable,
        Err(_) if ctx.definitions.are_served() => return,
        Err(error) => Finding::Unknown(explained(&error)),
    };
    let is_news = ctx.definitions.compared(finding.problem());
    if known_finding.as_ref() != Some(&finding) {
        finding.say();
        *known_finding = Some(finding);
    }
    if is_news {
        ctx.wake_unfinished();
    }
}

/// What a comparison came to.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Served,
    NotReadable,
    /// What is missing.
    Missing(String),
    /// Why they could not be compared.
    Unknown(String),
}

impl Finding {
    /// What `/readyz` says.
    fn problem(&self) -> Option<String> {
        match self {
            Self::Served | Self::NotReadable => None,
            Self::Missing(_) => Some(NOT_SERVED.to_owned()),
            Self::Unknown(cause) => Some(format!("the CRDs could not be compared with this version's: {cause}")),
        }
    }

    fn say(&self) {
        match self {
            Self::Served => tracing::info!("the CRDs of this version are served"),
            Self::NotReadable => tracing::warn!(problem = "they may not be read, so they are not compared", "CRDs"),
            Self::Missing(problem) => tracing::error!(
                problem,
                "not ready: apply the CRDs of this version (`database-backup-operator crd | kubectl apply --server-side -f -`)"
            ),
            Self::Unknown(cause) => tracing::error!(cause, "not ready: the Kubernetes API cannot be asked for the CRDs"),
        }
    }
}

/// What the served definitions lack, in words.
///
/// # Errors
/// The Kubernetes API did not show them.
pub async fn missing(client: &Client) -> Result<Vec<String>, kube::Error> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let (api, names) = (&api, crds::NAMES);
    // The program's own are made while the API server is asked.
    let (served, own) = join(try_join_all(names.map(async |name| api.get_opt(name).await)), async { crds::all() }).await;
    let mut missing = Vec::new();
    for (own, served) in own.into_iter().zip(served?) {
        let name = own.name_any();
        match served {
            None => missing.push(format!("CRD {name} is not installed")),
            Some(served) => {
                let lacks = crds::missing_in(&served, &own);
                if !lacks.is_empty() {
                    missing.push(format!("CRD {name} is older than this operator and lacks {}", lacks.join(", ")));
                }
            }
        }
    }
    Ok(missing)
}
