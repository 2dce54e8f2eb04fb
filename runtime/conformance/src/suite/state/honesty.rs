//! What a store does not declare it must refuse, and what it declares it must mean.

use std::time::Duration;

use anyhow::{Result, ensure};
use pillion_spi::state::{ApplyOptions, Condition, Expiry, Key, Op, Scan, Version, WatchSpec};
use pillion_spi::{Kind, Outcome};

use crate::env::{Env, Store, equal, refused};
use crate::op::{self, OpExt as _};
use crate::suite::cases;

cases! {
    undeclared_conditions_are_refused [Not(&Conditions)];
    undeclared_first_write_is_refused [Not(&FirstWrite)];
    undeclared_expiry_is_refused [Not(&Ttl)];
    undeclared_transactions_are_refused [Not(&Transact)];
    undeclared_lists_are_refused [Not(&List)];
    undeclared_watches_are_refused [Not(&Watch)];
    undeclared_resuming_is_refused [Watch, Not(&ResumableWatch)];
    undeclared_content_types_are_refused [Not(&ContentType)];
    undeclared_idempotency_is_refused [Not(&Idempotency)];
    ordered_lists_are_lists [OrderedList];
    a_store_in_order_has_no_trouble [];
    capabilities_do_not_change_by_use [];
    an_acknowledgement_is_as_durable_as_declared [];
}

/// The writes are refused as unsupported, surely without effect.
async fn unsupported(store: &Store, ops: Vec<Op>, options: ApplyOptions, key: &Key) -> Result<()> {
    let before = store.get(key).await?;
    let error = refused(&format!("{ops:?}"), store.raw().apply(ops.clone(), options).await, Kind::Unsupported)?;
    equal("the outcome", error.outcome(), Outcome::Rejected)?;
    ensure!(!error.message().is_empty(), "the refusal says nothing");
    equal("the entry", store.get(key).await?, before)
}

async fn undeclared_conditions_are_refused(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let version = Version::bare(1);
    for condition in [Condition::IfAbsent, Condition::IfMatch(version), Condition::IfMatchOrAbsent(version)] {
        for op in [op::put(&key, "a"), op::delete(&key)] {
            unsupported(&store, vec![op.when(condition.clone())], ApplyOptions::default(), &key).await?;
        }
    }
    Ok(())
}

async fn undeclared_first_write_is_refused(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    for version in [None, Some(Version::bare(1))] {
        let op = op::put(&key, "a").when(Condition::FirstWrite(version));
        unsupported(&store, vec![op], ApplyOptions::default(), &key).await?;
    }
    Ok(())
}

async fn undeclared_expiry_is_refused(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let op = op::put(&key, "a").expiring(Expiry::After(Duration::from_secs(60)));
    unsupported(&store, vec![op], ApplyOptions::default(), &key).await
}

async fn undeclared_transactions_are_refused(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let mut options = ApplyOptions::default();
    options.atomic = true;
    unsupported(&store, vec![op::put(&key, "a"), op::put(&env.key("other"), "a")], options, &key).await
}

async fn undeclared_lists_are_refused(env: &Env) -> Result<()> {
    let mut scan = Scan::default();
    scan.limit = 10;
    refused("the list", env.store().raw().scan(scan).await, Kind::Unsupported)?;
    Ok(())
}

async fn undeclared_watches_are_refused(env: &Env) -> Result<()> {
    refused("the watch", env.store().raw().watch(WatchSpec::default()).await, Kind::Unsupported)?;
    Ok(())
}

async fn undeclared_resuming_is_refused(env: &Env) -> Result<()> {
    let mut spec = WatchSpec::default();
    spec.prefix = env.prefix().to_owned();
    spec.after = Some(0);
    refused("the watch", env.store().raw().watch(spec).await, Kind::Unsupported)?;
    Ok(())
}

async fn undeclared_content_types_are_refused(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    unsupported(&store, vec![op::put(&key, "a").typed("text/plain")], ApplyOptions::default(), &key).await
}

async fn undeclared_idempotency_is_refused(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let mut options = ApplyOptions::default();
    options.idempotency_key = Some("once".to_owned());
    unsupported(&store, vec![op::put(&key, "a")], options, &key).await
}

async fn ordered_lists_are_lists(env: &Env) -> Result<()> {
    ensure!(env.caps().list, "ordered lists are declared, lists are not");
    Ok(())
}

async fn a_store_in_order_has_no_trouble(env: &Env) -> Result<()> {
    let store = env.store();
    store.put(&env.key("k"), "a").await?;
    equal("the trouble", store.raw().trouble(), None)
}

async fn capabilities_do_not_change_by_use(env: &Env) -> Result<()> {
    let timed = env.open().await?;
    let before = timed.store.raw().caps();
    for name in ["a", "b"] {
        timed.store.put(&env.key(name), "a").await?;
        timed.store.get(&env.key(name)).await?;
    }
    equal("the capabilities", timed.store.raw().caps(), before.clone())?;
    equal("those of another store", env.caps(), before)?;
    timed.close().await;
    Ok(())
}

async fn an_acknowledgement_is_as_durable_as_declared(env: &Env) -> Result<()> {
    let store = env.store();
    let applied = store.raw().apply(vec![op::put(&env.key("k"), "a")], ApplyOptions::default()).await?;
    equal("the durability", applied.durability, env.caps().durability)
}
