//! The lives of the objects: asked for in waves by a client that insists, and some deleted or flipped on the way.

use crate::{
    population::{Asked, End, Fate, HOLD, Wish, lookalikes},
    world::World,
};
use database_backup_operator::api::backup::DatabaseBackup;
use futures::future::join_all;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use std::time::Duration;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

/// Every object's life, told by `progress`, the number of kills.
pub async fn live(world: &World, wishes: Vec<Wish>, progress: watch::Receiver<usize>) -> Vec<Asked> {
    let api = world.backups_here();
    join_all(wishes.into_iter().map(|wish| one_life(world, &api, wish, progress.clone()))).await
}

async fn one_life(world: &World, api: &Api<DatabaseBackup>, wish: Wish, mut progress: watch::Receiver<usize>) -> Asked {
    let name = wish.object.name_any();
    progress.wait_for(|killed| *killed >= wish.born).await.expect("the crew tells until the end");
    let object = insist(async || match api.create(&PostParams::default(), &wish.object).await {
        // An earlier call, whose answer was lost.
        Err(kube::Error::Api(refused)) if refused.is_already_exists() => api.get(&name).await,
        other => other,
    })
    .await
    .0;
    let mut asked = Asked { object, end: End::Stays, lookalikes: vec![] };
    if wish.with_lookalikes {
        asked.lookalikes = lookalikes(world, &asked);
    }
    if wish.fate == Fate::Stays {
        return asked;
    }
    progress.wait_for(|killed| *killed >= wish.dies).await.expect("the crew tells until the end");
    insist(async || match api.delete(&name, &DeleteParams::default()).await {
        Err(kube::Error::Api(refused)) if refused.is_not_found() => Ok(()),
        other => other.map(|_| ()),
    })
    .await;
    asked.end = End::Deleted;
    if wish.fate == Fate::IsFlipped {
        sleep(wish.hesitates).await;
        asked.end = flip(api, &name).await;
    }
    asked
}

/// Somebody else's finalizers are removed.
pub async fn let_go(world: &World, asked: &[Asked]) {
    let api = world.backups_here();
    for name in asked.iter().filter(|one| one.is_held()).map(Asked::name) {
        insist(async || {
            let Some(object) = api.get_opt(&name).await? else { return Ok(()) };
            // With the version that was read: the operator changes finalizers, too.
            let others: Vec<&String> = object.finalizers().iter().filter(|finalizer| *finalizer != HOLD).collect();
            let patch = json!({ "metadata": { "finalizers": others, "resourceVersion": object.resource_version() } });
            match api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
                Err(kube::Error::Api(refused)) if refused.is_not_found() => Ok(()),
                other => other.map(|_| ()),
            }
        })
        .await;
    }
}

/// Flips the policy of a terminating object. The operator tells of a deletion by compare-and-swap before it calls, so whoever flips an object that
/// does not tell of one is first.
async fn flip(api: &Api<DatabaseBackup>, name: &str) -> End {
    let retain = Patch::Merge(json!({ "spec": { "deletionPolicy": "Retain" } }));
    let (flipped, tries) = insist(async || match api.patch(name, &PatchParams::default(), &retain).await {
        Err(kube::Error::Api(refused)) if refused.is_not_found() => Ok(None),
        other => other.map(Some),
    })
    .await;
    match flipped {
        Some(object) if object.status.as_ref().is_none_or(|status| status.delete_reason.is_none()) => End::FlippedInTime,
        None if tries == 1 => End::Deleted,
        // One of several tries may have got through; nobody can say when.
        _ => End::FlippedLate,
    }
}

/// Calls the API server until it answers; answers how many tries that took.
pub async fn insist<T>(mut call: impl AsyncFnMut() -> kube::Result<T>) -> (T, usize) {
    let mut tries = 0;
    loop {
        tries += 1;
        if let Ok(Ok(answer)) = timeout(Duration::from_secs(10), call()).await {
            return (answer, tries);
        }
        sleep(Duration::from_millis(100)).await;
    }
}
