use std::time::Duration;

use futures::{FutureExt, TryStreamExt};
use pillion::state::{Consistency, DeleteItem, LocalDurability, SetItem};
use pillion::{Json, Pillion};

use crate::server::Server;

async fn both() -> (Pillion, Server, Pillion) {
    let embedded = pillion::embedded().await.unwrap();
    let server = Server::of(embedded.apis()).await;
    let remote = server.connect().await.unwrap();
    (embedded, server, remote)
}

#[tokio::test]
async fn conditions_are_told_apart() {
    let p = pillion::embedded().await.unwrap();
    let state = p.state();
    let first = state.set("a", "1").if_absent().await.unwrap();
    assert_eq!(state.set("a", "2").if_absent().await.unwrap_err().reason(), "state.key_exists");
    assert_eq!(state.set("b", "1").if_match(&first.etag).await.unwrap_err().reason(), "state.etag_mismatch");
    state.set("b", "1").if_match_or_absent(&first.etag).await.unwrap();
    assert!(state.set("a", "2").first_write(None).await.is_err());
    let second = state.set("a", "2").first_write(Some(&first.etag)).await.unwrap();
    assert_eq!(state.delete("a").if_match(&first.etag).await.unwrap_err().reason(), "state.etag_mismatch");
    assert!(state.delete("a").if_match(&second.etag).await.unwrap().existed);
    assert_eq!(second.durability.local(), LocalDurability::Memory);
}

#[tokio::test]
async fn entries_expire_by_the_clock_of_the_runtime() {
    let p = pillion::embedded().testing().await.unwrap();
    let state = p.state();
    state.set("a", "1").ttl(Duration::from_secs(60)).await.unwrap();
    state.set("a", "2").keep_ttl().await.unwrap();
    state.set("b", "1").ttl(Duration::from_secs(60)).await.unwrap();
    state.set("b", "2").await.unwrap();
    let left = state.get_entry::<String>("a").await.unwrap().unwrap().expires_in.unwrap();
    assert!(left <= Duration::from_secs(60), "{left:?}");
    p.testing().unwrap().advance(Duration::from_secs(61)).await.unwrap();
    assert_eq!(state.get::<String>("a").await.unwrap(), None);
    assert_eq!(state.get::<String>("b").await.unwrap().as_deref(), Some("2"));
    let error = state.set("c", "1").ttl(Duration::MAX).await.unwrap_err();
    assert_eq!(error.reason(), "state.ttl_invalid");
}

#[tokio::test]
async fn many_are_answered_one_by_one_and_in_order() {
    let (_embedded, _server, p) = both().await;
    let state = p.state();
    let results = state.set_many([("a", "1"), ("b", "2")]).await.unwrap();
    assert!(results.iter().all(|result| result.is_ok()));
    let items = [SetItem::new("b", "3").if_absent(), SetItem::new("c", "3").ttl(Duration::from_secs(60))];
    let results = state.set_many(items).await.unwrap();
    assert_eq!(results[0].as_ref().unwrap_err().reason(), "state.key_exists");
    assert!(results[1].is_ok());

    let found = state.get_many::<String>(["c", "none", "a"]).consistency(Consistency::Strong).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|entry| entry.unwrap().map(|entry| entry.value)).collect();
    assert_eq!(found, [Some("3".to_owned()), None, Some("1".to_owned())]);

    let items = [DeleteItem::new("a"), DeleteItem::new("none"), DeleteItem::new("b").if_match("999")];
    let results = state.delete_many(items).await.unwrap();
    assert!(results[0].as_ref().unwrap().existed);
    assert!(!results[1].as_ref().unwrap().existed);
    assert_eq!(results[2].as_ref().unwrap_err().reason(), "state.etag_mismatch");
    state.delete_many(["b", "c"]).await.unwrap();
    assert_eq!(state.keys("").try_collect::<Vec<_>>().await.unwrap(), []);
}

#[tokio::test]
async fn one_value_of_many_that_is_something_else_spoils_no_other() {
    let p = pillion::embedded().await.unwrap();
    p.state().set("a", "text").await.unwrap();
    p.state().set("b", Json(1)).await.unwrap();
    let found = p.state().get_many::<Json<u32>>(["a", "b"]).await.unwrap();
    let error = found[0].as_ref().unwrap_err();
    assert_eq!((error.reason(), error.detail("key")), ("value.content_type_mismatch", Some("a")));
    assert_eq!(found[1].as_ref().unwrap().as_ref().unwrap().value, Json(1));
}

