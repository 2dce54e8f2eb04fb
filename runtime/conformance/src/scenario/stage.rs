//! A runtime for scenarios, and the session that reaches it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use pillion_spi::{Clock, SystemClock};
use rustix::process::Signal;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::driver::Driver;
use super::http::Http;
use super::language::Languages;
use super::mode::Mode;
use super::need::Capabilities;
use super::session::{Request, Session};
use super::step::{Method, Stop};
use super::store::Store;
use crate::server::{PATIENCE, Process, free_port, temporary_folder};

/// The component that every runtime has beside the one under test, so that a store can be named.
pub const OTHER_STORE: &str = "other";

/// The programs that scenarios run.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The sidecar.
    pub sidecar: PathBuf,
    /// The drivers.
    pub languages: Languages,
}

/// A runtime and the session that reaches it.
pub struct Stage {
    programs: Programs,
    lang: String,
    mode: Mode,
    address: String,
    /// Whether the components of the store under test take their time from a clock that can be moved.
    movable_clock: bool,
    session: Arc<dyn Session>,
    sidecar: Option<Process>,
    /// What the store under test can do.
    pub capabilities: Capabilities,
    folder: TempDir,
}

impl Stage {
    /// Starts a runtime on `store` with `config` added to the usual configuration.
    ///
    /// # Errors
    /// When the store, the sidecar or the driver does not start.
    pub async fn start(
        programs: &Programs,
        lang: &str,
        mode: Mode,
        store: &Store,
        config: &Map<String, Value>,
    ) -> Result<Self> {
        let folder = temporary_folder()?;
        let component = store.component().await?;
        // Somebody else may take the port between our look and the sidecar's bind.
        let mut attempts = 0;
        loop {
            attempts += 1;
            let address = format!("127.0.0.1:{}", free_port()?);
            let text = configuration(&address, component.clone(), config)?;
            std::fs::write(folder.path().join(CONFIG), text)?;
            match Self::launch(programs, lang, mode, &address, folder.path()).await {
                Ok((session, sidecar)) => {
                    let mut stage = Self {
                        programs: programs.clone(),
                        lang: lang.to_owned(),
                        mode,
                        address,
                        movable_clock: mode == Mode::Embedded && store.takes_its_time_from_us(),
                        session,
                        sidecar,
                        capabilities: Capabilities::new(),
                        folder,
                    };
                    stage.capabilities = stage.ask_capabilities().await?;
                    return Ok(stage);
                }
                Err(error) if attempts < 5 && format!("{error:#}").contains("address_in_use") => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn launch(
        programs: &Programs,
        lang: &str,
        mode: Mode,
        address: &str,
        folder: &Path,
    ) -> Result<(Arc<dyn Session>, Option<Process>)> {
        let driver = |arguments: &[&str]| {
            Ok::<_, anyhow::Error>(Arc::new(Driver::start(programs.languages.driver(lang)?, arguments, folder)?))
        };
        let config = folder.join(CONFIG);
        let config = config.to_str().context("the temporary folder is not UTF-8")?;
        if mode == Mode::Embedded {
            return Ok((driver(&["--embedded", config])?, None));
        }
        let sidecar = sidecar(&programs.sidecar, address, folder, config).await?;
        let base = format!("http://{address}");
        let session: Arc<dyn Session> = match mode {
            Mode::Grpc => driver(&["--endpoint", &base])?,
            _ => Arc::new(Http::new(&base)),
        };
        Ok((session, Some(sidecar)))
    }

    /// The session of the runtime that runs now.
    pub fn session(&self) -> &Arc<dyn Session> {
        &self.session
    }

    /// What the programs said to people.
    pub fn logs(&self) -> String {
        let read = |name| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        format!("{}{}", read(DRIVER_LOG), read(SIDECAR_LOG))
    }

    /// Lets `time` pass for the components: by moving their clock where that is possible, else by
    /// waiting.
    ///
    /// # Errors
    /// Those of the session.
    pub async fn elapse(&self, time: Duration) -> Result<()> {
        if self.movable_clock {
            return self.session.advance(time).await;
        }
        SystemClock.sleep(time).await;
        Ok(())
    }

    /// Ends the runtime and starts it again on the same data and address. The driver of a sidecar
    /// stays, as a program would.
    ///
    /// # Errors
    /// When it does not end as it should, or not start again.
    pub async fn restart(&mut self, how: Stop) -> Result<()> {
        let Some(process) = &mut self.sidecar else {
            self.session.end(how == Stop::Kill).await?;
            let launched = Self::launch(&self.programs, &self.lang, self.mode, &self.address, self.folder.path());
            (self.session, self.sidecar) = launched.await?;
            return Ok(());
        };
        end(process, how).await?;
        let config = self.folder.path().join(CONFIG);
        let config = config.to_str().context("the temporary folder is not UTF-8")?;
        *process = sidecar(&self.programs.sidecar, &self.address, self.folder.path(), config).await?;
        Ok(())
    }

    /// Ends everything in order.
    ///
    /// # Errors
    /// When it does not end as it should.
    pub async fn end(mut self) -> Result<()> {
        self.session.end(false).await?;
        if let Some(process) = &mut self.sidecar {
            end(process, Stop::Stop).await?;
        }
        Ok(())
    }

    /// Waits until the store under test can be used, and asks what it can do.
    async fn ask_capabilities(&self) -> Result<Capabilities> {
        let deadline = SystemClock.now() + PATIENCE;
        loop {
            let method = Method { api: "actuator".to_owned(), name: "get_status".to_owned() };
            let request = Request { method, args: json!({}), app: None, timeout: Some(PATIENCE) };
            let answer = self.session.start(request).await?.answer();
            let clock: &dyn Clock = &SystemClock;
            let answer = clock.timeout(PATIENCE, answer).await.context("asking for the status")??;
            let status = match answer {
                Ok(status) => status,
                Err(error) => bail!("asking for the status: {error}"),
            };
            let components = status["components"].as_array().context("the status has no components")?;
            let state = components.iter().find(|component| component["name"] == "state");
            let state = state.context("the status has no component `state`")?;
            if state["state"] == "COMPONENT_STATE_READY" {
                return Ok(self.capabilities_of(state));
            }
            ensure!(SystemClock.now() < deadline, "the store does not become ready: {state}");
            SystemClock.sleep(Duration::from_millis(10)).await;
        }
    }

    fn capabilities_of(&self, state: &Value) -> Capabilities {
        let declared = state["capabilities"].as_object().into_iter().flatten();
        let mut capabilities: Capabilities =
            declared.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
        let durable = !matches!(state["durability"]["local"].as_str(), None | Some("LOCAL_DURABILITY_MEMORY"));
        capabilities.insert("durable".to_owned(), durable.to_string());
        capabilities.insert("movable_clock".to_owned(), self.movable_clock.to_string());
        capabilities
    }
}

const CONFIG: &str = "pillion.yaml";
const DRIVER_LOG: &str = "driver.log";
const SIDECAR_LOG: &str = "sidecar.log";

/// The usual configuration with the sections of a scenario merged in, as JSON, which is YAML too.
fn configuration(address: &str, component: Value, added: &Map<String, Value>) -> Result<String> {
    let mut config = json!({
        "listen": {"tcp": address, "unix": "off"},
        "log": {"level": "warn"},
        "components": {"state": component, OTHER_STORE: {"type": "state.memory"}},
    });
    for (section, settings) in added {
        let settings = settings.as_object().with_context(|| format!("the section `{section}` is no object"))?;
        for (name, value) in settings {
            config[section][name] = value.clone();
        }
    }
    Ok(serde_json::to_string_pretty(&config)?)
}

async fn sidecar(program: &Path, address: &str, folder: &Path, config: &str) -> Result<Process> {
    let log = folder.join(SIDECAR_LOG);
    let program = program.to_str().context("the path of the sidecar is not UTF-8")?;
    let mut process = Process::start(program, ["serve", "-f", config], folder, &log)?;
    let client = Http::new(&format!("http://{address}"));
    let deadline = SystemClock.now() + PATIENCE;
    loop {
        if client.get("/livez").await.is_ok_and(|status| status.is_success()) {
            return Ok(process);
        }
        let ended = process.ended()?;
        if ended.is_some() || SystemClock.now() >= deadline {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            bail!("the sidecar did not start ({ended:?}):\n{log}");
        }
        SystemClock.sleep(Duration::from_millis(5)).await;
    }
}

async fn end(process: &mut Process, how: Stop) -> Result<()> {
    match how {
        Stop::Kill => process.kill(),
        Stop::Stop => {
            process.signal(Signal::TERM)?;
            let status = process.wait(PATIENCE).await?;
            ensure!(status.success(), "the sidecar was asked to stop and ended with {status}");
            Ok(())
        }
    }
}
