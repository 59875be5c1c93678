//! The requests that arrived, in order.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use super::{
    pace,
    service::{Operation, Service},
    state::Cloud,
};

/// One request that arrived. Headers and bodies are not kept, so no secret is.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Where it arrived.
    pub service: Service,
    /// What it asked for.
    pub operation: &'static str,
    /// HTTP method.
    pub method: String,
    /// Path and query as sent.
    pub path_and_query: String,
    /// The status that was answered; none while it is open or when the connection was cut.
    pub status: Option<u16>,
    /// When it arrived, by our clock.
    pub at: Timestamp,
    #[serde(skip)]
    pub(super) arrived: Instant,
}

impl Cloud {
    /// Forgets all requests. What RDS counts against its users stays.
    pub fn reset_calls(&mut self) {
        self.calls.clear();
        self.rds_pace.reset();
    }

    /// Notes a request and answers its number in the log.
    pub fn note(&mut self, service: Service, operation: Operation, method: &str, target: &str) -> Instant {
        let arrived = Instant::now();
        self.calls.push(Call {
            service,
            operation: operation.name(),
            method: method.to_owned(),
            path_and_query: target.to_owned(),
            status: None,
            at: Timestamp::now(),
            arrived,
        });
        arrived
    }

    /// Notes what was answered to the request that arrived then. (By its moment, not its place: the log may have been reset.)
    pub fn note_answer(&mut self, arrived: Instant, target: &str, status: u16) {
        let call = self.calls.iter_mut().rev().find(|call| call.arrived == arrived && call.path_and_query == target);
        if let Some(call) = call {
            call.status = Some(status);
        }
    }

    /// The most requests that arrived within any one second.
    pub fn busiest_second(&self) -> usize {
        let mut arrivals: Vec<Instant> = self.calls.iter().map(|call| call.arrived).collect();
        arrivals.sort_unstable();
        pace::busiest(&arrivals, Duration::from_secs(1))
    }
}
