//! The cases: each is one `async fn(&Env) -> Result<()>`, listed once, run on every store that
//! declares what it needs.

#[cfg(feature = "memory")]
#[cfg(test)]
mod planted;
pub mod state;

use anyhow::Result;
use futures::future::BoxFuture;
use pillion_spi::LocalDurability;
use pillion_spi::caps::{FirstWrite, StateCaps, Transact, Ttl, Watch};

use crate::env::Env;
use crate::fixture::Subject;

/// One case.
pub struct Case {
    /// The name of its function.
    pub name: &'static str,
    /// What a store must declare, or not declare, for the case to say anything about it.
    pub needs: &'static [Need],
    /// It looks at the whole process, so it must have one to itself.
    pub alone: bool,
    /// The case itself.
    pub run: for<'a> fn(&'a Env) -> BoxFuture<'a, Result<()>>,
}

/// A named group of cases.
pub struct Suite {
    /// The name of its module.
    pub name: &'static str,
    /// Its cases.
    pub cases: &'static [Case],
}

/// Something that a store declares, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Conditional writes.
    Conditions,
    /// First-write-wins, of any kind.
    FirstWrite,
    /// First-write-wins that concerns only the write that asks for it.
    ExactFirstWrite,
    /// First-write-wins that marks the entry.
    StickyFirstWrite,
    /// Entries expire.
    Ttl,
    /// Entries expire within a second of their time.
    ExactTtl,
    /// Time is what the store is given, not what a backend says.
    InjectedTime,
    /// Atomic groups, at least of keys that share a hash tag.
    Transact,
    /// Atomic groups of any keys.
    TransactAll,
    /// Lists.
    List,
    /// Lists in key order.
    OrderedList,
    /// Watches.
    Watch,
    /// Watches that start from an earlier revision.
    ResumableWatch,
    /// Content types are kept.
    ContentType,
    /// Reads that see every acknowledged write.
    StrongReads,
    /// Repeated calls are recognised.
    Idempotency,
    /// Acknowledged writes outlive the process.
    Durable,
    /// Two stores can be open on one place at once.
    SharedPlace,
    /// The backend can be made to fail.
    Faults,
    /// The opposite of another need.
    Not(&'static Need),
}

impl Need {
    /// Whether `subject`, declaring `caps`, has it.
    pub fn met(self, subject: &Subject, caps: &StateCaps) -> bool {
        match self {
            Self::Conditions => caps.conditions,
            Self::FirstWrite => caps.first_write != FirstWrite::None,
            Self::ExactFirstWrite => caps.first_write == FirstWrite::Exact,
            Self::StickyFirstWrite => caps.first_write == FirstWrite::Sticky,
            Self::Ttl => caps.ttl != Ttl::None,
            Self::ExactTtl => caps.ttl == Ttl::Exact,
            Self::InjectedTime => subject.fixture.injected_time(),
            Self::Transact => caps.transact != Transact::None,
            Self::TransactAll => caps.transact == Transact::All,
            Self::List => caps.list,
            Self::OrderedList => caps.ordered_list,
            Self::Watch => caps.watch != Watch::None,
            Self::ResumableWatch => caps.watch == Watch::Resumable,
            Self::ContentType => caps.content_type,
            Self::StrongReads => caps.strong_reads,
            Self::Idempotency => caps.idempotency.is_some(),
            Self::Durable => caps.durability.local > LocalDurability::Memory,
            Self::SharedPlace => subject.fixture.shared_place(),
            Self::Faults => subject.fixture.has_faults(),
            Self::Not(need) => !need.met(subject, caps),
        }
    }
}

/// Lists the cases of a module: `name`, then what it needs in brackets, then `alone` if it needs a
/// process to itself.
macro_rules! cases {
    ($($name:ident [$($need:expr),*] $($alone:ident)?;)*) => {
        /// The cases of this module.
        pub(super) const CASES: &[$crate::suite::Case] = &[$($crate::suite::Case {
            name: stringify!($name),
            needs: {
                #[allow(unused_imports)]
                use $crate::suite::Need::*;
                &[$($need),*]
            },
            alone: $crate::suite::cases!(@alone $($alone)?),
            run: |env| Box::pin($name(env)),
        }),*];
    };
    (@alone) => { false };
    (@alone alone) => { true };
}
pub(crate) use cases;
