//! The scenario runner is itself tested: what goes wrong must come out red.
//!
//! The driver is a shell script with fixed answers, so that nothing but the runner is under test.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// Answers by what stands in the command.
const DRIVER: &str = r#"
while read -r line; do
  id=$(printf '%s' "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
  say() { printf '{"id":%s,%s}\n' "$id" "$1"; }
  case "$line" in
    *get_status*) say '"ok":{"components":[{"name":"state","state":"COMPONENT_STATE_READY","capabilities":{"watch":"none","list":"true"}}]}' ;;
    *dies*) exit 3 ;;
    *garbles*) echo 'no json' ;;
    *fails*) say '"error":{"category":"conflict","reason":"state.etag_mismatch","outcome":"unknown","message":"m","metadata":{"key":"a"}}' ;;
    *'"open"'*) say '"ok":{}' ;;
    *'"next"'*) say '"ok":{"index":7}' ;;
    *) say '"ok":{"etag":"1-x","entry":{"value":{"data":"YXBwbGU="}}}' ;;
  esac
done
"#;

fn play(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_scenario"))
        .args(["--scenarios", folder.to_str().unwrap(), "--mode", "embedded", "--store", "memory"])
        .args(["--driver", &format!("rust=/bin/sh {}", folder.join("driver.sh").display())])
        .args(arguments)
        .output()
        .unwrap()
}

/// A folder with one scenario of these steps.
fn folder(steps: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("driver.sh"), DRIVER).unwrap();
    write(folder.path(), steps, "");
    folder
}

fn write(folder: &Path, steps: &str, more: &str) {
    let text = format!("group: planted\nscenarios:\n  - name: planted\n{more}    steps:\n{steps}\n");
    fs::write(folder.join("planted.yaml"), text).unwrap();
}

