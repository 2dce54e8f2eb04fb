//! The published npm client of Layotto, unmodified, against runtimes on a local store and on Redis.
//!
//! It needs Node 20, npm and the packages of `layotto_npm/package-lock.json`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pillion_conformance::server::{RedisOptions, RedisServer, temporary_folder};
use pillion_runtime::{Clock, SystemClock};
use tokio::process::Command;

use crate::{address, serve};

/// How long npm may take to fetch a dozen small packages.
const INSTALLING: Duration = Duration::from_secs(180);

/// Longer than the client's own patience, so that its last line is seen.
const RUNNING: Duration = Duration::from_secs(40);

#[tokio::test]
async fn the_published_client_sees_what_it_would_see_of_layotto() -> Result<()> {
    let client = install().await?;
    let folder = temporary_folder()?;
    let redis = RedisServer::start(RedisOptions::default()).await?;
    let components = format!(
        "components:\n  state: {{type: state.local, dir: data}}\n  cache: {{type: state.redis, url: '{}'}}\n",
        redis.url()
    );
    let sidecar = serve(&components, folder.path()).await?;
    let address = address(&sidecar)?;
    for store in ["state", "cache"] {
        check(&client, address, store).await.with_context(|| format!("on the store {store}"))?;
    }
    sidecar.stop().await;
    Ok(())
}

async fn check(client: &Path, address: SocketAddr, store: &str) -> Result<()> {
    let mut node = Command::new("node");
    node.arg("client.mjs")
        .current_dir(client)
        .env("runtime_GRPC_HOST", address.ip().to_string())
        .env("runtime_GRPC_PORT", address.port().to_string())
        .env("LAYOTTO_STORE", store);
    let output = run(&mut node, RUNNING).await?;
    println!("{}", String::from_utf8_lossy(&output.stdout));
    ensure!(output.status.success(), "the client found differences: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The client with its packages, in a folder that later runs find again.
async fn install() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/layotto_npm");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("layotto_npm");
    let lock = std::fs::read(source.join("package-lock.json"))?;
    let installed = target.join("node_modules/layotto").is_dir()
        && std::fs::read(target.join("package-lock.json")).is_ok_and(|present| present == lock);
    std::fs::create_dir_all(&target)?;
    for file in ["package.json", "package-lock.json", "client.mjs"] {
        std::fs::copy(source.join(file), target.join(file))?;
    }
    if !installed {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&target);
        let output = run(&mut npm, INSTALLING).await?;
        ensure!(output.status.success(), "npm ci failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(target)
}

async fn run(command: &mut Command, patience: Duration) -> Result<Output> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let child = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let clock: &dyn Clock = &SystemClock;
    let ended = clock.timeout(patience, child).await;
    ended
        .ok()
        .with_context(|| format!("{program} did not end in time"))?
        .with_context(|| format!("{program} (is it installed?)"))
}
