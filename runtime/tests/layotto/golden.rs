//! What a Layotto client sees, over raw gRPC.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use pillion_conformance::server::{RedisOptions, RedisServer, temporary_folder};
use pillion_proto::Cx;
use pillion_proto::common::v1::Value;
use pillion_proto::state::v1::{GetRequest, SetRequest};
use pillion_runtime::Sidecar;
use serde_json::json;
use tonic::Code;

use crate::raw::Raw;
use crate::table::Table;
use crate::{address, serve};

async fn golden(components: &str, store: &str, kind: &str) -> Result<()> {
    let folder = temporary_folder()?;
    let sidecar = serve(components, folder.path()).await?;
    let outcome = Table::read("layotto")?.hold(&Raw::new(address(&sidecar)?)?, store, kind).await;
    sidecar.stop().await;
    outcome
}

#[tokio::test]
async fn the_golden_table_holds_on_memory() -> Result<()> {
    golden("components: {state: {type: state.memory}}", "state", "memory").await
}

#[tokio::test]
async fn the_golden_table_holds_on_local() -> Result<()> {
    golden("components: {orders: {type: state.local, dir: data}}", "orders", "local").await
}

#[tokio::test]
async fn the_golden_table_holds_on_redis() -> Result<()> {
    let redis = RedisServer::start(RedisOptions::default()).await?;
    golden(&format!("components: {{cache: {{type: state.redis, url: '{}'}}}}", redis.url()), "cache", "redis").await
}

#[tokio::test]
async fn without_a_store_every_state_call_says_so() -> Result<()> {
    let folder = temporary_folder()?;
    let sidecar = serve("", folder.path()).await?;
    let outcome = Table::read("layotto-no-store")?.hold(&Raw::new(address(&sidecar)?)?, "state", "none").await;
    sidecar.stop().await;
    outcome
}

#[tokio::test]
async fn a_backend_that_is_down_gives_layottos_codes_and_no_word_of_an_etag() -> Result<()> {
    let folder = temporary_folder()?;
    let mut redis = RedisServer::start(RedisOptions::default()).await?;
    let components = format!("components: {{cache: {{type: state.redis, url: '{}'}}}}", redis.url());
    let sidecar = serve(&components, folder.path()).await?;
    redis.stop().await?;
    let raw = Raw::new(address(&sidecar)?)?;
    let outcome = Table::read("layotto-backend-down")?.hold(&raw, "cache", "redis").await;
    let save = json!({"store_name": "cache", "states": [{"key": "k", "value": "v", "etag": {"value": "7"}}]});
    let status = raw.call("SaveState", &save).await?.err().context("saved on a store that is down")?;
    sidecar.stop().await;
    outcome?;
    ensure!(!status.message().contains("etag"), "a lost connection is called a conflict: {}", status.message());
    Ok(())
}

/// A runtime on the store in memory, for what does not depend on the store.
async fn in_memory() -> Result<(Sidecar, Raw)> {
    let folder = temporary_folder()?;
    let sidecar = serve("components: {state: {type: state.memory}}", folder.path()).await?;
    let raw = Raw::new(address(&sidecar)?)?;
    Ok((sidecar, raw))
}

