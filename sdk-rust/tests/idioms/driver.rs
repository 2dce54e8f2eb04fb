//! The driver speaks the protocol of `docs/driver-protocol.md`.

use std::collections::HashMap;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::server::Server;

struct Driver {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    early: HashMap<u64, Value>,
}

impl Driver {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pillion-driver"));
        command.args(arguments);
        Self::run(command)
    }

    fn run(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, stdin, stdout: BufReader::new(stdout).lines(), early: HashMap::new() }
    }

    async fn send(&mut self, command: Value) {
        self.stdin.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> Value {
        serde_json::from_str(&self.stdout.next_line().await.unwrap().unwrap()).unwrap()
    }

    /// The answer to the command `id`, without the id.
    async fn answer(&mut self, id: u64) -> Value {
        while !self.early.contains_key(&id) {
            let mut line = self.line().await;
            let id = line.as_object_mut().unwrap().remove("id").unwrap().as_u64().unwrap();
            assert!(self.early.insert(id, line).is_none(), "{id} was answered twice");
        }
        self.early.remove(&id).unwrap()
    }

    async fn ask(&mut self, command: Value) -> Value {
        let id = command["id"].as_u64().unwrap();
        self.send(command).await;
        self.answer(id).await
    }

    async fn end(mut self) {
        drop(self.stdin);
        assert!(self.child.wait().await.unwrap().success());
    }
}

#[tokio::test]
async fn calls_streams_and_errors_go_over_the_pipe_in_both_modes() {
    let embedded = pillion::embedded().await.unwrap();
    let server = Server::of(embedded.apis()).await;
    for arguments in [&["--memory"][..], &["--endpoint", &server.url()]] {
        let mut driver = Driver::start(arguments);
        let set = |id: u64, data: &str| {
            json!({"id": id, "api": "state", "method": "set",
                   "args": {"key": "a", "value": {"data": data, "contentType": "text/plain"}}})
        };
        let written = driver.ask(set(1, "aGk=")).await;
        let etag = written["ok"]["etag"].as_str().unwrap().to_owned();
        let read = driver.ask(json!({"id": 2, "api": "state", "method": "get", "args": {"key": "a"}})).await;
        assert_eq!(read["ok"]["entry"]["value"], json!({"data": "aGk=", "contentType": "text/plain"}));
        assert_eq!(read["ok"]["entry"]["etag"], json!(etag));

        let mut refused = set(3, "eW8=");
        refused["args"]["condition"] = json!({"ifAbsent": {}});
        let refused = driver.ask(refused).await;
        let error = &refused["error"];
        assert_eq!(error["reason"], "state.key_exists");
        assert_eq!((&error["category"], &error["outcome"]), (&json!("exists"), &json!("rejected")));
        assert_eq!((&error["component"], &error["retryable"]), (&json!("state"), &json!(false)));

        let watch = json!({"id": 4, "open": {"api": "state", "method": "watch", "args": {"key": "a"}}});
        assert_eq!(driver.ask(watch).await, json!({"ok": {}}));
        let first = driver.ask(json!({"id": 5, "next": 4})).await;
        assert_eq!(first["ok"]["written"]["entry"]["key"], "a");
        assert!(driver.ask(json!({"id": 6, "next": 4})).await["ok"]["synced"].is_object());
        driver.send(json!({"id": 7, "next": 4})).await;
        driver.ask(json!({"id": 8, "api": "state", "method": "delete", "args": {"key": "a"}})).await;
        assert_eq!(driver.answer(7).await["ok"]["deleted"]["key"], "a");
        assert_eq!(driver.ask(json!({"id": 9, "next": 4, "cancel_after": 1})).await, json!({"cancelled": true}));
        driver.send(json!({"id": 10, "next": 4})).await;
        assert_eq!(driver.ask(json!({"id": 11, "close": 4})).await, json!({"ok": {}}));
        // It was waiting, or it came too late.
        let closed = driver.answer(10).await;
        assert!(closed == json!({"cancelled": true}) || closed["error"]["reason"] == "request.invalid", "{closed}");
        driver.end().await;
    }
}

#[tokio::test]
async fn without_arguments_the_environment_decides_which_runtime_is_opened() {
    let embedded = pillion::embedded().app_id("behind the socket").await.unwrap();
    let server = Server::of(embedded.apis()).await;
    for (endpoint, app_id) in [(server.url(), json!("behind the socket")), (String::new(), Value::Null)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pillion-driver"));
        command.env("PILLION_ENDPOINT", endpoint).env_remove("PILLION_APP_ID");
        let mut driver = Driver::run(command);
        let status = driver.ask(json!({"id": 1, "api": "actuator", "method": "get_status"})).await;
        assert_eq!(status["ok"]["appId"], app_id, "{status}");
        driver.end().await;
    }
}

