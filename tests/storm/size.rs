//! How big the storm is, its dice, and the bound that its faults keep.

use crate::simulator::faults::next;
use database_backup_operator::plan::settings::Settings;
use std::time::{Duration, SystemTime};

/// How big the storm is.
pub struct Size {
    /// Where the dice start.
    pub seed: u64,
    /// Objects that are asked for.
    pub objects: usize,
    /// SIGKILLs.
    pub kills: usize,
    /// Restarts of the API server.
    pub restarts: usize,
}

impl Size {
    /// What `make test` takes, unless the environment says otherwise. Every run is another storm.
    pub fn from_environment() -> Self {
        let number =
            |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let kills = number("STORM_KILLS").unwrap_or(45);
        Self {
            seed: number("STORM_SEED").map_or(now % 100_000, |seed| seed as u64),
            objects: number("STORM_OBJECTS").unwrap_or(90),
            kills,
            restarts: (kills / 30).max(2),
        }
    }
}

impl Size {
    /// How long everything may take to become true, on the slowest machine. A lost answer takes a settle delay, a call that hangs 20 s, and an
    /// instance has one backup at a time.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(120) + Duration::from_millis(200) * u32::try_from(self.objects).unwrap_or(u32::MAX)
    }
}

/// The operator's settle delay in the storm.
pub const SETTLE: Duration = Duration::from_secs(12);
/// The operator's poll interval in the storm.
pub const POLL: Duration = Duration::from_millis(300);
/// The longest SIGSTOP: longer than a lease.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// How late a call is carried out at most, whether or not its sender is still there.
pub const LONGEST_DELIVERY: Duration = Duration::from_millis(1_500);
/// How long a new backup stays out of listings at most.
pub const LONGEST_LAG: Duration = Duration::from_secs(1);
/// What is left of the bound for a machine that is busy with other things: it pauses processes, too.
const LEAST_MARGIN: Duration = Duration::from_secs(4);

/// The flags of every operator in the storm.
pub fn flags() -> Vec<String> {
    // The bound of the protocol: pause + delivery delay + list lag + clock skew < settle delay − F. All is on one machine, so there is no skew.
    let lifetime = Settings { settle_delay: SETTLE, ..Settings::default() }.intent_lifetime();
    let worst = LONGEST_PAUSE + LONGEST_DELIVERY + LONGEST_LAG;
    assert!(
        worst + LEAST_MARGIN + lifetime <= SETTLE,
        "{worst:?} and {LEAST_MARGIN:?} for the machine do not fit under {SETTLE:?} - {lifetime:?}"
    );
    let flags = [
        &format!("--settle-delay={}ms", SETTLE.as_millis()),
        &format!("--poll-interval={}ms", POLL.as_millis()),
        "--retry-backoff=300ms",
        "--blocked-grace=2s",
        // Well above the lag, and settled backups are looked at while it rages.
        "--gone-after=8s",
        "--resync-interval=20s",
        "--lease-duration=2s",
        "--cluster-resource-namespace=operator",
    ];
    flags.map(ToOwned::to_owned).to_vec()
}

/// Repeatable dice.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Further dice, for somebody who throws at times of its own.
    pub fn fork(&mut self) -> Self {
        Self(next(&mut self.0))
    }

    pub fn seed(&mut self) -> u64 {
        next(&mut self.0)
    }

    /// From 0 up to and without `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from(next(&mut self.0) % bound).unwrap_or_default()
    }

    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// Milliseconds from 0 to `most`.
    pub fn within(&mut self, most: Duration) -> Duration {
        Duration::from_millis(self.below(usize::try_from(most.as_millis()).unwrap_or(usize::MAX)) as u64 + 1)
    }
}
