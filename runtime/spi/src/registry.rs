//! Which component types there are: a value, not a global.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use schemars::Schema;

use crate::caps::Checked;
use crate::component::{Component, Refusal};
use crate::env::OpenEnv;
use crate::error::{Error, Result};
use crate::state::StateStore;

/// The component types that a runtime knows.
#[derive(Default)]
pub struct Registry {
    state: BTreeMap<&'static str, Arc<StateType>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("state", &self.state.keys()).finish()
    }
}

impl Registry {
    /// Adds a state store.
    ///
    /// # Panics
    /// When the type is there already: two components of one name are a defect of the build.
    pub fn state_store<C: Component + StateStore>(&mut self) -> &mut Self {
        let before = self.state.insert(C::TYPE, Arc::new(StateType::of::<C>()));
        assert!(before.is_none(), "component type `{}` is registered twice", C::TYPE);
        self
    }

    /// The state store type called `name`.
    pub fn state(&self, name: &str) -> Option<&Arc<StateType>> {
        self.state.get(name)
    }

    /// All state store types, by name.
    pub fn state_types(&self) -> impl Iterator<Item = &Arc<StateType>> {
        self.state.values()
    }
}

type Parse = fn(&mut dyn erased_serde::Deserializer<'_>) -> Result<Settings, erased_serde::Error>;
type Check = fn(&Settings) -> Result<(), Refusal>;
type Folder = fn(&Settings) -> Option<PathBuf>;
type Open = fn(Settings, OpenEnv) -> BoxFuture<'static, Result<OpenState>>;

/// A type of state store.
pub struct StateType {
    name: &'static str,
    schema: Schema,
    parse: Parse,
    check: Check,
    folder: Folder,
    open: Open,
}

impl fmt::Debug for StateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StateType").field(&self.name).finish()
    }
}

/// Checked settings of one component.
#[derive(Clone)]
pub struct Settings(Arc<dyn Any + Send + Sync>);

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Settings may hold secrets.
        f.write_str("Settings(…)")
    }
}

impl Settings {
    fn of<C: Component>(&self) -> Option<&C::Config> {
        self.0.downcast_ref()
    }
}

impl StateType {
    fn of<C: Component + StateStore>() -> Self {
        Self {
            name: C::TYPE,
            schema: schemars::schema_for!(C::Config),
            parse: |deserializer| {
                let config: C::Config = erased_serde::deserialize(deserializer)?;
                Ok(Settings(Arc::new(config)))
            },
            check: |settings| settings.of::<C>().map_or(Ok(()), C::check),
            folder: |settings| settings.of::<C>().and_then(C::folder).map(Path::to_owned),
            open: |settings, env| {
                Box::pin(async move {
                    let Some(config) = settings.of::<C>() else {
                        return Err(Error::internal("settings of another component type"));
                    };
                    C::check(config)?;
                    let component = Arc::new(C::open(config.clone(), env).await?);
                    let closing = component.clone();
                    Ok(OpenState {
                        store: Arc::new(Checked::new(component)),
                        close: Box::new(move || {
                            let component = closing.clone();
                            Box::pin(async move { component.close().await })
                        }),
                    })
                })
            },
        }
    }

    /// The `type:` of the configuration.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The JSON Schema of its settings.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Checks settings without opening anything.
    ///
    /// # Errors
    /// Whatever the deserializer or the settings type refuses.
    pub fn parse(
        &self,
        deserializer: &mut dyn erased_serde::Deserializer<'_>,
    ) -> Result<Settings, erased_serde::Error> {
        (self.parse)(deserializer)
    }

    /// Looks at settings as a whole; see [`Component::check`].
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self, settings: &Settings) -> Result<(), Refusal> {
        (self.check)(settings)
    }

    /// The folder that a component with these settings needs for itself alone.
    pub fn folder(&self, settings: &Settings) -> Option<PathBuf> {
        (self.folder)(settings)
    }

    /// Opens a store with settings that [`parse`](Self::parse) of the same type returned.
    ///
    /// # Errors
    /// Those of [`Component::open`].
    pub async fn open(&self, settings: Settings, env: OpenEnv) -> Result<OpenState> {
        (self.open)(settings, env).await
    }
}

/// An open state store, wrapped by [`Checked`].
pub struct OpenState {
    /// The store.
    pub store: Arc<dyn StateStore>,
    close: Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
}

impl OpenState {
    /// Closes it and waits until nothing of it is left.
    pub async fn close(&self) {
        (self.close)().await;
    }
}

impl fmt::Debug for OpenState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenState")
    }
}
