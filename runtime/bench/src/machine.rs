//! The machine: where processes run on it, and what else may disturb them.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Serialize;

/// On which core, and whether nothing else may take it.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The core; `None` for all.
    pub core: Option<usize>,
    /// Under a real-time scheduling class: without it the p99 of a machine that others use is theirs.
    pub realtime: bool,
}

impl Place {
    /// `program`, to be run here. Its process id will be that of the process started.
    pub fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut prefix: Vec<String> = Vec::new();
        if self.realtime {
            prefix.extend(["chrt", "-f", "5"].map(str::to_owned));
        }
        if let Some(core) = self.core {
            prefix.extend(["taskset".to_owned(), "-c".to_owned(), core.to_string()]);
        }
        let mut words = prefix.iter();
        let mut command = match words.next() {
            None => Command::new(program),
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(program);
                command
            }
        };
        command.stdin(Stdio::null());
        command
    }
}

/// What is known of the machine.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    cores: usize,
    /// Whether the real-time class was permitted and used.
    realtime: bool,
    /// Runnable processes, averaged over a minute, before the first window.
    load_before: Option<f64>,
    /// The same after the last one, so with our own load in it.
    load_after: Option<f64>,
}

impl Machine {
    /// Looks at the machine; `realtime` as it was asked for.
    pub fn look(realtime: bool) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cores, realtime: realtime && permitted(), load_before: load(), load_after: None }
    }

    /// Whether the real-time class can be used.
    pub fn realtime(&self) -> bool {
        self.realtime
    }

    /// How many cores there are.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// The measurements ended.
    pub fn ended(&mut self) {
        self.load_after = load();
    }

    /// What readers of the figures should know.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(load) = self.load_before.filter(|load| *load > 0.5) {
            notes.push(format!("other programs were running: the load average was {load} before the first window"));
        }
        if self.realtime {
            notes.push("processes ran under chrt -f 5; the kernel gives that class at most 95 % of a core".to_owned());
        } else {
            notes.push("no real-time class: on a busy machine p99 shows the scheduler, not the program".to_owned());
        }
        if self.cores < 2 {
            notes.push("there is one core: servers and clients share it".to_owned());
        }
        notes
    }
}

fn permitted() -> bool {
    let tried = Command::new("chrt").args(["-f", "5", "true"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// What the kernel knows of a process.
#[derive(Clone, Debug)]
pub struct Process(PathBuf);

impl Process {
    /// The process with this id.
    pub fn new(id: u32) -> Self {
        Self(PathBuf::from(format!("/proc/{id}")))
    }

    /// The CPU time of its threads, in seconds, from the scheduler's own count (nanoseconds).
    pub fn cpu(&self) -> anyhow::Result<f64> {
        let mut nanos = 0;
        for task in fs::read_dir(self.0.join("task"))? {
            // A thread may end while we look.
            let Ok(line) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            nanos += line.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0_u64);
        }
        Ok(nanos as f64 / 1e9)
    }

    /// Its resident memory, in megabytes (10⁶ bytes).
    pub fn memory(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(self.0.join("status"))?;
        let kibibytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        kibibytes.map(|kibibytes| kibibytes * 1024.0 / 1e6).ok_or_else(|| anyhow::anyhow!("no VmRSS"))
    }
}
