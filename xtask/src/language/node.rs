//! Node: the native half of the package, where `PILLION_ADDON` finds it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{copy, library, one_file};
use crate::repository;
use crate::step::{command, quiet, run, target};

const PACKAGE: &str = "sdk-node";

/// The native half, with the services that only tests have.
pub fn addon() -> Result<PathBuf> {
    Ok(target()?.join("node/pillion.node"))
}

/// Copies it out of the build.
pub fn stage(programs: &Path) -> Result<()> {
    copy(&library(programs, "pillion_node")?, &addon()?)
}

/// Runs its suites: those of the linter and the compiler of types first, as they are quick.
pub fn test(programs: &Path) -> Result<()> {
    stage(programs)?;
    install(&repository()?.join(PACKAGE), "the tests of Node")?;
    for (script, title) in [
        ("lint", "the linter of Node"),
        ("types", "the types of Node"),
        ("test", "the suites of Node"),
        ("package", "the npm package as its readers see it"),
    ] {
        let mut npm = npm(&["run", "--silent", script])?;
        // What a killed sidecar does to a call is compared with Rust.
        npm.env("PILLION_DRIVER", programs.join("pillion-driver"));
        run(title, npm)?;
    }
    Ok(())
}

/// Installs what the lock file of a folder names, unless it is there. The mark is where the packages are, and goes with
/// them.
fn install(folder: &Path, purpose: &str) -> Result<()> {
    let lock = fs::read_to_string(folder.join("package-lock.json")).context("package-lock.json")?;
    let mark = folder.join("node_modules/.installed");
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    println!("── installing what {purpose} need");
    let mut npm = command("npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])?;
    npm.current_dir(folder);
    quiet("npm ci", npm)?;
    fs::write(mark, lock)?;
    Ok(())
}

/// The program that measures the package with the native half that was packed, beside the stock client, which is
/// installed for it.
pub fn bench(packages: &[PathBuf]) -> Result<Command> {
    let modules = target()?.join("node/bench");
    fs::create_dir_all(&modules)?;
    for name in ["package.json", "package-lock.json", ".npmrc"] {
        let from = repository()?.join(PACKAGE).join("bench/peer").join(name);
        fs::copy(&from, modules.join(name)).with_context(|| format!("copying {}", from.display()))?;
    }
    install(&modules, "the measurements of Node")?;
    let native = packages.last().context("no package was made")?;
    let unpacked = modules.join("native");
    fs::create_dir_all(&unpacked)?;
    let mut unpack = command("tar", &["--strip-components=1", "-xzf"])?;
    unpack.arg(native).arg("-C").arg(&unpacked);
    quiet("tar", unpack)?;
    let mut program = command("node", &["sdk-node/bench/bench.mjs", "--modules"])?;
    program.arg(&modules).arg("--package").arg(native).env("PILLION_ADDON", one_file(&unpacked, ".node")?);
    Ok(program)
}

fn npm(arguments: &[&str]) -> Result<Command> {
    let mut npm = command("npm", arguments)?;
    npm.current_dir(repository()?.join(PACKAGE)).env("PILLION_ADDON", addon()?);
    Ok(npm)
}
