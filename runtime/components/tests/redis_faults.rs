//! What `state.redis` does when the server, or the way to it, is not well.

#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod redis_support;

use std::sync::Arc;
use std::time::Duration;

use pillion_components::redis::State;
use pillion_spi::state::{ApplyOptions, Condition, Expiry, Op, StateStore};
use pillion_spi::{Clock, Component, Error, Kind, OpenEnv, Outcome, VirtualClock, worker};
use redis_support::network::{Holes, Slow};
use redis_support::{
    Fate, Server, apply, config, free_port, put, put_expiring, read, transact, try_read, until, written,
};
use rustix::process::Signal;
use serde_json::json;

/// Short timeouts: what is tested is that they exist.
fn quick() -> serde_json::Value {
    json!({"connect_timeout": "400ms", "response_timeout": "400ms"})
}

async fn try_apply(store: &State, op: Op) -> Result<Fate, Error> {
    Ok(redis_support::fates(store.apply(vec![op], ApplyOptions::default()).await?).remove(0))
}

fn blind_put(name: &str) -> Op {
    put(name, "v", Condition::None)
}

async fn until_healed(store: &State) {
    until("the store works again", async || try_apply(store, blind_put("healed")).await.is_ok()).await;
    assert_eq!(store.trouble(), None);
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_again() {
    let mut server = Server::start(&[]);
    let store = server.open_with(quick(), OpenEnv::new("test")).await.unwrap();
    written(&store, blind_put("k")).await;
    for _ in 0..2 {
        server.kill();
        until("the trouble is noticed", async || store.trouble().is_some()).await;
        let trouble = store.trouble().unwrap();
        assert!(trouble.cause.contains(&server.port.to_string()), "{}", trouble.cause);
        let error = try_apply(&store, blind_put("k")).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (Kind::Unavailable, Outcome::Rejected));
        let error = try_read(&store, "k").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert_eq!(store.trouble().unwrap().since, trouble.since, "it began once");
        server.resume_from_disk();
        until_healed(&store).await;
    }
    store.close().await;
}

#[tokio::test]
async fn a_frozen_server_costs_one_deadline_and_heals() {
    let server = Server::start(&[]);
    let store = server.open_with(quick(), OpenEnv::new("test")).await.unwrap();
    written(&store, blind_put("k")).await;
    server.signal(Signal::STOP);
    let (write, get) = tokio::join!(try_apply(&store, blind_put("k")), try_read(&store, "k"));
    let write = write.unwrap_err();
    assert_eq!((write.kind(), write.outcome()), (Kind::Deadline, Outcome::Unknown));
    let get = get.unwrap_err();
    assert_eq!((get.kind(), get.outcome()), (Kind::Deadline, Outcome::Rejected));
    // Later calls do not wait for a server that is known to be silent, and are not sent.
    for _ in 0..50 {
        let error = try_apply(&store, blind_put("k")).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (Kind::Unavailable, Outcome::Rejected));
    }
    server.signal(Signal::CONT);
    until_healed(&store).await;
    store.close().await;
}

#[tokio::test]
async fn a_black_hole_costs_one_deadline_and_heals() {
    let server = Server::start(&[]);
    let holes = Holes::new();
    let mut env = OpenEnv::new("test");
    env.network = holes.clone();
    let store = server.open_with(quick(), env).await.unwrap();
    written(&store, blind_put("k")).await;
    holes.swallow_present();
    holes.swallow_dials();
    let error = try_apply(&store, blind_put("k")).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (Kind::Deadline, Outcome::Unknown));
    for _ in 0..50 {
        let error = try_apply(&store, blind_put("k")).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (Kind::Unavailable, Outcome::Rejected));
    }
    holes.mend();
    until_healed(&store).await;
    store.close().await;
}

