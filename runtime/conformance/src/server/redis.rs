//! `redis-server` as a child process.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pillion_spi::{Clock, SystemClock};
use rustix::process::Signal;
use tempfile::TempDir;

use super::{Certificates, PATIENCE, Process, free_port, temporary_folder};

/// How often the server syncs its append-only file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Before every acknowledgement.
    Always,
    /// Once a second.
    EverySecond,
    /// When the system likes to.
    No,
}

impl Fsync {
    fn setting(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::EverySecond => "everysec",
            Self::No => "no",
        }
    }
}

/// A user of the server's access lists.
#[derive(Clone, Debug)]
pub struct AclUser {
    /// The name.
    pub name: String,
    /// The password, in the clear.
    pub password: String,
    /// The rules, as in `~orders:* +@read`.
    pub rules: String,
}

/// How a server is set up. The default keeps nothing on disk, needs no password and listens on a
/// free TCP port of 127.0.0.1 and on a Unix socket.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    /// Keep an append-only file.
    pub append_only: Option<Fsync>,
    /// The password of the user `default`.
    pub password: Option<String>,
    /// Further users.
    pub users: Vec<AclUser>,
    /// Speak only TLS on the TCP port, with certificates of an authority of our own.
    pub tls: bool,
    /// The memory limit in bytes; at it, writes are refused.
    pub max_memory: Option<u64>,
    /// Which keyspace events are sent, as in `KEA`; none by default.
    pub keyspace_events: Option<String>,
    /// Further lines of the configuration.
    pub settings: Vec<(String, String)>,
}

/// A running server. It is killed on drop and its folder removed.
#[derive(Debug)]
pub struct RedisServer {
    options: RedisOptions,
    port: u16,
    certificates: Option<Certificates>,
    process: Option<Process>,
    folder: TempDir,
}

impl RedisServer {
    /// Whether the program is installed.
    pub fn installed() -> bool {
        std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("redis-server").is_file()))
    }

    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// When it ends or does not answer within [`PATIENCE`]; the error ends with its log.
    pub async fn start(options: RedisOptions) -> Result<Self> {
        let folder = temporary_folder()?;
        let certificates = options.tls.then(|| Certificates::make(folder.path())).transpose()?;
        let mut server = Self { options, port: 0, certificates, process: None, folder };
        // Somebody else may take the port between our look and the server's bind.
        let mut attempts = 0;
        loop {
            attempts += 1;
            server.port = free_port()?;
            match server.launch().await {
                Ok(()) => return Ok(server),
                Err(error) if attempts < 5 && error.to_string().contains("Address already in use") => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of the TCP port, with the password of the user `default` if there is one.
    pub fn url(&self) -> String {
        let scheme = if self.options.tls { "rediss" } else { "redis" };
        match &self.options.password {
            Some(password) => format!("{scheme}://:{password}@127.0.0.1:{}", self.port),
            None => format!("{scheme}://127.0.0.1:{}", self.port),
        }
    }

    /// The path of the Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// The folder with its data, log and certificates.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The certificates, if it speaks TLS.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// The process id, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// A bare client, over the Unix socket.
    ///
    /// # Errors
    /// When the server does not run or answer.
    pub async fn client(&self) -> Result<redis::aio::MultiplexedConnection> {
        let info = redis::ConnectionAddr::Unix(self.socket());
        let mut settings = redis::RedisConnectionInfo::default();
        if let Some(password) = &self.options.password {
            settings = settings.set_password(password.as_str());
        }
        let info = redis::IntoConnectionInfo::into_connection_info(info)?.set_redis_settings(settings);
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(2)))
            .set_response_timeout(Some(Duration::from_secs(5)));
        Ok(redis::Client::open(info)?.get_multiplexed_async_connection_with_config(&config).await?)
    }

    /// Starts the server again, on the same port and data.
    ///
    /// # Errors
    /// When it runs already, ends, or does not answer.
    pub async fn launch(&mut self) -> Result<()> {
        if self.process.is_some() {
            bail!("the server runs already");
        }
        let folder = self.folder.path();
        let configuration = folder.join("redis.conf");
        std::fs::write(&configuration, self.configuration()).context("writing redis.conf")?;
        let log = folder.join("redis.log");
        // Left by a server that was killed; the next one is asked through a new one.
        let _ = std::fs::remove_file(self.socket());
        let mut process = Process::start("redis-server", [&configuration], folder, &log)?;
        let deadline = SystemClock.now() + PATIENCE;
        loop {
            if self.answers().await {
                self.process = Some(process);
                return Ok(());
            }
            let ended = process.ended()?;
            if ended.is_some() || SystemClock.now() >= deadline {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                bail!("redis-server did not start ({ended:?}):\n{log}");
            }
            SystemClock.sleep(Duration::from_millis(5)).await;
        }
    }

    async fn answers(&self) -> bool {
        // The socket appears only when the server listens; until then there is nothing to wait for.
        if !self.socket().exists() {
            return false;
        }
        let Ok(mut client) = self.client().await else { return false };
        redis::cmd("PING").query_async::<String>(&mut client).await.is_ok()
    }

    /// Asks the server to end (`SIGTERM`: it writes its files) and waits for it.
    ///
    /// # Errors
    /// When it does not run, or not end within [`PATIENCE`].
    pub async fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the server does not run")?;
        process.signal(Signal::TERM)?;
        process.wait(PATIENCE).await?;
        Ok(())
    }

    /// Ends the server as `kill -9` does.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().context("the server does not run")?.kill()
    }

    /// [`stop`](Self::stop) and [`launch`](Self::launch).
    ///
    /// # Errors
    /// Those of the two.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.launch().await
    }

    /// Freezes the server: connections stay and are accepted, nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> Result<()> {
        self.process.as_ref().context("the server does not run")?.signal(Signal::STOP)
    }

    /// Ends a [`freeze`](Self::freeze).
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> Result<()> {
        self.process.as_ref().context("the server does not run")?.signal(Signal::CONT)
    }

    fn configuration(&self) -> String {
        let options = &self.options;
        let mut lines: Vec<(&str, String)> = vec![
            ("bind", "127.0.0.1".to_owned()),
            ("daemonize", "no".to_owned()),
            ("dir", quoted(self.folder.path())),
            ("unixsocket", quoted(&self.socket())),
            ("unixsocketperm", "700".to_owned()),
            ("save", "\"\"".to_owned()),
            ("appendonly", if options.append_only.is_some() { "yes" } else { "no" }.to_owned()),
        ];
        match &self.certificates {
            None => lines.push(("port", self.port.to_string())),
            Some(certificates) => lines.extend([
                ("port", "0".to_owned()),
                ("tls-port", self.port.to_string()),
                ("tls-cert-file", quoted(&certificates.server)),
                ("tls-key-file", quoted(&certificates.server_key)),
                ("tls-ca-cert-file", quoted(&certificates.authority)),
                ("tls-auth-clients", "optional".to_owned()),
            ]),
        }
        if let Some(fsync) = options.append_only {
            lines.push(("appendfsync", fsync.setting().to_owned()));
        }
        if let Some(password) = &options.password {
            lines.push(("requirepass", password.clone()));
        }
        if let Some(bytes) = options.max_memory {
            lines.extend([("maxmemory", bytes.to_string()), ("maxmemory-policy", "noeviction".to_owned())]);
        }
        if let Some(events) = &options.keyspace_events {
            lines.push(("notify-keyspace-events", events.clone()));
        }
        let users = options.users.iter().map(|user| format!("user {} on >{} {}", user.name, user.password, user.rules));
        let settings = options.settings.iter().map(|(name, value)| format!("{name} {value}"));
        lines.iter().map(|(name, value)| format!("{name} {value}")).chain(users).chain(settings).fold(
            String::new(),
            |mut text, line| {
                let _ = writeln!(text, "{line}");
                text
            },
        )
    }
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

