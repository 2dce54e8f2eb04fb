use std::sync::{Arc, Mutex};
use std::time::Duration;

use pillion::proto::StateMock;
use pillion::proto::state::v1::watch_response::Event;
use pillion::proto::state::v1::{Entry, EntryWritten, Synced, WatchRequest, WatchResponse};
use pillion::state::{Change, Watch};
use pillion::{Error, Events, Json, Reason, Value};

use crate::server::Server;

/// What changed, in short.
async fn next(watch: &mut Watch<String>) -> String {
    match watch.next().await.unwrap() {
        Some(Change::Written(entry)) => format!("{}={}", entry.key, entry.value),
        Some(Change::Deleted { key, expired }) => format!("{key} {}", if expired { "expired" } else { "deleted" }),
        Some(Change::Resync) => "resync".to_owned(),
        Some(Change::Synced) => "synced".to_owned(),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn a_watch_resumes_after_the_sidecar_was_away_and_misses_nothing() {
    let embedded = pillion::embedded().await.unwrap();
    let server = Server::of(embedded.apis()).await;
    let p = server.connect().await.unwrap();
    embedded.state().set("a", "1").await.unwrap();
    let mut watch = p.state().watch::<String>("").await.unwrap();
    assert_eq!(next(&mut watch).await, "a=1");
    assert_eq!(watch.revision(), 0, "the present entries need not be complete yet");
    assert_eq!(next(&mut watch).await, "synced");
    assert_ne!(watch.revision(), 0);

    let address = server.kill().await;
    embedded.state().set("b", "1").await.unwrap();
    embedded.state().delete("a").await.unwrap();
    let _server = Server::at(address, embedded.apis()).await;
    assert_eq!(next(&mut watch).await, "b=1");
    assert_eq!(next(&mut watch).await, "a deleted");
}

#[tokio::test]
async fn a_store_that_lost_its_history_makes_the_watch_begin_anew() {
    let embedded = pillion::embedded().await.unwrap();
    let server = Server::of(embedded.apis()).await;
    let p = server.connect().await.unwrap();
    embedded.state().set("a", "1").await.unwrap();
    let mut watch = p.state().watch::<String>("").await.unwrap();
    assert_eq!((next(&mut watch).await, next(&mut watch).await), ("a=1".to_owned(), "synced".to_owned()));

    let address = server.kill().await;
    let other = pillion::embedded().await.unwrap();
    other.state().set("c", "1").await.unwrap();
    let _server = Server::at(address, other.apis()).await;
    assert_eq!(next(&mut watch).await, "resync");
    assert_eq!(next(&mut watch).await, "c=1");
    assert_eq!(next(&mut watch).await, "synced");
}

#[tokio::test]
async fn a_revision_lets_another_watch_continue() {
    let p = pillion::embedded().await.unwrap();
    let mut first = p.state().watch::<String>("").await.unwrap();
    assert_eq!(next(&mut first).await, "synced");
    p.state().set("a", "1").await.unwrap();
    assert_eq!(next(&mut first).await, "a=1");
    let revision = first.revision();
    drop(first);
    p.state().set("b", "1").await.unwrap();
    let mut second = p.state().watch::<String>("").after(revision).await.unwrap();
    assert_eq!(next(&mut second).await, "b=1");
}

fn written(key: &str, revision: u64) -> WatchResponse {
    let value = Value { data: "1".into(), content_type: String::new() };
    let entry = Entry { key: key.to_owned(), value: Some(value), ..Entry::default() };
    WatchResponse { event: Some(Event::Written(EntryWritten { entry: Some(entry), revision })) }
}

fn synced(revision: u64) -> WatchResponse {
    WatchResponse { event: Some(Event::Synced(Synced { revision })) }
}

fn lost() -> Error {
    Error::new(Reason::RuntimeConnectionLost, "gone")
}

type Script = Vec<pillion::Result<Vec<pillion::Result<WatchResponse>>>>;

/// A server whose watches go as the script says, one after the other; the last one stays open.
async fn scripted(script: Script) -> (Server, Arc<Mutex<Vec<WatchRequest>>>) {
    let asked = Arc::<Mutex<Vec<WatchRequest>>>::default();
    let (record, script) = (asked.clone(), Mutex::new(script.into_iter()));
    let mock = StateMock::default().on_watch(move |_, request| {
        record.lock().unwrap().push(request);
        match script.lock().unwrap().next() {
            Some(events) => events.map(|events| Events::new(futures::stream::iter(events))),
            None => Ok(Events::new(futures::stream::pending())),
        }
    });
    (Server::mocking(mock).await, asked)
}

#[tokio::test]
async fn before_it_is_synced_a_watch_begins_anew_instead_of_resuming() {
    let (server, asked) = scripted(vec![
        Ok(vec![Ok(written("z", 9)), Err(lost())]),
        Ok(vec![Ok(written("a", 3)), Ok(written("z", 9)), Ok(synced(9)), Ok(written("b", 10)), Err(lost())]),
        Ok(vec![Ok(written("c", 11))]),
    ])
    .await;
    let p = server.connect().await.unwrap();
    let mut watch = p.state().watch::<String>("").await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..7 {
        seen.push(next(&mut watch).await);
    }
    assert_eq!(seen, ["z=1", "resync", "a=1", "z=1", "synced", "b=1", "c=1"]);
    let after: Vec<_> = asked.lock().unwrap().iter().map(|request| request.after_revision).collect();
    assert_eq!(after, [None, None, Some(10)]);
}

#[tokio::test]
async fn a_store_that_cannot_resume_is_read_anew_each_time() {
    let (server, asked) = scripted(vec![
        Ok(vec![Ok(synced(0)), Ok(written("a", 0)), Err(lost())]),
        Err(Error::new(Reason::ComponentConnecting, "not yet")),
        // Numbers that only count must not be resumed from either.
        Ok(vec![Ok(written("a", 1)), Ok(synced(0)), Ok(written("a", 2)), Err(lost())]),
        Ok(vec![Ok(written("a", 0)), Ok(synced(0))]),
    ])
    .await;
    let p = server.connect().await.unwrap();
    let mut watch = p.state().watch::<String>("").await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..9 {
        seen.push(next(&mut watch).await);
    }
    assert_eq!(seen, ["synced", "a=1", "resync", "a=1", "synced", "a=1", "resync", "a=1", "synced"]);
    assert!(asked.lock().unwrap().iter().all(|request| request.after_revision.is_none()));
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn a_watch_of_redis_goes_on_after_a_lost_connection() {
    let redis = crate::server::Redis::start();
    let embedded = pillion::embedded().config_file(redis.config()).await.unwrap();
    let server = Server::of(embedded.apis()).await;
    let p = server.connect().await.unwrap();
    embedded.state().set("a", "1").await.unwrap();
    let mut watch = p.state().watch::<String>("").await.unwrap();
    assert_eq!((next(&mut watch).await, next(&mut watch).await), ("a=1".to_owned(), "synced".to_owned()));
    embedded.state().set("a", "2").await.unwrap();
    assert_eq!(next(&mut watch).await, "a=2");
    assert_eq!(watch.revision(), 0, "this store cannot resume");

    let address = server.kill().await;
    embedded.state().set("a", "3").await.unwrap();
    let _server = Server::at(address, embedded.apis()).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(next(&mut watch).await);
    }
    assert_eq!(seen, ["resync", "a=3", "synced"]);
}

#[tokio::test]
async fn what_reconnecting_cannot_heal_ends_a_watch() {
    let denied = || Error::new(Reason::RequestDenied, "no");
    let (server, asked) = scripted(vec![Ok(vec![Ok(synced(5)), Err(lost())]), Err(denied())]).await;
    let p = server.connect().await.unwrap();
    let mut watch = p.state().watch::<String>("").await.unwrap();
    assert_eq!(next(&mut watch).await, "synced");
    assert_eq!(watch.next().await.unwrap_err().reason(), "request.denied");
    assert_eq!(watch.next().await.unwrap(), None);
    assert_eq!(asked.lock().unwrap().len(), 2);

    let p = pillion::embedded().await.unwrap();
    let error = p.state().store("nowhere").watch::<String>("").await.unwrap_err();
    assert_eq!(error.reason(), "component.not_declared");
}

#[tokio::test]
async fn a_watch_gives_up_when_it_was_told_to() {
    let embedded = pillion::embedded().await.unwrap();
    let server = Server::of(embedded.apis()).await;
    let p = server.connect().await.unwrap();
    let mut watch = p.state().watch::<String>("").give_up_after(Duration::from_millis(200)).await.unwrap();
    assert_eq!(next(&mut watch).await, "synced");
    server.kill().await;
    assert_eq!(watch.next().await.unwrap_err().reason(), "runtime.unreachable");
    assert_eq!(watch.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_watch_goes_on_behind_what_it_cannot_read() {
    let p = pillion::embedded().await.unwrap();
    let mut watch = p.state().watch::<String>("").await.unwrap();
    assert_eq!(next(&mut watch).await, "synced");
    p.state().set("a", Json(1)).await.unwrap();
    p.state().set("b", "text").await.unwrap();
    let error = watch.next().await.unwrap_err();
    assert_eq!((error.reason(), error.detail("key")), ("value.content_type_mismatch", Some("a")));
    assert_eq!(next(&mut watch).await, "b=text");
}

#[tokio::test]
async fn a_dropped_next_loses_nothing() {
    let p = pillion::embedded().await.unwrap();
    let mut watch = p.state().watch_key::<String>("a").await.unwrap();
    assert_eq!(next(&mut watch).await, "synced");
    for value in ["1", "2", "3"] {
        assert!(futures::poll!(std::pin::pin!(watch.next())).is_pending());
        p.state().set("a", value).await.unwrap();
        assert_eq!(next(&mut watch).await, format!("a={value}"));
    }
}
