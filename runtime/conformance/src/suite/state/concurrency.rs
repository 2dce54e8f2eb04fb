//! Many at once.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use futures::future::try_join_all;
use pillion_spi::state::{Condition, Key, OpOutcome};

use crate::bank::Bank;
use crate::env::{Env, Store, equal};
use crate::op::{self, OpExt as _};
use crate::seed::{self, Seeded};
use crate::suite::cases;

cases! {
    increments_by_if_match_are_all_counted [Conditions];
    increments_from_nothing_are_all_counted [Conditions];
    plain_writes_are_all_counted [];
    one_of_many_creations_wins [Conditions];
    one_of_many_first_writes_wins [FirstWrite];
    one_of_many_deletes_wins [Conditions];
    one_of_many_transactions_wins [Transact, Conditions];
    transfers_keep_the_sum [Transact, Conditions];
    transactions_in_opposite_orders_do_not_block [Transact];
    values_are_never_torn [];
    writers_of_different_keys_do_not_conflict [Conditions];
    lists_and_writes_run_together [List];
    histories_are_linearizable [Conditions];
}

const TASKS: usize = 8;

/// Runs `task` so many times at once and returns what each gives.
async fn together<T, F>(tasks: usize, task: impl Fn(usize) -> F) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let running = (0..tasks).map(|number| tokio::spawn(task(number)));
    try_join_all(running).await?.into_iter().collect()
}

fn number(value: &[u8]) -> Result<u64> {
    std::str::from_utf8(value)?.parse().context("not a number")
}

/// Adds one to the number at `key`, as often as it takes.
async fn increment(store: &Store, key: &Key) -> Result<()> {
    for _ in 0..10_000 {
        let (next, condition) = match store.get(key).await? {
            Some(entry) => (number(&entry.value)? + 1, Condition::IfMatch(entry.version)),
            None => (1, Condition::IfAbsent),
        };
        match store.one(op::put(key, next.to_string()).when(condition)).await? {
            OpOutcome::Applied { .. } => return Ok(()),
            OpOutcome::Conflict { .. } => {}
            other => bail!("{other:?}"),
        }
    }
    bail!("ten thousand attempts to increment failed")
}

async fn count_up(env: &Env, begin: Option<u64>) -> Result<()> {
    const ROUNDS: usize = 25;
    let (store, key) = (env.store(), env.key("k"));
    if let Some(begin) = begin {
        store.put(&key, begin.to_string()).await?;
    }
    together(TASKS, |_| {
        let (store, key) = (store.clone(), key.clone());
        async move {
            for _ in 0..ROUNDS {
                increment(&store, &key).await?;
            }
            Ok(())
        }
    })
    .await?;
    let entry = store.entry(&key).await?;
    let writes = (TASKS * ROUNDS) as u64;
    equal("the sum", number(&entry.value)?, begin.unwrap_or(0) + writes)?;
    equal("the counter", entry.version.counter, writes + u64::from(begin.is_some()))
}

async fn increments_by_if_match_are_all_counted(env: &Env) -> Result<()> {
    count_up(env, Some(1000)).await
}

async fn increments_from_nothing_are_all_counted(env: &Env) -> Result<()> {
    count_up(env, None).await
}

async fn plain_writes_are_all_counted(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let versions = together(TASKS, |task| {
        let (store, key) = (store.clone(), key.clone());
        async move {
            let mut versions = Vec::new();
            for round in 0..25 {
                versions.push(store.put(&key, format!("{task}-{round}")).await?);
            }
            Ok(versions)
        }
    })
    .await?;
    let mut counters: Vec<u64> = versions.iter().flatten().map(|version| version.counter).collect();
    counters.sort_unstable();
    equal("the counters", counters, (1..=TASKS as u64 * 25).collect())?;
    let last = versions.iter().flatten().max_by_key(|version| version.counter);
    equal("the last version", Some(&store.entry(&key).await?.version), last)
}

