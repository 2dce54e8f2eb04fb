//! Calls dropped half-way: whole or not at all, and nobody else is harmed.

use std::future::Future;
use std::sync::Arc;

use anyhow::{Result, ensure};
use bytes::Bytes;
use pillion_spi::state::{ApplyOptions, Condition, Key, Op, ReadOptions, Scan, WatchSpec};
use pillion_spi::{Error, Kind, SystemClock};

use crate::cancel::dropped_after;
use crate::env::{Env, Store, equal, eventually, within};
use crate::op::{self, OpExt as _};
use crate::suite::cases;

cases! {
    a_dropped_write_took_effect_whole_or_not [];
    a_dropped_conditional_write_took_effect_whole_or_not [Conditions];
    a_dropped_delete_took_effect_whole_or_not [];
    a_dropped_transaction_took_effect_whole_or_not [Transact];
    a_dropped_read_does_not_mix_up_answers [];
    a_dropped_list_does_not_mix_up_answers [List];
    a_dropped_start_of_a_watch_leaves_nothing [Watch];
    many_dropped_calls_leave_the_store_usable [];
    an_opening_can_be_dropped [];
}

/// Calls `attempt` with ever more polls until one call completes; a handful of times each, as
/// where it stands after so many polls depends on what else runs.
async fn anywhere<F: Future<Output = Result<bool>>>(mut attempt: impl FnMut(usize) -> F) -> Result<()> {
    for polls in 0..1000 {
        let mut completed = true;
        for _ in 0..5 {
            completed &= attempt(polls).await?;
        }
        if completed {
            return Ok(());
        }
    }
    anyhow::bail!("the call does not end within a thousand polls")
}

/// Applies `ops`, dropped after `polls`; whether it completed. Then the entries at `keys` are
/// those of `before` or of `after`.
async fn whole(
    store: &Store,
    ops: Vec<Op>,
    polls: usize,
    keys: &[Key],
    before: &[Option<Bytes>],
    after: &[Option<Bytes>],
) -> Result<bool> {
    let mut options = ApplyOptions::default();
    options.atomic = ops.len() > 1;
    let completed = dropped_after(polls, store.raw().apply(ops, options)).await.transpose()?.is_some();
    // A backend may still be about to apply it; a picture between the two may be one of two reads.
    eventually("the write took effect whole or not at all", || async {
        let mut found = Vec::new();
        for result in store.raw().read(keys, ReadOptions::default()).await? {
            found.push(result?.map(|entry| entry.value));
        }
        Ok(found == after || (!completed && found == before))
    })
    .await?;
    Ok(completed)
}

async fn a_dropped_write_took_effect_whole_or_not(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let (old, new) = (Bytes::from(vec![1; 100_000]), Bytes::from(vec![2; 50_000]));
    anywhere(|polls| {
        let (store, key, old, new) = (&store, &key, &old, &new);
        async move {
            store.put(key, old.clone()).await?;
            let before = [Some(old.clone())];
            let after = [Some(new.clone())];
            let keys = std::slice::from_ref(key);
            let completed = whole(store, vec![op::put(key, new.clone())], polls, keys, &before, &after).await?;
            settle(store, key).await?;
            Ok(completed)
        }
    })
    .await
}

/// The next write finds a store in order, and comes after whatever was dropped before it.
async fn settle(store: &Store, key: &Key) -> Result<()> {
    let version = store.put(key, "settled").await?;
    let entry = store.entry(key).await?;
    // A dropped write that reached the backend late may have come after ours.
    ensure!(entry.version.counter >= version.counter, "version {} after {version}", entry.version);
    Ok(())
}

async fn a_dropped_conditional_write_took_effect_whole_or_not(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    anywhere(|polls| {
        let (store, key) = (&store, &key);
        async move {
            let version = store.put(key, "old").await?;
            let ops = vec![op::put(key, "new").when(Condition::IfMatch(version))];
            let (before, after) = ([Some("old".into())], [Some("new".into())]);
            let completed = whole(store, ops, polls, std::slice::from_ref(key), &before, &after).await?;
            let entry = store.entry(key).await?;
            let steps = entry.version.counter - version.counter;
            ensure!(steps <= 1, "one write moved the version by {steps}");
            Ok(completed)
        }
    })
    .await
}

async fn a_dropped_delete_took_effect_whole_or_not(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    anywhere(|polls| {
        let (store, key) = (&store, &key);
        async move {
            store.put(key, "old").await?;
            whole(store, vec![op::delete(key)], polls, std::slice::from_ref(key), &[Some("old".into())], &[None]).await
        }
    })
    .await
}

