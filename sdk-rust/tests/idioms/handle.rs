use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use pillion::proto::StateMock;
use pillion::proto::state::v1::{GetResponse, SetResponse};
use pillion::proto::testing::v1::{ActRequest, CountRequest};
use pillion::state::{Change, State};
use pillion::{Outcome, Pillion, Reason};

use crate::server::{Server, UnixServer, eventually, mocks};

#[test]
fn handles_can_be_shared_and_sent_anywhere() {
    fn shareable<T: Clone + Send + Sync + 'static>() {}
    fn movable<T: Send + 'static>() {}
    shareable::<Pillion>();
    shareable::<State>();
    movable::<pillion::state::List<String>>();
    movable::<pillion::state::Watch<String>>();
    movable::<pillion::state::Set>();
}

/// One program for every mode.
async fn use_it(p: &Pillion) {
    let state = p.state();
    let written = state.set("a", "one").await.unwrap();
    let mismatch = state.set("a", "two").if_match("999").await.unwrap_err();
    assert_eq!(mismatch.reason(), "state.etag_mismatch");
    assert_eq!(mismatch.outcome(), Outcome::Rejected);
    assert_eq!(mismatch.component_name(), "state");
    assert!(!mismatch.advice_text().is_empty());
    state.set("a", "two").if_match(&written.etag).await.unwrap();
    let entry = state.get_entry::<String>("a").await.unwrap().unwrap();
    assert_eq!((entry.key.as_str(), entry.value.as_str()), ("a", "two"));
    assert_eq!(entry.content_type, "text/plain; charset=utf-8");
    assert_ne!(entry.etag, written.etag);
    assert_eq!(state.get::<String>("absent").await.unwrap(), None);

    let mut changes = state.watch_key::<String>("a").await.unwrap();
    assert!(matches!(changes.next().await.unwrap(), Some(Change::Written(entry)) if entry.value == "two"));
    assert_eq!(changes.next().await.unwrap(), Some(Change::Synced));
    assert!(state.delete("a").await.unwrap().existed);
    assert!(!state.delete("a").await.unwrap().existed);
    assert_eq!(changes.next().await.unwrap(), Some(Change::Deleted { key: "a".into(), expired: false }));

    let unknown = state.store("nowhere").get::<String>("a").await.unwrap_err();
    assert_eq!(unknown.reason(), "component.not_declared");
    assert_eq!(p.status().await.unwrap().components[0].name, "state");
    p.wait_ready(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn the_same_program_runs_in_the_process_and_over_tcp_and_a_unix_socket() {
    let embedded = pillion::embedded().await.unwrap();
    use_it(&embedded).await;

    let server = Server::of(embedded.apis()).await;
    use_it(&server.connect().await.unwrap()).await;

    let folder = tempfile::tempdir().unwrap();
    let server = UnixServer::at(folder.path().join("pillion.sock"), embedded.apis());
    use_it(&pillion::connect(server.url()).await.unwrap()).await;
}

#[tokio::test]
async fn two_runtimes_in_one_process_know_nothing_of_each_other() {
    let (one, other) = (pillion::embedded().await.unwrap(), pillion::embedded().await.unwrap());
    one.state().set("a", "one").await.unwrap();
    assert_eq!(other.state().get::<String>("a").await.unwrap(), None);
    one.close().await;
    other.state().set("a", "other").await.unwrap();
}

#[tokio::test]
async fn clones_are_one_connection_and_close_together() {
    let embedded = pillion::embedded().await.unwrap();
    let server = Server::of(embedded.apis()).await;
    let p = server.connect().await.unwrap();
    let (clone, state) = (p.clone(), p.state());
    state.set("a", "one").await.unwrap();
    let mut changes = clone.state().watch::<String>("").await.unwrap();
    while changes.next().await.unwrap() != Some(Change::Synced) {}
    p.close().await;
    assert_eq!(changes.next().await.unwrap_err().reason(), "runtime.closed");
    assert_eq!(changes.next().await.unwrap(), None);
    for error in [
        state.get::<String>("a").await.unwrap_err(),
        clone.state().set("a", "two").await.unwrap_err(),
        clone.wait_ready(Duration::from_secs(10)).await.unwrap_err(),
    ] {
        assert_eq!(error.reason(), "runtime.closed");
        assert_eq!(error.outcome(), Outcome::Rejected);
    }
    p.close().await;
    assert_eq!(embedded.state().get::<String>("a").await.unwrap().as_deref(), Some("one"));
}

#[tokio::test]
async fn closing_an_embedded_runtime_ends_its_streams_and_refuses_calls() {
    let p = pillion::embedded().await.unwrap();
    let mut changes = p.state().watch::<String>("").await.unwrap();
    assert_eq!(changes.next().await.unwrap(), Some(Change::Synced));
    p.clone().close().await;
    assert_eq!(changes.next().await.unwrap_err().reason(), "runtime.closed");
    assert_eq!(p.state().get::<String>("a").await.unwrap_err().reason(), "runtime.closed");
    assert_eq!(p.apis().state.get(&p.cx(), Default::default()).await.unwrap_err().reason(), "runtime.closed");
}

#[tokio::test]
async fn dropping_a_future_cancels_the_call_on_the_other_side() {
    let embedded = pillion::embedded().await.unwrap();
    let server = Server::of(embedded.apis()).await;
    for p in [embedded.clone(), server.connect().await.unwrap()] {
        let shapes = p.apis().shapes.clone().unwrap();
        let before = shapes.count(&p.cx(), CountRequest::default()).await.unwrap();
        let call = tokio::spawn({
            let (shapes, cx) = (shapes.clone(), p.cx());
            async move { shapes.act(&cx, hang()).await }
        });
        eventually(async || shapes.count(&p.cx(), CountRequest::default()).await.unwrap().open > before.open).await;
        call.abort();
        eventually(async || shapes.count(&p.cx(), CountRequest::default()).await.unwrap().dropped > before.dropped)
            .await;
    }
}

fn hang() -> ActRequest {
    ActRequest { after: Some(Duration::from_secs(3600).into()), ..ActRequest::default() }
}

#[tokio::test]
async fn a_deadline_ends_a_call_and_leaves_the_outcome_of_a_write_open() {
    let embedded = pillion::embedded().await.unwrap();
    let server = Server::of(embedded.apis()).await;
    for p in [embedded.clone(), server.connect().await.unwrap()] {
        let p = p.with_timeout(Duration::from_millis(50));
        let error = p.apis().shapes.clone().unwrap().act(&p.cx(), hang()).await.unwrap_err();
        assert_eq!(error.reason(), "request.deadline_exceeded");
        assert_eq!(error.outcome(), Outcome::Unknown);
    }
}

#[tokio::test]
async fn identity_token_and_trace_travel_with_every_call() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let record = seen.clone();
    let mock = StateMock::default().on_get(move |cx, request| {
        let trace = cx.trace.as_ref().map(|trace| trace.parent.to_string());
        let text = |text: &Option<Arc<str>>| text.as_ref().map(ToString::to_string);
        record.lock().unwrap().push((request.store, text(&cx.app_id), text(&cx.token), trace, cx.deadline.is_some()));
        Ok(GetResponse::default())
    });
    let server = Server::mocking(mock).await;
    let p = server.connect().app_id("shop").token("0123456789abcdef").await.unwrap();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    p.state().get::<String>("a").await.unwrap();
    p.with_app_id("billing").state().store("orders").with_trace(trace).get::<String>("a").await.unwrap();
    let seen = seen.lock().unwrap();
    let (shop, billing, token) =
        (Some("shop".to_owned()), Some("billing".to_owned()), Some("0123456789abcdef".to_owned()));
    assert_eq!(seen[0], (String::new(), shop, token.clone(), None, true));
    assert_eq!(seen[1], ("orders".to_owned(), billing, token, Some(trace.to_owned()), true));
}

#[tokio::test]
async fn programs_can_be_tested_with_mocks() {
    let mock =
        StateMock::default().on_set(|_, request| Ok(SetResponse { etag: request.key, ..SetResponse::default() }));
    let p = Pillion::from_apis(mocks(mock));
    assert_eq!(p.state().set("a", "one").await.unwrap().etag.as_str(), "a");
    assert!(p.state().get::<String>("a").await.unwrap_err().is(Reason::RequestUnknownMethod));
}

#[tokio::test]
async fn data_in_a_folder_outlives_the_runtime_and_is_one_runtimes_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let p = pillion::embedded().data_dir(folder.path()).await.unwrap();
    p.state().set("a", "one").await.unwrap();
    let second = pillion::embedded().data_dir(folder.path()).await.unwrap_err();
    assert_eq!(second.reason(), "component.failed");
    p.close().await;
    let p = pillion::embedded().data_dir(folder.path()).await.unwrap();
    assert_eq!(p.state().get::<String>("a").await.unwrap().as_deref(), Some("one"));
    drop(p);
    let reopened = eventually(async || match pillion::embedded().data_dir(folder.path()).await {
        Ok(p) => p.state().get::<String>("a").await.unwrap().as_deref() == Some("one"),
        Err(_) => false,
    });
    reopened.await;
}

#[tokio::test]
async fn a_configuration_file_names_the_stores_and_is_read_strictly() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pillion.yaml");
    std::fs::write(&file, "components:\n  orders: {type: state.memory}\n").unwrap();
    let p = pillion::embedded().config_file(&file).await.unwrap();
    p.state().store("orders").set("a", "one").await.unwrap();

    std::fs::write(&file, "components:\n  orders: {type: state.memori}\n").unwrap();
    let error = pillion::embedded().config_file(&file).await.unwrap_err();
    assert_eq!(error.reason(), "config.unknown_type");
    assert!(error.message().contains("state.memory"), "{error}");
}

#[test]
fn outside_of_a_tokio_runtime_there_is_an_error_not_a_panic() {
    let embedded = pillion::embedded().into_future().now_or_never().unwrap().unwrap_err();
    let remote = pillion::connect("http://127.0.0.1:1").into_future().now_or_never().unwrap().unwrap_err();
    assert!(embedded.is(Reason::RequestInvalid) && remote.is(Reason::RequestInvalid));
}
