//! Kotlin: compiled for the JVM by Maven, with the native library in the jar.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};

use super::{copy, library};
use crate::step::{command, quiet, run, target};
use crate::{repository, tool};

/// Where JNA looks in a jar: the folder of this machine.
const NATIVE: &str = if cfg!(target_arch = "aarch64") { "linux-aarch64" } else { "linux-x86-64" };
/// The package in the tree.
pub const PACKAGE: &str = "sdk-ffi/kotlin";

/// Compiles the package, its tests and its driver, unless they are as new as what they are made of.
pub fn stage(programs: &Path) -> Result<()> {
    let (library, folder) = (library(programs, "pillion_ffi")?, built()?);
    let made = fs::metadata(jar(&folder)).and_then(|jar| jar.modified()).ok();
    let newest = newest(&repository()?.join(PACKAGE))?.max(fs::metadata(&library)?.modified()?);
    if made.is_some_and(|made| made > newest) {
        return Ok(());
    }
    tool::packages(&[tool::JAVA, tool::MAVEN])?;
    lay_out(&library, programs, &folder)?;
    snippets(&folder.join("snippets"))?;
    run("compiling Kotlin", maven(&["-DskipTests", "package"], &folder)?)
}

/// Runs its suites, with what [`stage`] compiled.
pub fn test(programs: &Path) -> Result<()> {
    stage(programs)?;
    let mut tests = maven(&["surefire:test"], &built()?)?;
    tests.env("PILLION_BIN", programs.join("pillion"));
    run("the suites of Kotlin", tests)
}

/// Makes the jar around `library` in `folder`, without tests.
pub fn package(library: &Path, programs: &Path, folder: &Path) -> Result<PathBuf> {
    tool::packages(&[tool::JAVA, tool::MAVEN])?;
    lay_out(library, programs, folder)?;
    run("compiling Kotlin", maven(&["-Dmaven.test.skip", "package"], folder)?)?;
    Ok(jar(folder))
}

/// The snippets of the README that are Kotlin, each a program.
pub fn readme() -> Result<Vec<String>> {
    let text = fs::read_to_string(repository()?.join(PACKAGE).join("README.md"))?;
    let blocks = text.split("```kotlin\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned()));
    Ok(blocks.collect())
}

/// What the tests are built into.
fn built() -> Result<PathBuf> {
    Ok(target()?.join("sdk-ffi/kotlin"))
}

fn jar(folder: &Path) -> PathBuf {
    folder.join("maven").join(concat!("pillion-", env!("CARGO_PKG_VERSION"), ".jar"))
}

/// Maven, building into `folder`.
fn maven(goals: &[&str], folder: &Path) -> Result<Command> {
    let mut maven = command("mvn", &["--batch-mode", "--no-transfer-progress", "--file", "sdk-ffi/kotlin/pom.xml"])?;
    // `--quiet` would hide warnings, which are errors in our tests. A compiler that runs once is done before
    // the best code for it would be.
    maven.env("MAVEN_OPTS", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn -XX:TieredStopAtLevel=1 -XX:+UseSerialGC");
    maven.arg(format!("-Dpillion.built={}", folder.display())).args(goals);
    Ok(maven)
}

/// Puts into `folder` what is compiled beside the sources of the tree: the bridge that the generator in
/// `programs` makes for this very library, and the library, as small as it can be.
fn lay_out(library: &Path, programs: &Path, folder: &Path) -> Result<()> {
    let bindings = folder.join("bindings");
    // What was compiled of sources that are gone would be found, and packed, all the same.
    for old in [&bindings, &folder.join("maven/classes"), &folder.join("maven/test-classes")] {
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
    }
    let mut bindgen = command(programs.join("pillion-ffi-bindgen"), &["kotlin"])?;
    bindgen.arg(library).arg(&bindings);
    quiet("pillion-ffi-bindgen kotlin", bindgen)?;
    let packed = folder.join("native").join(NATIVE).join(library.file_name().context("a library without a name")?);
    copy(library, &packed)?;
    // The generator reads symbols that programs do not need.
    let mut strip = command("strip", &["--strip-unneeded"])?;
    strip.arg(&packed);
    quiet("strip", strip)
}

/// Writes the snippets of the README as sources, each in a package of its own.
fn snippets(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    for (at, snippet) in readme()?.iter().enumerate() {
        let number = at + 1;
        fs::write(folder.join(format!("Snippet{number}.kt")), format!("package readme.snippet{number}\n\n{snippet}"))?;
    }
    Ok(())
}

/// When the newest file of a folder was changed.
fn newest(folder: &Path) -> Result<SystemTime> {
    let mut newest = fs::metadata(folder)?.modified()?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let changed =
            if entry.file_type()?.is_dir() { self::newest(&entry.path())? } else { entry.metadata()?.modified()? };
        newest = newest.max(changed);
    }
    Ok(newest)
}
