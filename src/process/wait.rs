//! `wait`: for pipelines and Jobs that need a backup before they go on. It reads, and changes nothing.

use super::{cluster, config, shutdown};
use crate::{
    controller::{clock::Clock, wait::looks},
    plan::wait::Wait,
};
use futures::{StreamExt, stream::select_all};
use std::{
    error::Error,
    io::{Write, stderr, stdout},
    process::ExitCode,
    time::Duration,
};
use tokio::time::sleep;

/// Longer than a watch goes on before it is renewed.
const READ_TIMEOUT: Duration = Duration::from_secs(90);

/// Waits until every backup that is named is Completed, or until one of them will not be, and prints a line for each change.
///
/// # Errors
/// There is no cluster to talk to, or a signal came.
pub async fn wait(flags: config::Wait) -> Result<ExitCode, Box<dyn Error>> {
    let stop = shutdown::on_signal()?;
    let config = cluster::config()?;
    let namespace = flags.namespace.unwrap_or_else(|| config.default_namespace.clone());
    let client = cluster::client(config, READ_TIMEOUT)?;
    let mut names = flags.names;
    names.sort();
    names.dedup();
    let clock = Clock::start();
    let mut wait = Wait::new(&namespace, &names, flags.timeout);
    let mut looks = select_all(
        names.into_iter().map(|name| looks(client.clone(), namespace.clone(), &name).map(move |look| (name.clone(), look)).boxed()),
    );
    loop {
        let elapsed = clock.now().mono;
        if let Some(end) = wait.end(elapsed) {
            for why in &end.why {
                say(stderr(), &format!("database-backup-operator: {why}"));
            }
            return Ok(ExitCode::from(end.outcome.exit_code()));
        }
        tokio::select! {
            Some((name, look)) = looks.next() => {
                let now = clock.now();
                if let Some(line) = wait.look(&name, look, now.mono) {
                    say(stdout(), &format!("{:.0} {line}", now.wall));
                }
            }
            () = sleep(wait.next(elapsed).saturating_sub(elapsed)) => {}
            () = stop.cancelled() => return Err("stopped by a signal before the end was known".into()),
        }
    }
}

/// Nobody has to read it: the exit code counts.
fn say(mut to: impl Write, line: &str) {
    let _ = writeln!(to, "{line}");
}