#[cfg(test)]
mod tests {
    use redis::AsyncCommands as _;

    use super::*;

    #[tokio::test]
    async fn a_killed_server_comes_back_with_what_it_had_synced() {
        let options = RedisOptions { append_only: Some(Fsync::Always), ..RedisOptions::default() };
        let mut server = RedisServer::start(options).await.unwrap();
        let port = server.port();
        let () = server.client().await.unwrap().set("k", "v").await.unwrap();
        server.kill().unwrap();
        server.launch().await.unwrap();
        assert_eq!(server.port(), port);
        assert_eq!(server.client().await.unwrap().get::<_, String>("k").await.unwrap(), "v");
        server.restart().await.unwrap();
        assert_eq!(server.client().await.unwrap().get::<_, String>("k").await.unwrap(), "v");
    }

    #[tokio::test]
    async fn a_frozen_server_answers_when_it_is_thawed() {
        let server = RedisServer::start(RedisOptions::default()).await.unwrap();
        let mut client = server.client().await.unwrap();
        server.freeze().unwrap();
        let call = async move { redis::cmd("PING").query_async::<String>(&mut client).await };
        let mut call = std::pin::pin!(call);
        assert!(futures::poll!(call.as_mut()).is_pending());
        server.thaw().unwrap();
        assert_eq!(call.await.unwrap(), "PONG");
    }

    #[tokio::test]
    async fn settings_users_and_tls_reach_the_server() {
        let server = RedisServer::start(RedisOptions {
            password: Some("secret".to_owned()),
            users: vec![AclUser {
                name: "reader".to_owned(),
                password: "pw".to_owned(),
                rules: "~* +@read".to_owned(),
            }],
            tls: true,
            max_memory: Some(64 << 20),
            keyspace_events: Some("KEA".to_owned()),
            ..RedisOptions::default()
        })
        .await
        .unwrap();
        let mut client = server.client().await.unwrap();
        let found: Vec<String> = redis::cmd("CONFIG")
            .arg(&["GET", "port", "maxmemory", "notify-keyspace-events"])
            .query_async(&mut client)
            .await
            .unwrap();
        assert!(found.contains(&"67108864".to_owned()), "{found:?}");
        assert!(found.contains(&"AKE".to_owned()), "{found:?}");
        let users: Vec<String> = redis::cmd("ACL").arg("USERS").query_async(&mut client).await.unwrap();
        assert_eq!(users, ["default", "reader"]);
        assert!(server.url().starts_with("rediss://:secret@"));
        assert!(server.certificates().is_some_and(|certificates| certificates.authority.is_file()));
    }
}