#[tokio::test]
async fn silence_costs_the_response_timeout_and_a_quarter_at_most() {
    const PARTS: u32 = 64;
    let timeout = Duration::from_secs(3600);
    let server = Server::start(&[]);
    let (holes, clock) = (Holes::new(), Arc::new(VirtualClock::default()));
    let mut env = OpenEnv::new("test");
    env.network = holes.clone();
    env.clock = clock.clone();
    let store = server.open_with(json!({"response_timeout": "1h"}), env).await.unwrap();
    written(&store, blind_put("k")).await;
    holes.swallow_present();
    let mut write = std::pin::pin!(try_apply(&store, blind_put("k")));
    // In small parts: each wakes a timer that then sleeps again.
    let mut parts = 0;
    let error = loop {
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
        if let std::task::Poll::Ready(answer) = futures::poll!(&mut write) {
            break answer.unwrap_err();
        }
        parts += 1;
        clock.advance(timeout / PARTS);
    };
    assert_eq!((error.kind(), error.outcome()), (Kind::Deadline, Outcome::Unknown));
    assert!((PARTS..=PARTS * 5 / 4 + 2).contains(&parts), "{parts} of {PARTS} parts");
    store.close().await;
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "the caller gives up, by the clock of the test")]
async fn a_connection_on_which_callers_only_give_up_is_replaced() {
    let server = Server::start(&[]);
    let holes = Holes::new();
    let mut env = OpenEnv::new("test");
    env.network = holes.clone();
    let store = server.open_with(quick(), env).await.unwrap();
    written(&store, blind_put("k")).await;
    let dials = holes.dials();
    holes.swallow_present();
    until("the connection is replaced", async || {
        tokio::time::timeout(Duration::from_millis(20), try_read(&store, "k")).await.is_ok_and(|read| read.is_ok())
    })
    .await;
    assert_eq!(holes.dials(), dials + 1);
    store.close().await;
}

#[tokio::test]
async fn an_idle_connection_that_leads_nowhere_is_noticed() {
    let server = Server::start(&[]);
    let holes = Holes::new();
    let clock = Arc::new(VirtualClock::default());
    let mut env = OpenEnv::new("test");
    (env.network, env.clock) = (holes.clone(), clock.clone());
    let store = server.open_with(quick(), env).await.unwrap();
    written(&store, blind_put("k")).await;
    let dials = holes.dials();
    holes.swallow_present();
    until("the connection is replaced", async || {
        clock.advance(Duration::from_secs(1));
        holes.dials() > dials
    })
    .await;
    until("it is used", async || try_read(&store, "k").await.is_ok()).await;
    store.close().await;
}

#[tokio::test]
async fn what_was_asked_when_the_connection_ended_may_have_happened() {
    let mut server = Server::start(&[]);
    let store = Arc::new(server.open().await);
    written(&store, blind_put("k")).await;
    server.signal(Signal::STOP);
    let write = tokio::spawn({
        let store = store.clone();
        async move { try_apply(&store, put("k", "v", Condition::IfAbsent)).await }
    });
    let get = tokio::spawn({
        let store = store.clone();
        async move { try_read(&store, "k").await }
    });
    // Both are on their way once the kernel has them.
    until("both were sent", async || {
        tokio::task::yield_now().await;
        unread_bytes(server.port) > 0
    })
    .await;
    server.kill();
    let write = write.await.unwrap().unwrap_err();
    assert_eq!((write.kind(), write.outcome()), (Kind::Unavailable, Outcome::Unknown));
    let get = get.await.unwrap().unwrap_err();
    assert_eq!((get.kind(), get.outcome()), (Kind::Unavailable, Outcome::Rejected));
    store.close().await;
}

/// How much the kernel holds for a server on `port` that has not read it (`/proc/net/tcp`).
fn unread_bytes(port: u16) -> u64 {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!(":{port:04X}");
    let queues = table.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.nth(1)?;
        let queues = words.nth(2)?;
        address.ends_with(&local).then_some(queues)
    });
    queues.filter_map(|queues| u64::from_str_radix(queues.split_once(':')?.1, 16).ok()).sum()
}

#[tokio::test]
async fn a_lost_connection_is_never_a_conflict() {
    let server = Server::start(&[]);
    let store = server.open().await;
    let mut client = server.client();
    let mut version = written(&store, blind_put("k")).await;
    let mut losses = 0;
    for round in 0..50 {
        if round % 5 == 0 {
            let _: i64 = redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal"]).query(&mut client).unwrap();
        }
        match try_apply(&store, put("k", "v", Condition::IfMatch(version))).await {
            Ok(Fate::Applied(Some(next), true)) => version = next,
            Ok(other) => panic!("the only writer got {other:?}"),
            Err(error) => {
                losses += 1;
                assert_eq!(error.kind(), Kind::Unavailable, "{error}");
                until("it can be read again", async || try_read(&store, "k").await.is_ok()).await;
                version = read(&store, "k").await.unwrap().version;
            }
        }
    }
    assert!(losses > 0, "no connection was lost");
    store.close().await;
}

