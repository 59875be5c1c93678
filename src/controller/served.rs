//! The definitions that the API server serves, compared with this program's.

use super::context::Context;
use crate::api::crds;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, ResourceExt};

/// Waits until the API server serves everything that this program needs, saying what is missing whenever that changes. Where the definitions may
/// not be read (a Role cannot grant it), they are taken for good: the check of each stored intent is what safety rests on.
pub async fn wait(ctx: &Context) {
    let mut told = String::new();
    loop {
        let problem = match missing(ctx).await {
            Ok(missing) if missing.is_empty() => return,
            Ok(missing) => missing.join("; "),
            Err(kube::Error::Api(refused)) if refused.is_forbidden() => {
                tracing::warn!("CustomResourceDefinitions may not be read, so they are not compared with this version's");
                return;
            }
            Err(error) => format!("the Kubernetes API cannot be asked: {error}"),
        };
        if problem != told {
            tracing::error!(
                problem,
                "not ready: apply the CRDs of this version (`database-backup-operator crd | kubectl apply --server-side -f -`)"
            );
            told = problem;
        }
        tokio::select! {
            () = tokio::time::sleep(ctx.options.settings.passing_retry(1)) => {}
            () = ctx.stop.cancelled() => return,
        }
    }
}

async fn missing(ctx: &Context) -> Result<Vec<String>, kube::Error> {
    let api: Api<CustomResourceDefinition> = Api::all(ctx.client.clone());
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