async fn a_dropped_transaction_took_effect_whole_or_not(env: &Env) -> Result<()> {
    let store = env.store();
    let mut round = 0;
    anywhere(|polls| {
        round += 1;
        // Fresh keys each time: what was dropped may arrive late.
        let keys: Vec<Key> = (0..5).map(|number| env.key(&format!("{round}-{number}"))).collect();
        let store = &store;
        async move {
            for key in keys.iter().step_by(2) {
                store.put(key, "old").await?;
            }
            let before: Vec<Option<Bytes>> = (0..5).map(|n| (n % 2 == 0).then(|| "old".into())).collect();
            let after: Vec<Option<Bytes>> = (0..5).map(|n| (n != 2).then(|| "new".into())).collect();
            let ops = keys.iter().enumerate();
            let ops = ops.map(|(n, key)| if n == 2 { op::delete(key) } else { op::put(key, "new") }).collect();
            whole(store, ops, polls, &keys, &before, &after).await
        }
    })
    .await
}

async fn own_answers(env: &Env, store: &Store) -> Result<()> {
    for name in ["a", "b"] {
        equal("the value", store.value(&env.key(name)).await?, Some(Bytes::from(name)))?;
    }
    equal("what is not there", store.get(&env.key("none")).await?, None)
}

async fn a_dropped_read_does_not_mix_up_answers(env: &Env) -> Result<()> {
    let store = env.store();
    for name in ["a", "b"] {
        store.put(&env.key(name), name).await?;
    }
    let keys = [env.key("b"), env.key("a"), env.key("b")];
    anywhere(|polls| {
        let (store, keys) = (&store, &keys);
        async move {
            let completed = dropped_after(polls, store.raw().read(keys, ReadOptions::default())).await.is_some();
            own_answers(env, store).await?;
            Ok(completed)
        }
    })
    .await
}

async fn a_dropped_list_does_not_mix_up_answers(env: &Env) -> Result<()> {
    let store = env.store();
    for name in ["a", "b"] {
        store.put(&env.key(name), name).await?;
    }
    anywhere(|polls| {
        let store = &store;
        let mut scan = Scan::default();
        scan.prefix = env.prefix().to_owned();
        scan.limit = 1;
        async move {
            let completed = dropped_after(polls, store.raw().scan(scan)).await.is_some();
            own_answers(env, store).await?;
            Ok(completed)
        }
    })
    .await
}

async fn a_dropped_start_of_a_watch_leaves_nothing(env: &Env) -> Result<()> {
    let timed = env.open().await?;
    // The first watch may start what all later ones share.
    timed.store.watch(env.prefix(), false, None).await?.snapshot().await?;
    let shared = timed.opened.env.task_count();
    anywhere(|polls| {
        let store = &timed.store;
        let mut spec = WatchSpec::default();
        spec.prefix = env.prefix().to_owned();
        async move { Ok(dropped_after(polls, store.raw().watch(spec)).await.is_some()) }
    })
    .await?;
    eventually("tasks of dropped watches end", || async { Ok(timed.opened.env.task_count() <= shared) }).await?;
    timed.store.put(&env.key("k"), "a").await?;
    let (entries, _) = timed.store.watch(env.prefix(), false, None).await?.snapshot().await?;
    equal("the number of entries", entries.len(), 1)?;
    timed.close().await;
    Ok(())
}

async fn many_dropped_calls_leave_the_store_usable(env: &Env) -> Result<()> {
    let store = env.store();
    for name in ["a", "b"] {
        store.put(&env.key(name), name).await?;
    }
    let calls = (0..500).map(|number| {
        let (store, key) = (store.clone(), env.key(&format!("dropped-{number}")));
        tokio::spawn(async move {
            let _ = dropped_after(number % 4, store.put(&key, vec![0; 10_000])).await;
            let _ = dropped_after(number % 3, store.get(&key)).await;
        })
    });
    within("the dropped calls", futures::future::try_join_all(calls)).await??;
    own_answers(env, &store).await
}

async fn an_opening_can_be_dropped(env: &Env) -> Result<()> {
    let subject = env.subject();
    let place = subject.fixture.place().await?;
    anywhere(|polls| {
        let place = &place;
        async move {
            match dropped_after(polls, subject.open(place, Arc::new(SystemClock))).await.transpose()? {
                Some(opened) => {
                    opened.state.close().await;
                    Ok(true)
                }
                None => {
                    // What was begun may take a moment to end; until then the next attempt may
                    // fail, but not for ever.
                    eventually("another opening succeeds", || async {
                        match subject.open(place, Arc::new(SystemClock)).await {
                            Ok(opened) => {
                                opened.state.close().await;
                                Ok(true)
                            }
                            Err(error) => match error.downcast_ref::<Error>().map(Error::kind) {
                                Some(Kind::Config) | None => Err(error),
                                Some(_) => Ok(false),
                            },
                        }
                    })
                    .await?;
                    Ok(false)
                }
            }
        }
    })
    .await
}
