//! The configuration as one checked value.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pillion_core::KeyPrefix;
use pillion_spi::registry::{Settings, StateType};
use pillion_spi::{ByteSize, HumanDuration, Secret};
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use super::value::{NAME, NAME_PATTERN, TcpListen, UnixListen, count, is_name, parse_text, within};

/// What a runtime is to do: everything that a configuration file can say, checked.
///
/// The default is that of a file which sets nothing: the listeners of `pillion serve`, no component.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Who the runtime works for.
    pub app: App,
    /// Where it can be reached.
    pub listen: Listen,
    /// The components, in the order of the file; their names differ.
    pub components: Vec<Component>,
    /// What a caller may use at most.
    pub limits: Limits,
    /// How long it waits for what.
    pub deadlines: Deadlines,
    /// The door for clients of Layotto.
    pub layotto: Layotto,
    /// Who may call.
    pub security: Security,
    /// What it says about itself.
    pub log: Log,
    /// The folder against which relative paths are resolved: that of the file, or empty for the
    /// working directory.
    pub base_dir: PathBuf,
}

impl Config {
    /// A path of the configuration, resolved against its folder.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        // Collecting the parts leaves out each `.`, which would only puzzle in messages.
        self.base_dir.join(path).components().collect()
    }

    /// Whether other machines can reach the TCP listener; then a token is required.
    pub fn is_exposed(&self) -> bool {
        matches!(self.listen.tcp, TcpListen::At(address) if !address.ip().to_canonical().is_loopback())
    }
}

/// One component.
#[derive(Clone, Debug)]
pub struct Component {
    /// Under which name callers find it.
    pub name: String,
    /// What it is.
    pub kind: Arc<StateType>,
    /// What stands before its keys.
    pub key_prefix: KeyPrefix,
    /// Its settings, checked by its type.
    pub settings: Settings,
}

/// The configuration of a Pillion runtime. `${NAME}`, `${NAME:-default}` and `${NAME:?message}` in
/// a value stand for environment variables; `$${` for the characters themselves.
// As it stands in the file; `Config` has the components beside it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Pillion configuration")]
pub(super) struct File {
    pub(super) app: App,
    pub(super) listen: Listen,
    /// The components, by name: 1 to 64 letters, digits, `.`, `_` or `-`.
    // Read separately, each by its type, and described so in the schema.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub(super) components: IgnoredAny,
    pub(super) limits: Limits,
    pub(super) deadlines: Deadlines,
    pub(super) layotto: Layotto,
    pub(super) security: Security,
    pub(super) log: Log,
}

/// Who the runtime works for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct App {
    /// The id of the app whose sidecar this is: 1 to 64 letters, digits, `.`, `_` or `-`. It is
    /// taken for calls that do not say who they are. Default: none.
    #[serde(deserialize_with = "app_id", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", regex(pattern = NAME_PATTERN))]
    pub id: Option<String>,
}

fn app_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    parse_text(deserializer, NAME, |text| is_name(text).then(|| Some(text.to_owned())))
}

/// Where the runtime can be reached. gRPC, HTTP, health, metrics and the doors share the listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// An IP address and a port, or `off`. Port 0 takes a free one. Another address than
    /// loopback needs `security.token` or `security.token_file`. Default: `127.0.0.1:34904`.
    pub tcp: TcpListen,
    /// `auto` (in this user's folder for run-time files), the path of a socket, or `off`.
    /// Default: `auto`.
    pub unix: UnixListen,
}

impl Listen {
    /// The port on which clients expect a runtime.
    pub const DEFAULT_PORT: u16 = 34904;
}

impl Default for Listen {
    fn default() -> Self {
        Self { tcp: TcpListen::At(([127, 0, 0, 1], Self::DEFAULT_PORT).into()), unix: UnixListen::Auto }
    }
}

