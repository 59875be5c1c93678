//! A panic anywhere is a bug. It ends the process, which a restart mends; a task that ended alone would leave an operator that looks alive and does nothing.

use crate::cloud::parse::clean;
use std::panic::{PanicHookInfo, set_hook};

/// The longest line about a panic.
const LINE: usize = 512;

/// From now on a panic in any task or thread is logged in one line, and ends the process at once.
pub fn end_the_process() {
    set_hook(Box::new(|panic| {
        let line = line(panic);
        if tracing::dispatcher::has_been_set() {
            tracing::error!("{line}");
        } else {
            eprintln!("database-backup-operator: {line}");
        }
        std::process::abort();
    }));
}

fn line(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let what = clean(what(panic), LINE);
    format!("a bug: {what} (at {place}); the process ends, a restart goes on from what is stored")
}

fn what<'a>(panic: &'a PanicHookInfo<'_>) -> &'a str {
    let payload = panic.payload();
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{config::LogFormat, telemetry};
    use std::process::Command;

    /// Runs one of the ignored tests below in a process of its own, which it ends.
    fn end_of(test: &str) -> (std::process::ExitStatus, String) {
        let this = std::env::current_exe().expect("this program");
        let args = ["--ignored", "--exact", "--nocapture", test];
        let output = Command::new(this).args(args).output().expect("it runs");
        (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    async fn panic_in_a_task() {
        end_the_process();
        let _ = tokio::spawn(async { panic!("first\nsecond") }).await;
        // Not reached; else the test that started this sees a success.
        std::process::exit(0);
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "ends its process, and is started by the test below"]
    async fn without_a_log() {
        panic_in_a_task().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "ends its process, and is started by the test below"]
    async fn with_a_log() {
        telemetry::start(LogFormat::Json, "info").expect("a log");
        panic_in_a_task().await;
    }

    #[test]
    fn a_panic_in_a_task_ends_the_process_and_is_told_in_one_line() {
        for (test, head) in [("without_a_log", "database-backup-operator: "), ("with_a_log", "\"level\":\"ERROR\"")] {
            let (status, said) = end_of(&format!("process::panics::tests::{test}"));
            assert!(!status.success(), "{test}: {status}\n{said}");
            let line = said.lines().find(|line| line.contains("a bug: first second")).unwrap_or_else(|| panic!("{test}: {said}"));
            assert!(line.contains(head) && line.contains("panics.rs:"), "{test}: {line}");
            assert!(line.contains("the process ends, a restart goes on from what is stored"), "{test}: {line}");
        }
    }
}
