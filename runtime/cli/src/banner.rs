//! The first lines of a runtime: where it listens, where data lives, what comes next.

use std::time::Duration;

use pillion_runtime::Sidecar;
use serde_json::{Value, json};

use crate::command::start::Started;
use crate::output::Output;

/// The addresses, as the first line of `--json`.
pub(crate) fn addresses(sidecar: &Sidecar) -> Value {
    let addresses = sidecar.addresses();
    let api = addresses.tcp.map(|address| format!("http://{address}"));
    let unix = addresses.unix.as_ref().map(|path| format!("unix://{}", path.display()));
    json!({
        "endpoint": api.clone().or_else(|| unix.clone()),
        "api": api,
        "grpc": addresses.tcp.map(|address| address.to_string()),
        "layotto": addresses.tcp.map(|address| address.to_string()),
        "unix": unix,
        "pid": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// The banner for people.
pub(crate) fn show(started: &Started, mode: &str, output: &Output) {
    let addresses = started.sidecar.addresses();
    let note = if mode == "dev" { " · not for production" } else { "" };
    output.say(format_args!("pillion {} · {mode}{note}", env!("CARGO_PKG_VERSION")));
    if let Some(address) = addresses.tcp {
        output.say(format_args!("  API      http://{address}   gRPC, HTTP and Layotto's API on one port"));
    }
    if let Some(path) = &addresses.unix {
        output.say(format_args!("  socket   unix://{}", path.display()));
    }
    output.say(format_args!("  data     {}", started.data));
    output.say(format_args!("  config   {}", started.origin));
}

/// The line that says that work can begin.
pub(crate) fn ready(after: Duration, output: &Output) {
    output.say(format_args!("ready in {} ms", after.as_millis()));
}
