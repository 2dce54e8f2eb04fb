//! The stores that scenarios run on.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::fixture::{Subject, subjects};

/// A store of one type, with the fixture of the component suites.
#[derive(Clone)]
pub struct Store {
    name: &'static str,
    subject: Subject,
}

impl Store {
    /// All there are.
    pub const NAMES: [&str; 3] = ["memory", "local", "redis"];

    /// The store called `name`: `redis` for `state.redis`.
    ///
    /// # Errors
    /// When this build has no such store, or the backend cannot be had here: what was asked for and
    /// is missing is a failure.
    pub fn find(name: &str) -> Result<Self> {
        let (subjects, _) = subjects();
        let kind = format!("state.{name}");
        let name = Self::NAMES.into_iter().find(|known| *known == name);
        let subject = subjects.into_iter().find(|subject| subject.kind.name() == kind);
        let (name, subject) = name.zip(subject).with_context(|| format!("there is no store `{kind}` here"))?;
        let missing = subject.fixture.missing();
        ensure!(missing.is_none(), "{}", missing.unwrap_or_default());
        Ok(Self { name, subject })
    }

    /// Its name: `redis`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The declaration of a component on it, with a place of its own where the type has places.
    ///
    /// # Errors
    /// When the backend does not start.
    pub async fn component(&self) -> Result<Value> {
        let mut component = self.subject.fixture.place().await?.settings().clone();
        component["type"] = self.subject.kind.name().into();
        Ok(component)
    }

    /// Whether its entries expire by the clock of the runtime.
    pub fn takes_its_time_from_us(&self) -> bool {
        self.subject.fixture.injected_time()
    }

    /// What its acknowledgements are worth, as the fixture sets it up.
    pub fn durability(&self) -> Value {
        let local = match self.name {
            "local" => "LOCAL_DURABILITY_POWER_LOSS",
            _ => "LOCAL_DURABILITY_MEMORY",
        };
        json!({"local": local, "replication": "REPLICATION_SINGLE"})
    }
}
