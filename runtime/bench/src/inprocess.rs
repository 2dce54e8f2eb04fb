//! Calls within one process: what the handle, the hooks and the component cost without any socket.

use std::collections::HashMap;
use std::future::Future;
use std::sync::RwLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use pillion::proto::state::v1::GetRequest;
use serde::{Deserialize, Serialize};

use crate::clock::now;
use crate::wire::{KEY, value};

/// Nanoseconds per read.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct InProcess {
    /// `p.apis().state.get(cx, request)`, the request built each time.
    pub api: f64,
    /// `p.state().get::<Bytes>(key).await`.
    pub handle: f64,
    /// A map behind a lock, through a boxed future: what reading costs without a runtime.
    pub map: f64,
}

/// How many calls are made between looks at the clock.
const BATCH: u32 = 500;

/// Measures the ways to read from memory, in turns.
pub async fn measure(window: Duration) -> Result<InProcess> {
    let p = pillion::embedded().await?;
    let state = p.state();
    state.set(KEY, value()).await?;
    let found: Option<Bytes> = state.get(KEY).await?;
    ensure!(found == Some(value()), "the store did not give back what was written");

    let map = RwLock::new(HashMap::from([(KEY.to_owned(), value())]));
    let (mut api, mut handle, mut bare) = (Timer::default(), Timer::default(), Timer::default());
    let end = now() + window;
    while now() < end {
        api.batch(|| async {
            let request = GetRequest { key: KEY.to_owned(), ..GetRequest::default() };
            Ok(p.apis().state.get(&p.cx(), request).await?.entry.is_some())
        })
        .await?;
        handle.batch(|| async { Ok(state.get::<Bytes>(KEY).await?.is_some()) }).await?;
        bare.batch(|| Box::pin(async { Ok(read(&map, KEY)?.is_some()) })).await?;
    }
    p.close().await;
    Ok(InProcess { api: api.nanos(), handle: handle.nanos(), map: bare.nanos() })
}

fn read(map: &RwLock<HashMap<String, Bytes>>, key: &str) -> Result<Option<(String, Bytes)>> {
    let map = map.read().ok().context("the map's lock was poisoned")?;
    Ok(map.get(std::hint::black_box(key)).map(|value| (key.to_owned(), value.clone())))
}

#[derive(Default)]
struct Timer {
    calls: u32,
    time: Duration,
}

impl Timer {
    async fn batch<F: Future<Output = Result<bool>>>(&mut self, call: impl Fn() -> F) -> Result<()> {
        let began = now();
        for _ in 0..BATCH {
            ensure!(call().await?, "the entry is gone");
        }
        self.time += began.elapsed();
        self.calls += BATCH;
        Ok(())
    }

    fn nanos(&self) -> f64 {
        self.time.as_nanos() as f64 / f64::from(self.calls.max(1))
    }
}
