//! A backend that goes away, stops answering or is cut off, and comes back.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use pillion_spi::state::{ApplyOptions, Condition, Key, OpOutcome, ReadOptions, WatchEvent};
use pillion_spi::{Clock, Error, Kind, Outcome, SystemClock};

use crate::env::{Env, Store, Timed, equal, eventually, within};
use crate::fixture::Place;
use crate::op::{self, OpExt as _};
use crate::proxy::{Accept, BLACK_HOLE, Cut, End, Faults as Network, Pass, Proxy, Way};
use crate::seed;
use crate::suite::cases;

cases! {
    a_killed_backend_comes_back [Faults];
    acknowledged_writes_outlive_a_killed_backend [Faults, Durable];
    a_frozen_backend_costs_a_deadline_and_comes_back [Faults];
    a_black_hole_costs_a_deadline_and_ends [Faults];
    a_refused_connection_rejects_writes [Faults];
    a_write_without_answer_is_unknown [Faults];
    a_lost_answer_is_never_a_conflict [Faults, Conditions];
    an_answer_cut_off_is_not_taken_for_one [Faults];
    a_lost_transaction_took_effect_whole_or_not [Faults, Transact];
    trouble_is_told_while_it_lasts [Faults];
    capabilities_outlive_a_lost_connection [Faults];
    a_slow_network_only_slows [Faults];
    a_watch_survives_a_lost_connection [Faults, Watch];
    a_watch_survives_a_killed_backend [Faults, Watch];
    opening_without_backend_can_be_tried_again [Faults];
    opening_at_a_silent_backend_ends [Faults];
    closing_at_a_silent_backend_ends [Faults];
    histories_with_lost_connections_are_linearizable [Faults, Conditions];
}

/// A store behind a proxy.
struct Stand {
    place: Place,
    proxy: Proxy,
    timed: Timed,
}

impl Stand {
    async fn new(env: &Env) -> Result<Self> {
        let (place, proxy) = env.subject().fixture.faulty().await?;
        let timed = env.open_at(&place).await?;
        Ok(Self { place, proxy, timed })
    }

    fn store(&self) -> &Store {
        &self.timed.store
    }

    /// Waits until a write and a read succeed.
    async fn healed(&self, key: &Key) -> Result<()> {
        eventually("the store works again", || async {
            Ok(write(self.store(), key, "healed", Condition::None).await.is_ok()
                && within("a read", self.store().value(key)).await?.is_ok_and(|value| value == Some("healed".into())))
        })
        .await
    }

    async fn end(self) -> Result<()> {
        within("closing", self.timed.close()).await?;
        self.proxy.stop().await;
        Ok(())
    }
}

/// Stores a value with a deadline, after which the store itself should give up.
async fn write(store: &Store, key: &Key, value: &'static str, condition: Condition) -> Result<OpOutcome, Error> {
    let mut options = ApplyOptions::default();
    options.deadline = Some(SystemClock.now() + Duration::from_millis(500));
    let ops = vec![op::put(key, value).when(condition)];
    let clock: &dyn Clock = &SystemClock;
    // As the core does: a deadline is kept whatever the component does.
    let limit = Duration::from_millis(600);
    match clock.timeout(limit, store.raw().apply(ops, options)).await {
        Ok(applied) => match applied?.outcomes.pop() {
            Some(OpOutcome::Failed(error)) => Err(error),
            Some(outcome) => Ok(outcome),
            None => Err(Error::internal("no outcome")),
        },
        Err(_) => Err(Error::new(Kind::Deadline, "given up by the caller").outcome_unknown()),
    }
}

fn failed(what: &str, result: Result<OpOutcome, Error>) -> Result<Error> {
    match result {
        Ok(outcome) => bail!("{what}: expected a failure, got {outcome:?}"),
        Err(error) => {
            let temporary = matches!(error.kind(), Kind::Unavailable | Kind::Deadline);
            ensure!(temporary, "{what}: {:?} is no failure that passes: {error}", error.kind());
            Ok(error)
        }
    }
}

async fn a_killed_backend_comes_back(env: &Env) -> Result<()> {
    let (stand, key) = (Stand::new(env).await?, env.key("k"));
    for _ in 0..3 {
        stand.healed(&key).await?;
        stand.place.crash().await?;
    }
    stand.healed(&key).await?;
    stand.end().await
}

