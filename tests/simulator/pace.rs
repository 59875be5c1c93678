//! How many calls a user makes in a minute: RDS says that it allows 60 of all kinds together (`cloud-apis.md` §10), no other service says a number.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use super::{auth, message::Request, service::Service, state::Cloud};

const MINUTE: Duration = Duration::from_secs(60);

/// The calls to one service, by user.
#[derive(Default)]
pub struct Pace {
    users: BTreeMap<String, User>,
    refused: usize,
}

#[derive(Default)]
struct User {
    /// Those of the last minute that were let in.
    admitted: VecDeque<Instant>,
    /// All of them, oldest first.
    arrived: Vec<Instant>,
}

impl Pace {
    /// Notes a call, and says whether fewer than `limit` were let in during the minute before it. A limit of 0 is none.
    pub fn admit(&mut self, user: &str, limit: usize, at: Instant) -> bool {
        let user = self.users.entry(user.to_owned()).or_default();
        user.arrived.push(at);
        while user.admitted.front().is_some_and(|first| at.saturating_duration_since(*first) >= MINUTE) {
            user.admitted.pop_front();
        }
        if limit > 0 && user.admitted.len() >= limit {
            self.refused += 1;
            return false;
        }
        user.admitted.push_back(at);
        true
    }

    /// How many calls were refused.
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// The most calls, refused ones included, that one user made within any minute.
    pub fn busiest_minute(&self) -> usize {
        self.users.values().map(|user| busiest(&user.arrived, MINUTE)).max().unwrap_or_default()
    }

    /// Forgets what was seen. What was let in during the last minute still counts against the limit.
    pub fn reset(&mut self) {
        self.refused = 0;
        self.users.values_mut().for_each(|user| user.arrived.clear());
    }
}

impl Cloud {
    /// Whether the gateway lets this call in. A call that shows no known token or access key is nobody's, and is refused elsewhere.
    pub fn admits(&mut self, service: Service, request: &Request, at: Instant) -> bool {
        if service != Service::Rds {
            return true;
        }
        let Some(account) = auth::claimed_account(self, request) else { return true };
        let limit = self.settings.rds_calls_per_minute;
        self.rds_pace.admit(&account, limit, at)
    }
}

/// The most of these moments, oldest first, that lie within less than `span`.
pub fn busiest(moments: &[Instant], span: Duration) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, at) in moments.iter().enumerate() {
        while at.saturating_duration_since(moments[first]) >= span {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}