#[tokio::test]
async fn every_method_is_served_or_its_answer_names_it() -> Result<()> {
    let (sidecar, raw) = in_memory().await?;
    let mut served = Vec::new();
    for method in pillion_compat_layotto::METHODS {
        let answer = raw.send(pillion_compat_layotto::SERVICE, method, Bytes::new()).await?;
        match answer {
            Err(status) if status.code() == Code::Unimplemented => assert_eq!(
                status.message(),
                format!("method {method} of spec.proto.runtime.v1.Runtime is not served by this runtime yet")
            ),
            _ => served.push(method),
        }
    }
    let state = ["GetState", "GetBulkState", "SaveState", "DeleteState", "DeleteBulkState", "ExecuteStateTransaction"];
    assert_eq!(served[0], "SayHello");
    assert_eq!(served[1..], state);
    sidecar.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_is_answered_in_the_words_of_layottos_transport() -> Result<()> {
    let (sidecar, raw) = in_memory().await?;
    let service = pillion_compat_layotto::SERVICE;
    let failure = async |service: &str, method: &str, request: Bytes| -> Result<_> {
        let status = raw.send(service, method, request).await?.err().context("the call succeeded")?;
        Ok((status.code(), status.message().to_owned()))
    };

    let (code, text) = failure(service, "GetState", Bytes::from_static(b"\xff\xff\xff\xff")).await?;
    assert_eq!(code, Code::Internal);
    assert!(text.starts_with("grpc: error unmarshalling request: "), "{text}");

    let large = failure(service, "SaveState", vec![0; 5_242_907].into()).await?;
    let text = "grpc: received message larger than max (5242907 vs. 4194304)".to_owned();
    assert_eq!(large, (Code::ResourceExhausted, text));

    let text = format!("unknown method Nope for service {service}");
    assert_eq!(failure(service, "Nope", Bytes::new()).await?, (Code::Unimplemented, text));
    let text = "unknown service spec.proto.runtime.v1.Nope".to_owned();
    assert_eq!(failure("spec.proto.runtime.v1.Nope", "GetState", Bytes::new()).await?, (Code::Unimplemented, text));
    sidecar.stop().await;
    Ok(())
}

#[tokio::test]
async fn an_answer_that_would_be_too_large_is_refused() -> Result<()> {
    let (sidecar, raw) = in_memory().await?;
    let value = "x".repeat(1 << 20);
    let save = json!({"store_name": "state", "states": [{"key": "large", "value": value}]});
    raw.call("SaveState", &save).await??;
    let keys = json!({"store_name": "state", "keys": vec!["large"; 600]});
    let status = raw.call("GetBulkState", &keys).await?.err().context("600 MiB were answered")?;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "the answer would have more than 16777216 bytes, which is the limit");
    let fewer = json!({"store_name": "state", "keys": ["large", "large"]});
    raw.call("GetBulkState", &fewer).await??;
    sidecar.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_list_that_is_too_long_is_refused_before_its_first_item() -> Result<()> {
    let (sidecar, raw) = in_memory().await?;
    let items = |count: usize| (0..count).map(|index| json!({"key": format!("many-{index}")})).collect::<Vec<_>>();
    let operations: Vec<_> =
        items(1_001).into_iter().map(|item| json!({"operationType": "delete", "request": item})).collect();
    for (method, request) in [
        ("SaveState", json!({"store_name": "state", "states": items(1_001)})),
        ("DeleteBulkState", json!({"store_name": "state", "states": items(1_001)})),
        ("GetBulkState", json!({"store_name": "state", "keys": vec!["many-0"; 1_001]})),
        ("ExecuteStateTransaction", json!({"storeName": "state", "operations": operations})),
    ] {
        let status = raw.call(method, &request).await?.err().context("too many items were taken")?;
        assert_eq!(status.code(), Code::InvalidArgument, "{method}");
        assert_eq!(status.message(), "the call has 1001 items; it takes at most 1000", "{method}");
    }
    let first = json!({"store_name": "state", "key": "many-0"});
    assert_eq!(raw.call("GetState", &first).await??, raw.answer("GetState", &json!({}))?);
    raw.call("SaveState", &json!({"store_name": "state", "states": items(1_000)})).await??;
    assert_eq!(raw.call("GetState", &first).await??, raw.answer("GetState", &json!({"etag": "1"}))?);
    sidecar.stop().await;
    Ok(())
}

/// Both sides of the door see one store, with what each of them can say about an entry.
#[tokio::test]
async fn what_is_written_natively_is_read_through_the_door_and_back() -> Result<()> {
    let (sidecar, raw) = in_memory().await?;
    let (native, cx) = (sidecar.runtime().apis().state.clone(), Cx::default());
    let entry = async |key: &str| -> Result<_> {
        let request = GetRequest { store: "state".to_owned(), key: key.to_owned(), ..GetRequest::default() };
        native.get(&cx, request).await?.entry.context("no entry")
    };
    let save = async |key: &str, value: &str, metadata: serde_json::Value| -> Result<_> {
        let request = json!({"store_name": "state", "states": [{"key": key, "value": value, "metadata": metadata}]});
        raw.call("SaveState", &request).await?.context("save")
    };

    native
        .set(
            &cx,
            SetRequest {
                store: "state".to_owned(),
                key: "native".to_owned(),
                value: Some(Value { data: "apple".into(), content_type: "text/plain".to_owned() }),
                ..SetRequest::default()
            },
        )
        .await?;
    let seen = raw.call("GetState", &json!({"store_name": "state", "key": "native"})).await??;
    assert_eq!(seen, raw.answer("GetState", &json!({"data": "apple", "etag": "1"}))?);

    save("door", "pear", json!({})).await?;
    let found = entry("door").await?;
    assert_eq!(found.value.context("a value")?.data, "pear");
    assert!(found.etag.starts_with("1-"), "natively the etag tells one life of a key from the next: {}", found.etag);

    save("door", "pear", json!({"ttlInSeconds": "100"})).await?;
    save("door", "plum", json!({})).await?;
    let expires_in =
        Duration::try_from(entry("door").await?.expires_in.context("an item without a lifetime keeps it")?)?;
    assert!(expires_in <= Duration::from_secs(100) && expires_in > Duration::from_secs(50), "{expires_in:?}");
    save("door", "plum", json!({"ttlInSeconds": "-1"})).await?;
    assert!(entry("door").await?.expires_in.is_none(), "a lifetime that is not positive removes it");
    sidecar.stop().await;
    Ok(())
}
