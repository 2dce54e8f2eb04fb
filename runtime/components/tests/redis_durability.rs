//! What `state.redis` promises of an acknowledged write, under the settings of a real server.

#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod redis_support;

use pillion_spi::LocalDurability::{Memory, PowerLoss, ProcessCrash};
use pillion_spi::state::{ApplyOptions, Condition, Consistency, OpOutcome, StateStore};
use pillion_spi::{Component, Durability, Kind, LocalDurability, OpenEnv, Outcome, Replication};
use redis_support::{Server, put, read, until, written};
use rustix::process::Signal;
use serde_json::json;

async fn found(server: &Server, settings: serde_json::Value) -> Durability {
    let store = server.open_with(settings, OpenEnv::new("test")).await.unwrap();
    let durability = store.caps().durability;
    store.close().await;
    durability
}

#[tokio::test]
async fn the_class_follows_from_the_servers_settings() {
    let server = Server::start(&["--appendonly", "yes"]);
    let mut client = server.client();
    let table: [(&str, &str, &str, &str, LocalDurability); 7] = [
        ("always", "no", "0", "noeviction", PowerLoss),
        ("always", "yes", "0", "noeviction", ProcessCrash),
        ("no", "no", "0", "noeviction", ProcessCrash),
        ("everysec", "no", "0", "noeviction", Memory),
        ("always", "no", "1gb", "noeviction", PowerLoss),
        ("always", "no", "0", "allkeys-lru", PowerLoss),
        ("always", "no", "1gb", "volatile-lru", Memory),
    ];
    for (fsync, not_on_rewrite, maxmemory, policy, expected) in table {
        for (name, value) in [
            ("appendfsync", fsync),
            ("no-appendfsync-on-rewrite", not_on_rewrite),
            ("maxmemory", maxmemory),
            ("maxmemory-policy", policy),
        ] {
            let _: () = redis::cmd("CONFIG").arg("SET").arg(name).arg(value).query(&mut client).unwrap();
        }
        assert_eq!(
            found(&server, json!({})).await,
            Durability::new(expected, Replication::Single),
            "{fsync}, {not_on_rewrite}, {maxmemory}, {policy}"
        );
    }
    let _: () = redis::cmd("CONFIG").arg("SET").arg("appendonly").arg("no").query(&mut client).unwrap();
    assert_eq!(found(&server, json!({})).await, Durability::new(Memory, Replication::Single));
}

#[tokio::test]
async fn a_class_that_may_not_be_looked_up_is_not_verified() {
    let server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let mut client = server.client();
    let _: () = redis::cmd("ACL")
        .arg(&["SETUSER", "guest", "on", ">secret", "~*", "+@all", "-config"])
        .query(&mut client)
        .unwrap();
    let guest = json!({"username": "guest", "password": "secret"});
    let durability = found(&server, guest.clone()).await;
    assert_eq!(durability, Durability { local: Memory, replication: Replication::Single, unverified: true });
    // That there is no log can be seen without.
    let _: () = redis::cmd("CONFIG").arg("SET").arg("appendonly").arg("no").query(&mut client).unwrap();
    assert_eq!(found(&server, guest).await, Durability::new(Memory, Replication::Single));
}

#[tokio::test]
async fn settings_are_looked_at_again_when_the_server_comes_back() {
    let mut server = Server::start(&[]);
    let store = server.open().await;
    let applied = store.apply(vec![put("k", "v", Condition::None)], ApplyOptions::default()).await.unwrap();
    assert_eq!(applied.durability.local, Memory);
    server.restart_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    until("the new settings are known", async || store.caps().durability.local == PowerLoss).await;
    store.close().await;
}

#[tokio::test]
async fn what_may_be_evicted_makes_no_repeated_call_recognisable() {
    let server = Server::start(&["--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"]);
    let store = server.open().await;
    assert_eq!(store.caps().idempotency, None);
    store.close().await;
}

#[tokio::test]
async fn a_strong_write_waits_for_the_replicas_there_are() {
    let primary = Server::start(&["--repl-diskless-sync-delay", "0"]);
    let replica = Server::start(&["--replicaof", &format!("127.0.0.1 {}", primary.port)]);
    let synced = || {
        let info: String = redis::cmd("INFO").arg("replication").query(&mut primary.client()).unwrap();
        info.contains("state=online")
    };
    until("the replica has caught up", async || synced()).await;
    let store = primary.open().await;
    assert_eq!(store.caps().durability.replication, Replication::Async);
    let mut strong = ApplyOptions::default();
    strong.consistency = Consistency::Strong;

    for number in 0..20 {
        let op = put("k", number.to_string(), Condition::None);
        let applied = store.apply(vec![op], strong.clone()).await.unwrap();
        assert!(matches!(applied.outcomes[..], [OpOutcome::Applied { .. }]));
        let on_replica: String = redis::cmd("HGET").arg("k").arg("data").query(&mut replica.client()).unwrap();
        assert_eq!(on_replica, number.to_string());
    }

    // A replica that does not confirm makes the outcome unknown; other writes do not wait for it.
    replica.signal(Signal::STOP);
    written(&store, put("other", "v", Condition::None)).await;
    let ops = vec![put("k", "last", Condition::None), put("k", "never", Condition::IfAbsent)];
    let outcomes = store.apply(ops, strong.clone()).await.unwrap().outcomes;
    let [OpOutcome::Failed(error), OpOutcome::Conflict { found: Some(_) }] = &outcomes[..] else {
        panic!("{outcomes:?}")
    };
    assert_eq!((error.kind(), error.outcome()), (Kind::Unavailable, Outcome::Unknown));
    assert_eq!(read(&store, "k").await.unwrap().value.as_ref(), b"last");
    replica.signal(Signal::CONT);

    // Without replicas there is none to wait for.
    drop(replica);
    until("the replica is gone", async || {
        let op = put("k", "alone", Condition::None);
        let applied = store.apply(vec![op], strong.clone()).await.unwrap();
        matches!(applied.outcomes[..], [OpOutcome::Applied { .. }])
    })
    .await;
    store.close().await;
}

#[tokio::test]
async fn a_replica_does_not_claim_to_see_every_write() {
    let primary = Server::start(&["--repl-diskless-sync-delay", "0"]);
    let replica = Server::start(&["--replicaof", &format!("127.0.0.1 {}", primary.port)]);
    let store = replica.open().await;
    assert!(!store.caps().strong_reads);
    store.close().await;
}

#[tokio::test]
async fn what_was_acknowledged_with_a_synced_log_survives_the_kill_of_the_server() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = server.open().await;
    for round in 0..3 {
        let version = written(&store, put("k", round.to_string(), Condition::None)).await;
        server.kill();
        server.resume_from_disk();
        until("the server is back", async || redis_support::try_read(&store, "k").await.is_ok()).await;
        let entry = read(&store, "k").await.unwrap();
        assert_eq!((entry.version, entry.value), (version, round.to_string().into()));
    }
    store.close().await;
}