/// How the one scenario ended, and whether the program said that all was well.
fn ending(folder: &Path) -> (Value, bool) {
    let output = play(folder, &["--json"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let Some(line) = text.lines().next() else {
        panic!("no result: {}", String::from_utf8_lossy(&output.stderr));
    };
    (serde_json::from_str(line).unwrap(), output.status.success())
}

#[test]
fn what_is_as_expected_passes() {
    for steps in [
        "      - {call: state.set, args: {}, expect: {etag: 1-x}}",
        "      - {call: state.get, args: {}, expect: {entry: {value: {data: {$text: apple}}}}}",
        "      - {call: state.fails, args: {}, error: {reason: state.etag_mismatch, category: conflict, outcome: unknown}}",
        "      - {open: shapes.expand, as: s}\n      - {next: s, expect: {index: 7}}\n      - {close: s}",
        "      - {race: state.set, times: 4, succeed: 4, expect: {etag: $same}}\n      - {call: state.set, expect: {etag: $same}}",
    ] {
        let (line, success) = ending(folder(steps).path());
        assert!(line["ended"] == "passed" && success, "{steps}\n{line}");
    }
}

#[test]
fn what_is_not_as_expected_fails_and_says_how() {
    for (steps, said) in [
        ("      - {call: state.set, expect: {etag: 2-x}}", "expected \"2-x\", found \"1-x\""),
        ("      - {call: state.get, expect: {entry: null}}", "expected nothing"),
        ("      - {call: state.get, expect: {entry: {value: {data: {$text: pear}}}}}", "entry.value.data"),
        ("      - {call: state.get, error: {reason: state.key_invalid}}", "but it succeeded"),
        ("      - {call: state.fails, expect: {}}", "it failed"),
        ("      - {call: state.fails, error: {reason: state.key_exists}}", "expected the reason state.key_exists"),
        ("      - {call: state.fails, error: {reason: state.etag_mismatch}}", "expected the outcome rejected"),
        (
            "      - {call: state.fails, error: {reason: state.etag_mismatch, outcome: unknown, category: exists}}",
            "expected the category exists",
        ),
        (
            "      - {call: state.fails, error: {reason: state.etag_mismatch, outcome: unknown, metadata: {key: b}}}",
            "metadata.key",
        ),
        ("      - {open: shapes.expand, as: s}\n      - {next: s, end: true}", "the stream gave the message"),
        ("      - {open: shapes.expand, as: s}\n      - {next: s, expect: {index: 8}}", "index: expected 8"),
        (
            "      - {race: state.set, times: 4, succeed: 1, error: {reason: state.key_exists}}",
            "4 calls of 4 succeeded",
        ),
        ("      - {call: state.dies}", "the driver ended"),
        ("      - {call: state.garbles}", "neither `ok` nor `error`"),
        ("      - {call: state.set, eventually: 100ms, expect: {etag: 2-x}}", "expected \"2-x\""),
    ] {
        let (line, success) = ending(folder(steps).path());
        let problem = line["problem"].as_str().unwrap_or_default();
        assert!(line["ended"] == "failed" && !success && problem.contains(said), "{steps}\n{line}");
    }
}

#[test]
fn what_a_store_cannot_do_is_neither_passed_nor_failed() {
    let folder = folder("");
    for (need, ended) in [("watch", "unsupported"), ("not watch", "passed"), ("list=ordered", "unsupported")] {
        let more = format!("    needs: [{need}]\n");
        write(folder.path(), "      - {call: state.set, expect: {etag: 1-x}}", &more);
        let (line, success) = ending(folder.path());
        assert!(line["ended"] == ended && success, "{need}: {line}");
    }
}

#[test]
fn a_listed_gap_is_told_apart_and_fails_once_it_passes() {
    let gap = |scenario: &str, lang: &str| {
        format!("gaps:\n  - {{scenario: {scenario}, lang: {lang}, mode: embedded, store: memory, reason: a limit}}\n")
    };
    let failing = folder("      - {call: state.set, expect: {etag: 2-x}}");
    fs::write(failing.path().join("gaps.yaml"), gap("planted", "rust")).unwrap();
    let (line, success) = ending(failing.path());
    assert!(line["ended"] == "gap" && line["reason"] == "a limit" && success, "{line}");

    fs::write(failing.path().join("gaps.yaml"), gap("planted", "python")).unwrap();
    assert_eq!(ending(failing.path()).0["ended"], "failed");

    fs::write(failing.path().join("gaps.yaml"), gap("nobody", "rust")).unwrap();
    let output = play(failing.path(), &[]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no scenario `nobody`"));

    let passing = folder("      - {call: state.set, expect: {etag: 1-x}}");
    fs::write(passing.path().join("gaps.yaml"), gap("planted", "rust")).unwrap();
    let (line, success) = ending(passing.path());
    assert!(line["ended"] == "failed" && !success, "{line}");
}

#[test]
fn what_cannot_be_started_is_a_failure() {
    let folder = folder("      - {call: state.set, expect: {etag: 1-x}}");
    let nowhere = Command::new(env!("CARGO_BIN_EXE_scenario"))
        .args(["--scenarios", folder.path().to_str().unwrap(), "--mode", "embedded", "--store", "redis"])
        .args(["--driver", "rust=/bin/true"])
        .env("PATH", "")
        .env_remove("PILLION_TEST_REDIS_URL")
        .output()
        .unwrap();
    assert!(!nowhere.status.success());
    assert!(String::from_utf8_lossy(&nowhere.stdout).ends_with("0 passed, 1 failed\n"), "{nowhere:?}");

    for arguments in [
        &["--driver", "rust=/bin/true"][..],
        &["--driver", "rust=/no/such/program"],
        &["--lang", "cobol"],
        &["--mode", "grpc", "--sidecar", "/no/such/program"],
        &["--mode", "http", "--sidecar", "/bin/true"],
    ] {
        let mut all = vec!["--store", "memory"];
        all.extend(arguments);
        let output = Command::new(env!("CARGO_BIN_EXE_scenario"))
            .args(["--scenarios", folder.path().to_str().unwrap()])
            .args(if arguments.contains(&"--mode") { &[][..] } else { &["--mode", "embedded"] })
            .args(all)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && text.ends_with("0 passed, 1 failed\n"), "{arguments:?}\n{output:?}");
    }
}

#[test]
fn the_table_ends_with_a_plain_line_and_a_replay_shows_the_calls() {
    let folder = folder("      - {call: state.set, args: {key: $own/a}, expect: {etag: 1-x}}");
    let output = play(folder.path(), &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("planted") && text.contains("embedded") && text.ends_with("1 passed, 0 failed\n"), "{text}");

    let output = play(folder.path(), &["--replay", "planted"]);
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(shown.contains(r#"{"api":"state","method":"set","args":{"key":"s"#), "{shown}");
    assert!(shown.contains(r#"ok {"etag":"1-x""#), "{shown}");

    let output = play(folder.path(), &["--replay", "nobody"]);
    assert!(!output.status.success());
}

/// The scenarios of the repository can be read; that they pass is for `cargo xtask conformance`.
#[test]
fn the_scenarios_of_the_repository_are_well_formed() {
    let output = Command::new(env!("CARGO_BIN_EXE_scenario")).arg("--list").output().unwrap();
    let count = String::from_utf8_lossy(&output.stdout).lines().count();
    assert!(output.status.success() && count >= 100, "{output:?}");
}
