//! Processes that end with the one that started them, however that ends.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

/// A process under a watchdog: a shell that holds a pipe from this process, and kills the child when the pipe closes.
pub struct Leashed {
    watchdog: Child,
    pid: u32,
}

/// Tells its child's id on the first line, then ends as the child ends; when standard input closes first, it kills the child.
const WATCHDOG: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- 2>>"$LOG" >>"$LOG" &
child=$!
echo $child
exec >/dev/null
( cat <&3 >/dev/null; kill -KILL $child ) 2>/dev/null &
reader=$!
wait $child
status=$?
kill $reader 2>/dev/null
exit $status
"#;

impl Leashed {
    /// Starts a program; what it prints goes to `log`.
    pub fn start(program: &Path, args: &[String], envs: &[(&str, &str)], log: &Path) -> std::io::Result<Self> {
        File::options().create(true).append(true).open(log)?;
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(program)
            .args(args)
            .env("LOG", log)
            .envs(envs.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = watchdog.stdout.take() {
            std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
        }
        let pid = line.trim().parse().map_err(|_| std::io::Error::other(format!("{} did not start", program.display())))?;
        Ok(Self { watchdog, pid })
    }

    /// The program's process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends it a signal, such as `KILL` or `STOP`.
    pub fn signal(&self, name: &str) {
        let _ = Command::new("kill").args([&format!("-{name}"), &self.pid.to_string()]).stderr(Stdio::null()).status();
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.watchdog.try_wait().ok().flatten()
    }

    /// Waits for its end; `None` if it does not come in time.
    pub async fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        let deadline = tokio::time::Instant::now() + within;
        while tokio::time::Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        self.signal("KILL");
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}
