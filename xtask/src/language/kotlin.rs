//! Kotlin: compiled for the JVM by Maven, with the native library in the jar.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{copy, library};
use crate::step::{command, quiet, run, target};
use crate::tool;

/// Where JNA looks in a jar: the folder of this machine.
const NATIVE: &str = if cfg!(target_arch = "aarch64") { "linux-aarch64" } else { "linux-x86-64" };

/// Compiles the package, its tests and its driver.
pub fn stage(programs: &Path) -> Result<()> {
    package(&library(programs, "pillion_ffi")?, programs).map(drop)
}

/// Makes the jar around `library`, with the bridge that the generator in `programs` makes for it.
pub fn package(library: &Path, programs: &Path) -> Result<PathBuf> {
    tool::packages(&[tool::JAVA, tool::MAVEN])?;
    let folder = target()?.join("sdk-ffi/kotlin");
    let bindings = folder.join("bindings");
    if bindings.exists() {
        fs::remove_dir_all(&bindings)?;
    }
    let mut bindgen = command(programs.join("pillion-ffi-bindgen"), &["kotlin"])?;
    bindgen.arg(library).arg(&bindings);
    quiet("pillion-ffi-bindgen kotlin", bindgen)?;
    copy(library, &folder.join("native").join(NATIVE).join(library.file_name().context("a library without a name")?))?;
    let mut maven = command("mvn", &["--quiet", "--batch-mode", "--file", "sdk-ffi/kotlin/pom.xml", "package"])?;
    maven.arg(format!("-Dpillion.built={}", folder.display()));
    run("compiling Kotlin", maven)?;
    Ok(folder.join("maven").join(concat!("pillion-", env!("CARGO_PKG_VERSION"), ".jar")))
}
