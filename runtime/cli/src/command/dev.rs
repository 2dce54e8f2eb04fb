//! `pillion dev`

use std::ffi::OsString;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;

use pillion_runtime::Mode;
use pillion_runtime::config::{Config, TcpListen, UnixListen};
use pillion_spi::{Clock, SystemClock};
use tokio::process::{Child, Command};

use super::start::{self, Plan, Started};
use crate::arguments::{Arguments, Dev};
use crate::exit::{self, Failure};
use crate::output::Output;

pub(crate) fn run(arguments: &Arguments, dev: &Dev, output: &Output) -> Result<u8, Failure> {
    let began = SystemClock.now();
    let registry = pillion_runtime::registry();
    let (mut config, origin, data) = match &dev.persist {
        Some(folder) => {
            let data = format!("kept in {}", folder.display());
            (Config::dev_persistent(&registry, folder)?, "built-in".to_owned(), data)
        }
        None => match start::configured(&dev.file, &registry)? {
            Some((config, origin)) => {
                let data = start::data(&config);
                (config, origin, data)
            }
            None => {
                let data = "in the memory of this process, and ends with it (--persist DIR keeps it)";
                (Config::dev(&registry)?, "none found; built-in: one state store".to_owned(), data.to_owned())
            }
        },
    };
    if let Some(port) = dev.port {
        config.listen.tcp = TcpListen::At(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        if port == 0 && config.listen.unix == UnixListen::Auto {
            // Nothing with a fixed name: two of these must not meet.
            config.listen.unix = UnixListen::Off;
        }
    }
    start::log(&config, arguments.verbose, output);
    let plan = Plan { config, origin, data, mode: Mode::Dev };
    start::run(plan, &dev.process, output, began, |started| beside(&dev.command, started))
}

/// Starts the user's command beside the runtime; the runtime ends with it.
fn beside(command: &[OsString], started: &Started) -> Result<Pin<Box<dyn Future<Output = u8>>>, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(Box::pin(std::future::pending()));
    };
    let addresses = started.sidecar.addresses();
    let endpoint = match (addresses.tcp, &addresses.unix) {
        (Some(address), _) => format!("http://{address}"),
        (None, Some(path)) => format!("unix://{}", path.display()),
        (None, None) => String::new(),
    };
    let child =
        Command::new(program).args(arguments).env("PILLION_ENDPOINT", endpoint).kill_on_drop(true).spawn().map_err(
            |error| {
                let text = format!("cannot start `{}`: {error}", program.display());
                Failure::Message(text, exit::not_started(&error))
            },
        )?;
    Ok(Box::pin(ended(child)))
}

async fn ended(mut child: Child) -> u8 {
    child.wait().await.map_or(exit::FAILED, exit::of_command)
}