/// So many tasks try the same write at once, and exactly one of them succeeds. Returns its number.
async fn race(store: &Store, op: impl Fn(usize) -> Vec<pillion_spi::state::Op>) -> Result<usize> {
    let ops: Vec<_> = (0..16).map(op).collect();
    let outcomes = together(ops.len(), |task| {
        let (store, ops) = (store.clone(), ops[task].clone());
        async move {
            let atomic = ops.len() > 1;
            let outcomes = store.apply(ops, atomic).await?;
            match &outcomes[..] {
                all if all.iter().all(|outcome| matches!(outcome, OpOutcome::Applied { .. })) => Ok(true),
                all if all.iter().any(|outcome| matches!(outcome, OpOutcome::Conflict { .. })) => Ok(false),
                other => bail!("{other:?}"),
            }
        }
    })
    .await?;
    let winners: Vec<usize> = outcomes.iter().enumerate().filter(|(_, won)| **won).map(|(task, _)| task).collect();
    match winners[..] {
        [winner] => Ok(winner),
        _ => bail!("{} winners: {winners:?}", winners.len()),
    }
}

async fn one_of_many_creations_wins(env: &Env) -> Result<()> {
    let store = env.store();
    for round in 0..20 {
        let key = env.key(&round.to_string());
        let winner = race(&store, |task| vec![op::put(&key, task.to_string()).when(Condition::IfAbsent)]).await?;
        equal("the value", store.value(&key).await?, Some(winner.to_string().into()))?;
    }
    Ok(())
}

async fn one_of_many_first_writes_wins(env: &Env) -> Result<()> {
    let store = env.store();
    for round in 0..20 {
        let key = env.key(&round.to_string());
        let winner =
            race(&store, |task| vec![op::put(&key, task.to_string()).when(Condition::FirstWrite(None))]).await?;
        equal("the value", store.value(&key).await?, Some(winner.to_string().into()))?;
    }
    Ok(())
}

async fn one_of_many_deletes_wins(env: &Env) -> Result<()> {
    let store = env.store();
    for round in 0..20 {
        let key = env.key(&round.to_string());
        let version = store.put(&key, "a").await?;
        race(&store, |_| vec![op::delete(&key).when(Condition::IfMatch(version))]).await?;
        equal("the entry", store.get(&key).await?, None)?;
    }
    Ok(())
}

async fn one_of_many_transactions_wins(env: &Env) -> Result<()> {
    let store = env.store();
    for round in 0..10 {
        let keys = [env.key(&format!("{round}-a")), env.key(&format!("{round}-b"))];
        let winner = race(&store, |task| {
            keys.iter().map(|key| op::put(key, task.to_string()).when(Condition::IfAbsent)).collect()
        })
        .await?;
        for key in &keys {
            equal("the value", store.value(key).await?, Some(winner.to_string().into()))?;
        }
    }
    Ok(())
}

