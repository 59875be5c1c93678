//! How many calls an account makes while backups run: what `docs/capacity.md` says in one line is worked out, and compared with what the cloud counts.

use crate::{
    support::eventually,
    world::{PATIENCE, World},
};
use database_backup_operator::api::status::Phase;
use std::time::{Duration, Instant};

/// How often backups are polled here.
const POLL: Duration = Duration::from_secs(1);
/// What stands in the formula for the polls of a minute by the default interval of 15 s.
const DEFAULT_POLLS: &str = "4 × ";

/// Instances with running backups, and how many pages a listing has.
#[derive(Clone, Copy, Default)]
struct Running {
    /// Engines that list a whole project (`E`).
    engines: usize,
    pages: usize,
    /// DCS instances (`D`).
    dcs: usize,
    /// RDS instances (`R`).
    rds: usize,
    /// `maxRequestsPerSecond`.
    rate: u32,
}

impl Running {
    fn value(&self, name: &str) -> f64 {
        let count = |count: usize| f64::from(u32::try_from(count).expect("a few"));
        match name {
            "E" => count(self.engines),
            "pages" => count(self.pages),
            "D" => count(self.dcs),
            "R" => count(self.rds),
            "maxRequestsPerSecond" => f64::from(self.rate),
            number => number.parse().unwrap_or_else(|_| panic!("{number:?} is no part of the formula")),
        }
    }

    /// The most calls a minute, by the formula of the page.
    fn calls_a_minute(&self) -> f64 {
        let mut words = words(&formula());
        let sum = self.sum(&mut words);
        assert!(words.is_empty(), "left of the formula: {words:?}");
        sum
    }

    fn sum(&self, words: &mut Vec<String>) -> f64 {
        let mut sum = self.product(words);
        while words.last().is_some_and(|word| word == "+") {
            words.pop();
            sum += self.product(words);
        }
        sum
    }

    fn product(&self, words: &mut Vec<String>) -> f64 {
        let mut product = self.factor(words);
        while words.last().is_some_and(|word| word == "×") {
            words.pop();
            product *= self.factor(words);
        }
        product
    }

    fn factor(&self, words: &mut Vec<String>) -> f64 {
        let word = words.pop().expect("a number or a name");
        if word != "min" {
            return self.value(&word);
        }
        let mut next = |expected: &str| assert_eq!(words.pop().as_deref(), Some(expected));
        next("(");
        let first = self.sum(words);
        assert_eq!(words.pop().as_deref(), Some(","));
        let second = self.sum(words);
        assert_eq!(words.pop().as_deref(), Some(")"));
        first.min(second)
    }
}

/// The formula of the page, for the interval of this test.
fn formula() -> String {
    let page = include_str!("../../docs/capacity.md");
    let line = page.split("**In one line:**").nth(1).and_then(|rest| rest.lines().find(|line| line.contains("calls a minute")));
    let (formula, _) = line.and_then(|line| line.split_once("calls a minute")).expect("the formula");
    assert_eq!(formula.matches(DEFAULT_POLLS).count(), 3, "{formula}");
    formula.replace(DEFAULT_POLLS, &format!("{} × ", 60 / POLL.as_secs()))
}

/// The words of a formula, the last one first.
fn words(formula: &str) -> Vec<String> {
    let spaced = ["(", ")", ","].iter().fold(formula.to_owned(), |formula, sign| formula.replace(sign, &format!(" {sign} ")));
    spaced.split_whitespace().rev().map(ToOwned::to_owned).collect()
}

#[test]
fn the_formula_of_the_page_is_read_as_it_is_meant() {
    let thousand = Running { engines: 2, pages: 11, dcs: 3, rds: 1, rate: 5 };
    // 60 polls a minute: 60 × 2 × 11 + min(60 × 3 + min(60 × 1, 30), 30 × 5).
    assert!((thousand.calls_a_minute() - 1470.0).abs() < 1e-9);
    let fast = Running { rate: 1000, ..thousand };
    assert!((fast.calls_a_minute() - 1530.0).abs() < 1e-9);
}

