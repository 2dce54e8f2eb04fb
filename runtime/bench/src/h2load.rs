//! Load by h2load, which costs the client's core half of what a Rust client does.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::machine::Place;
use crate::process::output;
use crate::wire::{Call, VALUE};

/// How many calls are under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// Connections.
    pub connections: u32,
    /// Calls in flight over all connections.
    pub in_flight: u32,
}

impl Shape {
    /// As it is written in the report.
    pub fn label(self) -> String {
        format!("{}×{}", self.in_flight, self.connections)
    }
}

/// What a window of load gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Calls per second.
    pub rate: f64,
    /// Calls that were answered.
    pub calls: f64,
}

/// Calls for the length of a window; `folder` is for the body of the request.
pub fn run(
    place: Place,
    address: SocketAddr,
    call: Call,
    shape: Shape,
    window: Duration,
    folder: &Path,
) -> Result<Load> {
    let body = folder.join("body");
    std::fs::write(&body, call.body())?;
    let mut command = place.command("h2load");
    command
        .arg(format!("--duration={}ms", window.as_millis()))
        .arg(format!("--clients={}", shape.connections))
        .arg(format!("--max-concurrent-streams={}", shape.in_flight / shape.connections))
        .args(["--threads=1", "--header=content-type: application/grpc", "--header=te: trailers"])
        .arg("--data")
        .arg(&body)
        .arg(format!("http://{address}{}", call.path()));
    let text = output(&mut command, window + Duration::from_secs(20))?;
    let load = read(&text, call).with_context(|| format!("h2load said:\n{text}"))?;
    Ok(load)
}

/// Reads what h2load prints. Errors of gRPC are HTTP successes: that the calls succeeded is seen by
/// how much data came back.
fn read(text: &str, call: Call) -> Result<Load> {
    let rate = between(text, "finished in ", "req/s").and_then(|part| part.rsplit(',').next()?.trim().parse().ok());
    let requests = text.lines().find(|line| line.starts_with("requests:")).context("no requests")?;
    let calls: f64 = count(requests, "succeeded").context("no count of successes")?;
    ensure!(count(requests, "failed") == Some(0.0) && calls > 0.0, "calls failed");
    let data = text
        .lines()
        .find(|line| line.starts_with("traffic:"))
        .and_then(|line| line.rsplit('(').next()?.split(')').next()?.parse::<f64>().ok());
    // Every answer has at least a frame's prefix of five bytes, and one that reads the value too.
    let least = if call.reads() { VALUE + 5 } else { 5 };
    ensure!(data.context("no traffic")? >= calls * least as f64, "answers are missing: calls failed within gRPC");
    Ok(Load { rate: rate.context("no rate")?, calls })
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split_once(end).map(|(part, _)| part)
}

/// The number that stands before a word.
fn count(line: &str, word: &str) -> Option<f64> {
    line.split([',', ':']).map(str::trim).find_map(|part| part.strip_suffix(word)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Store;

    const OUTPUT: &str = "\
finished in 900.42ms, 41234.50 req/s, 6.91MB/s
requests: 37127 total, 37191 started, 37127 done, 37127 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 37127 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 6.22MB (6523003) total, 401.2KB (410827) headers (space savings 91.33%), 4.91MB (5148352) data
";

    #[test]
    fn output_is_read() {
        let load = read(OUTPUT, Call::Get(Store::Redis)).expect("good output");
        assert_eq!(load, Load { rate: 41_234.5, calls: 37_127.0 });
    }

    #[test]
    fn failed_calls_are_noticed() {
        assert!(read(&OUTPUT.replace("0 failed", "3 failed"), Call::Get(Store::Redis)).is_err());
        assert!(read(&OUTPUT.replace("(5148352) data", "(514835) data"), Call::Get(Store::Redis)).is_err());
    }
}