/// What a caller may use at most. What goes beyond is refused before it is read to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The largest message or body: 1KiB to 64MiB. Default: `4MiB`.
    #[serde(deserialize_with = "message")]
    pub message: ByteSize,
    /// The largest answer to a read: 64KiB to 64MiB. One entry of the size that `message` allows
    /// fits in any case. Default: `16MiB`.
    #[serde(deserialize_with = "answer")]
    pub answer: ByteSize,
    /// The headers of one request together: 1KiB to 1MiB. Default: `16KiB`.
    #[serde(deserialize_with = "header_bytes")]
    pub header_bytes: ByteSize,
    /// The number of headers of one request: 10 to 1000. Default: 100.
    #[serde(deserialize_with = "header_count")]
    #[schemars(range(min = 10, max = 1000))]
    pub header_count: u32,
    /// The number of items in one request: 1 to 10000. Default: 1000.
    #[serde(deserialize_with = "batch")]
    #[schemars(range(min = 1, max = 10_000))]
    pub batch: u32,
    /// The longest key, without its prefix: 64B to 64KiB. Default: `1KiB`.
    #[serde(deserialize_with = "key")]
    pub key: ByteSize,
    /// The number of open connections: 1 to 1000000. Default: 8192.
    #[serde(deserialize_with = "connections")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: u32,
    /// The number of calls under way on one HTTP/2 connection: 1 to 10000. Default: 100.
    #[serde(deserialize_with = "streams")]
    #[schemars(range(min = 1, max = 10_000))]
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: ByteSize::mib(4),
            answer: ByteSize::mib(16),
            header_bytes: ByteSize::kib(16),
            header_count: 100,
            batch: 1000,
            key: ByteSize::kib(1),
            connections: 8192,
            streams: 100,
        }
    }
}

impl Limits {
    /// The largest answer, in bytes: one that holds a single entry, written with the largest message,
    /// always fits.
    pub(crate) fn answer(&self) -> usize {
        // Beside the value stand its key, twice, its content type and its etag.
        let entry = self.message.as_usize() + 2 * self.key.as_usize() + 1024;
        self.answer.as_usize().max(entry)
    }
}

/// How long the runtime waits for what. A duration has units: `500ms`, `30s`, `1m30s`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Deadlines {
    /// For a call whose caller sets no deadline: 1ms to 1h. Default: `60s`.
    #[serde(deserialize_with = "up_to_an_hour")]
    pub call: HumanDuration,
    /// From an accepted connection to its first bytes: 1ms to 1h. Default: `10s`.
    #[serde(deserialize_with = "up_to_an_hour")]
    pub first_byte: HumanDuration,
    /// From the first to the last byte of the headers of a request: 1ms to 1h. Default: `10s`.
    #[serde(deserialize_with = "up_to_an_hour")]
    pub header: HumanDuration,
    /// Between two parts of a body: 1ms to 1h. Default: `30s`.
    #[serde(deserialize_with = "up_to_an_hour")]
    pub body: HumanDuration,
    /// Between two pings on an idle HTTP/2 connection: 1s to 1h. Default: `1m`.
    #[serde(deserialize_with = "second_to_hour")]
    pub keep_alive: HumanDuration,
    /// From such a ping to its answer, before the connection counts as lost: 1ms to 1h.
    /// Default: `20s`.
    #[serde(deserialize_with = "up_to_an_hour")]
    pub keep_alive_answer: HumanDuration,
    /// For calls under way when the runtime is told to stop: 0s to 1h. Watches and the like end at
    /// once. Default: `20s`, which leaves time to close before a supervisor that kills after 30 s.
    #[serde(deserialize_with = "none_to_hour")]
    pub shutdown: HumanDuration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            call: HumanDuration::from_secs(60),
            first_byte: HumanDuration::from_secs(10),
            header: HumanDuration::from_secs(10),
            body: HumanDuration::from_secs(30),
            keep_alive: HumanDuration::from_secs(60),
            keep_alive_answer: HumanDuration::from_secs(20),
            shutdown: HumanDuration::from_secs(20),
        }
    }
}

/// The door for clients of Layotto.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Layotto {
    /// What `SayHello` answers, by service name, for example `{helloworld: greeting}`.
    /// Default: no service.
    pub hello: BTreeMap<String, String>,
}

