//! `pillion state`

use std::io::Read;
use std::time::Duration;

use pillion_proto::common::v1::Value;
use pillion_proto::state::v1::{
    Condition, DeleteRequest, Entry, GetRequest, IfAbsent, ListRequest, SetRequest, WatchRequest, condition,
    watch_response::Event,
};
use pillion_proto::{Cx, StateApi};
use serde_json::json;

use super::client::{Remote, block_on};
use crate::arguments::{Arguments, State, StateVerb};
use crate::exit::{self, Failure};
use crate::output::Output;

pub(crate) fn run(arguments: &Arguments, state: &State, output: &Output) -> Result<u8, Failure> {
    block_on(async {
        let remote = Remote::connect(arguments).await?;
        let api = &*remote.apis.state;
        let store = state.store.clone();
        match &state.verb {
            StateVerb::Get { key } => get(api, &remote.cx(), store, key, output).await,
            StateVerb::Set { key, value, content_type, ttl, if_absent, if_match } => {
                let condition = if *if_absent {
                    Some(condition::Kind::IfAbsent(IfAbsent {}))
                } else {
                    if_match.clone().map(condition::Kind::IfMatch)
                };
                let request = SetRequest {
                    store,
                    key: key.clone(),
                    value: Some(Value { data: bytes(value)?.into(), content_type: content_type.clone() }),
                    condition: condition.map(|kind| Condition { kind: Some(kind) }),
                    ttl: ttl.map(Duration::into),
                    ..SetRequest::default()
                };
                let answer = api.set(&remote.cx(), request).await?;
                if output.json {
                    output.data(&json!(answer))?;
                } else {
                    output.say(format_args!("set {key}, etag {}", answer.etag));
                }
                Ok(exit::OK)
            }
            StateVerb::Delete { key, if_match } => {
                let condition = if_match.clone().map(|etag| Condition { kind: Some(condition::Kind::IfMatch(etag)) });
                let request = DeleteRequest { store, key: key.clone(), condition, ..DeleteRequest::default() };
                let answer = api.delete(&remote.cx(), request).await?;
                if output.json {
                    output.data(&json!(answer))?;
                } else {
                    output.say(if answer.existed { "deleted" } else { "there was no entry" });
                }
                Ok(exit::OK)
            }
            StateVerb::List { prefix } => list(api, &remote, store, prefix, output).await,
            StateVerb::Watch { prefix } => watch(api, &remote.endless(), store, prefix, output).await,
        }
    })
}

/// The value of an argument: itself, or what stands on standard input.
fn bytes(argument: &str) -> Result<Vec<u8>, Failure> {
    if argument != "-" {
        return Ok(argument.as_bytes().to_vec());
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

async fn get(api: &dyn StateApi, cx: &Cx, store: String, key: &str, output: &Output) -> Result<u8, Failure> {
    let request = GetRequest { store, key: key.to_owned(), ..GetRequest::default() };
    let Some(entry) = api.get(cx, request).await?.entry else {
        return Err(Failure::Message(format!("`{key}` has no entry"), exit::FAILED));
    };
    if output.json {
        output.data(&json!(entry))?;
    } else {
        let value = entry.value.unwrap_or_default();
        output.raw(&value.data)?;
        let kind = if value.content_type.is_empty() { "no content type" } else { &value.content_type };
        output.say(format_args!("\n  etag {} · {kind}", entry.etag));
    }
    Ok(exit::OK)
}

async fn list(
    api: &dyn StateApi,
    remote: &Remote,
    store: String,
    prefix: &str,
    output: &Output,
) -> Result<u8, Failure> {
    let mut request =
        ListRequest { store, prefix: prefix.to_owned(), keys_only: !output.json, ..ListRequest::default() };
    loop {
        let page = api.list(&remote.cx(), request.clone()).await?;
        for entry in &page.entries {
            if output.json {
                output.data(&json!(entry))?;
            } else {
                output.raw(format!("{}\n", entry.key).as_bytes())?;
            }
        }
        if page.next_page_token.is_empty() {
            return Ok(exit::OK);
        }
        request.page_token = page.next_page_token;
    }
}

async fn watch(api: &dyn StateApi, cx: &Cx, store: String, prefix: &str, output: &Output) -> Result<u8, Failure> {
    let request = WatchRequest { store, prefix: prefix.to_owned(), ..WatchRequest::default() };
    let mut events = api.watch(cx, request).await?;
    while let Some(answer) = events.next().await? {
        if output.json {
            output.data(&json!(answer))?;
            continue;
        }
        match answer.event {
            Some(Event::Written(written)) => output.raw(line(&written.entry.unwrap_or_default()).as_bytes())?,
            Some(Event::Deleted(deleted)) => {
                let how = if deleted.expired { "expired" } else { "deleted" };
                output.raw(format!("{how:<8} {}\n", deleted.key).as_bytes())?;
            }
            Some(Event::Resync(_)) => output.say("changes were missed; the present entries follow"),
            Some(Event::Synced(_)) => output.say("watching"),
            None => {}
        }
    }
    Ok(exit::OK)
}

fn line(entry: &Entry) -> String {
    let value = entry.value.clone().unwrap_or_default();
    let shown: String = String::from_utf8_lossy(&value.data).chars().take(80).flat_map(char::escape_debug).collect();
    format!("{:<8} {} {shown}\n", "written", entry.key)
}
