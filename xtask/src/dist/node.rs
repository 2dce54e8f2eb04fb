//! The npm packages.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::Bench;
use crate::language::library;
use crate::step::command;

/// The main package, and the one with the native half for this platform: as the package itself packs them.
pub fn packages(bench: &Bench<'_>) -> Result<Vec<PathBuf>> {
    let built = bench.build("pillion-node", &["--features", "testing"])?;
    let mut pack = command("node", &["sdk-node/scripts/pack.mjs"])?;
    pack.arg(library(&built, "pillion_node")?).arg(&bench.packages);
    let output = pack.output().context("cannot start node")?;
    if !output.status.success() {
        bail!("packing for npm failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let files = String::from_utf8(output.stdout).context("a file name that is not UTF-8")?;
    Ok(files.lines().map(|file| bench.packages.join(file.trim())).collect())
}