/// Who may call.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// What callers must send as `authorization: Bearer …`: 16 to 1024 visible ASCII characters.
    /// Give it as a variable. Not together with `token_file`. Default: none, which is allowed only
    /// on loopback and Unix sockets.
    #[serde(deserialize_with = "token")]
    #[schemars(with = "Secret")]
    pub token: Option<Secret>,
    /// A file whose only line is the token. Relative to the folder of this file. Default: none.
    #[serde(deserialize_with = "path")]
    #[schemars(with = "String", length(min = 1))]
    pub token_file: Option<PathBuf>,
    /// Names, besides loopback's and those listened on, under which HTTP clients may address the
    /// runtime (the `Host` header): `host` or `host:port`. Default: none.
    pub allowed_hosts: Vec<Host>,
    /// Web pages that may call the runtime (the `Origin` header): `https://app.example`.
    /// Default: none.
    pub allowed_origins: Vec<WebOrigin>,
}

/// A name in a `Host` header: `host` or `host:port`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Host(#[schemars(regex(pattern = r"^[^/@*\s]+$"))] pub String);

/// An `Origin` header: scheme, host and, unless it is the scheme's own, port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct WebOrigin(
    #[schemars(regex(pattern = r"^https?://[^/@*\s]+$"))]
    pub String,
);

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a host name or address, with or without a port, such as `pillion.internal:34904`";
        parse_text(deserializer, expected, |text| is_authority(text).then(|| Self(text.to_ascii_lowercase())))
    }
}

impl<'de> Deserialize<'de> for WebOrigin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_text(deserializer, "the origin of a web page without a path, such as `https://app.example`", |text| {
            let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
            is_authority(authority).then(|| Self(text.to_ascii_lowercase()))
        })
    }
}

fn is_authority(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"/@*?#\\".contains(&byte))
}

/// What the runtime says about itself on its standard error stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// From which weight on: `error`, `warn`, `info`, `debug` or `trace`. Default: `info`.
    pub level: LogLevel,
    /// `text` for people or `json` for programs. Default: `text`.
    pub format: LogFormat,
}

/// The weight of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum LogLevel {
    /// Something failed for good.
    Error,
    /// Something needs a look.
    Warn,
    /// Something happened.
    #[default]
    Info,
    /// How it happened.
    Debug,
    /// Every step of it.
    Trace,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Defines readers that refuse what is outside a range.
macro_rules! ranges {
    ($($read:ident $name:ident: $type:ty = $least:expr, $most:expr;)*) => {
        $(fn $name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
            $read(deserializer, $least..=$most)
        })*
    };
}

ranges! {
    within message: ByteSize = ByteSize::kib(1), ByteSize::mib(64);
    within answer: ByteSize = ByteSize::kib(64), ByteSize::mib(64);
    within header_bytes: ByteSize = ByteSize::kib(1), ByteSize::mib(1);
    count header_count: u32 = 10, 1000;
    count batch: u32 = 1, 10_000;
    within key: ByteSize = ByteSize::bytes(64), ByteSize::kib(64);
    count connections: u32 = 1, 1_000_000;
    count streams: u32 = 1, 10_000;
    within up_to_an_hour: HumanDuration = HumanDuration::from_millis(1), HumanDuration::from_secs(3600);
    within second_to_hour: HumanDuration = HumanDuration::from_secs(1), HumanDuration::from_secs(3600);
    within none_to_hour: HumanDuration = HumanDuration::from_secs(0), HumanDuration::from_secs(3600);
}

pub(super) const TOKEN: &str = "16 to 1024 visible ASCII characters";

/// Whether a text can be a token: 16 to 1024 visible ASCII characters.
pub(crate) fn is_token(text: &str) -> bool {
    (16..=1024).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    parse_text(deserializer, TOKEN, |text| is_token(text).then(|| Some(Secret::new(text.to_owned()))))
}

fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    parse_text(deserializer, "a path", |text| (!text.is_empty() && !text.contains('\0')).then(|| Some(text.into())))
}