async fn acknowledged_writes_outlive_a_killed_backend(env: &Env) -> Result<()> {
    let stand = Stand::new(env).await?;
    let mut versions = Vec::new();
    for number in 0..50 {
        versions.push(stand.store().put(&env.key(&number.to_string()), number.to_string()).await?);
    }
    stand.place.crash().await?;
    stand.healed(&env.key("probe")).await?;
    for (number, version) in versions.into_iter().enumerate() {
        let entry = stand.store().entry(&env.key(&number.to_string())).await?;
        equal("the version", entry.version, version)?;
        equal("the value", entry.value, number.to_string().into())?;
    }
    stand.end().await
}

async fn a_frozen_backend_costs_a_deadline_and_comes_back(env: &Env) -> Result<()> {
    let (stand, key) = (Stand::new(env).await?, env.key("k"));
    stand.healed(&key).await?;
    stand.place.freeze().await?;
    for _ in 0..3 {
        failed("a write to a frozen backend", write(stand.store(), &key, "frozen", Condition::None).await)?;
    }
    stand.place.thaw().await?;
    stand.healed(&key).await?;
    stand.end().await
}

async fn a_black_hole_costs_a_deadline_and_ends(env: &Env) -> Result<()> {
    let (stand, key) = (Stand::new(env).await?, env.key("k"));
    stand.healed(&key).await?;
    stand.proxy.set(BLACK_HOLE).await?;
    for _ in 0..3 {
        failed("a write into a black hole", write(stand.store(), &key, "lost", Condition::None).await)?;
        let mut options = ReadOptions::default();
        options.deadline = Some(SystemClock.now() + Duration::from_millis(300));
        let read = within("a read from a black hole", stand.store().raw().read(std::slice::from_ref(&key), options));
        ensure!(read.await?.map_or(true, |all| all.iter().all(Result::is_err)), "a read was answered by nobody");
    }
    // The old connections are not ended: the store must find out by itself that they are dead, or
    // use them again.
    stand.proxy.heal().await?;
    stand.healed(&key).await?;
    stand.end().await
}

async fn a_refused_connection_rejects_writes(env: &Env) -> Result<()> {
    let (stand, key) = (Stand::new(env).await?, env.key("k"));
    stand.healed(&key).await?;
    stand.proxy.set(Network { accept: Accept::Refuse, ..Network::default() }).await?;
    stand.proxy.cut();
    // The first writes may still go into connections that are found dead only then.
    eventually("writes are rejected for sure", || async {
        let error = failed("a write to a closed port", write(stand.store(), &key, "no", Condition::None).await)?;
        Ok(error.outcome() == Outcome::Rejected)
    })
    .await?;
    stand.proxy.heal().await?;
    stand.healed(&key).await?;
    stand.end().await
}

/// Answers are swallowed from now on.
async fn without_answers(proxy: &Proxy) -> Result<()> {
    let to_client = Way { pass: Pass::Swallow, ..Way::default() };
    proxy.set(Network { to_client, ..Network::default() }).await
}

async fn a_write_without_answer_is_unknown(env: &Env) -> Result<()> {
    let stand = Stand::new(env).await?;
    stand.healed(&env.key("probe")).await?;
    let direct = direct(env, &stand).await?;
    for round in 0..3 {
        let key = env.key(&round.to_string());
        without_answers(&stand.proxy).await?;
        let error = failed("a write without answer", write(stand.store(), &key, "sent", Condition::None).await)?;
        let arrived = direct.store.get(&key).await?.is_some();
        ensure!(!arrived || error.outcome() == Outcome::Unknown, "a write that took effect was `rejected`: {error}");
        stand.proxy.heal().await?;
        stand.healed(&env.key("probe")).await?;
    }
    direct.close().await;
    stand.end().await
}

/// A store on the same backend that does not go through the proxy.
async fn direct(env: &Env, stand: &Stand) -> Result<Timed> {
    env.open_at(&stand.place.direct().await?).await
}

async fn a_lost_answer_is_never_a_conflict(env: &Env) -> Result<()> {
    let stand = Stand::new(env).await?;
    for round in 0..10 {
        stand.healed(&env.key("probe")).await?;
        let key = env.key(&round.to_string());
        // The request arrives, a part of the answer or nothing comes back, the connection ends.
        let end = if round % 2 == 0 { End::Reset } else { End::Close };
        let to_client = Way { cut_after: Some(Cut { bytes: round / 4, end }), ..Way::default() };
        stand.proxy.set(Network { to_client, ..Network::default() }).await?;
        let outcome = write(stand.store(), &key, "once", Condition::IfAbsent).await;
        match outcome {
            Err(error) => {
                let temporary = matches!(error.kind(), Kind::Unavailable | Kind::Deadline);
                ensure!(temporary, "round {round}: {:?}: {error}", error.kind());
            }
            Ok(OpOutcome::Applied { .. }) => {}
            Ok(other) => bail!("round {round}: nobody else writes this key, yet {other:?}"),
        }
        stand.proxy.heal().await?;
    }
    stand.end().await
}

