//! The README's commands, run one after the other as a reader would, in one folder and against the
//! runtime that the page last started.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use pillion_spi::{Clock, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStderr, Command};

use crate::page::{Step, blocks, read, repository, steps};
use crate::text::difference;

/// For one command.
const PATIENCE: Duration = Duration::from_secs(60);
/// For npm to fetch a dozen small packages.
const INSTALLING: Duration = Duration::from_secs(180);

/// What the page says where the test has something of its own.
const PORT: &str = "34904";
const REDIS_PORT: &str = "6379";
const RUNTIME_FOLDER: &str = "/run/user/1000";

/// What is not run here, and what runs it instead.
const ELSEWHERE: [(&str, &str); 3] = [
    ("cargo xtask ", "what runs this test"),
    ("cargo install ", "cargo has built the command for this test"),
    ("cargo run --example quickstart", "`cargo xtask demo`"),
];

#[tokio::test]
async fn the_commands_of_the_readme_print_what_it_shows() {
    let mut session = Session::new().await;
    let (_redis, redis_port) = redis(session.folder.path()).await;
    let text = read("README.md")
        .replace(PORT, &session.port.to_string())
        .replace(REDIS_PORT, &redis_port.to_string())
        .replace(RUNTIME_FOLDER, session.folder.path().to_str().unwrap());
    let mut run = 0;
    for block in blocks(&text) {
        if let Some(name) = block.file() {
            std::fs::write(session.work().join(name), &block.text).unwrap();
        } else if block.info == "console" {
            for step in steps(&block) {
                run += usize::from(session.step(&step).await);
            }
        }
    }
    session.stop().await;
    assert!(run >= 15, "only {run} commands were run");
}

#[test]
fn the_rust_of_the_readme_is_that_of_the_example() {
    let example = read("sdk-rust/examples/quickstart.rs");
    let blocks = blocks(&read("README.md"));
    let rust: Vec<_> = blocks.iter().filter(|block| block.info == "rust").collect();
    assert!(!rust.is_empty());
    for block in rust {
        assert!(example.contains(&block.text), "README.md:{}: the example has something else", block.line);
    }
}

struct Session {
    folder: TempDir,
    port: u16,
    runtime: Option<Runtime>,
}

struct Runtime {
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
}

impl Session {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        std::fs::write(folder.path().join(".curlrc"), "silent\nshow-error\n").unwrap();
        Self { folder, port: free_port().await, runtime: None }
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Runs a command and compares; says whether it was one to run.
    async fn step(&mut self, step: &Step) -> bool {
        let Step { line, command, shown } = step;
        if let Some((_, by)) = ELSEWHERE.iter().find(|(beginning, _)| command.contains(beginning)) {
            assert!(shown.is_empty(), "README.md:{line}: this is run by {by}, where nobody compares what it prints");
            return false;
        }
        let printed = if let Some(package) = command.strip_prefix("npm install ") {
            install(package, &self.work()).await;
            String::new()
        } else if command.starts_with("pillion dev") || command.starts_with("pillion serve") {
            self.start(command, shown.len()).await
        } else {
            let output = self.shell(&format!("exec 2>&1; {command}")).output();
            let output = within(PATIENCE, output).await;
            let output = output.unwrap_or_else(|| panic!("README.md:{line}: `{command}` does not end")).unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        if let Some(difference) = difference(shown, &printed) {
            panic!("README.md:{line}: $ {command}\n{difference}");
        }
        true
    }

    /// Starts a runtime that stays, and takes the lines that it begins with.
    async fn start(&mut self, command: &str, lines: usize) -> String {
        self.stop().await;
        // `serve` has the port in its file, which is part of the page.
        let port = if command.starts_with("pillion dev") { format!(" --port {}", self.port) } else { String::new() };
        let mut child = self.shell(&format!("exec {command}{port}")).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut printed = String::new();
        for _ in 0..lines {
            let line = within(PATIENCE, said.next_line()).await;
            let line = line.unwrap_or_else(|| panic!("`{command}` said only:\n{printed}")).unwrap();
            printed.extend([line.as_deref().unwrap_or("(it ended)"), "\n"]);
        }
        self.runtime = Some(Runtime { child, said });
        printed
    }

    /// Ends the runtime as a service manager does.
    async fn stop(&mut self) {
        let Some(Runtime { mut child, mut said }) = self.runtime.take() else { return };
        let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).expect("the runtime ended by itself");
        kill_process(id, Signal::TERM).unwrap();
        let ended = async {
            while let Some(line) = said.next_line().await.unwrap() {
                println!("{line}");
            }
            child.wait().await.unwrap()
        };
        let status = within(PATIENCE, ended).await.expect("the runtime does not end");
        assert!(status.success(), "a runtime that was told to end exits with 0: {status}");
    }

    fn shell(&self, script: &str) -> Command {
        let pillion = Path::new(env!("CARGO_BIN_EXE_pillion")).parent().unwrap();
        let present = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([pillion.to_owned()].into_iter().chain(std::env::split_paths(&present)));
        let mut command = Command::new("sh");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PILLION_")) {
            command.env_remove(name);
        }
        command
            .args(["-c", script])
            .current_dir(self.work())
            .env("PATH", path.unwrap())
            .env("PILLION_ENDPOINT", format!("http://127.0.0.1:{}", self.port))
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("CURL_HOME", self.folder.path())
            .env("runtime_GRPC_PORT", self.port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// What `future` gives, unless it takes longer than `patience`.
async fn within<T>(patience: Duration, future: impl Future<Output = T>) -> Option<T> {
    let clock: &dyn Clock = &SystemClock;
    clock.timeout(patience, future).await.ok()
}

async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// A Redis server as it is without settings, and its port.
async fn redis(folder: &Path) -> (Child, u16) {
    let port = free_port().await;
    let mut server = Command::new("redis-server");
    server.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(folder);
    let server = server.stdout(Stdio::null()).kill_on_drop(true).spawn().expect("redis-server (is it installed?)");
    let listens = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            SystemClock.sleep(Duration::from_millis(10)).await;
        }
    };
    within(PATIENCE, listens).await.expect("redis-server does not listen");
    (server, port)
}

/// Installs the npm package `layotto` where `work` finds it; later runs find it again.
async fn install(package: &str, work: &Path) {
    let source = repository().join("runtime/tests/layotto_npm");
    let manifest = std::fs::read_to_string(source.join("package.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let (name, version) = package.split_once('@').expect("NAME@VERSION");
    assert_eq!(manifest["dependencies"][name], version, "README.md names another version than is tested");

    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme_npm");
    std::fs::create_dir_all(&target).unwrap();
    let lock = std::fs::read(source.join("package-lock.json")).unwrap();
    let installed = target.join("node_modules").join(name).is_dir()
        && std::fs::read(target.join("package-lock.json")).is_ok_and(|present| present == lock);
    if !installed {
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(source.join(file), target.join(file)).unwrap();
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&target).kill_on_drop(true);
        let output = within(INSTALLING, npm.output()).await.expect("npm does not end").unwrap();
        assert!(output.status.success(), "npm ci failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    symlink(target.join("node_modules"), work.join("node_modules")).unwrap();
}
