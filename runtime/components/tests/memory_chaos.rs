//! `state.memory` made to misbehave. Failure points are switched by the environment, so it happens
//! in a process of its own.
#![cfg(all(feature = "memory", feature = "chaos"))]
#![allow(clippy::unwrap_used, clippy::expect_used)] // a panic is how a test fails

use std::process::Command;

use bytes::Bytes;
use pillion_components::memory::{State, StateConfig};
use pillion_spi::state::{Action, ApplyOptions, Condition, Expiry, Key, Op, OpOutcome, StateStore, Version};
use pillion_spi::{Component, OpenEnv};

/// Not a test by itself: the other process of the one below.
#[tokio::test]
async fn write_with_a_wrong_version() {
    if std::env::var_os("PILLION_TEST_SCENARIO").is_none() {
        return;
    }
    let state = State::open(StateConfig::default(), OpenEnv::new("state")).await.unwrap();
    let op = |condition| {
        let action = Action::Put { value: Bytes::new(), content_type: None, expiry: Expiry::Never };
        Op { key: Key::new("a"), condition, action }
    };
    let ops = vec![op(Condition::None), op(Condition::IfMatch(Version::bare(77)))];
    let outcomes = state.apply(ops, ApplyOptions::default()).await.unwrap().outcomes;
    println!("\nconflict: {}", matches!(outcomes[1], OpOutcome::Conflict { .. }));
}

#[test]
fn the_planted_violation_shows() {
    for (chaos, shows) in [("", "conflict: true"), ("memory.ignore_etag", "conflict: false")] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "write_with_a_wrong_version", "--nocapture"])
            .env("PILLION_TEST_SCENARIO", "1")
            .env("PILLION_CHAOS", chaos)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(shows), "{chaos:?}: {text}");
    }
}
