//! A runtime that others reach through sockets.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pillion_proto::{Error, Reason, Result};
use pillion_server::{Addresses, BindError, Options, Server};

use crate::builder::Builder;
use crate::config::{Config, TcpListen, UnixListen};
use crate::runtime::Runtime;

/// How long components may take to close once the calls have ended.
const CLOSING: Duration = Duration::from_secs(5);

/// A runtime that listens.
#[derive(Debug)]
pub struct Sidecar {
    runtime: Runtime,
    server: Server,
    grace: Duration,
}

impl Builder {
    /// Starts a sidecar: it listens first, then opens its components in the background.
    ///
    /// # Errors
    /// `config.address_in_use`, or settings that cannot be used.
    pub async fn listen(self) -> Result<Sidecar> {
        let token = self.token()?;
        if self.config.is_exposed() && token.is_none() {
            return Err(Error::new(
                Reason::ConfigTokenRequired,
                "other machines can reach this address, and no token is set",
            ));
        }
        let runtime = self.assemble(token)?;
        let server = Server::bind(options(&self, &runtime)?).await.map_err(refused)?;
        runtime.addresses.send_replace(shown(server.addresses()));
        runtime.open();
        Ok(Sidecar { runtime, server, grace: self.config.deadlines.shutdown.get() })
    }
}

impl Sidecar {
    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        self.server.addresses()
    }

    /// The runtime behind the sockets.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Stops: ends watches, takes no more connections, lets calls under way end within the configured
    /// grace, then closes the components. Returns how many calls did not end in time.
    pub async fn stop(self) -> usize {
        self.runtime.end_watches();
        let drained = self.server.drain(self.grace).await;
        self.runtime.close(CLOSING).await;
        drained.unfinished
    }
}

fn options(builder: &Builder, runtime: &Runtime) -> Result<Options> {
    let config = &builder.config;
    let mut options = Options::new(runtime.apis().clone(), runtime.hooks.clone());
    options.tcp = match config.listen.tcp {
        TcpListen::Off => None,
        TcpListen::At(address) => Some(address),
    };
    options.unix = unix_path(config)?;
    options.workers = builder.workers;
    options.limits.message = config.limits.message.as_usize();
    options.limits.answer = config.limits.answer();
    options.limits.header_bytes = config.limits.header_bytes.as_usize();
    options.limits.headers = config.limits.header_count as usize;
    options.limits.connections = config.limits.connections as usize;
    options.limits.streams = config.limits.streams;
    options.deadlines.first_bytes = config.deadlines.first_byte.get();
    options.deadlines.header = config.deadlines.header.get();
    options.deadlines.body = config.deadlines.body.get();
    options.deadlines.ping = config.deadlines.keep_alive.get();
    options.deadlines.pong = config.deadlines.keep_alive_answer.get();
    options.hosts = config.security.allowed_hosts.iter().map(|host| host.0.clone()).collect();
    options.origins = config.security.allowed_origins.iter().map(|origin| origin.0.clone()).collect();
    options.on_worker_start = std::sync::Arc::new(pillion_spi::worker::enter);
    #[cfg(feature = "layotto")]
    options.doors.push(layotto(config, runtime));
    Ok(options)
}

#[cfg(feature = "layotto")]
fn layotto(config: &Config, runtime: &Runtime) -> pillion_server::Door {
    let door = pillion_compat_layotto::LayottoDoor::new(runtime.apis().clone())
        .hooks(runtime.hooks.clone())
        .hello(config.layotto.hello.clone())
        .batch(config.limits.batch as usize);
    let limits = pillion_proto::grpc::server::MessageLimits {
        request: config.limits.message.as_usize(),
        response: config.limits.answer(),
    };
    pillion_server::Door::new("layotto", pillion_compat_layotto::DESCRIPTORS, move |routes| {
        door.mount(limits, routes);
    })
    .too_large(pillion_compat_layotto::too_large)
}

/// The Unix socket to listen on, its folder made.
fn unix_path(config: &Config) -> Result<Option<PathBuf>> {
    match &config.listen.unix {
        UnixListen::Off => Ok(None),
        UnixListen::At(path) => Ok(Some(config.resolve(path))),
        #[cfg(not(unix))]
        UnixListen::Auto => Ok(None),
        #[cfg(unix)]
        UnixListen::Auto => {
            let folder = runtime_folder();
            private_folder(&folder).map_err(|error| {
                let message = format!("the folder {} for the Unix socket cannot be used", folder.display());
                Error::new(Reason::ConfigUnreadable, message)
                    .advice("set XDG_RUNTIME_DIR, or `listen.unix` to a path or `off`")
                    .source(error)
            })?;
            let name = match config.listen.tcp {
                TcpListen::At(address) if address.port() != 0 => address.port().to_string(),
                _ => format!("pid-{}", std::process::id()),
            };
            Ok(Some(folder.join(format!("{name}.sock"))))
        }
    }
}

/// This user's folder for files that live as long as the processes that made them.
#[cfg(unix)]
fn runtime_folder() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(folder) => folder.join("pillion"),
        None => std::env::temp_dir().join(format!("pillion-{}", rustix::process::getuid().as_raw())),
    }
}

/// Makes a folder that only this user may enter, or makes sure that it is one: in a shared folder
/// for temporary files somebody else may have made it first.
#[cfg(unix)]
fn private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    match fs::DirBuilder::new().mode(0o700).recursive(true).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(folder)?;
    let ours = found.is_dir() && found.uid() == rustix::process::getuid().as_raw() && found.mode() & 0o022 == 0;
    if ours { Ok(()) } else { Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to somebody else")) }
}

fn shown(addresses: &Addresses) -> Vec<String> {
    let tcp = addresses.tcp.map(|address| format!("http://{address}"));
    let unix = addresses.unix.as_ref().map(|path| format!("unix://{}", path.display()));
    tcp.into_iter().chain(unix).collect()
}

fn refused(error: BindError) -> Error {
    let reason = match &error {
        BindError::Busy { .. } => Reason::ConfigAddressInUse,
        BindError::Refused { .. } | BindError::Nowhere => Reason::ConfigInvalidValue,
        _ => Reason::Unspecified,
    };
    let public = Error::new(reason, error.to_string());
    match &error {
        BindError::Busy { address, owner, free } => {
            let mut public = public.with("address", address);
            if let Some(owner) = owner {
                public = public.with("owner", owner);
            }
            match free {
                Some(free) => public.with("free", free),
                None => public,
            }
        }
        _ => public,
    }
}
