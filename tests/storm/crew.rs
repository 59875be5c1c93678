//! The operators in the storm: killed, paused and asked to end at random moments, and started again as a kubelet does.

use crate::{
    size::{Dice, LONGEST_PAUSE, SETTLE, Size, flags},
    support::operator::Operator,
    world::World,
};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

/// One operator alone, or two of which the one with the lease acts.
pub struct Crew<'a> {
    world: &'a World,
    dice: Dice,
    posts: Vec<Operator>,
    elected: bool,
    tally: Tally,
}

/// What was done to the operators, and what was seen of them.
#[derive(Default)]
pub struct Tally {
    kills: usize,
    pauses: usize,
    terms: usize,
    lost_leases: usize,
    peak_kib: u64,
    /// What an operator must not do.
    pub strange: Vec<String>,
}

impl Tally {
    /// In words.
    pub fn told(&self) -> String {
        let Self { kills, pauses, terms, lost_leases, .. } = self;
        format!("{kills} kills, {pauses} pauses, {terms} SIGTERMs, {lost_leases} leases lost")
    }

    /// The most memory that any operator ever had.
    pub fn peak_mib(&self) -> f64 {
        f64::from(u32::try_from(self.peak_kib).unwrap_or(u32::MAX)) / 1024.0
    }
}

/// Where the operators' logs are. They stay until the next storm.
pub fn logs() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("storm")
}

impl<'a> Crew<'a> {
    pub fn new(world: &'a World, dice: Dice) -> Self {
        let _ = std::fs::remove_dir_all(logs());
        std::fs::create_dir_all(logs()).expect("a folder for logs");
        Self { world, dice, posts: Vec::new(), elected: false, tally: Tally::default() }
    }

    /// The whole storm: a sixth of the kills with two operators and an election, the others, closer to each other, with one alone.
    pub async fn weather(&mut self, size: &Size, killed: watch::Sender<usize>) {
        self.man(2);
        self.rage(size.kills / 6, &killed).await;
        self.man(1);
        // Time enough for a lost call to be given up and sent again while the cloud goes on failing: kills keep everybody from that.
        self.sail(SETTLE + SETTLE / 4).await;
        self.rage(size.kills, &killed).await;
    }

    /// The end of everybody, and what is to be told of them.
    pub async fn retire(mut self) -> Tally {
        self.revive();
        for operator in &self.posts {
            self.tally.peak_kib = self.tally.peak_kib.max(peak_kib(operator));
            let metrics = operator.metrics().await;
            if !metrics.lines().any(|line| line == "dbbackup_duplicate_remotes_total 0") {
                self.tally.strange.push(format!("the operator counts duplicates:\n{metrics}"));
            }
        }
        for nth in 0..2 {
            let log = std::fs::read_to_string(log(nth)).unwrap_or_default();
            let panics = log.lines().filter(|line| line.contains("panicked at"));
            self.tally.strange.extend(panics.map(|line| format!("operator {nth}: {line}")));
        }
        self.tally
    }

    fn man(&mut self, replicas: usize) {
        self.posts.clear();
        self.elected = replicas > 1;
        self.posts = (0..replicas).map(|nth| self.start(nth)).collect();
    }

    fn start(&self, nth: usize) -> Operator {
        let binary = Path::new(env!("CARGO_BIN_EXE_database-backup-operator"));
        let mut flags = flags();
        flags.push(format!("--leader-elect={}", self.elected));
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Operator::start(binary, self.world.plane.kubeconfig(), &log(nth), &flags)
    }

    async fn rage(&mut self, kills: usize, killed: &watch::Sender<usize>) {
        while self.tally.kills < kills {
            self.moment().await;
            self.revive();
            let victim = self.dice.below(self.posts.len());
            self.tally.peak_kib = self.tally.peak_kib.max(peak_kib(&self.posts[victim]));
            // A leader that sleeps for long finds another in its place.
            let pauses = if self.elected { 40 } else { 10 };
            match self.dice.below(100) {
                throw if throw < pauses => self.pause(victim).await,
                throw if throw < pauses + 7 => self.terminate(victim).await,
                _ => {
                    self.tally.kills += 1;
                    self.replace(victim);
                }
            }
            let _ = killed.send(self.tally.kills);
        }
    }

    async fn sail(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.revive();
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// A random moment of the work: after so many calls to the cloud and a little; or when nothing happens for a while. Mostly soon.
    async fn moment(&mut self) {
        let calls = match self.dice.below(10) {
            0..6 => self.dice.below(12),
            6..9 => self.dice.below(60),
            _ => self.dice.below(200),
        };
        let seen = || self.world.cloud.cloud().calls.len();
        let (enough, end) = (seen() + calls, Instant::now() + Duration::from_secs(1));
        while seen() < enough && Instant::now() < end {
            sleep(Duration::from_millis(3)).await;
        }
        sleep(self.dice.within(Duration::from_millis(20))).await;
    }

    /// SIGKILL, and the next one.
    fn replace(&mut self, nth: usize) {
        // The place of the killed one is taken by its successor only when it has ended.
        self.posts.remove(nth).kill();
        let next = self.start(nth);
        self.posts.insert(nth, next);
    }

    async fn pause(&mut self, nth: usize) {
        self.tally.pauses += 1;
        self.posts[nth].pause();
        // Long ones are rather more than short ones.
        let pause = self.dice.within(LONGEST_PAUSE).max(self.dice.within(LONGEST_PAUSE));
        sleep(pause).await;
        // Some never wake up.
        if self.dice.percent(80) {
            self.posts[nth].resume();
        } else {
            self.replace(nth);
        }
    }

    /// SIGTERM, and SIGKILL when that takes too long.
    async fn terminate(&mut self, nth: usize) {
        self.tally.terms += 1;
        let patience = self.dice.within(Duration::from_secs(2));
        if let Ok(status) = timeout(patience, self.posts[nth].terminate()).await
            && !status.success()
            // Before its first line it has not begun to listen for signals either.
            && !self.posts[nth].own_logs().is_empty()
        {
            self.reproach(nth, &format!("ended with {status} after SIGTERM"));
        }
        self.replace(nth);
    }

    /// Starts again whoever ended by itself, which only the loss of the lease is a reason for.
    fn revive(&mut self) {
        for nth in 0..self.posts.len() {
            if self.posts[nth].is_running() {
                continue;
            }
            if self.elected && self.posts[nth].own_logs().contains("the lease was lost") {
                self.tally.lost_leases += 1;
            } else {
                self.reproach(nth, "ended by itself");
            }
            self.replace(nth);
        }
    }

    fn reproach(&mut self, nth: usize, what: &str) {
        let logs = self.posts[nth].own_logs();
        let last: Vec<&str> = logs.lines().rev().take(5).collect();
        self.tally.strange.push(format!("operator {nth} {what}; newest first:\n{}", last.join("\n")));
    }
}

/// The log of a post.
pub fn log(nth: usize) -> PathBuf {
    logs().join(format!("operator-{nth}.log"))
}

/// The most memory that a process ever had; nothing is known of one that has ended.
fn peak_kib(operator: &Operator) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", operator.pid())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
