//! The npm packages.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use super::{Bench, version};
use crate::language::library;
use crate::repository;
use crate::step::{command, quiet};

/// The main package, and the one with the native half for this platform.
pub fn packages(bench: &Bench<'_>) -> Result<Vec<PathBuf>> {
    let built = bench.build("pillion-node", &["--features", "testing"])?;
    let platform = bench.platform;
    let name = format!("@pillion/{}", platform.npm);
    let main = format!("pillion.{}.node", platform.npm);
    let folder = bench.folder(&format!("npm-{}", platform.npm))?;
    fs::copy(library(&built, "pillion_node")?, folder.join(&main))?;
    fs::copy(repository()?.join("LICENSE"), folder.join("LICENSE"))?;
    let text = format!("# {name}\n\nThe native half of the package `pillion` for {}.\n", platform.triple);
    fs::write(folder.join("README.md"), text)?;
    let [os, cpu, libc] = platform.os;
    let mut package = json!({
        "name": name,
        "version": version(),
        "description": format!("The native half of pillion for {}", platform.triple),
        "license": "Apache-2.0",
        "main": main,
        "files": [main],
        "os": [os],
        "cpu": [cpu],
        "engines": {"node": ">=20"},
    });
    if !libc.is_empty() {
        package["libc"] = json!([libc]);
    }
    fs::write(folder.join("package.json"), serde_json::to_string_pretty(&package)?)?;
    Ok(vec![pack(bench, &repository()?.join("sdk-node"))?, pack(bench, &folder)?])
}

/// Packs a folder as it would be published.
fn pack(bench: &Bench<'_>, folder: &Path) -> Result<PathBuf> {
    let mut pack = command("npm", &["pack", "--json", "--ignore-scripts", "--pack-destination"])?;
    pack.arg(&bench.packages).current_dir(folder);
    let output = pack.output().context("cannot start npm")?;
    let packed: serde_json::Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("npm pack: {}", String::from_utf8_lossy(&output.stderr)))?;
    let name = packed[0]["filename"].as_str().context("npm pack names no file")?;
    // Some versions of npm give the name with its scope, as it is not on the disk.
    Ok(bench.packages.join(name.trim_start_matches('@').replace('/', "-")))
}