async fn an_answer_cut_off_is_not_taken_for_one(env: &Env) -> Result<()> {
    let (stand, key) = (Stand::new(env).await?, env.key("k"));
    let value = "0123456789".repeat(10_000);
    stand.store().put(&key, value.clone()).await?;
    for round in 0..10 {
        let cut = Cut { bytes: round * 12_345, end: if round % 2 == 0 { End::Close } else { End::Reset } };
        let to_client = Way { cut_after: Some(cut), ..Way::default() };
        stand.proxy.set(Network { to_client, ..Network::default() }).await?;
        stand.proxy.cut();
        for _ in 0..3 {
            // A read that fails is fine; one that succeeds is whole.
            if let Ok(found) = within("a read", stand.store().value(&key)).await? {
                equal("the value", found, Some(value.clone().into()))?;
            }
        }
        stand.proxy.heal().await?;
    }
    stand.proxy.cut();
    stand.healed(&env.key("probe")).await?;
    equal("the value", stand.store().value(&key).await?, Some(value.into()))?;
    stand.end().await
}

async fn a_lost_transaction_took_effect_whole_or_not(env: &Env) -> Result<()> {
    let stand = Stand::new(env).await?;
    let direct = direct(env, &stand).await?;
    for round in 0..10_u64 {
        stand.healed(&env.key("probe")).await?;
        let keys: Vec<Key> = (0..5).map(|number| env.key(&format!("{round}-{number}"))).collect();
        let to_server = Way { cut_after: Some(Cut { bytes: round * 60, end: End::Reset }), ..Way::default() };
        stand.proxy.set(Network { to_server, ..Network::default() }).await?;
        let ops = keys.iter().map(|key| op::put(key, "all or nothing")).collect();
        let acknowledged = within("a transaction", stand.store().apply(ops, true)).await?.is_ok();
        stand.proxy.heal().await?;
        eventually("the transaction took effect whole or not at all", || async {
            let mut there = 0;
            for key in &keys {
                there += usize::from(direct.store.get(key).await?.is_some());
            }
            Ok(there == keys.len() || (there == 0 && !acknowledged))
        })
        .await?;
    }
    direct.close().await;
    stand.end().await
}

async fn trouble_is_told_while_it_lasts(env: &Env) -> Result<()> {
    let (stand, key) = (Stand::new(env).await?, env.key("k"));
    stand.healed(&key).await?;
    equal("the trouble", stand.store().raw().trouble(), None)?;
    stand.proxy.set(Network { accept: Accept::Refuse, ..Network::default() }).await?;
    stand.proxy.cut();
    eventually("the trouble is told", || async {
        // Some stores notice only when they are used.
        let _ = write(stand.store(), &key, "no", Condition::None).await;
        Ok(stand.store().raw().trouble().is_some_and(|trouble| !trouble.cause.is_empty()))
    })
    .await?;
    stand.proxy.heal().await?;
    stand.healed(&key).await?;
    eventually("the trouble is over", || async { Ok(stand.store().raw().trouble().is_none()) }).await?;
    stand.end().await
}

async fn capabilities_outlive_a_lost_connection(env: &Env) -> Result<()> {
    let (stand, key) = (Stand::new(env).await?, env.key("k"));
    stand.healed(&key).await?;
    let before = stand.store().raw().caps();
    for _ in 0..5 {
        stand.proxy.cut();
        stand.healed(&key).await?;
    }
    equal("the capabilities", stand.store().raw().caps(), before)?;
    stand.end().await
}

async fn a_slow_network_only_slows(env: &Env) -> Result<()> {
    let stand = Stand::new(env).await?;
    let way = Way { delay: Duration::from_millis(5), jitter: Duration::from_millis(10), ..Way::default() };
    stand.proxy.set(Network { to_server: way, to_client: way, ..Network::default() }).await?;
    let calls = (0..32).map(|number| {
        let (store, key) = (stand.store().clone(), env.key(&number.to_string()));
        tokio::spawn(async move {
            for round in 0..5 {
                let value = format!("{number}-{round}");
                store.put(&key, value.clone()).await?;
                equal("the value", store.value(&key).await?, Some(value.into()))?;
            }
            anyhow::Ok(())
        })
    });
    for call in futures::future::try_join_all(calls).await? {
        call?;
    }
    stand.end().await
}

