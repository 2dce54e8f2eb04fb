//! From the vocabulary of components to that of the contract. Done here, once.

use pillion_proto::common::v1 as common;
use pillion_proto::{Error, Reason};
use pillion_spi::{Durability, Kind, LocalDurability, Replication};

/// The public form of a component's error.
pub(crate) fn error(component: &str, error: pillion_spi::Error) -> Error {
    let reason = match error.kind() {
        Kind::Invalid => Reason::ComponentRefused,
        Kind::Reused => Reason::StateIdempotencyKeyReused,
        Kind::Denied => Reason::ComponentDenied,
        Kind::Exhausted => Reason::ComponentExhausted,
        Kind::Unavailable => Reason::ComponentUnavailable,
        Kind::Deadline => Reason::ComponentDeadline,
        Kind::Unsupported => Reason::ComponentUnsupported,
        Kind::Corrupt => Reason::ComponentCorrupt,
        _ => Reason::ComponentInternal,
    };
    let message = format!("component `{component}`: {}", error.message());
    let unknown = error.outcome() == pillion_spi::Outcome::Unknown;
    let advice = error.advice_text().map(str::to_owned);
    let mut public = Error::new(reason, message).component(component);
    if let Some(advice) = advice {
        public = public.advice(advice);
    }
    if unknown {
        public = public.outcome_unknown();
    }
    match error.into_source() {
        Some(source) => public.source(source),
        None => public,
    }
}

/// The public form of a durability class.
pub(crate) fn durability(durability: Durability) -> common::Durability {
    let local = match durability.local {
        LocalDurability::Memory => common::LocalDurability::Memory,
        LocalDurability::ProcessCrash => common::LocalDurability::ProcessCrash,
        LocalDurability::PowerLoss => common::LocalDurability::PowerLoss,
    };
    let replication = match durability.replication {
        Replication::Single => common::Replication::Single,
        Replication::Async => common::Replication::Async,
        Replication::Quorum => common::Replication::Quorum,
    };
    common::Durability { local: local.into(), replication: replication.into(), unverified: durability.unverified }
}
