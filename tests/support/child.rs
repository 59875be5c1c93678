//! Processes that end with the one that started them, however that one ends.

use super::eventually;
use std::{
    ffi::OsStr,
    fs::File,
    io::{self, BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// A program under a watchdog: a shell that holds a pipe from this process, and kills the program when the pipe closes. The system closes it
/// after a panic and after `kill -9`, too.
pub struct Leashed {
    watchdog: Mutex<Child>,
    pid: u32,
}

/// Tells the program's id on the first line of standard output, and ends as the program ends (128 + n after signal n).
/// Shells give `/dev/null` to what they start in the background, hence the detour of standard input over 3.
const WATCHDOG: &str = r#"
log=$1
shift
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
program=$!
echo "$program"
exec >/dev/null
( read -r _ <&3; kill -KILL "$program" ) &
reader=$!
exec 3<&-
wait "$program"
status=$?
kill "$reader"
exit "$status"
"#;

impl Leashed {
    /// Starts a program; what it prints is appended to `log`. `None` takes a variable of this process's environment away.
    pub fn start(program: &Path, args: &[impl AsRef<OsStr>], envs: &[(&str, Option<&OsStr>)], log: &Path) -> io::Result<Self> {
        File::options().create(true).append(true).open(log)?;
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCHDOG, "watchdog"]).arg(log).arg(program).args(args);
        for (name, value) in envs {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        // A group of its own: Ctrl-C in a terminal reaches the one who started this, and that one decides.
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut watchdog = shell.spawn()?;
        let mut line = String::new();
        if let Some(stdout) = watchdog.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let pid = line.trim().parse().map_err(|_| io::Error::other(format!("{} did not start", program.display())))?;
        Ok(Self { watchdog: Mutex::new(watchdog), pid })
    }

    /// The program's process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends it a signal, such as `TERM` or `STOP`; nothing happens if it has ended.
    pub fn signal(&self, name: &str) {
        if self.ended().is_none() {
            // The shell's own `kill`: small systems have no other.
            let _ =
                Command::new("sh").args(["-c", r#"kill -s "$1" "$2""#, "kill", name, &self.pid.to_string()]).stderr(Stdio::null()).status();
        }
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.watchdog.lock().unwrap_or_else(PoisonError::into_inner).try_wait().ok().flatten()
    }

    /// Waits for its end. Panics if it does not come in time.
    pub async fn wait(&self, within: Duration) -> ExitStatus {
        eventually("the program ends", within, async || self.ended().ok_or_else(|| format!("process {} is still there", self.pid))).await
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        let watchdog = self.watchdog.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(watchdog.stdin.take());
        let _ = watchdog.wait();
    }
}

/// Removes a folder when this process ends without having done so itself: killed, or with the folder's owner in a `static`.
pub struct Broom(Child);

impl Broom {
    /// The pause lets the programs that write into the folder end first.
    pub fn start(folder: &Path) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"read -r _; sleep 1; rm -rf -- "$1""#, "broom"]).arg(folder);
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(Self)
    }
}

impl Drop for Broom {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