/// With an operator, and running backups of so many instances of each of these services, which begin after it leads.
async fn running(rate: u32, services: &[(&str, &str, usize)]) -> World {
    let mut world = World::without_operator().await;
    world.cloud.hold_backups(true);
    world.account("cloud", rate).await;
    world.start_operator_with(&[&format!("--poll-interval={}s", POLL.as_secs())]);
    world.until_account_is_verified().await;
    world.operator().ready().await;
    let mut names = Vec::new();
    let mut manifests = String::new();
    for (service, engine, instances) in services {
        for nth in 0..*instances {
            let name = format!("{service}-{nth}");
            world.cloud.add_instance(service, &name);
            manifests += &World::manifest(&name, engine, &name, "");
            names.push(name);
        }
    }
    world.plane.apply(&manifests).await;
    for name in &names {
        world.until_phase(name, Phase::Running).await;
    }
    world
}

/// Counts listings of services from now on, until each has been asked for as many as are wanted; and says how long that took.
async fn counted(world: &World, wanted: &[(&'static str, usize)]) -> (Vec<usize>, Duration) {
    let begun = Instant::now();
    world.cloud.reset_calls();
    let listings = || wanted.iter().map(|(service, _)| world.cloud.count(Some(service), "list")).collect::<Vec<usize>>();
    eventually("running backups are polled", PATIENCE, async || {
        let listings = listings();
        let is_enough = listings.iter().zip(wanted).all(|(count, (_, wanted))| count >= wanted);
        if is_enough { Ok(()) } else { Err(format!("{listings:?} of {wanted:?}\n{}", world.newest_lines())) }
    })
    .await;
    (listings(), begun.elapsed())
}

/// No more than the formula says for that time, and one more poll of each instance or project, which had just begun.
fn assert_within(what: &str, count: usize, running: Running, at_once: usize, elapsed: Duration) {
    let most = running.calls_a_minute() * elapsed.as_secs_f64() / 60.0;
    let most = most + f64::from(u32::try_from(at_once).expect("a few"));
    assert!(
        f64::from(u32::try_from(count).expect("not so many")) <= most,
        "{what}: {count} calls in {elapsed:?}, where {most:.1} are the most"
    );
}

#[tokio::test]
async fn running_backups_cost_what_the_page_says_however_many_there_are() {
    let services = [("taurusdb", "TaurusDB", 30), ("geminidb", "GeminiDB", 5), ("dds", "DDS", 5), ("dcs", "DCS", 2), ("rds", "RDS", 2)];
    let world = running(1000, &services).await;
    // With these, a listing of the project has two pages.
    world.cloud.add_backups("taurusdb", "taurusdb-0", 100);
    let polls = 6;
    let wanted = [("taurusdb", 2 * polls), ("geminidb", polls), ("dds", polls), ("dcs", 2 * polls), ("rds", 3)];
    let (counts, elapsed) = counted(&world, &wanted).await;
    let none = Running { rate: 1000, ..Running::default() };
    let parts = [
        ("TaurusDB", Running { engines: 1, pages: 2, ..none }, 2),
        ("GeminiDB", Running { engines: 1, pages: 1, ..none }, 1),
        ("DDS", Running { engines: 1, pages: 1, ..none }, 1),
        ("DCS", Running { dcs: 2, ..none }, 2),
        // What RDS allows at once.
        ("RDS", Running { rds: 2, ..none }, 5),
    ];
    for ((what, running, at_once), count) in parts.into_iter().zip(counts) {
        assert_within(what, count, running, at_once, elapsed);
    }
    assert_eq!(world.cloud.count(None, "create"), 0, "nothing else was asked meanwhile");
}

#[tokio::test]
async fn polls_of_single_instances_take_half_of_an_accounts_rate_and_no_more() {
    let (rate, instances) = (5, 10);
    let world = running(rate, &[("dcs", "DCS", instances)]).await;
    let (counts, elapsed) = counted(&world, &[("dcs", 3 * instances)]).await;
    let running = Running { dcs: instances, rate, ..Running::default() };
    let unbounded = Running { rate: 1000, ..running };
    assert!(running.calls_a_minute() < unbounded.calls_a_minute() / 2.0, "it is the rate that bounds them");
    assert_within("DCS", counts.into_iter().sum(), running, instances, elapsed);
}
