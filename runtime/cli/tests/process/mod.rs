//! Running the command and looking at what it does.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How long anything here may take before it counts as hung.
const PATIENCE: u32 = 3_000;
const PAUSE: Duration = Duration::from_millis(10);

/// The command, without the settings of the machine it is tested on.
pub fn pillion() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pillion"));
    for name in ["PILLION_ENDPOINT", "PILLION_CONFIG", "PILLION_APP_ID", "PILLION_TOKEN", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Reads until a line has `text`.
pub fn line_with(stream: impl Read, text: &str) {
    let found = BufReader::new(stream).lines().map_while(Result::ok).any(|line| line.contains(text));
    assert!(found, "no line has {text:?}");
}

/// A running `pillion dev`.
pub struct Sidecar {
    child: Child,
    pub addresses: serde_json::Value,
    pub endpoint: String,
    err: Arc<Mutex<String>>,
}

impl Sidecar {
    /// Starts one on a free port.
    pub fn dev(arguments: &[&str]) -> Self {
        let mut command = pillion();
        Self::start(command.args(["dev", "--port", "0", "--json"]).args(arguments).current_dir(std::env::temp_dir()))
    }

    /// Starts one with a command that prints its addresses first.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let err = collect(child.stderr.take().unwrap());
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let addresses: serde_json::Value =
            serde_json::from_str(&first).unwrap_or_else(|_| panic!("{first:?}: {}", err.lock().unwrap()));
        let endpoint = addresses["endpoint"].as_str().unwrap().to_owned();
        Self { child, addresses, endpoint, err }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said.
    pub fn err(&self) -> String {
        self.err.lock().unwrap().clone()
    }

    /// Waits until it has said `text`.
    pub fn wait_err(&self, text: &str) {
        assert!(until(|| self.err().contains(text)), "it does not say {text:?}: {}", self.err());
    }

    /// Waits until its components are open.
    pub fn wait_ready(&self) {
        let ended = run(pillion().args(["wait", "--ready", "--timeout", "20s", "--endpoint", &self.endpoint]));
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap().success());
    }

    /// Sends SIGTERM and returns the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.ended()
    }

    /// Sends SIGINT and returns the exit code.
    pub fn interrupt(&mut self) -> Option<i32> {
        self.signal("INT");
        self.ended()
    }

    fn ended(&mut self) -> Option<i32> {
        assert!(until(|| self.child.try_wait().unwrap().is_some()), "it does not end: {}", self.err());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until(mut condition: impl FnMut() -> bool) -> bool {
    (0..PATIENCE).any(|_| {
        let holds = condition();
        if !holds {
            thread::sleep(PAUSE);
        }
        holds
    })
}

fn collect(stream: ChildStderr) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let collected = text.clone();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut text = collected.lock().unwrap();
            text.push_str(&line);
            text.push('\n');
        }
    });
    text
}
