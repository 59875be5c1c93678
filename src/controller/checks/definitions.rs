//! The definitions that the API server serves, compared with this program's: at the start, from time to time, and whenever they are suspected to be older.

use crate::{api::crds, controller::context::Context};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, ResourceExt};
use std::sync::Arc;
use tokio::time::sleep;

/// What `/readyz` says where they are missing or older than this program.
pub const NOT_SERVED: &str = "the CRDs of this version are not served";

/// Compares again and again, saying what is missing whenever that changes.
pub async fn watch(ctx: Arc<Context>) -> ! {
    let mut known_problem = String::new();
    loop {
        compare(&ctx, &mut known_problem).await;
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
async fn compare(ctx: &Context, known_problem: &mut String) {
    let (served, problem) = match missing(&ctx.runtime.client).await {
        Ok(missing) => (missing.is_empty(), missing.join("; ")),
        Err(kube::Error::Api(refused)) if refused.is_forbidden() => (true, "they may not be read, so they are not compared".to_owned()),
        Err(_) if ctx.definitions.are_served() => return,
        Err(error) => (false, format!("the Kubernetes API cannot be asked: {error}")),
    };
    if problem != *known_problem {
        say(served, &problem);
        *known_problem = problem;
    }
    if ctx.definitions.compared(served) {
        ctx.backups.wake_unfinished();
    }
}

fn say(served: bool, problem: &str) {
    match (served, problem) {
        (true, "") => tracing::info!("the CRDs of this version are served"),
        (true, problem) => tracing::warn!(problem, "CRDs"),
        (false, problem) => tracing::error!(
            problem,
            "not ready: apply the CRDs of this version (`database-backup-operator crd | kubectl apply --server-side -f -`)"
        ),
    }
}

/// What the served definitions lack, in words.
///
/// # Errors
/// The Kubernetes API did not show them.
pub async fn missing(client: &Client) -> Result<Vec<String>, kube::Error> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut missing = Vec::new();
    for own in crds::all() {
        let name = own.name_any();
        match api.get_opt(&name).await? {
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
