//! The command as people and scripts use it: what it prints, where, and how it ends.

#![allow(clippy::unwrap_used, reason = "this is how a test fails")]

mod process;

use std::io::{Read as _, Write as _};

use process::{Sidecar, pillion, run};

#[test]
fn each_command_line_ends_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file("good.yaml", "components: {state: {type: state.memory}}");
    let typo = file("typo.yaml", "components:\n  state: {type: state.memory, max_byte: 1MiB}\n");
    let unset = file("unset.yaml", "components: {cache: {type: state.redis, url: \"${NOT_SET_ANYWHERE}\"}}");
    let exposed = file("exposed.yaml", "listen: {tcp: \"0.0.0.0:0\"}");
    let small = file("small.yaml", "components: {state: {type: state.memory, max_bytes: 1KiB}}");
    let no_dir = file("no_dir.yaml", "components: {state: {type: state.local, dir: \"${NOT_SET_ANYWHERE:-}\"}}");
    let user = file("user.yaml", "components: {cache: {type: state.redis, url: \"redis://user@127.0.0.1\"}}");
    let nowhere = "--endpoint=http://127.0.0.1:1";
    // Arguments, exit code, and a text of standard output or standard error.
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--version"], 0, "pillion 0.1.0"),
        (&["nonsense"], 2, "unrecognized subcommand"),
        (&["dev", "--prot", "1"], 2, "--port"),
        (&["explain", "state.etag_mismatch"], 0, "read the entry again"),
        (&["explain", "state.etag_missmatch"], 1, "did you mean `state.etag_mismatch`"),
        (&["explain", "nope"], 1, "there is no reason `nope`; `pillion explain` lists them"),
        (&["explain", "--json", "config.unknown_key"], 0, "\"category\":\"invalid\""),
        (&["schema"], 0, "\"state.redis\""),
        (&["schema", "state.local"], 0, "\"dir\""),
        (&["schema", "state.nope"], 1, "state.memory"),
        (&["check", "-f", &good], 0, "is correct"),
        (&["check", "-f", &good, "--json"], 0, "\"ok\":true"),
        (&["check", "-f", &typo], 78, "did you mean `max_bytes`"),
        (&["check", "-f", &typo, "--json"], 78, "config.unknown_key"),
        (&["check", "-f", &unset], 78, "NOT_SET_ANYWHERE"),
        (&["check", "-f", folder.path().to_str().unwrap()], 78, "config."),
        (&["check", "-f", "/nonexistent/pillion.yaml"], 78, "config."),
        (&["check", "-f", &small], 78, "at least 4KiB"),
        (&["check", "-f", &no_dir], 78, "`dir` is empty"),
        (&["serve", "-f", &user], 78, "a user name without a password"),
        (&["serve", "-f", &exposed], 78, "token"),
        (&["status", "--endpoint", "localhost"], 2, "http://127.0.0.1:34904"),
        (&["status", "--endpoint", "https://127.0.0.1:34904"], 2, "TLS"),
        (&["status", nowhere], 69, "runtime.unreachable"),
        (&["state", "get", "k", nowhere], 69, "pillion dev"),
        (&["wait", "--timeout", "200ms", nowhere], 124, "was not up in time"),
        (&["completions", "bash"], 0, "_pillion"),
    ];
    for (arguments, code, text) in cases {
        let ended = run(pillion().args(*arguments).current_dir(folder.path()));
        assert_eq!(ended.code, Some(*code), "{arguments:?}: {ended:?}");
        assert!(
            ended.out.contains(text) || ended.err.contains(text),
            "{arguments:?} says nothing of {text:?}: {ended:?}"
        );
    }
}

#[test]
fn state_is_written_read_listed_and_deleted() {
    let sidecar = Sidecar::dev(&[]);
    let state =
        |arguments: &[&str]| run(pillion().arg("state").args(arguments).args(["--endpoint", &sidecar.endpoint]));
    assert_eq!(state(&["set", "cart", "apple"]).code, Some(0));
    assert_eq!(state(&["get", "cart"]).out, "apple");
    assert_eq!(state(&["set", "cart", "pear", "--if-absent"]).code, Some(1));
    let entry: serde_json::Value = serde_json::from_str(&state(&["get", "cart", "--json"]).out).unwrap();
    let etag = entry["etag"].as_str().unwrap();
    assert_eq!(state(&["set", "cart", "pear", "--if-match", etag]).code, Some(0));
    let stale = state(&["set", "cart", "plum", "--if-match", etag]);
    assert!(stale.code == Some(1) && stale.err.contains("state.etag_mismatch"), "{stale:?}");
    assert_eq!(state(&["list", "ca"]).out, "cart\n");
    assert_eq!(state(&["delete", "cart"]).code, Some(0));
    assert_eq!(state(&["get", "cart"]).code, Some(1));
    let unknown = state(&["get", "cart", "--store", "nope"]);
    assert!(unknown.err.contains("there are: state"), "{unknown:?}");
}

#[test]
fn what_may_work_later_has_an_exit_code_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("small.yaml");
    std::fs::write(&file, "components: {state: {type: state.memory, max_bytes: 8KiB}}").unwrap();
    let sidecar = Sidecar::dev(&["-f", file.to_str().unwrap()]);
    let set = |key: &str| {
        let value = "x".repeat(3000);
        run(pillion().args(["state", "set", key, &value, "--endpoint", &sidecar.endpoint]))
    };
    assert_eq!(set("a").code, Some(0));
    let full = ["b", "c", "d"].map(set).into_iter().find(|ended| ended.code != Some(0)).unwrap();
    assert_eq!(full.code, Some(75), "{full:?}");
    assert!(full.err.contains("max_bytes"), "{full:?}");
}

