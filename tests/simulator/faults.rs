//! Trouble on demand: what can go wrong between a client and the cloud, asked for one by one or thrown by dice.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::service::{Operation, Service};

/// One kind of trouble.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Answers this error; the work is not done.
    Status {
        /// HTTP status.
        status: u16,
        /// Error code, in the service's envelope.
        code: String,
        /// Error text.
        #[serde(default)]
        message: String,
        /// Seconds for a `Retry-After` header.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// Does the work, then cuts the connection: not one byte of an answer.
    LoseAnswer,
    /// Does the work, then answers this error.
    FailAfter {
        /// HTTP status.
        status: u16,
        /// Error code, in the service's envelope.
        code: String,
    },
    /// Waits (milliseconds in JSON), then does the work and answers. The work is done even if the client has left: a late delivery.
    Delay(#[serde(with = "millis")] Duration),
    /// Does the work at once and answers only after this long (milliseconds in JSON).
    DelayAnswer(#[serde(with = "millis")] Duration),
    /// Does nothing and never answers.
    Hang,
    /// Does the work and never answers.
    HangAfter,
    /// Cuts the connection; the work is not done.
    CutBefore,
    /// Answers this text instead; the work is not done.
    Raw {
        /// HTTP status.
        status: u16,
        /// The body.
        body: String,
        /// Its `Content-Type`.
        content_type: String,
    },
    /// Does the work, then answers this text.
    RawAfter {
        /// HTTP status.
        status: u16,
        /// The body.
        body: String,
        /// Its `Content-Type`.
        content_type: String,
    },
    /// Answers 200 with a body of this many bytes that never becomes JSON; the work is not done.
    HugeBody(u64),
    /// Does the work, then answers 200 with this text and then the other again and again, for ever.
    Endless {
        /// How the body begins.
        head: String,
        /// What comes again and again.
        again: String,
    },
    /// 429 APIGW.0308; the work is not done.
    Throttle {
        /// Seconds for a `Retry-After` header.
        #[serde(default)]
        retry_after: Option<u64>,
    },
}

impl FaultKind {
    /// Its name in counts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "error",
            Self::LoseAnswer => "answer lost",
            Self::FailAfter { .. } => "error after the work",
            Self::Delay(_) => "delay",
            Self::DelayAnswer(_) => "late answer",
            Self::Hang => "hang",
            Self::HangAfter => "hang after the work",
            Self::CutBefore => "cut before",
            Self::Raw { .. } => "nonsense",
            Self::RawAfter { .. } => "nonsense after the work",
            Self::HugeBody(_) => "huge body",
            Self::Endless { .. } => "endless body",
            Self::Throttle { .. } => "throttled",
        }
    }
}

/// A fault that waits for matching requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Only this service.
    #[serde(default)]
    pub service: Option<Service>,
    /// Only this operation: `create`, `list`, `delete`, `token`, `projects`, …
    #[serde(default)]
    pub operation: Option<String>,
    /// Only requests whose path, query or body contains this, for example an instance id.
    #[serde(default)]
    pub containing: Option<String>,
    /// How often it strikes.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens.
    pub kind: FaultKind,
}

impl Fault {
    /// A fault that strikes the next request, whichever it is.
    pub fn new(kind: FaultKind) -> Self {
        Self { service: None, operation: None, containing: None, times: 1, kind }
    }

    /// Only requests to this service.
    pub fn on(mut self, service: &str) -> Self {
        self.service = Some(Service::expect(service));
        self
    }

    /// Only this operation.
    pub fn at(mut self, operation: &str) -> Self {
        self.operation = Some(operation.to_owned());
        self
    }

    /// Only requests that contain this text.
    pub fn containing(mut self, text: &str) -> Self {
        self.containing = Some(text.to_owned());
        self
    }

    /// Strikes this often.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Strikes until the faults are cleared.
    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }

    fn strikes(&self, service: Service, operation: Operation, text: &str) -> bool {
        self.times > 0
            && self.service.is_none_or(|wanted| wanted == service)
            && self.operation.as_deref().is_none_or(|wanted| wanted == operation.name())
            && self.containing.as_deref().is_none_or(|wanted| text.contains(wanted))
    }
}

/// Trouble by dice: the same seed gives the same throws in the same order of requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chaos {
    /// Where the dice start.
    pub seed: u64,
    /// Only these services; empty means all.
    #[serde(default)]
    pub services: Vec<Service>,
    /// Only these operations; empty means all.
    #[serde(default)]
    pub operations: Vec<String>,
    /// Kinds with the percentage of requests each strikes; the rest goes well.
    pub percent: Vec<(FaultKind, u8)>,
}

impl Chaos {
    fn covers(&self, service: Service, operation: Operation) -> bool {
        (self.services.is_empty() || self.services.contains(&service))
            && (self.operations.is_empty() || self.operations.iter().any(|wanted| wanted == operation.name()))
    }

    fn throw(&mut self) -> Option<FaultKind> {
        let mut throw = next(&mut self.seed) % 100;
        for (kind, percent) in &self.percent {
            match throw.checked_sub(u64::from(*percent)) {
                Some(rest) => throw = rest,
                None => return Some(kind.clone()),
            }
        }
        None
    }
}

#[derive(Default)]
struct Waiting {
    queue: Vec<Fault>,
    chaos: Vec<Chaos>,
    struck: BTreeMap<&'static str, usize>,
}

/// The faults of one simulator.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Waiting>>);

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault behind those that wait already.
    pub fn push(&self, fault: Fault) {
        self.lock().queue.push(fault);
    }

    /// Throws dice for every request that no queued fault strikes, those of the first that covers it; none stops it.
    pub fn chaos(&self, chaos: impl IntoIterator<Item = Chaos>) {
        self.lock().chaos = chaos.into_iter().collect();
    }

    /// Drops all waiting faults and the dice.
    pub fn clear(&self) {
        let mut waiting = self.lock();
        waiting.queue.clear();
        waiting.chaos.clear();
    }

    /// How often each kind has struck, by name.
    pub fn struck(&self) -> BTreeMap<&'static str, usize> {
        self.lock().struck.clone()
    }

    /// Faults that have not been used up.
    pub fn waiting(&self) -> Vec<Fault> {
        self.lock().queue.clone()
    }

    /// The trouble for this request, taken from the queue or thrown.
    pub fn take(&self, service: Service, operation: Operation, text: &str) -> Option<FaultKind> {
        let mut waiting = self.lock();
        let queued = waiting.queue.iter().position(|fault| fault.strikes(service, operation, text));
        let kind = match queued {
            Some(at) => waiting.use_up(at),
            None => waiting.chaos.iter_mut().find(|chaos| chaos.covers(service, operation))?.throw()?,
        };
        *waiting.struck.entry(kind.name()).or_default() += 1;
        Some(kind)
    }
}

impl Waiting {
    fn use_up(&mut self, at: usize) -> FaultKind {
        let fault = &mut self.queue[at];
        // The most there is means: for ever.
        fault.times -= u32::from(fault.times < u32::MAX);
        let kind = fault.kind.clone();
        if fault.times == 0 {
            self.queue.remove(at);
        }
        kind
    }
}

/// The next number of a small generator (splitmix64): repeatable, and good enough for dice.
pub fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn once() -> u32 {
    1
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}
