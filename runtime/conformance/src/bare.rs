//! A store that declares nothing, so that the cases about undeclared operations have something to
//! say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use pillion_spi::caps::StateCaps;
use pillion_spi::state::{
    Action, Applied, ApplyOptions, Entry, Generation, Key, Op, OpOutcome, ReadOptions, StateStore, Version,
};
use pillion_spi::{Component, Error, OpenEnv, Random, Result};
use schemars::JsonSchema;
use serde::Deserialize;

/// Nothing to set.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

/// Reads and writes single entries, and no more.
#[derive(Debug)]
pub struct Bare {
    /// `None` once it is closed.
    entries: Mutex<Option<HashMap<Key, (Bytes, Version)>>>,
    random: Arc<dyn Random>,
}

#[async_trait]
impl Component for Bare {
    const TYPE: &'static str = "state.bare";
    type Config = Settings;

    async fn open(_: Settings, env: OpenEnv) -> Result<Self> {
        Ok(Self { entries: Mutex::new(Some(HashMap::new())), random: env.random })
    }

    async fn close(&self) {
        *self.entries.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Bare {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<Key, (Bytes, Version)>) -> T) -> Result<T> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.as_mut().map(work).ok_or_else(|| Error::unavailable("the store is closed"))
    }

    fn write(&self, entries: &mut HashMap<Key, (Bytes, Version)>, op: Op) -> OpOutcome {
        let before = entries.remove(&op.key).map(|(_, version)| version);
        let version = match op.action {
            Action::Delete => None,
            Action::Put { value, .. } => {
                let version = match before {
                    Some(before) => Version { counter: before.counter + 1, ..before },
                    None => Version { counter: 1, generation: Some(Generation::from_random(self.random.u64())) },
                };
                entries.insert(op.key, (value, version));
                Some(version)
            }
        };
        OpOutcome::Applied { version, existed: before.is_some() }
    }
}

#[async_trait]
impl StateStore for Bare {
    fn caps(&self) -> StateCaps {
        StateCaps::default()
    }

    async fn read(&self, keys: &[Key], _: ReadOptions) -> Result<Vec<Result<Option<Entry>>>> {
        self.with(|entries| {
            let entry = |key: &Key| {
                let (value, version) = entries.get(key)?.clone();
                Some(Entry { key: key.clone(), value, content_type: None, version, expires_in: None })
            };
            keys.iter().map(|key| Ok(entry(key))).collect()
        })
    }

    async fn apply(&self, ops: Vec<Op>, _: ApplyOptions) -> Result<Applied> {
        let outcomes = self.with(|entries| ops.into_iter().map(|op| self.write(entries, op)).collect())?;
        Ok(Applied { outcomes, durability: self.caps().durability })
    }
}