#[tokio::test]
async fn calls_overlap_and_can_be_cancelled() {
    let mut driver = Driver::start(&["--memory"]);
    let hang = |id: u64| json!({"id": id, "api": "shapes", "method": "act", "args": {"after": "3600s"}});
    driver.send(hang(1)).await;
    let mut brief = hang(2);
    brief["cancel_after"] = json!(1);
    driver.send(brief).await;
    let mut late = hang(3);
    late["timeout"] = json!(1);
    assert_eq!(driver.ask(late).await["error"]["reason"], "request.deadline_exceeded");
    assert_eq!(driver.answer(2).await, json!({"cancelled": true}));
    assert_eq!(driver.ask(json!({"id": 4, "cancel": 1})).await, json!({"ok": {}}));
    assert_eq!(driver.answer(1).await, json!({"cancelled": true}));
    let count = driver.ask(json!({"id": 5, "api": "shapes", "method": "count"})).await;
    assert_eq!(count["ok"]["open"], Value::Null, "{count}");
    driver.end().await;
}

#[tokio::test]
async fn uploads_end_well_or_fail() {
    let mut driver = Driver::start(&["--memory"]);
    let open = |id: u64, method: &str| json!({"id": id, "open": {"api": "shapes", "method": method}});
    driver.ask(open(1, "collect")).await;
    driver.ask(json!({"id": 2, "send": 1, "message": {"chunk": "aGk="}})).await;
    driver.ask(json!({"id": 3, "send": 1, "message": {"total": "2"}})).await;
    assert_eq!(driver.ask(json!({"id": 4, "finish": 1})).await, json!({"ok": {"received": "2"}}));

    driver.ask(open(5, "collect")).await;
    driver.ask(json!({"id": 6, "send": 5, "message": {"chunk": "aGk="}})).await;
    driver.ask(json!({"id": 7, "fail": 5})).await;
    assert!(driver.ask(json!({"id": 8, "finish": 5})).await["error"].is_object());

    driver.ask(open(9, "converse")).await;
    driver.ask(json!({"id": 10, "send": 9, "message": {"text": "hi"}})).await;
    assert_eq!(driver.ask(json!({"id": 11, "next": 9})).await, json!({"ok": {"text": "HI"}}));
    driver.ask(json!({"id": 12, "finish": 9})).await;
    assert_eq!(driver.ask(json!({"id": 13, "next": 9})).await, json!({"end": true}));
    driver.end().await;
}

#[tokio::test]
async fn time_can_be_moved_and_identity_be_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pillion.yaml");
    std::fs::write(&file, "components:\n  state: {type: state.memory, key_prefix: appid}\n").unwrap();
    let mut driver = Driver::start(&["--embedded", file.to_str().unwrap()]);
    let set = json!({"id": 1, "api": "state", "method": "set", "app_id": "shop",
                     "args": {"key": "a", "value": {"data": ""}, "ttl": "60s"}});
    driver.ask(set).await;
    let get =
        |id: u64, app: &str| json!({"id": id, "api": "state", "method": "get", "app_id": app, "args": {"key": "a"}});
    assert!(driver.ask(get(2, "shop")).await["ok"]["entry"].is_object());
    assert_eq!(driver.ask(get(3, "other")).await, json!({"ok": {}}));
    assert_eq!(driver.ask(json!({"id": 4, "advance": 61_000})).await, json!({"ok": {}}));
    assert_eq!(driver.ask(get(5, "shop")).await, json!({"ok": {}}));
    driver.end().await;
}

#[tokio::test]
async fn what_is_no_command_is_answered_and_harms_nothing() {
    let mut driver = Driver::start(&["--memory"]);
    for line in ["", "nonsense", "{}", r#"{"id": -1}"#, r#"{"id": 1}"#, "[1]"] {
        driver.stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        let answer = driver.line().await;
        assert_eq!((&answer["id"], &answer["error"]["reason"]), (&Value::Null, &json!("request.invalid")), "{line}");
    }
    for (command, reason) in [
        (json!({"id": 1, "api": "state", "method": "none"}), "request.unknown_method"),
        (json!({"id": 2, "api": "state", "method": "get", "args": {"kye": "a"}}), "request.invalid"),
        (json!({"id": 3, "api": "state", "method": "watch"}), "request.invalid"),
        (json!({"id": 4, "open": {"api": "state", "method": "get"}}), "request.invalid"),
        (json!({"id": 5, "next": 99}), "request.invalid"),
        (json!({"id": 6, "close": 99}), "request.invalid"),
    ] {
        assert_eq!(driver.ask(command.clone()).await["error"]["reason"], reason, "{command}");
    }
    driver.end().await;
}

#[tokio::test]
async fn wrong_arguments_and_a_bad_configuration_end_it_with_their_codes() {
    let output = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pillion-driver"));
        command.args(arguments).stdin(Stdio::null()).output()
    };
    assert_eq!(output(&["--what"]).await.unwrap().status.code(), Some(2));
    let missing = output(&["--embedded", "/nonexistent/pillion.yaml"]).await.unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8(missing.stderr).unwrap().contains("config."), "the reason is said");
}
