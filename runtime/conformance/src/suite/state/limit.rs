//! Declared sizes: at the limit it works, over it nothing happens.

use anyhow::{Result, ensure};
use bytes::Bytes;
use pillion_spi::Kind;
use pillion_spi::state::{ApplyOptions, Key, ReadOptions};

use crate::env::{Env, equal, refused};
use crate::op;
use crate::suite::cases;

cases! {
    limits_are_not_below_what_the_core_lets_through [];
    the_longest_key_works_everywhere [];
    a_longer_key_is_refused [];
    the_largest_value_works [];
    a_larger_value_is_refused_and_the_old_one_stays [];
    one_write_over_the_limit_refuses_the_whole_call [];
    a_thousand_keys_are_read_at_once [];
}

async fn limits_are_not_below_what_the_core_lets_through(env: &Env) -> Result<()> {
    let caps = env.caps();
    // A key of 1 KiB and room for the prefixes of the core, a message of 4 MiB.
    ensure!(caps.max_key >= 1024, "keys of {} bytes", caps.max_key);
    ensure!(caps.max_value >= 4 << 20, "values of {} bytes", caps.max_value);
    ensure!(caps.max_ops >= 1, "groups of no writes");
    Ok(())
}

/// A key of this case with so many bytes, two for most characters.
fn key_of(env: &Env, bytes: usize) -> Key {
    let mut key = env.prefix().to_owned();
    while key.len() + 2 <= bytes {
        key.push('é');
    }
    if key.len() < bytes {
        key.push('e');
    }
    Key::new(key)
}

async fn the_longest_key_works_everywhere(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), key_of(env, env.caps().max_key));
    equal("the length", key.as_str().len(), env.caps().max_key)?;
    store.put(&key, "a").await?;
    equal("the value", store.value(&key).await?, Some("a".into()))?;
    if env.caps().list {
        equal("the number of listed entries", store.list(env.prefix(), 10, true).await?.len(), 1)?;
        equal("the number of listed entries", store.list(key.as_str(), 10, true).await?.len(), 1)?;
    }
    equal("whether there was one", store.delete(&key).await?, true)
}

async fn a_longer_key_is_refused(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), key_of(env, env.caps().max_key + 1));
    let options = ApplyOptions::default();
    refused("the write", store.raw().apply(vec![op::put(&key, "a")], options.clone()).await, Kind::Invalid)?;
    refused("the delete", store.raw().apply(vec![op::delete(&key)], options).await, Kind::Invalid)?;
    refused("the read", store.raw().read(&[key], ReadOptions::default()).await, Kind::Invalid)?;
    Ok(())
}

async fn the_largest_value_works(env: &Env) -> Result<()> {
    // A store of its own, as it may have a bound on all values together.
    let (timed, key) = (env.open().await?, env.key("k"));
    let value = Bytes::from(vec![b'v'; env.caps().max_value]);
    timed.store.put(&key, value.clone()).await?;
    ensure!(timed.store.value(&key).await? == Some(value), "the value is another");
    timed.store.delete(&key).await?;
    timed.close().await;
    Ok(())
}

fn too_large(env: &Env) -> Bytes {
    Bytes::from(vec![0; env.caps().max_value + 1])
}

async fn a_larger_value_is_refused_and_the_old_one_stays(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.put(&key, "old").await?;
    let op = op::put(&key, too_large(env));
    refused("the write", store.raw().apply(vec![op], ApplyOptions::default()).await, Kind::Invalid)?;
    equal("the value", store.value(&key).await?, Some("old".into()))
}

async fn one_write_over_the_limit_refuses_the_whole_call(env: &Env) -> Result<()> {
    let (store, a, b) = (env.store(), env.key("a"), env.key("b"));
    let ops = vec![op::put(&a, "new"), op::put(&b, too_large(env))];
    refused("the call", store.raw().apply(ops, ApplyOptions::default()).await, Kind::Invalid)?;
    equal("the write before it", store.get(&a).await?, None)
}

async fn a_thousand_keys_are_read_at_once(env: &Env) -> Result<()> {
    let store = env.store();
    let keys: Vec<Key> = (0..1000).map(|number| env.key(&number.to_string())).collect();
    let ops = keys.iter().map(|key| op::put(key, key.as_str().to_owned())).collect();
    store.apply(ops, false).await?;
    let found = store.raw().read(&keys, ReadOptions::default()).await?;
    equal("the number of results", found.len(), 1000)?;
    for (key, result) in keys.iter().zip(found) {
        let value = result?.map(|entry| entry.value);
        equal(key.as_str(), value, Some(Bytes::from(key.as_str().to_owned())))?;
    }
    Ok(())
}
