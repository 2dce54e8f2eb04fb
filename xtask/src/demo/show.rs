//! The calls that are shown, each with its answer, each checked.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::example::Example;
use crate::step::line;

/// One runtime, and the programs that call it.
#[derive(Clone, Copy)]
pub struct Show<'a> {
    pub binary: &'a Path,
    pub quickstart: &'a Path,
    pub client: &'a Path,
    pub endpoint: &'a str,
    pub examples: &'a [Example],
}

impl Show<'_> {
    /// Calls the runtime in every way there is.
    pub fn everything(&self, in_process: bool) -> Result<()> {
        self.pillion(&["wait", "--ready", "--timeout", "20s"], "")?;
        self.pillion(&["status"], "ready")?;
        self.grpc()?;
        self.http()?;
        self.rust(in_process)?;
        self.languages(in_process)?;
        self.layotto()
    }

    fn grpc(&self) -> Result<()> {
        heading("gRPC, with the command line");
        self.pillion(&["state", "set", "cart", "apple", "--json"], "etag")?;
        self.pillion(&["state", "get", "cart"], "apple")?;
        self.pillion(&["state", "list", "ca"], "cart")
    }

    fn http(&self) -> Result<()> {
        heading("HTTP, with curl");
        let url = format!("{}/v1/state/state/fruit%2F1", self.endpoint);
        self.curl(&["-X", "PUT", "--data-binary", "pear", "-H", "content-type: text/plain", &url], "etag")?;
        self.curl(&["-i", &url], "pear")?;
        let plain = "content-type: text/plain";
        self.curl(
            &["-X", "PUT", "--data-binary", "plum", "-H", plain, "-H", "if-none-match: *", &url],
            "state.key_exists",
        )?;
        let rpc = format!("{}/pillion.state.v1.StateService/GetMany", self.endpoint);
        let body = r#"{"keys":["cart","fruit/1","nothing"]}"#;
        self.curl(&["--json", body, &rpc], "YXBwbGU=")?;
        self.curl(&["-X", "DELETE", &url], "existed")
    }

    fn rust(&self, in_process: bool) -> Result<()> {
        if in_process {
            heading("Rust, in-process: the same program without an endpoint");
            check(Command::new(self.quickstart).env_remove("PILLION_ENDPOINT"), "42 items")?;
        }
        heading("Rust, remote");
        check(Command::new(self.quickstart).env("PILLION_ENDPOINT", self.endpoint), "42 items").map(drop)
    }

    /// Each language writes a greeting, and then reads what all the others wrote.
    fn languages(&self, in_process: bool) -> Result<()> {
        if in_process {
            heading("The other languages, in-process: each has a runtime of its own");
            for example in self.examples {
                check_as(&example.shown("embedded"), &mut example.command("embedded"), "embedded")?;
            }
        }
        heading("The other languages, remote: each reads what the others wrote");
        for example in self.examples {
            check_as(&example.shown(self.endpoint), &mut example.command(self.endpoint), "sidecar")?;
        }
        // Once more, as the first could not read what the last had not written yet.
        for example in self.examples {
            let shown = check_as(&example.shown(self.endpoint), &mut example.command(self.endpoint), "sidecar")?;
            for other in self.examples {
                let greeting = format!("greeting:{}", other.language.to_lowercase());
                if !shown.contains(&greeting) {
                    bail!("{} does not see {greeting}", example.language);
                }
            }
        }
        Ok(())
    }

    fn layotto(&self) -> Result<()> {
        heading("Layotto: the npm package `layotto`, unmodified");
        let address = self.endpoint.trim_start_matches("http://");
        let (host, port) = address.rsplit_once(':').context("an endpoint without a port")?;
        check(
            Command::new("node").arg(self.client).env("runtime_GRPC_HOST", host).env("runtime_GRPC_PORT", port),
            "checks hold",
        )
        .map(drop)
    }

    fn pillion(&self, arguments: &[&str], expected: &str) -> Result<()> {
        check(Command::new(self.binary).args(arguments).env("PILLION_ENDPOINT", self.endpoint), expected).map(drop)
    }

    fn curl(&self, arguments: &[&str], expected: &str) -> Result<()> {
        check(Command::new("curl").args(["-sS", "--max-time", "10"]).args(arguments), expected).map(drop)
    }
}

fn heading(text: &str) {
    println!("\n  ── {text}");
}

/// Runs a command, prints it and its answer, and looks for `expected` in that.
fn check(command: &mut Command, expected: &str) -> Result<String> {
    check_as(&line(command), command, expected)
}

/// The same, with the command as `shown`.
fn check_as(shown: &str, command: &mut Command, expected: &str) -> Result<String> {
    println!("$ {shown}");
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let answer = String::from_utf8_lossy(&output.stdout);
    println!("{}", answer.trim_end());
    if !output.status.success() || !answer.contains(expected) {
        bail!("`{shown}` was to answer with {expected:?} ({})", output.status);
    }
    Ok(answer.into_owned())
}
