//! The Layotto door on a real socket: the golden tables over raw gRPC on every store, and the
//! published client.
#![cfg(all(feature = "layotto", feature = "memory", feature = "local", feature = "redis"))]

mod golden;
mod npm;
mod raw;
mod table;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pillion_runtime::config::Loader;
use pillion_runtime::{Clock, Runtime, Sidecar, SystemClock, registry};

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A runtime that listens, with `components` as they stand in a configuration file, all ready.
async fn serve(components: &str, folder: &Path) -> Result<Sidecar> {
    let registry = registry();
    let text =
        format!("listen: {{tcp: 127.0.0.1:0, unix: off}}\nlayotto: {{hello: {{helloworld: greeting}}}}\n{components}");
    let config = Loader::new(&registry, &|_| None).text("test", &text, folder)?;
    let sidecar = Runtime::builder(config).listen().await?;
    let deadline = SystemClock.now() + PATIENCE;
    while !sidecar.runtime().is_ready() {
        if SystemClock.now() >= deadline {
            bail!("the components did not become ready");
        }
        SystemClock.sleep(Duration::from_millis(5)).await;
    }
    Ok(sidecar)
}

/// Where clients reach it.
fn address(sidecar: &Sidecar) -> Result<SocketAddr> {
    sidecar.addresses().tcp.context("the runtime has no TCP address")
}
