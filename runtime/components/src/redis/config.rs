//! The settings of `state.redis`.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use pillion_spi::network::Endpoint;
use pillion_spi::{HumanDuration, Refusal, Secret};
use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// State in a Redis server, or in one that speaks its protocol (Valkey, KeyDB): a standalone
/// server, or a primary with replicas. Entries are stored as Layotto and Dapr store them, so
/// programs of these runtimes can share them.
///
/// Durability follows from the server's settings, which are read on every connection and every 15
/// seconds. `appendonly yes` with `appendfsync always` survives the loss of power (with
/// `no-appendfsync-on-rewrite yes` only the kill of the server); with `appendfsync no`, the kill of
/// the server; with `everysec`, which may acknowledge up to two seconds ahead of its log, neither
/// for certain. A `maxmemory` with a policy other than `noeviction` lets entries vanish at any time.
///
/// Changes can be watched if `notify-keyspace-events` holds `K` and `A` (or `g`, `h`, `$`, `x` and
/// `e`), since Redis 6. The setting is never changed. Each watch takes a
/// connection; a component has at most 256 watches at once.
///
/// An ACL user needs these commands on its keys: HMGET, HGET, HEXISTS, GET, STRLEN, PTTL, TYPE,
/// HSET, HINCRBY, SET, DEL, PERSIST, PEXPIRE, SCAN, EVAL, EVALSHA, SCRIPT LOAD, INFO, CLIENT
/// SETNAME, and WAIT where there are replicas; for idempotency keys also the keys
/// `||pillion||*`; CONFIG GET for durability and watching; for watching PSUBSCRIBE, SUBSCRIBE and
/// `allchannels`, because Redis does not see that one pattern holds another.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateConfig {
    /// Where the server is: `redis://host:port/db`, `rediss://host:port/db` for TLS, or
    /// `unix:///path/to/socket?db=0`. Port 6379 and database 0 unless it says otherwise. It may
    /// carry `user:password@`; `username` and `password` are the better place.
    pub url: Url,
    /// The ACL user. None by default: the server's user `default`.
    #[serde(default)]
    pub username: Option<String>,
    /// The password of the user.
    #[serde(default)]
    pub password: Option<Secret>,
    /// TLS, for `rediss://` only.
    #[serde(default)]
    pub tls: Tls,
    /// The longest time to connect, log in and look at the server's settings. Default `2s`.
    #[serde(default = "connect_timeout")]
    pub connect_timeout: HumanDuration,
    /// A connection on which something was asked and nothing answered for so long, or up to a quarter
    /// longer, is given up and replaced. Default `3s`.
    #[serde(default = "response_timeout")]
    pub response_timeout: HumanDuration,
}

fn connect_timeout() -> HumanDuration {
    HumanDuration::from_secs(2)
}

fn response_timeout() -> HumanDuration {
    HumanDuration::from_secs(3)
}

/// How to trust the server, and how to be trusted by it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// A PEM file with the certificates of the authorities to trust. By default those of the
    /// operating system.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// A PEM file with the client's certificate chain; needs `key_file`.
    #[serde(default)]
    pub cert_file: Option<PathBuf>,
    /// A PEM file with the private key of the client's certificate.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// Accept any certificate: the connection is encrypted, but anyone may be at the other end.
    /// For experiments only. Default `false`.
    #[serde(default)]
    pub insecure: bool,
}

/// The address of a server. It may hold a password and shows itself without one.
#[derive(Clone)]
pub struct Url(redis::ConnectionInfo);

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = self.0.redis_settings().db();
        match self.endpoint() {
            Endpoint::Unix(path) => write!(f, "unix://{}?db={database}", path.display()),
            tcp if self.uses_tls() => write!(f, "rediss://{tcp}/{database}"),
            tcp => write!(f, "redis://{tcp}/{database}"),
        }
    }
}

impl Url {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong, never the text itself: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.contains('#') {
            return Err("a fragment (`#…`) has no meaning in the address of a Redis server; see `tls.insecure`");
        }
        let info = text.into_connection_info().map_err(
            |_| "not the address of a Redis server: expected `redis://host:port/db`, `rediss://…` or `unix:///path`",
        )?;
        if matches!(info.addr(), ConnectionAddr::Unix(_)) && info.redis_settings().password().is_some() {
            return Err("a password has no place in the query of an address; see `password`");
        }
        Ok(Self(info))
    }

    fn endpoint(&self) -> Endpoint {
        match self.0.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Endpoint::Tcp(host.clone(), *port)
            }
            ConnectionAddr::Unix(path) => Endpoint::Unix(path.clone()),
            // The type may grow; what this version parses it into has no other form.
            other => Endpoint::Tcp(other.to_string(), 0),
        }
    }

    fn uses_tls(&self) -> bool {
        matches!(self.0.addr(), ConnectionAddr::TcpTls { .. })
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Url {
    fn schema_name() -> Cow<'static, str> {
        "RedisUrl".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(redis|rediss|valkey|valkeys|redis\\+unix|valkey\\+unix|unix)://" })
    }
}

/// Where and as whom to connect, checked.
pub(super) struct Target {
    pub(super) endpoint: Endpoint,
    /// The name to check the certificate for, if TLS is used.
    pub(super) tls_name: Option<String>,
    pub(super) login: RedisConnectionInfo,
}

impl StateConfig {
    pub(super) fn target(&self) -> Result<Target, Refusal> {
        let mut login = self.url.0.redis_settings().clone();
        if self.password.is_some() && login.password().is_some() {
            return Err(Refusal::new("password", "the password stands twice, in `url` and in `password`"));
        }
        if self.username.is_some() && login.username().is_some() {
            return Err(Refusal::new("username", "the user name stands twice, in `url` and in `username`"));
        }
        if let Some(username) = &self.username {
            login = login.set_username(username);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password.expose());
        }
        if login.username().is_some() && login.password().is_none() {
            return Err(Refusal::new("username", "a user name without a password").advice("set `password`"));
        }
        let endpoint = self.url.endpoint();
        let tls_name = match &endpoint {
            Endpoint::Tcp(host, _) if self.url.uses_tls() => Some(host.clone()),
            _ => None,
        };
        let tls = &self.tls;
        if tls_name.is_none()
            && (tls.insecure || tls.ca_file.is_some() || tls.cert_file.is_some() || tls.key_file.is_some())
        {
            return Err(Refusal::new("tls", "`tls` is set, but `url` does not use TLS").advice("write `rediss://`"));
        }
        if tls.cert_file.is_some() != tls.key_file.is_some() {
            return Err(Refusal::new("tls", "`tls.cert_file` and `tls.key_file` need each other"));
        }
        for (setting, timeout) in
            [("connect_timeout", self.connect_timeout), ("response_timeout", self.response_timeout)]
        {
            if timeout.get().is_zero() {
                return Err(Refusal::new(setting, format!("`{setting}` must not be zero")));
            }
        }
        Ok(Target { endpoint, tls_name, login: login.set_skip_set_lib_name() })
    }
}
