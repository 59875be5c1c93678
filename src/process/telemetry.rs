//! Log lines.

use super::config::LogFormat;
use std::str::FromStr;
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, Targets},
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    registry,
    util::SubscriberInitExt,
};

/// What may be logged at most, by the beginning of the target, whatever `--log-level` says. The library that is not here logs nothing: kube's client shows
/// the whole of an answer that it cannot parse, at WARN, and that may be a Secret; others show headers, frames or the addresses of proxies at lower levels.
/// Those that are here show names, paths, states and causes at these levels.
const ALLOWED: [(&str, LevelFilter); 5] = [
    ("database_backup_operator", LevelFilter::TRACE),
    // Method, path and status of each request.
    ("kube_client::client::builder", LevelFilter::DEBUG),
    ("kube_client::client::tls", LevelFilter::DEBUG),
    // Watches, of backups and accounts alone; and the span that names the object of a reconcile.
    ("kube_runtime", LevelFilter::DEBUG),
    // Handshakes; certificates are public.
    ("rustls", LevelFilter::DEBUG),
];

/// Starts logging to standard error.
///
/// # Errors
/// A level that is none.
pub fn start(format: LogFormat, level: &str) -> Result<(), String> {
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    subscriber(format, level, std::io::stderr, is_terminal)?.try_init().map_err(|error| error.to_string())
}

fn subscriber<W>(format: LogFormat, level: &str, writer: W, with_colours: bool) -> Result<Box<dyn Subscriber + Send + Sync>, String>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // It would be taken for the name of a target that nothing has, and nothing would be logged.
    if level.contains('[') {
        return Err(format!(
            "--log-level {level}: filters by spans are not supported: write a level, or one for a target as in info,kube_runtime=debug"
        ));
    }
    let wanted = Targets::from_str(level).map_err(|error| format!("--log-level {level}: {error}"))?;
    let filter = wanted.and(Targets::new().with_targets(ALLOWED));
    let lines = fmt::layer().with_writer(writer);
    Ok(match format {
        LogFormat::Text => Box::new(registry().with(lines.with_ansi(with_colours).with_filter(filter))),
        LogFormat::Json => Box::new(registry().with(lines.json().flatten_event(true).with_filter(filter))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panicked").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged meanwhile.
    fn logged(format: LogFormat, level: &str, act: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = subscriber(format, level, move || writer.clone(), false).expect("a level");
        tracing::subscriber::with_default(subscriber, act);
        let bytes = captured.0.lock().expect("nobody panicked").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn no_library_that_may_show_a_body_or_a_header_logs_anything_whatever_is_asked_for() {
        let everything = "trace,kube_client=trace,kube_client::client=trace,kube=trace,hyper=trace,h2=trace,reqwest=trace,tower=trace";
        for level in ["info", "debug", "trace", everything] {
            let text = logged(LogFormat::Text, level, || {
                tracing::warn!(target: "kube_client::client", "SECRET, Error(\"EOF\")");
                tracing::debug!(target: "kube_client::client", "SECRET");
                tracing::error!(target: "kube_client::config", "SECRET");
                tracing::trace!(target: "kube_client::client::builder", "SECRET");
                tracing::trace!(target: "h2::codec::framed_write", "SECRET");
                tracing::debug!(target: "h2::proto::streams", "SECRET");
                tracing::trace!(target: "hyper::proto::h1::role", "SECRET");
                tracing::debug!(target: "hyper_util::client::legacy::connect::http", "SECRET");
                tracing::debug!(target: "reqwest::connect", "SECRET");
                tracing::trace!(target: "rustls::client::hs", "SECRET");
                tracing::error!(target: "a_library_that_comes_later", "SECRET");
                tracing::error!(target: "kube_client::client::builder", "of use");
                tracing::info!("own");
            });
            assert!(!text.contains("SECRET"), "{level}: {text}");
            assert!(text.contains("of use") && text.contains("own"), "{level}: {text}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused_with_the_flag() {
        for level in ["[reconcile]=debug", "info,database_backup_operator=loud"] {
            let refused = subscriber(LogFormat::Text, level, io::stderr, false).map(drop).expect_err(level);
            assert!(refused.starts_with(&format!("--log-level {level}: ")), "{refused}");
        }
    }

    #[test]
    fn less_can_be_asked_for() {
        for (level, lines) in [("warn", 1), ("off", 0), ("error,database_backup_operator=info", 2)] {
            let text = logged(LogFormat::Text, level, || {
                tracing::info!("one");
                tracing::warn!("two");
                tracing::warn!(target: "kube_runtime::watcher", "three");
            });
            let expected = if level == "warn" { lines + 1 } else { lines };
            assert_eq!(text.lines().count(), expected, "{level}: {text}");
        }
    }
}
