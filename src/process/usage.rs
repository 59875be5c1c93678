//! What this process uses, by the names that every dashboard knows. Read from `/proc`; where there is none, nothing is told.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};
use std::fs;

/// Ticks a second in `/proc`, whatever the kernel's own clock: part of Linux's interface.
const TICKS: f64 = 100.0;

/// Collects at each scrape.
#[derive(Debug)]
pub struct Usage;

/// What `/proc/self` says.
#[derive(Debug, PartialEq)]
struct Figures {
    cpu_seconds: f64,
    resident_bytes: u64,
    start_seconds: f64,
}

impl Collector for Usage {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let to = &mut encoder;
        if let Some(figures) = figures() {
            tell(to, "process_cpu_seconds", "Seconds of CPU that were used", &ConstCounter::new(figures.cpu_seconds))?;
            tell(to, "process_resident_memory_bytes", "Memory in use", &ConstGauge::new(figures.resident_bytes))?;
            tell(to, "process_start_time_seconds", "When the process began", &ConstGauge::new(figures.start_seconds))?;
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            tell(to, "process_open_fds", "Open files and connections", &ConstGauge::new(open.count() as u64))?;
        }
        Ok(())
    }
}

fn tell(to: &mut DescriptorEncoder<'_>, name: &str, help: &str, metric: &impl EncodeMetric) -> Result<(), std::fmt::Error> {
    metric.encode(to.encode_descriptor(name, help, None, metric.metric_type())?)
}

fn figures() -> Option<Figures> {
    let read = |path| fs::read_to_string(path).ok();
    parse(&read("/proc/self/stat")?, &read("/proc/self/status")?, &read("/proc/stat")?)
}

/// Of `stat` the fields 14, 15 and 22, counted behind the name, which may have blanks and brackets; of `status` the resident memory in KB; of the
/// machine's `stat` when it was started.
fn parse(stat: &str, status: &str, machine: &str) -> Option<Figures> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    let line =
        |text: &str, name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok());
    #[allow(clippy::cast_precision_loss)] // seconds since 1970
    let booted = line(machine, "btime ")? as f64;
    Some(Figures {
        cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS,
        resident_bytes: line(status, "VmRSS:")? * 1024,
        start_seconds: booted + ticks(22)? / TICKS,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_found_behind_the_oddest_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 4 0 1000 0 0";
        let figures = parse(stat, "Name:\tx\nVmRSS:\t   2048 kB\n", "cpu 1\nbtime 1700000000\n");
        assert_eq!(figures, Some(Figures { cpu_seconds: 2.0, resident_bytes: 2 * 1024 * 1024, start_seconds: 1_700_000_010.0 }));
        for (stat, status) in [("", "VmRSS: 1 kB"), ("7 (x) S 1", "VmRSS: 1 kB"), (stat, ""), (stat, "VmRSS: much")] {
            assert_eq!(parse(stat, status, "btime 1"), None, "{stat}{status}");
        }
    }
}
