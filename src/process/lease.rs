//! Leadership: one Lease, by compare-and-swap, with a client of its own.

use crate::{
    api::MANAGER,
    controller::{api_error::explained, clock::Clock, store::leadership::Leadership},
    plan::{
        clock::Moment,
        lease::{LeaseStep, ObservedLease, held_until, look_pause, released, renew, renew_pause},
    },
};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use std::time::Duration;

/// What came of an exchange about the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// It is held from now on.
    Held,
    /// It is another's.
    Lost,
    /// Nothing new is known.
    Nothing,
}

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
        while self.attempt(Self::take).await != Attempt::Held {
            tokio::time::sleep(renew_pause(self.duration)).await;
        }
        tracing::info!(lease = self.name, "leading");
    }

    /// Renews the Lease, and looks at it in between. Returns when leadership is lost: it was not renewed in time, or is somebody else's.
    pub async fn keep(&mut self) {
        let mut renewed = self.clock.now();
        loop {
            tokio::time::sleep(look_pause(self.duration)).await;
            let now = self.clock.now();
            let is_lost = if now.since(renewed) < renew_pause(self.duration) {
                self.is_lost().await
            } else {
                renewed = now;
                self.attempt(Self::renew).await == Attempt::Lost
            };
            if is_lost {
                self.leadership.lose();
            }
            if !self.leadership.is_held(self.clock.now()) {
                return;
            }
        }
    }

    /// Whether a look shows that it is somebody else's. No answer says nothing, and is a matter of the next renewal.
    async fn is_lost(&self) -> bool {
        let look = tokio::time::timeout(look_pause(self.duration), self.api.get_opt(&self.name)).await;
        look.is_ok_and(|found| found.is_ok_and(|found| renew(found.as_ref(), &self.me, self.duration, self.clock.now()) == LeaseStep::Lost))
    }

    /// Gives the Lease back, so that the next one does not have to wait. What fails here only makes it wait.
    pub async fn release(&mut self) {
        self.leadership.lose();
        let Ok(Some(lease)) = self.api.get_opt(&self.name).await else { return };
        let spec = lease.spec.clone().unwrap_or_default();
        if spec.holder_identity.as_deref() == Some(&self.me) {
            // A conflict means that somebody else has it already.
            let _ = self.write(Some(&lease), &released(&spec)).await;
        }
    }

    /// Reads, decides, writes; all within the time between two renewals.
    async fn attempt(&mut self, exchange: impl AsyncFnOnce(&mut Self, Moment) -> Result<Attempt, kube::Error>) -> Attempt {
        let begun = self.clock.now();
        let within = renew_pause(self.duration);
        match tokio::time::timeout(within, exchange(self, begun)).await {
            Ok(Ok(attempt)) => return attempt,
            Ok(Err(error)) => tracing::warn!(error = explained(&error), "the lease could not be read or written"),
            Err(_) => tracing::warn!("the Kubernetes API did not answer about the lease in time"),
        }
        Attempt::Nothing
    }

    async fn take(&mut self, now: Moment) -> Result<Attempt, kube::Error> {
        let found = self.api.get_opt(&self.name).await?;
        match self.watched.claim(found.as_ref(), &self.me, self.duration, now) {
            LeaseStep::Write(spec) if self.write(found.as_ref(), &spec).await? => Ok(self.hold(now)),
            _ => Ok(Attempt::Nothing),
        }
    }

    async fn renew(&mut self, now: Moment) -> Result<Attempt, kube::Error> {
        loop {
            let found = self.api.get_opt(&self.name).await?;
            match renew(found.as_ref(), &self.me, self.duration, now) {
                LeaseStep::Write(spec) if self.write(found.as_ref(), &spec).await? => return Ok(self.hold(now)),
                // Somebody changed it meanwhile: what it is now says whether that was its holder or only a label.
                LeaseStep::Write(_) => {}
                LeaseStep::Wait | LeaseStep::Lost => return Ok(Attempt::Lost),
            }
        }
    }

    fn hold(&self, begun: Moment) -> Attempt {
        self.leadership.hold_until(held_until(begun, self.duration));
        Attempt::Held
    }

    /// Writes on top of exactly what was read; false if somebody was faster.
    async fn write(&self, found: Option<&Lease>, spec: &LeaseSpec) -> Result<bool, kube::Error> {
        let resource_version = found.and_then(|lease| lease.metadata.resource_version.clone());
        let metadata = ObjectMeta { name: Some(self.name.clone()), resource_version, ..ObjectMeta::default() };
        let lease = Lease { metadata, spec: Some(spec.clone()) };
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
