//! A running `pillion`, for tasks that need one.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::step::line;

/// A running `pillion`, ended with this value.
pub struct Sidecar {
    child: Child,
    /// Where it can be called.
    pub endpoint: String,
    /// Its Unix socket, if it has one: a path.
    pub socket: Option<String>,
}

impl Sidecar {
    /// Starts it with `command`, which prints its addresses as JSON, and waits until it listens.
    pub fn start(command: &mut Command) -> Result<Self> {
        println!("$ {}", line(command));
        let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().context("cannot start pillion")?;
        let mut first = String::new();
        let out = child.stdout.take().context("no standard output")?;
        let mut out = BufReader::new(out);
        out.read_line(&mut first)?;
        if first.is_empty() {
            bail!("pillion ended before it listened: {}", child.wait()?);
        }
        // Whatever else it prints must not fill the pipe.
        thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let addresses: serde_json::Value = serde_json::from_str(&first)?;
        let endpoint = addresses["endpoint"].as_str().context("no endpoint in the first line")?.to_owned();
        let socket = addresses["unix"].as_str().map(|url| url.trim_start_matches("unix://").to_owned());
        Ok(Self { child, endpoint, socket })
    }

    /// Waits until it ends.
    pub fn wait(mut self) -> Result<()> {
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
