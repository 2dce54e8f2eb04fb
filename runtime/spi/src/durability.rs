//! How durable an acknowledged write is: two axes, never merged.

use std::fmt;

/// What one node's copy survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LocalDurability {
    /// Lost with the process that holds it.
    #[default]
    Memory,
    /// Survives the kill of any process (`kill -9`), not the loss of unsynced data.
    ProcessCrash,
    /// Survives the loss of power: it was synced before it was acknowledged.
    PowerLoss,
}

/// How many nodes hold an acknowledged write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Replication {
    /// One node.
    #[default]
    Single,
    /// Copies exist but are made after the acknowledgement: a failover may lose it.
    Async,
    /// Survives the loss of any minority of nodes.
    Quorum,
}

/// The durability class of an acknowledgement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Durability {
    /// What one copy survives.
    pub local: LocalDurability,
    /// How many copies there are.
    pub replication: Replication,
    /// The backend does not let us read the settings that decide it; the class is then what its
    /// defaults give.
    pub unverified: bool,
}

impl Durability {
    /// A verified class.
    pub const fn new(local: LocalDurability, replication: Replication) -> Self {
        Self { local, replication, unverified: false }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = match self.local {
            LocalDurability::Memory => "memory",
            LocalDurability::ProcessCrash => "process-crash",
            LocalDurability::PowerLoss => "power-loss",
        };
        let replication = match self.replication {
            Replication::Single => "single",
            Replication::Async => "async",
            Replication::Quorum => "quorum",
        };
        write!(f, "{local} × {replication}")?;
        if self.unverified {
            f.write_str(" (unverified)")?;
        }
        Ok(())
    }
}
