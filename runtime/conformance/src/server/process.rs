//! A child process that ends with us.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pillion_spi::{Clock, SystemClock};
use rustix::process::{Pid, Signal, kill_process};

/// A watcher becomes a background job of the shell, the shell becomes the program. The watcher
/// reads a pipe whose other end only we hold: when we end without a word, even by `kill -9`, it
/// reads the end of file and kills the program.
const GUARDED: &str = r#"exec 3<&0
{ read -r word <&3 || kill -9 $$; } >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-"#;

/// A child process, killed on drop and also when this program is killed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    guard: Option<ChildStdin>,
    pid: Pid,
}

impl Process {
    /// Starts `program` in `folder`; what it prints goes to `log`.
    ///
    /// # Errors
    /// When the shell cannot be started or the log not be written. A missing program shows as a
    /// process that ends at once.
    pub fn start<A: AsRef<OsStr>>(
        program: &str,
        arguments: impl IntoIterator<Item = A>,
        folder: &Path,
        log: &Path,
    ) -> Result<Self> {
        let log = File::options().create(true).append(true).open(log).context("opening the log")?;
        let mut child = Command::new("sh")
            .args(["-c", GUARDED, program, program])
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {program}"))?;
        let guard = child.stdin.take();
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("the process has no id")?;
        Ok(Self { child, guard, pid })
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid, signal).with_context(|| format!("signal {signal:?} to process {}", self.id()))
    }

    /// How the process ended, if it has.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.dismiss_watcher();
        }
        Ok(status)
    }

    /// Waits until the process has ended.
    ///
    /// # Errors
    /// When it is still there after `patience`.
    pub async fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = SystemClock.now() + patience;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if SystemClock.now() >= deadline {
                bail!("process {} did not end within {patience:?}", self.id());
            }
            SystemClock.sleep(Duration::from_millis(2)).await;
        }
    }

    /// Ends the process as `kill -9` does, frozen or not, and waits for it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.dismiss_watcher();
        Ok(())
    }

    /// The id is free for another process from now on, so the watcher must not use it.
    fn dismiss_watcher(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            let _ = guard.write_all(b"\n");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alive(id: u32) -> bool {
        // A killed child of a killed parent may stay a zombie where nobody reaps orphans.
        std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[tokio::test]
    async fn a_process_ends_when_its_guard_does() {
        let folder = super::super::temporary_folder().unwrap();
        let mut process = Process::start("sleep", ["600"], folder.path(), &folder.path().join("log")).unwrap();
        assert!(alive(process.id()));
        // What the system does to our end of the pipe when we are killed.
        drop(process.guard.take());
        process.wait(Duration::from_secs(10)).await.unwrap();
        assert!(!alive(process.id()));
    }

    #[tokio::test]
    async fn a_frozen_process_can_be_killed() {
        let folder = super::super::temporary_folder().unwrap();
        let mut process = Process::start("sleep", ["600"], folder.path(), &folder.path().join("log")).unwrap();
        process.signal(Signal::STOP).unwrap();
        process.kill().unwrap();
        assert!(!alive(process.id()));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_ends_at_once() {
        let folder = super::super::temporary_folder().unwrap();
        let log = folder.path().join("log");
        let mut process = Process::start("no-such-program", ["600"], folder.path(), &log).unwrap();
        assert!(!process.wait(Duration::from_secs(10)).await.unwrap().success());
        assert!(std::fs::read_to_string(log).unwrap().contains("not found"));
    }
}
