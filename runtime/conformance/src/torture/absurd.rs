//! Absurd load: the sidecar lives, serves others, and gives the memory back.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hyper::StatusCode;
use pillion_spi::state::Condition;
use pillion_spi::{Clock, SystemClock};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::report::Verdict;
use super::sidecar::{Home, Plan, Sidecar};
use crate::seed::Seeded;
use crate::server::PATIENCE;

/// So much more than before may stay with the sidecar.
const KEPT: u64 = 32 << 20;
/// So much more may the last round of large values take than the first. A round is 60 MiB, so a
/// fifth of it leaked each time would be as much.
const LEAKED: u64 = 48 << 20;
const ROUNDS: usize = 5;
/// How long we wait for a figure that is only shown.
const SHOWN: Duration = Duration::from_secs(2);
/// How long one absurd connection may last.
const LASTS: Duration = Duration::from_secs(5);
/// A little less than what `state.memory` holds.
const LARGE_VALUES: usize = 30;
const MEBIBYTE: usize = 1 << 20;

/// Loads a sidecar with what nobody should send.
///
/// # Errors
/// When a step cannot be carried out.
pub async fn run(program: &Path, seed: u64) -> Result<Verdict> {
    let home = Home::new()?;
    let mut sidecar = home.start(&Plan::new(program, json!({"type": "state.memory"}))).await?;
    serve(&sidecar, 200).await?;
    let before = sidecar.memory()?;
    let mut most = before;
    let mut random = Seeded::new(seed);
    let mut sent = 0;
    for make in [noise, far_too_long, promised_and_not_sent, nested, many_headers, half_a_request] {
        for _ in 0..4 {
            let mut connections = JoinSet::new();
            for _ in 0..32 {
                connections.spawn(send(sidecar.endpoint.clone(), make(&mut random)));
                sent += 1;
            }
            while let Some(ended) = connections.join_next().await {
                ended.context("a connection")?;
                most = most.max(sidecar.memory().unwrap_or(0));
            }
        }
        if let Some(status) = sidecar.process.ended()? {
            bail!("the sidecar ended ({status}):\n{}", sidecar.log());
        }
        serve(&sidecar, 1).await?;
    }
    let after = settled(&sidecar, before + KEPT, PATIENCE).await?;
    // The allocator may keep what large values took, but must use it again: the same once more takes
    // no more.
    let first = large_values(&sidecar).await?;
    let mut last = first;
    for _ in 1..ROUNDS {
        last = large_values(&sidecar).await?;
    }
    let at_end = settled(&sidecar, before + KEPT, SHOWN).await?;
    let (live, _) = sidecar.client.page("/livez").await?;
    serve(&sidecar, 200).await?;
    let log = sidecar.log();
    let megabytes = |bytes: u64| bytes / (1 << 20);
    let times = |bytes: u64| bytes as f64 / before as f64;
    let figures = format!(
        "{sent} absurd requests; memory {} MiB before, {} at most, {} after ({:.1} times); \
         {ROUNDS} times {LARGE_VALUES} large values: {} at first, {} at last, {} after ({:.1} times)",
        megabytes(before),
        megabytes(most),
        megabytes(after),
        times(after),
        megabytes(first),
        megabytes(last),
        megabytes(at_end),
        times(at_end),
    );
    Ok(Verdict::new(figures, Vec::new())
        .require(after <= before + KEPT, format!("more than {} MiB stay", megabytes(KEPT)))
        .require(last <= first + LEAKED, "every round of large values takes more memory")
        .require(first > before + KEPT, "the load was not absurd")
        .require(live == StatusCode::OK, format!("/livez says {live}"))
        .require(!log.contains("panicked"), format!("a panic:\n{log}")))
}

/// Ordinary calls, which must succeed.
async fn serve(sidecar: &Sidecar, calls: usize) -> Result<()> {
    for number in 0..calls {
        let (key, value) = (format!("fine/{}", number % 10), Bytes::from_static(b"fine"));
        sidecar.client.set(&key, &value, &Condition::None).await.context("an ordinary call")?;
        let found = sidecar.client.get(&key).await.context("an ordinary call")?;
        if found.map(|found| found.value) != Some(value) {
            bail!("`{key}` does not hold what was written");
        }
    }
    Ok(())
}

/// Large values, written and deleted; the memory that they take.
async fn large_values(sidecar: &Sidecar) -> Result<u64> {
    let value = Bytes::from(vec![b'x'; 2 * MEBIBYTE]);
    for number in 0..LARGE_VALUES {
        sidecar.client.set(&format!("large/{number}"), &value, &Condition::None).await?;
    }
    let most = sidecar.memory()?;
    for number in 0..LARGE_VALUES {
        sidecar.client.delete(&format!("large/{number}"), &Condition::None).await?;
    }
    Ok(most)
}

/// The memory of the sidecar once it is down to `wanted`, or when we stop waiting for that.
async fn settled(sidecar: &Sidecar, wanted: u64, patience: Duration) -> Result<u64> {
    let deadline = SystemClock.now() + patience;
    loop {
        let now = sidecar.memory()?;
        if now <= wanted || SystemClock.now() >= deadline {
            return Ok(now);
        }
        SystemClock.sleep(Duration::from_millis(100)).await;
    }
}

/// Sends `bytes` and takes what comes. The sidecar may close at any time.
async fn send(endpoint: String, bytes: Vec<u8>) {
    let clock: &dyn Clock = &SystemClock;
    let exchange = async {
        let mut stream = TcpStream::connect(endpoint.trim_start_matches("http://")).await?;
        let (mut from, mut to) = stream.split();
        let mut answer = Vec::new();
        let mut limited = (&mut from).take(MEBIBYTE as u64);
        // What it answers is judged by the server's own tests.
        let (_, _) = futures::join!(to.write_all(&bytes), limited.read_to_end(&mut answer));
        std::io::Result::Ok(())
    };
    let _ = clock.timeout(LASTS, exchange).await;
}

fn post(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /pillion.state.v1.StateService/Set HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\
         content-type: application/json\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn noise(random: &mut Seeded) -> Vec<u8> {
    (0..8 << 10).flat_map(|_| random.number().to_le_bytes()).collect()
}

fn far_too_long(_: &mut Seeded) -> Vec<u8> {
    let body = vec![b' '; 6 * MEBIBYTE];
    post(&format!("content-length: {}\r\n", body.len()), &body)
}

fn promised_and_not_sent(_: &mut Seeded) -> Vec<u8> {
    post(&format!("content-length: {}\r\n", 100 * MEBIBYTE), b"{")
}

fn nested(_: &mut Seeded) -> Vec<u8> {
    let body = "[".repeat(100_000).into_bytes();
    post(&format!("content-length: {}\r\n", body.len()), &body)
}

fn many_headers(_: &mut Seeded) -> Vec<u8> {
    let headers: String = (0..10_000).map(|number| format!("x-{number}: y\r\n")).collect();
    post(&headers, b"")
}

fn half_a_request(_: &mut Seeded) -> Vec<u8> {
    let mut request = post("content-length: 2\r\n", b"{}");
    request.truncate(60);
    request
}