#[test]
fn the_first_line_of_json_has_every_address_and_the_banner_is_short() {
    let mut sidecar = Sidecar::dev(&[]);
    assert!(sidecar.addresses["api"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    assert_eq!(sidecar.addresses["pid"], sidecar.pid());
    sidecar.wait_err("ready in");
    assert_eq!(sidecar.terminate(), Some(0), "SIGTERM is the usual end");
    let banner = sidecar.err();
    assert!(banner.lines().count() <= 10, "{banner}");
    for text in ["not for production", "ends with it", "ready in"] {
        assert!(banner.contains(text), "{text}: {banner}");
    }
}

#[test]
fn persisted_data_outlives_the_process_and_is_not_shared_by_two() {
    let folder = tempfile::tempdir().unwrap();
    let persist = ["--persist", folder.path().to_str().unwrap()];
    let mut first = Sidecar::dev(&persist);
    assert_eq!(run(pillion().args(["state", "set", "k", "v", "--endpoint", &first.endpoint])).code, Some(0));

    let second = Sidecar::dev(&persist);
    let refused = run(pillion().args(["state", "get", "k", "--endpoint", &second.endpoint]));
    assert!(refused.code == Some(69) && refused.err.contains("component.failed"), "{refused:?}");
    assert!(refused.err.contains(&first.pid().to_string()), "the holder is named: {refused:?}");
    let status = run(pillion().args(["status", "--endpoint", &second.endpoint]));
    assert!(status.out.contains("FAILED"), "{status:?}");

    assert_eq!(first.terminate(), Some(0));
    // The second one is not restarted: it takes over by itself.
    second.wait_ready();
    assert_eq!(run(pillion().args(["state", "get", "k", "--endpoint", &second.endpoint])).out, "v");
}

#[test]
fn a_command_beside_the_runtime_gets_its_endpoint_and_decides_the_exit_code() {
    let script = "case $PILLION_ENDPOINT in http://127.0.0.1:*) exit 7;; *) exit 1;; esac";
    let ended = run(pillion().args(["dev", "--port", "0", "--", "sh", "-c", script]));
    assert_eq!(ended.code, Some(7), "{ended:?}");
    let missing = run(pillion().args(["dev", "--port", "0", "--", "no-such-program"]));
    assert!(missing.code == Some(127) && missing.err.contains("no-such-program"), "{missing:?}");
    let killed = run(pillion().args(["dev", "--port", "0", "--", "sh", "-c", "kill -9 $$"]));
    assert_eq!(killed.code, Some(128 + 9), "{killed:?}");
}

#[test]
fn a_busy_port_is_named_with_its_owner_and_a_free_one() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = run(pillion().args(["dev", "--port", &port]));
    assert_eq!(ended.code, Some(69), "{ended:?}");
    let owner = format!("(process {})", std::process::id());
    for text in [port.as_str(), "config.address_in_use", &owner, "is free", "--port"] {
        assert!(ended.err.contains(text), "{text}: {ended:?}");
    }
}

#[test]
fn an_interrupted_runtime_says_so_and_a_second_signal_ends_it_at_once() {
    let mut idle = Sidecar::dev(&[]);
    assert_eq!(idle.interrupt(), Some(130));

    // Half a request keeps the drain waiting.
    let mut busy = Sidecar::dev(&[]);
    let mut half = std::net::TcpStream::connect(busy.endpoint.strip_prefix("http://").unwrap()).unwrap();
    half.write_all(
        b"PUT /v1/state/state/k HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n",
    )
    .unwrap();
    let mut begun = [0; 12];
    half.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100");
    busy.signal("TERM");
    busy.wait_err("again to stop at once");
    assert_eq!(busy.terminate(), Some(143));
}

#[test]
fn a_watch_does_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("patient.yaml");
    std::fs::write(&file, "components: {state: {type: state.memory}}\ndeadlines: {shutdown: 1h}").unwrap();
    let mut sidecar = Sidecar::dev(&["-f", file.to_str().unwrap()]);
    let mut watch = pillion()
        .args(["state", "watch", "--endpoint", &sidecar.endpoint])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    process::line_with(watch.stderr.take().unwrap(), "watching");
    assert_eq!(sidecar.terminate(), Some(0));
    let _ = watch.kill();
    let _ = watch.wait();
}

#[test]
fn the_token_and_the_app_of_the_environment_go_with_every_call() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pillion.yaml");
    let text = "listen: {tcp: \"127.0.0.1:0\", unix: off}\nsecurity: {token: \"${TOKEN}\"}\n\
                components: {state: {type: state.memory, key_prefix: appid}}\n";
    std::fs::write(&file, text).unwrap();
    let token = "a-token-of-sixteen-or-more";
    let sidecar = Sidecar::start(pillion().args(["serve", "--json", "-f"]).arg(&file).env("TOKEN", token));
    let call = |arguments: &[&str], app: &str, token: &str| {
        let mut command = pillion();
        command.args(arguments).args(["--endpoint", &sidecar.endpoint]);
        run(command.env("PILLION_TOKEN", token).env("PILLION_APP_ID", app))
    };
    for wrong in ["", "another-token-of-some-length"] {
        let refused = call(&["status"], "shop", wrong);
        assert!(refused.code == Some(1) && refused.err.contains("request.unauthenticated"), "{refused:?}");
    }
    assert_eq!(call(&["state", "set", "k", "v"], "shop", token).code, Some(0));
    assert_eq!(call(&["state", "get", "k"], "shop", token).out, "v");
    assert_eq!(call(&["state", "get", "k"], "bank", token).code, Some(1), "another app has its own keys");
    assert_eq!(call(&["wait", "--ready"], "", "").code, Some(0), "readiness is public");
}
