//! What `dev` and `serve` share: finding the configuration, starting, waiting for the end.

use std::time::{Duration, Instant};

use pillion_runtime::config::{self, Config, Loader, LogFormat, LogLevel};
use pillion_runtime::{Mode, Runtime, Sidecar};
use pillion_spi::{Clock, Registry, SystemClock};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::arguments::{File, Process};
use crate::banner;
use crate::exit::{self, Failure};
use crate::output::Output;
use crate::signal::{Signal, Stop};

/// A sidecar that listens, and what the banner says of it.
pub(crate) struct Started {
    pub(crate) sidecar: Sidecar,
    pub(crate) data: String,
    pub(crate) origin: String,
}

/// What is to be started.
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) origin: String,
    pub(crate) data: String,
    pub(crate) mode: Mode,
}

/// The configuration file that was named or found, and its path.
pub(crate) fn configured(file: &File, registry: &Registry) -> Result<Option<(Config, String)>, Failure> {
    let environment = |name: &str| std::env::var_os(name);
    let located = config::locate(file.config.as_deref(), &std::env::current_dir()?, &environment)?;
    let Some(located) = located else { return Ok(None) };
    let config = Loader::new(registry, &environment).file(&located.path)?;
    Ok(Some((config, located.path.display().to_string())))
}

/// There is no configuration where one is needed.
pub(crate) fn no_file() -> Failure {
    let text =
        "no configuration was found\n  try: name one with -f FILE, set PILLION_CONFIG, or write a pillion.yaml here";
    Failure::Message(text.to_owned(), exit::CONFIG)
}

/// Where the data of a configuration lives, in a few words.
pub(crate) fn data(config: &Config) -> String {
    let types: Vec<_> =
        config.components.iter().map(|component| format!("{} ({})", component.name, component.kind.name())).collect();
    types.join(", ")
}

/// Logs to standard error.
pub(crate) fn log(config: &Config, verbose: u8, output: &Output) {
    let level = match (verbose, config.log.level) {
        (0, _) if output.is_quiet() => LevelFilter::ERROR,
        (0, LogLevel::Error) => LevelFilter::ERROR,
        (0, LogLevel::Warn) => LevelFilter::WARN,
        (0, LogLevel::Info) => LevelFilter::INFO,
        (0 | 1, LogLevel::Trace) | (2.., _) => LevelFilter::TRACE,
        (0 | 1, _) => LevelFilter::DEBUG,
    };
    // Libraries below speak only when something is wrong, whatever we do.
    let others = level.min(LevelFilter::WARN);
    let filter = Targets::new().with_default(others).with_target("pillion", level);
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colour);
    let subscriber = tracing_subscriber::registry().with(filter);
    // A host program that embeds this command may have a subscriber already.
    let _ = match config.log.format {
        LogFormat::Text => subscriber.with(lines.compact()).try_init(),
        LogFormat::Json => subscriber.with(lines.json()).try_init(),
    };
}

/// Runs a sidecar until it is told to stop or `until` completes with an exit code.
pub(crate) fn run<F>(
    plan: Plan,
    process: &Process,
    output: &Output,
    began: Instant,
    until: impl FnOnce(&Started) -> Result<F, Failure>,
) -> Result<u8, Failure>
where
    F: Future<Output = u8>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(plan, process, output, began, until));
    // A blocking call of a component must not keep a process alive that was told to end.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ended
}

async fn serve<F>(
    plan: Plan,
    process: &Process,
    output: &Output,
    began: Instant,
    until: impl FnOnce(&Started) -> Result<F, Failure>,
) -> Result<u8, Failure>
where
    F: Future<Output = u8>,
{
    let mut stop = Stop::listen()?;
    let Plan { mut config, origin, data, mode } = plan;
    if let Some(app_id) = &process.app_id {
        config.app.id = Some(app_id.clone());
    }
    let mut builder = Runtime::builder(config).mode(mode).origin(origin.clone());
    if let Some(workers) = process.workers {
        builder = builder.workers(workers.into());
    }
    let sidecar = builder.listen().await?;
    let started = Started { sidecar, data, origin };
    if output.json {
        output.data(&banner::addresses(&started.sidecar))?;
    }
    banner::show(&started, mode.name(), output);

    let ended = {
        let mut until = std::pin::pin!(until(&started)?);
        let mut announced = std::pin::pin!(announce(&started, began, output));
        let mut ready = false;
        loop {
            tokio::select! {
                code = &mut until => break Ended::Itself(code),
                signal = stop.next() => break Ended::Told(signal),
                () = &mut announced, if !ready => ready = true,
            }
        }
    };
    finish(started, &mut stop, ended, output).await
}

/// Why a sidecar ends.
#[derive(Clone, Copy)]
enum Ended {
    /// The command beside it ended, with this code.
    Itself(u8),
    /// By a signal.
    Told(Signal),
}

/// Says when every component can be used.
async fn announce(started: &Started, began: Instant, output: &Output) {
    let clock = SystemClock;
    while !started.sidecar.runtime().is_ready() {
        clock.sleep(Duration::from_millis(5)).await;
        if clock.now().duration_since(began) > Duration::from_secs(2) {
            output.say("listening; not every component is ready yet (`pillion status` says why)");
            while !started.sidecar.runtime().is_ready() {
                clock.sleep(Duration::from_millis(250)).await;
            }
        }
    }
    banner::ready(clock.now().duration_since(began), output);
}

/// Drains, unless a signal (another one) comes.
async fn finish(started: Started, stop: &mut Stop, ended: Ended, output: &Output) -> Result<u8, Failure> {
    if let Ended::Told(_) = ended {
        output.say("stopping: calls under way may end; again to stop at once");
    }
    tokio::select! {
        unfinished = started.sidecar.stop() => {
            if unfinished > 0 {
                output.say(format_args!("{unfinished} calls did not end in time and were cut off"));
            }
            Ok(match ended {
                Ended::Itself(code) => code,
                // Ending as asked is success for a service manager; an interrupted command is not.
                Ended::Told(Signal::Terminate) => exit::OK,
                Ended::Told(Signal::Interrupt) => exit::INTERRUPTED,
            })
        }
        signal = stop.next() => {
            output.say("stopped at once");
            std::process::exit(i32::from(signal.code()))
        }
    }
}
