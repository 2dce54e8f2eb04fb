//! Short ways to write operations.

use bytes::Bytes;
use pillion_spi::state::{Action, Condition, Expiry, Key, Op};

/// Stores `value`, whatever is there.
pub fn put(key: &Key, value: impl Into<Bytes>) -> Op {
    Op {
        key: key.clone(),
        condition: Condition::None,
        action: Action::Put { value: value.into(), content_type: None, expiry: Expiry::Never },
    }
}

/// Removes the entry, whatever is there.
pub fn delete(key: &Key) -> Op {
    Op { key: key.clone(), condition: Condition::None, action: Action::Delete }
}

/// Adds to an operation.
pub trait OpExt: Sized {
    /// Only if `condition` holds.
    #[must_use]
    fn when(self, condition: Condition) -> Self;
    /// With this expiry. A delete stays as it is.
    #[must_use]
    fn expiring(self, expiry: Expiry) -> Self;
    /// With this content type. A delete stays as it is.
    #[must_use]
    fn typed(self, content_type: &str) -> Self;
}

impl OpExt for Op {
    fn when(mut self, condition: Condition) -> Self {
        self.condition = condition;
        self
    }

    fn expiring(mut self, wanted: Expiry) -> Self {
        if let Action::Put { expiry, .. } = &mut self.action {
            *expiry = wanted;
        }
        self
    }

    fn typed(mut self, wanted: &str) -> Self {
        if let Action::Put { content_type, .. } = &mut self.action {
            *content_type = Some(wanted.to_owned());
        }
        self
    }
}