#[tokio::test]
async fn while_there_is_no_server_the_attempts_to_connect_are_few() {
    let mut server = Server::start(&[]);
    let (holes, clock) = (Holes::new(), Arc::new(VirtualClock::default()));
    let mut env = OpenEnv::new("test");
    (env.network, env.clock) = (holes.clone(), clock.clone());
    let store = server.open_with(json!({}), env).await.unwrap();
    written(&store, blind_put("k")).await;
    server.kill();
    until("the trouble is noticed", async || store.trouble().is_some()).await;
    let began = clock.now();
    let before = holes.dials();
    until("ten attempts were made", async || {
        assert!(try_read(&store, "k").await.is_err());
        clock.advance(Duration::from_millis(20));
        holes.dials() >= before + 10
    })
    .await;
    // Five pauses that double from 50 ms, then a second each; a pause may be half as long.
    assert!(clock.now() - began > Duration::from_secs(3));
    store.close().await;
}

#[tokio::test]
async fn opening_fails_with_what_is_wrong() {
    let refused =
        State::open(config(json!({"url": format!("redis://127.0.0.1:{}", free_port())})), OpenEnv::new("test"));
    assert_eq!(refused.await.err().unwrap().kind(), Kind::Unavailable);

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let env = OpenEnv::new("test");
    let silent = State::open(config(json!({"url": url, "connect_timeout": "100ms"})), env.clone());
    assert_eq!(silent.await.err().unwrap().kind(), Kind::Unavailable);
    assert_eq!(env.task_count(), 0);

    let cluster = Server::start(&["--cluster-enabled", "yes"]);
    let error = cluster.open_with(json!({}), OpenEnv::new("test")).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Config, "{error}");
    assert!(error.message().contains("cluster"));

    let locked = Server::start(&["--requirepass", "right"]);
    for settings in [json!({}), json!({"password": "wrong"}), json!({"username": "nobody", "password": "right"})] {
        let error = locked.open_with(settings.clone(), OpenEnv::new("test")).await.err().unwrap();
        assert_eq!(error.kind(), Kind::Denied, "{settings}: {error}");
        assert!(error.to_string().matches("the Redis server").count() <= 1, "{error}");
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
    let open = locked.open_with(json!({"password": "right"}), OpenEnv::new("test")).await.unwrap();
    written(&open, blind_put("k")).await;
    open.close().await;
}

#[tokio::test]
async fn what_the_server_refuses_is_said_in_our_words() {
    let server = Server::start(&[]);
    let store = server.open().await;
    let mut client = server.client();
    let mut set = |name: &str, value: &str| {
        let _: () = redis::cmd("CONFIG").arg("SET").arg(name).arg(value).query(&mut client).unwrap();
    };
    written(&store, blind_put("k")).await;

    set("maxmemory", "1");
    let error = try_apply(&store, blind_put("k")).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (Kind::Exhausted, Outcome::Rejected));
    assert!(error.advice_text().is_some());
    assert!(read(&store, "k").await.is_some(), "reads go on");
    set("maxmemory", "0");

    set("min-replicas-to-write", "1");
    let error = try_apply(&store, blind_put("k")).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (Kind::Unavailable, Outcome::Rejected));
    set("min-replicas-to-write", "0");

    set("busy-reply-threshold", "1");
    let endless = std::thread::spawn({
        let mut client = server.client();
        move || redis::cmd("EVAL").arg("while true do end").arg(0).exec(&mut client)
    });
    let mut busy = None;
    until("the script is noticed", async || {
        busy = try_apply(&store, blind_put("k")).await.err();
        busy.is_some()
    })
    .await;
    let busy = busy.unwrap();
    assert_eq!((busy.kind(), busy.outcome()), (Kind::Unavailable, Outcome::Rejected));
    let _: () = redis::cmd("SCRIPT").arg("KILL").query(&mut client).unwrap();
    assert!(endless.join().unwrap().is_err());
    written(&store, blind_put("k")).await;
    store.close().await;
}

#[tokio::test]
async fn a_server_that_cannot_save_refuses_until_it_can() {
    let server = Server::start(&["--save", "3600 1", "--dbfilename", "taken"]);
    let mut client = server.client();
    // Where the snapshot belongs, something else is.
    std::fs::create_dir_all(server.dir.path().join("taken/by")).unwrap();
    let store = server.open().await;
    written(&store, blind_put("k")).await;
    let save = |client: &mut redis::Connection| redis::cmd("BGSAVE").exec(client).unwrap();
    save(&mut client);
    let mut error = None;
    until("saving fails", async || {
        error = try_apply(&store, blind_put("k")).await.err();
        error.is_some()
    })
    .await;
    let error = error.unwrap();
    assert_eq!((error.kind(), error.outcome()), (Kind::Unavailable, Outcome::Rejected), "{error}");
    assert!(error.advice_text().is_some());
    std::fs::remove_dir_all(server.dir.path().join("taken")).unwrap();
    save(&mut client);
    until_healed(&store).await;
    store.close().await;
}