async fn transfers_keep_the_sum(env: &Env) -> Result<()> {
    let seed = seed::from_environment();
    let (store, bank) = (env.store(), Bank::new(5, 100));
    let keys: Arc<Vec<Key>> = Arc::new((0..bank.accounts()).map(|account| env.key(&account.to_string())).collect());
    let opening = keys.iter().map(|key| op::put(key, bank.opening_balance().to_string())).collect();
    store.apply(opening, true).await?;
    let transfers = Arc::new(AtomicU64::new(0));
    together(TASKS, |task| {
        let (store, keys, transfers) = (store.clone(), keys.clone(), transfers.clone());
        let mut random = Seeded::new(seed.wrapping_add(task as u64));
        async move {
            for _ in 0..25 {
                let from = random.below(keys.len());
                let to = (from + 1 + random.below(keys.len() - 1)) % keys.len();
                let (payer, payee) = (store.entry(&keys[from]).await?, store.entry(&keys[to]).await?);
                let amount = 1 + random.below(20) as u64;
                let (Some(left), gained) = (number(&payer.value)?.checked_sub(amount), number(&payee.value)? + amount)
                else {
                    continue;
                };
                let ops = vec![
                    op::put(&payer.key, left.to_string()).when(Condition::IfMatch(payer.version)),
                    op::put(&payee.key, gained.to_string()).when(Condition::IfMatch(payee.version)),
                ];
                let outcomes = store.apply(ops, true).await?;
                if outcomes.iter().all(|outcome| matches!(outcome, OpOutcome::Applied { .. })) {
                    transfers.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok(())
        }
    })
    .await?;
    let (mut balances, mut writes) = (Vec::new(), 0);
    for key in keys.iter() {
        let entry = store.entry(key).await?;
        writes += entry.version.counter - 1;
        balances.push(Some(entry.value));
    }
    bank.check(&balances).with_context(|| format!("seed {seed}"))?;
    let transfers = transfers.load(Ordering::Relaxed);
    ensure!(transfers > 0, "no transfer succeeded: the case says nothing");
    equal("the number of writes", writes, 2 * transfers)
}

async fn transactions_in_opposite_orders_do_not_block(env: &Env) -> Result<()> {
    let store = env.store();
    let keys: Arc<Vec<Key>> = Arc::new((0..10).map(|number| env.key(&number.to_string())).collect());
    together(TASKS, |task| {
        let (store, keys) = (store.clone(), keys.clone());
        async move {
            for round in 0..20 {
                let mut ops: Vec<_> = keys.iter().map(|key| op::put(key, format!("{task}-{round}"))).collect();
                if task % 2 == 1 {
                    ops.reverse();
                }
                for outcome in store.apply(ops, true).await? {
                    ensure!(matches!(outcome, OpOutcome::Applied { .. }), "{outcome:?}");
                }
            }
            Ok(())
        }
    })
    .await?;
    let first = store.entry(&keys[0]).await?;
    equal("the counter", first.version.counter, TASKS as u64 * 20)?;
    for key in keys.iter() {
        equal("the value", store.value(key).await?, Some(first.value.clone()))?;
    }
    Ok(())
}

async fn values_are_never_torn(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.put(&key, vec![0; 64 << 10]).await?;
    together(TASKS, |task| {
        let (store, key) = (store.clone(), key.clone());
        async move {
            for round in 0..20 {
                if task % 2 == 0 {
                    let length = (64 << 10) + task * 1000 + round;
                    store.put(&key, vec![u8::try_from(task)?; length]).await?;
                } else {
                    let value = store.value(&key).await?.unwrap_or_default();
                    let begin = value.first().copied();
                    ensure!(value.iter().all(|byte| Some(*byte) == begin), "a value of two writes");
                    let tail = value.len().checked_sub(64 << 10).map(|tail| tail / 1000);
                    ensure!(tail == begin.map(usize::from), "a value of {} bytes was never written", value.len());
                }
            }
            Ok(())
        }
    })
    .await?;
    Ok(())
}

async fn writers_of_different_keys_do_not_conflict(env: &Env) -> Result<()> {
    let store = env.store();
    together(TASKS, |task| {
        let (store, key) = (store.clone(), env.key(&task.to_string()));
        async move {
            let mut version = store.write(op::put(&key, "0").when(Condition::IfAbsent)).await?;
            for round in 1..25 {
                version = store.write(op::put(&key, round.to_string()).when(Condition::IfMatch(version))).await?;
            }
            equal("the counter", version.counter, 25)
        }
    })
    .await?;
    Ok(())
}

async fn lists_and_writes_run_together(env: &Env) -> Result<()> {
    let store = env.store();
    let ops = (0..300).map(|number| op::put(&env.key(&number.to_string()), "a")).collect();
    store.apply(ops, false).await?;
    together(4, |task| {
        let (store, prefix) = (store.clone(), env.prefix().to_owned());
        async move {
            for round in 0..10 {
                if task % 2 == 0 {
                    let listed = store.list(&prefix, 50, true).await?;
                    let keys: std::collections::BTreeSet<_> = listed.into_iter().map(|entry| entry.key).collect();
                    equal("the number of keys", keys.len(), 300)?;
                } else {
                    for number in 0..30 {
                        let key = Key::new(format!("{prefix}{}", (number * 10 + round) % 300));
                        store.put(&key, Bytes::from(round.to_string())).await?;
                    }
                }
            }
            Ok(())
        }
    })
    .await?;
    Ok(())
}

/// How many histories are recorded; `PILLION_HISTORIES` asks for another number.
const HISTORIES: u64 = 50;

async fn histories_are_linearizable(env: &Env) -> Result<()> {
    let wanted = std::env::var("PILLION_HISTORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(HISTORIES);
    let seed = seed::from_environment();
    for round in 0..wanted {
        let seed = seed.wrapping_add(round);
        let keys: Vec<Key> = (0..2).map(|number| env.key(&format!("{round}-{number}"))).collect();
        crate::register::storm(&env.store(), &keys, 5, 12, seed)
            .await?
            .check()
            .with_context(|| format!("history {round}, seed {seed}"))?;
    }
    Ok(())
}
