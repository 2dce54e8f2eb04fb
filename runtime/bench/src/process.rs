//! Processes that are ended when they are no longer needed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::machine::Process;

/// How long a server may take to say that it listens.
const START: Duration = Duration::from_secs(20);

/// A server; dropping it ends it.
pub struct Server {
    child: Child,
}

impl Server {
    /// Starts a server.
    pub fn start(command: &mut Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        Ok(Self { child })
    }

    /// Starts a server and waits for the first line on its stdout.
    pub fn announced(command: &mut Command) -> Result<(Self, String)> {
        let mut server = Self::start(command.stdout(Stdio::piped()))?;
        let stdout = server.child.stdout.take().context("no stdout")?;
        let line = first_line(stdout).with_context(|| format!("{command:?} did not say where it listens"))?;
        Ok((server, line))
    }

    /// What the kernel knows of it.
    pub fn process(&self) -> Process {
        Process::new(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to save in it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn first_line(stdout: ChildStdout) -> Result<String> {
    let (send, receive) = mpsc::channel();
    // Ends with the process, and goes on reading so that it can never block on a full pipe.
    thread::spawn(move || {
        let mut lines = BufReader::new(stdout);
        let mut line = String::new();
        if lines.read_line(&mut line).is_ok() && !line.is_empty() {
            let _ = send.send(line);
        }
        let _ = std::io::copy(&mut lines, &mut std::io::sink());
    });
    Ok(receive.recv_timeout(START)?)
}

/// Runs a program that ends by itself, for at most `limit`, and gives its stdout.
pub fn output(command: &mut Command, limit: Duration) -> Result<String> {
    let mut server = Server::start(command.stdout(Stdio::piped()))?;
    let mut stdout = server.child.stdout.take().context("no stdout")?;
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let _ = send.send(stdout.read_to_string(&mut text).map(|_| text));
    });
    let text = receive.recv_timeout(limit).with_context(|| format!("{command:?} did not end in {limit:?}"))??;
    let status = server.child.wait()?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(text)
}
