//! How a component is configured, opened and closed.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::env::OpenEnv;
use crate::error::Result;

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

    /// Connects.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config) when the settings can never work; any other kind is
    /// tried again.
    async fn open(config: Self::Config, env: OpenEnv) -> Result<Self>;

    /// Disconnects and waits until nothing is left.
    async fn close(&self);
}
