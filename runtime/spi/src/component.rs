//! How a component is configured, opened and closed.

use std::path::Path;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::env::OpenEnv;
use crate::error::{Error, Result};

/// Settings that can never work, each of which may be well formed by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The setting to point at: a key of the component's configuration.
    pub setting: &'static str,
    /// What is wrong, as a sentence.
    pub message: String,
    /// What to write instead.
    pub advice: Option<&'static str>,
}

impl Refusal {
    /// A refusal that points at `setting`.
    pub fn new(setting: &'static str, message: impl Into<String>) -> Self {
        Self { setting, message: message.into(), advice: None }
    }

    /// The same, with what to write instead.
    #[must_use]
    pub fn advice(mut self, advice: &'static str) -> Self {
        self.advice = Some(advice);
        self
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let error = Self::config(refusal.message);
        match refusal.advice {
            Some(advice) => error.advice(advice),
            None => error,
        }
    }
}

/// A backend that can be declared in the configuration.
///
/// # Opening
/// `open` is called in the background, repeatedly with back-off while it fails with anything but
/// [`Kind::Config`](crate::Kind::Config); the runtime already listens. It must end when it is
/// dropped and must not leave anything behind when it fails.
///
/// # Closing
/// After `close` no task, socket, thread, lease or file handle of the component remains. Calls
/// that are under way may be answered or refused; none may hang. Calling it twice is harmless.
#[async_trait]
pub trait Component: Send + Sync + Sized + 'static {
    /// The `type:` of the configuration, `<block>.<vendor>`.
    const TYPE: &'static str;

    /// The settings. Their doc comments become the reference page and the JSON Schema, so each
    /// says unit, default and limits. Unknown keys must be refused (`serde(deny_unknown_fields)`).
    type Config: DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static;

    /// Looks at the settings as a whole, without touching anything outside of them. It is asked when
    /// a configuration is read, so that a mistake is shown where it stands, and again before `open`.
    ///
    /// # Errors
    /// What is wrong with them.
    fn check(_config: &Self::Config) -> Result<(), Refusal> {
        Ok(())
    }

    /// The folder that the component needs for itself alone, if it needs one; relative to the folder
    /// of the configuration. Two components that name the same one are refused together.
    fn folder(_config: &Self::Config) -> Option<&Path> {
        None
    }

    /// Connects.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config) when the settings can never work; any other kind is
    /// tried again.
    async fn open(config: Self::Config, env: OpenEnv) -> Result<Self>;

    /// Disconnects and waits until nothing is left.
    async fn close(&self);
}
