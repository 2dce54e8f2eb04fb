//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// Run a Pillion runtime, and work with one that runs.
#[derive(Debug, Parser)]
#[command(name = "pillion", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 ok, 1 failed, 2 usage, 69 a needed service is unavailable, 75 try again later,\n78 wrong configuration, 124 timeout, 130 interrupted."
)]
pub(crate) struct Arguments {
    /// Print data as JSON: one object, or one a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing but errors.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Log more; twice for each call.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// When to colour text for people.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// The runtime to work with.
    #[arg(long, global = true, env = "PILLION_ENDPOINT", value_name = "URL", default_value = "http://127.0.0.1:34904")]
    pub(crate) endpoint: String,
    /// How long a call may take.
    #[arg(long, global = true, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub(crate) timeout: Duration,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a runtime for developing: no configuration needed.
    #[command(
        after_help = "Examples:\n  pillion dev\n  pillion dev --persist ./data\n  pillion dev --port 0 --json\n  pillion dev -- python app.py"
    )]
    Dev(Dev),
    /// Run a runtime for production.
    #[command(after_help = "Example:\n  pillion serve -f pillion.yaml")]
    Serve(Serve),
    /// Check a configuration file without starting anything.
    Check(File),
    /// Print the JSON Schema of the configuration, or of one component type.
    Schema(Schema),
    /// Show what a runtime and its components are doing.
    Status,
    /// Wait for a runtime.
    #[command(after_help = "Example:\n  pillion wait --ready --timeout 30s")]
    Wait(Wait),
    /// Explain the reason of an error.
    #[command(after_help = "Example:\n  pillion explain state.etag_mismatch")]
    Explain(Explain),
    /// Read and write state.
    #[command(
        after_help = "Examples:\n  pillion state set cart '{\"items\":3}' --content-type application/json\n  pillion state get cart\n  pillion state list cart\n  pillion state watch --json"
    )]
    State(State),
    /// Print the completions of a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct File {
    /// The configuration file; otherwise $PILLION_CONFIG, then pillion.yaml here or further up.
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Dev {
    #[command(flatten)]
    pub(crate) file: File,
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// Keep data in this folder; without it, data lives in memory and ends with the process.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub(crate) persist: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) process: Process,
    /// A command to run beside the runtime, with PILLION_ENDPOINT set; the runtime ends with it.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) file: File,
    #[command(flatten)]
    pub(crate) process: Process,
}

/// Of the commands that are a runtime.
#[derive(Debug, Args)]
pub(crate) struct Process {
    /// The id of the app whose runtime this is.
    #[arg(long, env = "PILLION_APP_ID", value_name = "ID")]
    pub(crate) app_id: Option<String>,
    /// Threads that serve connections; one per core by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// A component type, for example state.redis.
    #[arg(value_name = "TYPE")]
    pub(crate) component_type: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Until every component can be used, not only until the runtime answers.
    #[arg(long)]
    pub(crate) ready: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The reason, for example state.etag_mismatch; all of them without it.
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct State {
    /// The store; the default one without it.
    #[arg(long, global = true, default_value = "", hide_default_value = true)]
    pub(crate) store: String,
    #[command(subcommand)]
    pub(crate) verb: StateVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StateVerb {
    /// Print the value of a key.
    Get {
        /// The key.
        key: String,
    },
    /// Write a value.
    Set {
        /// The key.
        key: String,
        /// The value; `-` reads standard input.
        value: String,
        /// Its media type.
        #[arg(long, default_value = "text/plain; charset=utf-8")]
        content_type: String,
        /// How long it lives: 30s, 10m, 24h.
        #[arg(long, value_parser = duration)]
        ttl: Option<Duration>,
        /// Only if the key has no entry.
        #[arg(long, conflicts_with = "if_match")]
        if_absent: bool,
        /// Only if the entry has this etag.
        #[arg(long, value_name = "ETAG")]
        if_match: Option<String>,
    },
    /// Delete a key.
    Delete {
        /// The key.
        key: String,
        /// Only if the entry has this etag.
        #[arg(long, value_name = "ETAG")]
        if_match: Option<String>,
    },
    /// List keys.
    List {
        /// Only keys that begin so.
        #[arg(default_value = "", hide_default_value = true)]
        prefix: String,
    },
    /// Print changes until interrupted.
    Watch {
        /// Only keys that begin so.
        #[arg(default_value = "", hide_default_value = true)]
        prefix: String,
    },
}

/// `--color`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    /// Makes the choice that of the process's streams.
    pub(crate) fn write_global(self) {
        let choice = match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    pillion_proto::text::duration(text).ok_or_else(|| "expected a duration such as 500ms, 30s or 1h30m".to_owned())
}
