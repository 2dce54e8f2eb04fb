//! The server as all links of a component see it: how to reach it and what is known of it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::future::BoxFuture;
use pillion_spi::network::Connection;
use pillion_spi::{Error, OpenEnv, Outage, Result};
use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{AsyncConnectionConfig, ProtocolVersion};

use super::config::{StateConfig, Target};
use super::live::{Live, Meter, Metered};
use super::probe::{Facts, probe};
use super::{error, tls};

/// How many requests may wait for room in the connection's buffer.
const QUEUE: usize = 256;

/// The longest wait between two attempts to connect.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The wait after the first failed attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What takes the messages that the server sends unasked.
pub(super) type Inbox = Arc<dyn AsyncPushSender>;

/// Drives the bytes of a connection; the connection ends with it.
pub(super) type Driver = BoxFuture<'static, ()>;

pub(super) struct Server {
    pub(super) env: OpenEnv,
    pub(super) connect_timeout: Duration,
    pub(super) response_timeout: Duration,
    target: Target,
    tls: Option<tls::Client>,
    facts: RwLock<Facts>,
    outage: Outage,
}

impl Server {
    /// Checks the settings and connects once, to learn what the server can do.
    pub(super) async fn open(config: &StateConfig, env: OpenEnv) -> Result<Self> {
        let target = config.target()?;
        let tls = match &target.tls_name {
            Some(name) => Some(tls::Client::new(&config.tls, &env.base_dir, name)?),
            None => None,
        };
        let server = Self {
            env,
            connect_timeout: config.connect_timeout.get(),
            response_timeout: config.response_timeout.get(),
            target,
            tls,
            facts: RwLock::default(),
            outage: Outage::default(),
        };
        // The connection is dropped again: which runtime this is, and whether calls will come from
        // it, is not known here.
        let (_, _, facts) = server.connect(None).await?;
        server.learn(facts);
        Ok(server)
    }

    /// Makes a connection and looks at the server's settings, within `connect_timeout`. With an
    /// inbox it can be used to subscribe.
    pub(super) async fn connect(&self, inbox: Option<Inbox>) -> Result<(Live, Driver, Facts)> {
        let attempt = async {
            let (live, mut driver) = self.dial(inbox).await?;
            tokio::select! {
                facts = probe(&live, &self.env.name) => Ok((live, driver, facts?)),
                () = &mut driver => Err(Error::unavailable(format!("{} closed the connection at once", self.name()))),
            }
        };
        match self.env.clock.timeout(self.connect_timeout, attempt).await {
            Ok(connected) => connected,
            Err(_) => {
                Err(Error::unavailable(format!("{} did not answer within {:?}", self.name(), self.connect_timeout)))
            }
        }
    }

    async fn dial(&self, inbox: Option<Inbox>) -> Result<(Live, Driver)> {
        let endpoint = &self.target.endpoint;
        let stream = self.env.network.connect(endpoint).await;
        let stream =
            stream.map_err(|error| Error::unavailable(format!("cannot connect to {}", self.name())).source(error))?;
        let meter = Arc::new(Meter::default());
        let mut stream: Box<dyn Connection> = Box::new(Metered::new(stream, meter.clone()));
        if let Some(tls) = &self.tls {
            stream = tls.connect(stream).await?;
        }
        // Deadlines are ours: they run on the injected clock.
        let mut config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None)
            .set_pipeline_buffer_size(QUEUE);
        let mut login = self.target.login.clone();
        if let Some(inbox) = inbox {
            config = config.set_push_sender(inbox);
            login = login.set_protocol(ProtocolVersion::RESP3);
        }
        let (connection, driver) = MultiplexedConnection::new_with_config(&login, stream, config)
            .await
            .map_err(|error| error::setup(error, &self.name()))?;
        Ok((Live::new(connection, meter), Box::pin(driver)))
    }

    /// The number of the database in use.
    pub(super) fn database(&self) -> i64 {
        self.target.login.db()
    }

    /// Waits before the next attempt: between half and the whole of a time that doubles with each
    /// failure, so that the many clients of a server do not knock together.
    pub(super) async fn pause(&self, failures: u32) {
        let whole = FIRST_PAUSE.saturating_mul(1 << failures.min(5)).min(LONGEST_PAUSE);
        let [random, ..] = self.env.random.u64().to_le_bytes();
        self.env.clock.sleep(whole / 2 + whole / 2 * u32::from(random) / 255).await;
    }

    /// The server, as error texts call it.
    pub(super) fn name(&self) -> String {
        format!("the Redis server at {}", self.target.endpoint)
    }

    /// What is known of it.
    pub(super) fn facts(&self) -> Facts {
        *self.facts.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the log of a failed attempt, if that is news.
    pub(super) fn complain(&self, error: &Error) {
        let component = &*self.env.name;
        if self.outage.fails(error.to_string(), self.env.clock.now()) {
            tracing::warn!(component, %error, advice = error.advice_text(), "no connection to Redis; it is tried again");
        } else {
            tracing::debug!(component, %error, "still no connection to Redis");
        }
    }

    /// Tells the log of a connection, if there was none before.
    pub(super) fn rejoice(&self) {
        if self.outage.ends() {
            tracing::info!(component = &*self.env.name, "the connection to Redis is back");
        }
    }

    /// Takes note of what was found.
    pub(super) fn learn(&self, facts: Facts) {
        *self.facts.write().unwrap_or_else(PoisonError::into_inner) = facts;
    }
}
