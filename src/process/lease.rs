//! Leadership: one Lease, by compare-and-swap, with a client of its own.

use crate::{
    api::MANAGER,
    controller::{clock::Clock, store::leadership::Leadership},
    plan::{
        clock::Moment,
        lease::{LeaseStep, ObservedLease, held_until, released},
    },
};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use std::time::Duration;

/// Where the Lease is, and who this is.
pub struct Election {
    api: Api<Lease>,
    name: String,
    me: String,
    duration: Duration,
    clock: Clock,
    watched: ObservedLease,
    leadership: Leadership,
}

impl Election {
    /// Takes part in an election. `client` has timeouts well under the duration, and serves nothing else.
    pub fn new(client: Client, namespace: &str, name: &str, duration: Duration, clock: Clock, leadership: Leadership) -> Self {
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "operator".into());
        // A restarted container keeps its host name; the start's time makes it another holder.
        let me = format!("{host}_{}_{}", std::process::id(), clock.now().wall.as_microsecond());
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            me,
            duration,
            clock,
            watched: ObservedLease::default(),
            leadership,
        }
    }

    /// Waits until this process leads.
    pub async fn win(&mut self) {
        tracing::info!(lease = self.name, me = self.me, "waiting for the lease");
        while !self.attempt().await {
            tokio::time::sleep(self.pause()).await;
        }
        tracing::info!(lease = self.name, "leading");
    }

    /// Renews the Lease for as long as that succeeds in time. Returns when leadership is lost.
    pub async fn keep(&mut self) {
        loop {
            tokio::time::sleep(self.pause()).await;
            self.attempt().await;
            if !self.leadership.is_held(self.clock.now()) {
                return;
            }
        }
    }

    /// Gives the Lease back, so that the next one does not have to wait. What fails here only makes it wait.
    pub async fn release(&mut self) {
        self.leadership.lose();
        let Ok(Some(lease)) = self.api.get_opt(&self.name).await else { return };
        let spec = lease.spec.clone().unwrap_or_default();
        if spec.holder_identity.as_deref() == Some(&self.me) {
            // A conflict means that somebody else has it already.
            let _ = self.write(Some(&lease), released(&spec)).await;
        }
    }

    /// Three tries in the time for which a renewed Lease counts as held.
    fn pause(&self) -> Duration {
        self.duration / 5
    }

    /// Reads, decides, writes. True if this process leads now.
    async fn attempt(&mut self) -> bool {
        let begun = self.clock.now();
        let attempt = tokio::time::timeout(self.pause(), self.swap(begun)).await;
        match attempt {
            Ok(Ok(true)) => {
                self.leadership.hold_until(held_until(begun, self.duration));
                return true;
            }
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lease could not be read or written"),
            Err(_) => tracing::warn!("the Kubernetes API did not answer about the lease in time"),
        }
        false
    }

    async fn swap(&mut self, now: Moment) -> Result<bool, kube::Error> {
        let found = self.api.get_opt(&self.name).await?;
        match self.watched.claim(found.as_ref(), &self.me, self.duration, now) {
            LeaseStep::Wait => Ok(false),
            LeaseStep::Write(spec) => self.write(found.as_ref(), *spec).await,
        }
    }

    /// Writes on top of exactly what was read; false if somebody was faster.
    async fn write(&self, found: Option<&Lease>, spec: LeaseSpec) -> Result<bool, kube::Error> {
        let resource_version = found.and_then(|lease| lease.metadata.resource_version.clone());
        let metadata = ObjectMeta { name: Some(self.name.clone()), resource_version, ..ObjectMeta::default() };
        let lease = Lease { metadata, spec: Some(spec) };
        let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        let written = match found {
            Some(_) => self.api.replace(&self.name, &params, &lease).await,
            None => self.api.create(&params, &lease).await,
        };
        match written {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(refused)) if refused.is_conflict() || refused.is_already_exists() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
