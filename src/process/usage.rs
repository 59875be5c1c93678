//! What this process uses, by the names that every dashboard knows. Read from `/proc`; where there is none, there are no such metrics.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

/// Collects at each scrape.
#[derive(Debug)]
pub struct Usage;

/// What `/proc` says of this process.
struct Figures {
    cpu_seconds: f64,
    resident_bytes: u64,
    start_seconds: f64,
    open_files: u64,
}

impl Collector for Usage {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(figures) = figures() else { return Ok(()) };
        let to = &mut encoder;
        write(to, "process_cpu_seconds", "Seconds of CPU that were used", &ConstCounter::new(figures.cpu_seconds))?;
        write(to, "process_resident_memory_bytes", "Memory in use", &ConstGauge::new(figures.resident_bytes))?;
        write(to, "process_start_time_seconds", "When the process began", &ConstGauge::new(figures.start_seconds))?;
        write(to, "process_open_fds", "Open files and connections", &ConstGauge::new(figures.open_files))
    }
}

fn write(to: &mut DescriptorEncoder<'_>, name: &str, help: &str, metric: &impl EncodeMetric) -> Result<(), std::fmt::Error> {
    metric.encode(to.encode_descriptor(name, help, None, metric.metric_type())?)
}

#[cfg(target_os = "linux")]
fn figures() -> Option<Figures> {
    let process = procfs::process::Process::myself().ok()?;
    let stat = process.stat().ok()?;
    #[allow(clippy::cast_precision_loss)] // seconds since 1970, and ticks of a process's life
    let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
    #[allow(clippy::cast_precision_loss)] // seconds since 1970
    let booted = procfs::boot_time_secs().ok()? as f64;
    Some(Figures {
        cpu_seconds: seconds(stat.utime + stat.stime),
        resident_bytes: stat.rss * procfs::page_size(),
        start_seconds: booted + seconds(stat.starttime),
        open_files: process.fd_count().ok()? as u64,
    })
}

#[cfg(not(target_os = "linux"))]
fn figures() -> Option<Figures> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn this_process_has_used_something_since_it_began() {
        let figures = figures().expect("there is /proc");
        assert!(figures.resident_bytes > 1 << 20 && figures.open_files >= 3 && figures.cpu_seconds >= 0.0);
        #[allow(clippy::cast_precision_loss)]
        let age = Timestamp::now().as_second() as f64 - figures.start_seconds;
        assert!((-5.0..86_400.0).contains(&age), "{age}");
    }
}