#[tokio::test]
async fn a_demoted_server_refuses_and_is_written_to_again_once_promoted() {
    let server = Server::start(&[]);
    let store = server.open().await;
    let mut client = server.client();
    written(&store, blind_put("k")).await;
    let _: () = redis::cmd("REPLICAOF").arg("127.0.0.1").arg(free_port()).query(&mut client).unwrap();
    let error = try_apply(&store, blind_put("k")).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (Kind::Unavailable, Outcome::Rejected), "{error}");
    assert!(error.advice_text().unwrap().contains("primary"));
    until("the new role is noticed", async || {
        let _ = try_apply(&store, blind_put("k")).await;
        !store.caps().strong_reads
    })
    .await;
    let _: () = redis::cmd("REPLICAOF").arg("NO").arg("ONE").query(&mut client).unwrap();
    until_healed(&store).await;
    store.close().await;
}

#[tokio::test]
async fn a_server_that_loads_its_data_is_waited_for() {
    let mut server = Server::start(&["--enable-debug-command", "yes"]);
    let mut client = server.client();
    for number in 0..100 {
        let _: () = redis::cmd("SET").arg(number).arg("x".repeat(10_000)).query(&mut client).unwrap();
    }
    let _: () = redis::cmd("SAVE").query(&mut client).unwrap();
    let store = server.open_with(quick(), OpenEnv::new("test")).await.unwrap();
    written(&store, blind_put("k")).await;
    server.kill();
    server.restart_with(&["--key-load-delay", "30000", "--loading-process-events-interval-bytes", "1024"]);
    let again = server.open_with(quick(), OpenEnv::new("test")).await.err().expect("it is still loading");
    assert_eq!(again.kind(), Kind::Unavailable);
    until("the cause is known", async || store.trouble().is_some_and(|trouble| trouble.cause.contains("loading")))
        .await;
    until_healed(&store).await;
    store.close().await;
}

#[tokio::test]
async fn a_user_who_may_not_is_told_so() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let _: () = redis::cmd("ACL")
        .arg(&["SETUSER", "narrow", "on", ">secret", "~mine:*", "+@read", "+@scripting", "+@connection", "+info"])
        .query(&mut client)
        .unwrap();
    let store =
        server.open_with(json!({"username": "narrow", "password": "secret"}), OpenEnv::new("test")).await.unwrap();
    assert_eq!(read(&store, "mine:k").await, None);
    let error = try_read(&store, "yours:k").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied, "{error}");
    let error = try_apply(&store, blind_put("mine:k")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied, "{error}");
    store.close().await;
}

#[tokio::test]
async fn a_transaction_of_a_user_who_may_do_a_part_of_it_does_nothing() {
    let server = Server::start(&[]);
    let _: () = redis::cmd("ACL")
        .arg(&["SETUSER", "narrow", "on", ">secret", "~*", "+@all", "-pexpire"])
        .query(&mut server.client())
        .unwrap();
    let store =
        server.open_with(json!({"username": "narrow", "password": "secret"}), OpenEnv::new("test")).await.unwrap();
    let hour = Expiry::After(Duration::from_secs(3600));
    let ops = vec![blind_put("a"), put_expiring("b", "v", Condition::None, hour), blind_put("c")];
    assert_eq!(transact(&store, ops).await, [Fate::Aborted, Fate::Failed(Kind::Denied), Fate::Aborted]);
    assert_eq!(read(&store, "a").await, None);
    assert_eq!(read(&store, "b").await, None);
    let ops = vec![blind_put("a"), blind_put("c")];
    assert!(transact(&store, ops).await.iter().all(|fate| matches!(fate, Fate::Applied(..))));
    // Alone it stops half-way, and says that it may have.
    let error = try_apply(&store, put_expiring("b", "v", Condition::None, hour)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (Kind::Denied, Outcome::Unknown));
    store.close().await;
}

