//! Calls through a language's SDK: its driver is a child process, spoken to as
//! `docs/driver-protocol.md` says.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use async_trait::async_trait;
use pillion_spi::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::task::JoinHandle;

use super::session::{Answer, Pending, Request, Session, Stream};
use crate::server::PATIENCE;

/// The program of a language and its first arguments.
pub type CommandLine = Vec<String>;

/// A running driver.
pub struct Driver(Arc<Link>);

struct Link {
    stdin: AsyncMutex<Option<ChildStdin>>,
    child: AsyncMutex<Child>,
    waiting: Arc<Waiting>,
    reader: JoinHandle<()>,
    ids: AtomicU64,
    log: PathBuf,
}

/// The commands that have no answer yet; `None` once the driver has ended.
type Waiting = Mutex<Option<HashMap<u64, oneshot::Sender<Value>>>>;

impl Driver {
    /// Starts a driver; what it says to people goes to a file in `folder`.
    ///
    /// # Errors
    /// When the program cannot be started. One that ends at once shows at the first call.
    pub fn start(command: &CommandLine, arguments: &[&str], folder: &Path) -> Result<Self> {
        let (program, first) = command.split_first().context("the driver's command is empty")?;
        let log = folder.join("driver.log");
        let mut child = Command::new(program)
            .args(first)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(&log)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting the driver {program}"))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().context("the driver has no stdout")?);
        let waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let reader = tokio::spawn(read(stdout, waiting.clone()));
        Ok(Self(Arc::new(Link {
            stdin: AsyncMutex::new(stdin),
            child: AsyncMutex::new(child),
            waiting,
            reader,
            ids: AtomicU64::new(0),
            log,
        })))
    }
}

async fn read(stdout: ChildStdout, waiting: Arc<Waiting>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| json!({ "unreadable": line }));
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = waiting.as_mut() else { return };
        match answer["id"].as_u64() {
            Some(id) => {
                if let Some(waiter) = waiting.remove(&id) {
                    let _ = waiter.send(answer);
                }
            }
            // It belongs to nobody, so everybody is told.
            None => waiting.drain().for_each(|(_, waiter)| {
                let _ = waiter.send(answer.clone());
            }),
        }
    }
    waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// A command that was sent.
struct Sent {
    id: u64,
    answer: oneshot::Receiver<Value>,
}

impl Link {
    async fn send(&self, mut command: Value) -> Result<Sent> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed) + 1;
        command["id"] = id.into();
        let (sender, answer) = oneshot::channel();
        match self.waiting.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(waiting) => waiting.insert(id, sender),
            None => return Err(self.ended()),
        };
        let line = format!("{command}\n");
        let mut stdin = self.stdin.lock().await;
        let pipe = stdin.as_mut().context("the session was ended")?;
        pipe.write_all(line.as_bytes()).await.map_err(|_| self.ended())?;
        pipe.flush().await.map_err(|_| self.ended())?;
        Ok(Sent { id, answer })
    }

    async fn receive(&self, sent: Sent) -> Result<Value> {
        sent.answer.await.map_err(|_| self.ended())
    }

    /// A command whose answer is a message or an error.
    async fn command(&self, command: Value) -> Result<Answer> {
        let sent = self.send(command).await?;
        answer(self.receive(sent).await?)
    }

    /// A command that only a broken driver refuses.
    async fn must(&self, command: Value) -> Result<()> {
        let shown = command.to_string();
        match self.command(command).await? {
            Ok(_) => Ok(()),
            Err(error) => bail!("the driver refuses {shown}: {error}"),
        }
    }

    fn ended(&self) -> anyhow::Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let tail = log.lines().rev().take(20).collect::<Vec<_>>();
        anyhow!("the driver ended: {}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }
}

/// The answer in a line of the driver.
fn answer(mut line: Value) -> Result<Answer> {
    if let Some(ok) = line.get_mut("ok") {
        return Ok(Ok(ok.take()));
    }
    if let Some(error) = line.get_mut("error") {
        return Ok(Err(error.take()));
    }
    bail!("the driver answers {line}, which is neither `ok` nor `error`")
}

fn command(request: Request) -> Value {
    let Request { method, args, app, timeout } = request;
    let mut command = json!({"api": method.api, "method": method.name, "args": args});
    if let Some(timeout) = timeout {
        command["timeout"] = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).into();
    }
    if let Some(app) = app {
        command["app_id"] = app.into();
    }
    command
}

#[async_trait]
impl Session for Driver {
    fn shown(&self, request: &Request) -> String {
        command(request.clone()).to_string()
    }

    async fn start(&self, request: Request) -> Result<Box<dyn Pending>> {
        let sent = self.0.send(command(request)).await?;
        Ok(Box::new(Started { link: self.0.clone(), sent }))
    }

    async fn open(&self, request: Request) -> Result<Box<dyn Stream>> {
        let sent = self.0.send(json!({ "open": command(request) })).await?;
        let id = sent.id;
        let failed = answer(self.0.receive(sent).await?)?.err();
        Ok(Box::new(Opened { link: self.0.clone(), id, ended: failed.is_some(), failed }))
    }

    async fn advance(&self, time: Duration) -> Result<()> {
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.0.must(json!({ "advance": milliseconds })).await
    }

    async fn end(&self, at_once: bool) -> Result<()> {
        let mut child = self.0.child.lock().await;
        if at_once {
            child.kill().await?;
            return Ok(());
        }
        drop(self.0.stdin.lock().await.take());
        let clock: &dyn Clock = &SystemClock;
        let status = clock.timeout(PATIENCE, child.wait()).await.context("the driver did not end")??;
        if !status.success() {
            return Err(self.0.ended().context(status));
        }
        Ok(())
    }
}

struct Started {
    link: Arc<Link>,
    sent: Sent,
}

#[async_trait]
impl Pending for Started {
    async fn answer(self: Box<Self>) -> Result<Answer> {
        answer(self.link.receive(self.sent).await?)
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        self.link.must(json!({ "cancel": self.sent.id })).await?;
        let line = self.link.receive(self.sent).await?;
        if line["cancelled"] != true {
            bail!("the call that was cancelled is answered {line}");
        }
        Ok(())
    }
}

struct Opened {
    link: Arc<Link>,
    id: u64,
    failed: Option<Value>,
    ended: bool,
}

#[async_trait]
impl Stream for Opened {
    async fn next(&mut self) -> Result<Option<Answer>> {
        if let Some(error) = self.failed.take() {
            return Ok(Some(Err(error)));
        }
        if self.ended {
            return Ok(None);
        }
        let sent = self.link.send(json!({ "next": self.id })).await?;
        let line = self.link.receive(sent).await?;
        if line["end"] == true {
            return Ok(None);
        }
        answer(line).map(Some)
    }

    async fn send(&mut self, message: Value) -> Result<()> {
        self.link.must(json!({"send": self.id, "message": message})).await
    }

    async fn finish(&mut self) -> Result<Answer> {
        self.link.command(json!({ "finish": self.id })).await
    }

    async fn fail(&mut self) -> Result<()> {
        self.link.must(json!({ "fail": self.id })).await
    }

    async fn close(self: Box<Self>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        self.link.must(json!({ "close": self.id })).await
    }
}
