//! Configurations without a file.

use std::path::Path;

use pillion_proto::Reason;
use pillion_spi::Registry;
use serde_json::json;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::load::Loader;
use super::model::{Component, Config};

impl Config {
    /// What `pillion dev` and an embedded runtime do without a file: a component `state` in the
    /// memory of this process, and the greeting that clients of Layotto's quick start expect.
    ///
    /// # Errors
    /// The registry has no `state.memory`.
    pub fn dev(registry: &Registry) -> Result<Self, Diagnostics> {
        Self::with_greeting().with(registry, "state", json!({ "type": "state.memory" }))
    }

    /// As [`dev`](Self::dev), but with data that stays, in the folder `data_dir`.
    ///
    /// # Errors
    /// The registry has no `state.local`, or the path is not UTF-8.
    pub fn dev_persistent(registry: &Registry, data_dir: &Path) -> Result<Self, Diagnostics> {
        let Some(dir) = data_dir.to_str() else {
            let message = format!("the path `{}` is not UTF-8", data_dir.display());
            return Err(Diagnostics::new(None, vec![Diagnostic::new(Reason::ConfigInvalidValue, message)]));
        };
        Self::with_greeting().with(registry, "state", json!({ "type": "state.local", "dir": dir }))
    }

    fn with_greeting() -> Self {
        let mut config = Self::default();
        config.layotto.hello.insert("helloworld".to_owned(), "greeting".to_owned());
        config
    }

    /// Adds a component, or replaces the one of this name. `declaration` is what stands under the
    /// name in a file: `type`, `key_prefix`, and the settings of the type. `${` has no meaning in it.
    ///
    /// # Errors
    /// Whatever a file with this declaration would be refused for.
    pub fn with(
        mut self,
        registry: &Registry,
        name: &str,
        declaration: serde_json::Value,
    ) -> Result<Self, Diagnostics> {
        let component = Loader::new(registry, &|_| None).component_from_json(name, declaration)?;
        self.components.retain(|other| other.name != component.name);
        self.components.push(component);
        Ok(self)
    }

    /// The component called `name`.
    pub fn component(&self, name: &str) -> Option<&Component> {
        self.components.iter().find(|component| component.name == name)
    }
}