#[tokio::test]
async fn a_large_value_on_a_slow_way_is_not_silence() {
    let server = Server::start(&[]);
    let slow = Arc::new(Slow);
    let mut env = OpenEnv::new("test");
    env.network = slow;
    let store = server.open_with(json!({"response_timeout": "400ms"}), env).await.unwrap();
    // At 10 MiB a second, several times the response timeout each way.
    let value = vec![7; 16 << 20];
    written(&store, put("k", value.clone(), Condition::None)).await;
    assert!(read(&store, "k").await.unwrap().value == value);
    store.close().await;
}

#[tokio::test]
async fn closing_leaves_nothing() {
    let server = Server::start(&["--notify-keyspace-events", "KEA"]);
    let env = OpenEnv::new("test");
    let store = server.open_with(json!({}), env.clone()).await.unwrap();
    written(&store, blind_put("k")).await;
    let mut watching = store.watch(Default::default()).await.unwrap();
    assert!(futures::StreamExt::next(&mut watching).await.unwrap().is_ok());
    assert_eq!(connections(&server), 2);
    store.close().await;
    assert_eq!(env.task_count(), 0);
    until("the server has seen them go", async || connections(&server) == 0).await;
    let error = try_apply(&store, blind_put("k")).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (Kind::Unavailable, Outcome::Rejected));
    while let Some(event) = futures::StreamExt::next(&mut watching).await {
        event.unwrap();
    }
    store.close().await;
    assert_eq!(env.task_count(), 0);
}

/// How many clients a server has over TCP; the bare ones of the tests use its Unix socket.
fn connections(server: &Server) -> usize {
    let list: String = redis::cmd("CLIENT").arg("LIST").query(&mut server.client()).unwrap();
    list.lines().filter(|line| line.contains("addr=127.0.0.1:")).count()
}

#[test]
fn each_worker_has_a_connection_of_its_own() {
    let server = Server::start(&[]);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let main = runtime();
    let mut env = OpenEnv::new("test");
    env.workers = 2;
    let store = Arc::new(main.block_on(server.open_with(json!({}), env)).unwrap());
    let (done, wait) = std::sync::mpsc::channel();
    let release = tokio_util::sync::CancellationToken::new();
    let workers: Vec<_> = (0..2)
        .map(|index| {
            let (store, done, release) = (store.clone(), done.clone(), release.clone());
            std::thread::spawn(move || {
                worker::enter(index);
                runtime().block_on(async {
                    for _ in 0..10 {
                        written(&store, blind_put("k")).await;
                    }
                    done.send(()).unwrap();
                    release.cancelled().await;
                });
            })
        })
        .collect();
    wait.recv().unwrap();
    wait.recv().unwrap();
    assert_eq!(connections(&server), 2);
    main.block_on(store.close());
    release.cancel();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

#[test]
fn a_store_outlives_the_runtime_that_its_connection_lived_on() {
    let server = Server::start(&[]);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = runtime().block_on(async {
        let store = server.open().await;
        written(&store, blind_put("k")).await;
        store
    });
    runtime().block_on(async {
        assert_eq!(
            apply(&store, blind_put("k")).await,
            Fate::Applied(Some(read(&store, "k").await.unwrap().version), true)
        );
        store.close().await;
    });
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let open = |settings| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(State::open(config(settings), OpenEnv::new("test"))).err().unwrap()
    };
    for settings in [
        json!({"url": "redis://:a@h", "password": "b"}),
        json!({"url": "redis://u:a@h", "username": "u"}),
        json!({"url": "redis://h", "username": "u"}),
        json!({"url": "redis://h", "tls": {"insecure": true}}),
        json!({"url": "rediss://h", "tls": {"cert_file": "c.pem"}}),
        json!({"url": "rediss://h", "tls": {"ca_file": "/does/not/exist.pem"}}),
        json!({"url": "redis://h", "connect_timeout": "0s"}),
    ] {
        assert_eq!(open(settings.clone()).kind(), Kind::Config, "{settings}");
    }
    for settings in [
        json!({}),
        json!({"url": "http://h"}),
        json!({"url": "redis://:s3cret@h:99999"}),
        json!({"url": "unix:///run/redis.sock?pass=s3cret"}),
        json!({"url": "rediss://h#insecure"}),
        json!({"url": "redis://h", "unknown": 1}),
        json!({"url": "redis://h", "connect_timeout": 5}),
    ] {
        let error = serde_json::from_value::<pillion_components::redis::StateConfig>(settings.clone()).unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    let secret = config(json!({"url": "redis://u:s3cret@h:1/2"}));
    assert!(!format!("{secret:?}").contains("s3cret"));
    assert!(format!("{secret:?}").contains("redis://h:1/2"));
}
