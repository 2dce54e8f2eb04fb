//! The command line of the component suites.

#![allow(clippy::expect_used, reason = "this is how a test fails")]

use std::process::{Command, Output};

fn component(arguments: &[&str], path: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_component"));
    command.args(arguments).env_remove("PILLION_TEST_REQUIRE").env_remove("PILLION_TEST_REDIS_URL");
    if let Some(path) = path {
        command.env("PATH", path);
    }
    command.output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_case_is_listed_for_every_type_without_starting_anything() {
    let output = component(&["--list", "--format", "terse"], Some("/nowhere"));
    let listed = text(&output.stdout);
    for kind in ["state.memory", "state.local", "state.redis", "state.bare"] {
        let cases = listed.lines().filter(|line| line.starts_with(&format!("{kind}::")) && line.ends_with(": test"));
        assert!(cases.count() >= 120, "{kind}: {listed}");
    }
}

const REDIS_CASE: &[&str] = &["--exact", "state.redis::single::a_missing_key_reads_as_none"];

#[test]
fn a_missing_backend_leaves_its_cases_out() {
    let output = component(REDIS_CASE, Some("/nowhere"));
    assert!(output.status.success() && text(&output.stdout).contains("ignored"), "{output:?}");
}

#[test]
fn a_missing_backend_that_is_required_is_a_failure() {
    let output = component(&[&["--require", "memory,redis"], REDIS_CASE].concat(), Some("/nowhere"));
    assert!(!output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("no redis-server is installed"), "{output:?}");
}

#[test]
fn a_required_type_that_does_not_exist_is_an_error() {
    let output = component(&["--require", "memroy", "--list"], None);
    assert!(!output.status.success(), "{output:?}");
    assert!(text(&output.stderr).contains("`state.memroy` is required but not compiled in"), "{output:?}");
}

#[test]
fn a_table_says_what_was_run() {
    let output = component(&["state.memory::batch"], None);
    let printed = text(&output.stdout);
    let row = printed.lines().find(|line| line.starts_with("state.memory") && line.contains("batch"));
    let counts: Vec<&str> = row.unwrap_or_default().split_whitespace().skip(2).collect();
    assert_eq!(counts, ["7", "0", "0"], "{printed}");
}
