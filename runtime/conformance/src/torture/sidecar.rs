//! The real program, started on a store of its own, and stopped in every way.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures::future::join_all;
use pillion_spi::state::Condition;
use pillion_spi::{Clock, SystemClock};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::Client;
use crate::server::{PATIENCE, Process, temporary_folder};

/// Each has a connection of its own, and the workers take turns: so all of them are asked.
const CLIENTS: usize = 8;
/// The deadline of each of their calls.
const DEADLINE: Duration = Duration::from_millis(400);

/// What a sidecar is started with.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program.
    pub program: PathBuf,
    /// The settings of its only component, which is called `state`.
    pub component: Value,
    /// How long calls under way may take when it is told to stop.
    pub grace: Duration,
    /// Failure points, as in `PILLION_CHAOS`.
    pub chaos: String,
}

impl Plan {
    /// A sidecar on `component`, with half a minute of grace and no failure points.
    pub fn new(program: &Path, component: Value) -> Self {
        Self { program: program.to_owned(), component, grace: Duration::from_secs(30), chaos: String::new() }
    }

    /// With these failure points.
    #[must_use]
    pub fn chaos(mut self, chaos: impl Into<String>) -> Self {
        self.chaos = chaos.into();
        self
    }

    /// With this grace.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

/// A folder in which sidecars follow each other.
#[derive(Debug)]
pub struct Home(TempDir);

impl Home {
    /// A fresh one.
    ///
    /// # Errors
    /// When the temporary folder of the system is not writable.
    pub fn new() -> Result<Self> {
        temporary_folder().map(Self)
    }

    /// Starts a sidecar and waits until its store can be used.
    ///
    /// # Errors
    /// When it ends, or is not ready within [`PATIENCE`]; the error ends with what it printed.
    pub async fn start(&self, plan: &Plan) -> Result<Sidecar> {
        let mut sidecar = self.launch(plan).await?;
        let deadline = SystemClock.now() + PATIENCE;
        while !sidecar.client.is_ready().await {
            if let Some(status) = sidecar.process.ended()? {
                bail!("the sidecar ended before it was ready ({status}):\n{}", sidecar.log());
            }
            if SystemClock.now() >= deadline {
                bail!("the sidecar was not ready within {PATIENCE:?}:\n{}", sidecar.log());
            }
            SystemClock.sleep(Duration::from_millis(3)).await;
        }
        Ok(sidecar)
    }

    /// Starts a sidecar and waits until it listens.
    ///
    /// # Errors
    /// Those of [`start`](Self::start).
    pub async fn launch(&self, plan: &Plan) -> Result<Sidecar> {
        let folder = self.0.path();
        let file = folder.join("pillion.json");
        let configuration = json!({
            "listen": {"tcp": "127.0.0.1:0", "unix": "off"},
            "components": {"state": plan.component},
            "deadlines": {"shutdown": format!("{}ms", plan.grace.as_millis())},
        });
        fs::write(&file, configuration.to_string()).context("writing the configuration")?;
        let log = folder.join("pillion.log");
        // Each sidecar has a log of its own; the first line says where it listens.
        let _ = fs::remove_file(&log);
        let chaos = format!("PILLION_CHAOS={}", plan.chaos);
        let arguments = [chaos.as_ref(), plan.program.as_os_str(), "serve".as_ref(), "--json".as_ref(), "-f".as_ref()];
        let arguments = arguments.into_iter().chain([file.as_os_str()]);
        let mut process = Process::start("env", arguments, folder, &log)?;
        let deadline = SystemClock.now() + PATIENCE;
        loop {
            let printed = fs::read_to_string(&log).unwrap_or_default();
            if let Some(endpoint) = endpoint(&printed) {
                return Ok(Sidecar { client: Client::new(&endpoint), endpoint, process, log });
            }
            let ended = process.ended()?;
            if ended.is_some() || SystemClock.now() >= deadline {
                bail!("the sidecar does not listen ({ended:?}):\n{printed}");
            }
            SystemClock.sleep(Duration::from_millis(2)).await;
        }
    }
}

/// The address in the first whole line of JSON.
fn endpoint(printed: &str) -> Option<String> {
    let line = printed.split_inclusive('\n').find(|line| line.starts_with('{'))?;
    let value: Value = serde_json::from_str(line.strip_suffix('\n')?).ok()?;
    Some(value["endpoint"].as_str()?.to_owned())
}

/// A running sidecar. It is killed on drop.
#[derive(Debug)]
pub struct Sidecar {
    /// Calls it.
    pub client: Client,
    /// Where it listens, as in `http://127.0.0.1:34904`.
    pub endpoint: String,
    /// Its process.
    pub process: Process,
    log: PathBuf,
}

impl Sidecar {
    /// What it has printed.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until every worker of it is served by the store, and says when that was.
    ///
    /// # Errors
    /// That one is not for a long time.
    pub async fn serves(&self) -> Result<Instant> {
        let deadline = SystemClock.now() + 2 * PATIENCE;
        let clients = (0..CLIENTS).map(|number| async move {
            let client = Client::new(&self.endpoint).timeout(DEADLINE);
            let (key, value) = (format!("serves/{number}"), Bytes::from_static(b"1"));
            while let Err(failure) = client.set(&key, &value, &Condition::None).await {
                if SystemClock.now() >= deadline {
                    return Err(failure).context("the store is there and the sidecar has not found it");
                }
                SystemClock.sleep(Duration::from_millis(10)).await;
            }
            Ok(SystemClock.now())
        });
        let served = join_all(clients).await.into_iter().collect::<Result<Vec<_>>>()?;
        served.into_iter().max().context("nobody asked")
    }

    /// Freezes it for `time`.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn freeze(&self, time: Duration) -> Result<()> {
        self.process.signal(Signal::STOP)?;
        SystemClock.sleep(time).await;
        self.process.signal(Signal::CONT)
    }

    /// The memory that it occupies, in bytes.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(path).context("reading the status of the sidecar")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("there is no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().context("VmRSS is no number")?;
        Ok(kilobytes << 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_in_the_first_whole_line_of_json() {
        let line = r#"{"endpoint":"http://127.0.0.1:1","pid":2}"#;
        assert_eq!(endpoint(line), None);
        assert_eq!(endpoint(&format!("a warning\n{line}\nready")), Some("http://127.0.0.1:1".to_owned()));
        assert_eq!(endpoint("ready\n"), None);
    }
}