/// Whether a watcher that follows from now on comes to know `value` at `key`.
async fn comes_to_know(watcher: &mut crate::env::Watcher, key: &Key, value: &str) -> Result<()> {
    loop {
        if let WatchEvent::Put { entry, .. } = watcher.next().await.with_context(|| format!("`{value}`"))?
            && entry.key == *key
            && entry.value == value
        {
            return Ok(());
        }
    }
}

async fn a_watch_survives_a_lost_connection(env: &Env) -> Result<()> {
    let (stand, key) = (Stand::new(env).await?, env.key("k"));
    let direct = direct(env, &stand).await?;
    let mut watcher = stand.store().watch(env.prefix(), false, None).await?;
    watcher.snapshot().await?;
    for value in ["first", "second", "third"] {
        // The change happens while nobody can tell the watcher.
        stand.proxy.set(Network { accept: Accept::Refuse, ..Network::default() }).await?;
        stand.proxy.cut();
        direct.store.put(&key, value).await?;
        stand.proxy.heal().await?;
        comes_to_know(&mut watcher, &key, value).await?;
    }
    direct.close().await;
    stand.end().await
}

async fn a_watch_survives_a_killed_backend(env: &Env) -> Result<()> {
    let (stand, key) = (Stand::new(env).await?, env.key("k"));
    let mut watcher = stand.store().watch(env.prefix(), false, None).await?;
    watcher.snapshot().await?;
    stand.place.crash().await?;
    stand.healed(&key).await?;
    comes_to_know(&mut watcher, &key, "healed").await?;
    stand.end().await
}

async fn opening_without_backend_can_be_tried_again(env: &Env) -> Result<()> {
    let (place, proxy) = env.subject().fixture.faulty().await?;
    proxy.set(Network { accept: Accept::Refuse, ..Network::default() }).await?;
    match env.open_at(&place).await {
        // Some stores connect later; then they must say that they are in trouble, or come right.
        Ok(timed) => timed.close().await,
        Err(error) => {
            let kind = error.downcast_ref::<Error>().map(Error::kind);
            ensure!(kind.is_some_and(|kind| kind != Kind::Config), "opening is not tried again after {error:#}");
        }
    }
    proxy.heal().await?;
    let timed = env.open_at(&place).await?;
    timed.store.put(&env.key("k"), "a").await?;
    timed.close().await;
    Ok(())
}

async fn opening_at_a_silent_backend_ends(env: &Env) -> Result<()> {
    let (place, proxy) = env.subject().fixture.faulty().await?;
    proxy.set(BLACK_HOLE).await?;
    match env.open_at(&place).await {
        Ok(timed) => within("closing", timed.close()).await?,
        Err(error) => ensure!(error.downcast_ref::<Error>().is_some(), "the store did not give up: {error:#}"),
    }
    Ok(())
}

async fn closing_at_a_silent_backend_ends(env: &Env) -> Result<()> {
    let stand = Stand::new(env).await?;
    stand.healed(&env.key("k")).await?;
    stand.proxy.set(BLACK_HOLE).await?;
    let calls: Vec<_> = (0..8)
        .map(|number| {
            let (store, key) = (stand.store().clone(), env.key(&number.to_string()));
            tokio::spawn(async move { store.put(&key, "never").await.is_ok() })
        })
        .collect();
    tokio::task::yield_now().await;
    within("closing", stand.timed.close()).await?;
    within("calls under way", futures::future::try_join_all(calls)).await??;
    equal("the number of tasks", stand.timed.opened.env.task_count(), 0)
}

async fn histories_with_lost_connections_are_linearizable(env: &Env) -> Result<()> {
    let stand = Stand::new(env).await?;
    let seed = seed::from_environment();
    for round in 0..10 {
        stand.healed(&env.key("probe")).await?;
        let keys: Vec<Key> = (0..2).map(|number| env.key(&format!("{round}-{number}"))).collect();
        let store = stand.store().clone();
        let seed = seed.wrapping_add(round);
        let clients = tokio::spawn(async move { crate::register::storm(&store, &keys, 4, 15, seed).await });
        while !clients.is_finished() {
            SystemClock.sleep(Duration::from_millis(3)).await;
            stand.proxy.cut();
        }
        clients.await??.check().with_context(|| format!("history {round}, seed {seed}"))?;
    }
    stand.end().await
}
