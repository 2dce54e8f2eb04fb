//! What a component declares that it can do, and the wrapper that holds it to that.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;

use crate::durability::Durability;
use crate::error::{Error, Kind, Result};
use crate::state::{
    Action, Applied, ApplyOptions, Condition, Entry, Expiry, Key, Op, Page, ReadOptions, Scan, StateStore, Trouble,
    WatchSpec, WatchStream,
};

/// What a state store can do. The default is nothing but reading and writing single entries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateCaps {
    /// `IfAbsent`, `IfMatch` and `IfMatchOrAbsent`, decided atomically per key.
    pub conditions: bool,
    /// How `FirstWrite` behaves.
    pub first_write: FirstWrite,
    /// Whether and how exactly entries expire.
    pub ttl: Ttl,
    /// Which writes can be made all or nothing.
    pub transact: Transact,
    /// Keys can be listed.
    pub list: bool,
    /// Lists are in key order.
    pub ordered_list: bool,
    /// Changes can be watched.
    pub watch: Watch,
    /// The content type is stored.
    pub content_type: bool,
    /// Reads can be made to see every acknowledged write.
    pub strong_reads: bool,
    /// How long a repeated call with the same idempotency key is recognised.
    pub idempotency: Option<Duration>,
    /// The longest key, in bytes.
    pub max_key: usize,
    /// The largest value, in bytes.
    pub max_value: usize,
    /// The most writes of one atomic group.
    pub max_ops: usize,
    /// The most watches at once.
    pub max_watches: usize,
    /// How durable an acknowledged write is.
    pub durability: Durability,
}

impl Default for StateCaps {
    fn default() -> Self {
        Self {
            conditions: false,
            first_write: FirstWrite::None,
            ttl: Ttl::None,
            transact: Transact::None,
            list: false,
            ordered_list: false,
            watch: Watch::None,
            content_type: false,
            strong_reads: false,
            idempotency: None,
            max_key: 1024,
            max_value: 64 << 20,
            max_ops: 1000,
            max_watches: 1000,
            durability: Durability::default(),
        }
    }
}

/// How first-write-wins behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstWrite {
    /// Not offered.
    #[default]
    None,
    /// It concerns the write that asks for it.
    Exact,
    /// It also marks the entry: later writes without condition are refused.
    Sticky,
}

/// How exactly entries expire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ttl {
    /// They do not.
    #[default]
    None,
    /// Late by up to a minute.
    Coarse,
    /// Never readable more than a second late, never gone early.
    Exact,
}

/// Which writes can be made all or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transact {
    /// None.
    #[default]
    None,
    /// Those whose keys share a hash tag.
    SameSlot,
    /// All.
    All,
}

/// How changes can be watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Watch {
    /// Not at all.
    #[default]
    None,
    /// From now on; after a gap everything is sent again.
    Live,
    /// Also from an earlier revision.
    Resumable,
}

/// Holds a store to what it declares: undeclared operations and sizes are refused before they
/// reach it.
pub struct Checked {
    inner: Arc<dyn StateStore>,
    /// One reference for the wrapper and one for each watch.
    watches: Arc<()>,
}

impl Checked {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn StateStore>) -> Self {
        Self { inner, watches: Arc::default() }
    }

    fn check_op(caps: &StateCaps, op: &Op) -> Result<()> {
        match op.condition {
            Condition::None => {}
            Condition::IfAbsent | Condition::IfMatch(_) | Condition::IfMatchOrAbsent(_) => {
                if !caps.conditions {
                    return Err(Error::unsupported("this store has no conditional writes"));
                }
            }
            Condition::FirstWrite(_) => {
                if caps.first_write == FirstWrite::None {
                    return Err(Error::unsupported("this store has no first-write-wins"));
                }
            }
        }
        check_key(caps, &op.key)?;
        if let Action::Put { value, content_type, expiry } = &op.action {
            if value.len() > caps.max_value {
                return Err(Error::new(
                    Kind::Invalid,
                    format!("the value of `{}` has {} bytes; this store takes {}", op.key, value.len(), caps.max_value),
                ));
            }
            if content_type.is_some() && !caps.content_type {
                return Err(Error::unsupported("this store keeps no content type"));
            }
            if matches!(expiry, Expiry::After(_)) && caps.ttl == Ttl::None {
                return Err(Error::unsupported("entries of this store do not expire"));
            }
        }
        Ok(())
    }
}

fn check_key(caps: &StateCaps, key: &Key) -> Result<()> {
    if key.as_str().len() > caps.max_key {
        return Err(Error::invalid(format!(
            "the stored key has {} bytes; this store takes {}",
            key.as_str().len(),
            caps.max_key
        )));
    }
    Ok(())
}

#[async_trait]
impl StateStore for Checked {
    fn caps(&self) -> StateCaps {
        self.inner.caps()
    }

    async fn read(&self, keys: &[Key], options: ReadOptions) -> Result<Vec<Result<Option<Entry>>>> {
        let caps = self.inner.caps();
        keys.iter().try_for_each(|key| check_key(&caps, key))?;
        self.inner.read(keys, options).await
    }

    async fn apply(&self, ops: Vec<Op>, options: ApplyOptions) -> Result<Applied> {
        let caps = self.inner.caps();
        ops.iter().try_for_each(|op| Self::check_op(&caps, op))?;
        if options.atomic && ops.len() > 1 {
            if caps.transact == Transact::None {
                return Err(Error::unsupported("this store has no transactions"));
            }
            if ops.len() > caps.max_ops {
                return Err(Error::invalid(format!(
                    "a transaction of {} writes; this store takes {}",
                    ops.len(),
                    caps.max_ops
                )));
            }
        }
        if options.idempotency_key.is_some() && caps.idempotency.is_none() {
            return Err(Error::unsupported("this store does not recognise repeated calls")
                .advice("leave the idempotency key out, or use a store that declares idempotency"));
        }
        self.inner.apply(ops, options).await
    }

    async fn scan(&self, scan: Scan) -> Result<Page> {
        if !self.inner.caps().list {
            return Err(Error::unsupported("this store cannot list its keys"));
        }
        self.inner.scan(scan).await
    }

    async fn watch(&self, spec: WatchSpec) -> Result<WatchStream> {
        let caps = self.inner.caps();
        match caps.watch {
            Watch::None => return Err(Error::unsupported("this store cannot report changes")),
            Watch::Live if spec.after.is_some() => {
                return Err(Error::unsupported("this store cannot resume a watch from a revision"));
            }
            Watch::Live | Watch::Resumable => {}
        }
        // Taken first: of several that come at once, none must see the room of another.
        let place = self.watches.clone();
        if Arc::strong_count(&place) - 1 > caps.max_watches {
            return Err(Error::new(
                Kind::Exhausted,
                format!("{} watches are open, and no more may be", caps.max_watches),
            )
            .advice("end watches that nobody needs, or share one with a shorter prefix"));
        }
        let events = self.inner.watch(spec).await?;
        Ok(events
            .inspect(move |_| {
                // Held by the stream.
                let _ = &place;
            })
            .boxed())
    }

    fn trouble(&self) -> Option<Trouble> {
        self.inner.trouble()
    }
}