#[tokio::test]
async fn a_transaction_takes_effect_whole_or_not_at_all() {
    let (_embedded, _server, p) = both().await;
    let state = p.state();
    state.set("c", "1").await.unwrap();
    let done = state.transact().set("a", "1").delete("c").push(SetItem::new("b", "1").if_absent()).await.unwrap();
    assert_eq!(done.etags.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
    let error = state.transact().set("a", "2").push(SetItem::new("b", "2").if_absent()).await.unwrap_err();
    assert_eq!(error.reason(), "state.key_exists");
    assert_eq!(state.get::<String>("a").await.unwrap().as_deref(), Some("1"));
}

#[tokio::test]
async fn a_list_fetches_its_pages_by_itself() {
    let (_embedded, _server, p) = both().await;
    let items = (0..25).map(|i| (format!("k{i:02}"), Json(i)));
    p.state().set_many(items).await.unwrap();
    p.state().set("other", "text").await.unwrap();

    let entries: Vec<_> = p.state().list::<Json<u32>>("k").page_size(4).try_collect().await.unwrap();
    let values: Vec<_> = entries.iter().map(|entry| entry.value.0).collect();
    assert_eq!(values, (0..25).collect::<Vec<_>>());
    assert!(entries.iter().all(|entry| !entry.etag.as_str().is_empty()));

    let keys: Vec<_> = p.state().keys("").page_size(10).map_ok(|entry| entry.key).try_collect().await.unwrap();
    assert_eq!((keys.len(), keys[25].as_str()), (26, "other"));
}

#[tokio::test]
async fn a_list_goes_on_behind_what_it_cannot_read_and_ends_at_an_error() {
    let p = pillion::embedded().await.unwrap();
    p.state().set_many([("a", "text"), ("c", "text")]).await.unwrap();
    p.state().set("b", Json(1)).await.unwrap();
    let mut list = p.state().list::<String>("");
    assert_eq!(list.next().await.unwrap().unwrap().key, "a");
    assert_eq!(list.next().await.unwrap_err().detail("key"), Some("b"));
    assert_eq!(list.next().await.unwrap().unwrap().key, "c");
    assert_eq!(list.next().await.unwrap(), None);

    let mut list = p.state().store("nowhere").list::<String>("");
    assert_eq!(list.next().await.unwrap_err().reason(), "component.not_declared");
    assert_eq!(list.next().await.unwrap(), None);
}

#[tokio::test]
async fn updates_at_the_same_time_lose_nothing_and_keep_the_expiry() {
    let (embedded, _server, remote) = both().await;
    embedded.state().set("n", Json(0_u32)).ttl(Duration::from_secs(3600)).await.unwrap();
    let writers = (0..4).map(|i| {
        let state = if i % 2 == 0 { embedded.state() } else { remote.state() };
        tokio::spawn(async move {
            for _ in 0..10 {
                state.update("n", |n: Option<Json<u32>>| Json(n.map_or(1, |n| n.0 + 1))).await.unwrap();
            }
        })
    });
    futures::future::try_join_all(writers).await.unwrap();
    let entry = remote.state().get_entry::<Json<u32>>("n").await.unwrap().unwrap();
    assert_eq!(entry.value, Json(40));
    assert!(entry.expires_in.is_some());
}

#[tokio::test]
async fn an_update_that_is_always_overtaken_gives_up() {
    let p = pillion::embedded().await.unwrap();
    let state = p.state();
    let mut calls = 0;
    let error = state
        .update("n", |n: Option<String>| {
            calls += 1;
            // Somebody is always faster: the memory store answers without waiting.
            state.set("n", calls.to_string()).into_future().now_or_never().unwrap().unwrap();
            n.unwrap_or_default()
        })
        .await
        .unwrap_err();
    assert_eq!((error.reason(), calls), ("state.etag_mismatch", 20));
}

#[tokio::test]
async fn a_repeated_call_with_its_idempotency_key_is_applied_once() {
    let (_embedded, _server, p) = both().await;
    let first = p.state().set("a", "1").idempotency_key("k").await.unwrap();
    let again = p.state().set("a", "1").idempotency_key("k").await.unwrap();
    assert_eq!(first.etag, again.etag);
    let other = p.state().set("a", "1").idempotency_key("l").await.unwrap();
    assert_ne!(first.etag, other.etag);
}
