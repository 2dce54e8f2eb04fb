//! Running other programs, one visible step after another.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::repository;

/// The profile that all checks and tests share, so that dependencies are compiled once.
pub const PROFILE: &str = "ci";

/// A program to run in the repository's folder.
pub fn command(program: impl AsRef<OsStr>, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(repository()?).stdin(Stdio::null());
    Ok(command)
}

/// Cargo, the same one that runs this task.
pub fn cargo(arguments: &[&str]) -> Result<Command> {
    let mut command = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), arguments)?;
    // Set for this task by cargo; a nested cargo would take them for its own.
    // Build scripts such as that of ring run again when one of them changes, and all that stands on them is
    // compiled again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "RUST_RECURSION_COUNT" {
            command.env_remove(&name);
        }
    }
    Ok(command)
}

/// Builds everything there is, with failure points and test services, and returns the folder of the
/// programs. One set of features for all tests: another one would compile most of it again.
pub fn build_all() -> Result<PathBuf> {
    run(
        "building everything",
        cargo(&["build", "--profile", PROFILE, "--workspace", "--all-features", "--lib", "--bins", "--examples"])?,
    )?;
    Ok(target()?.join(PROFILE))
}

/// The folder into which cargo builds.
pub fn target() -> Result<PathBuf> {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => Ok(repository()?.join(folder)),
        None => Ok(repository()?.join("target")),
    }
}

/// Runs a step and says how long it took.
pub fn run(title: &str, mut command: Command) -> Result<()> {
    println!("── {title}");
    let began = Instant::now();
    let status = command.status().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    println!("── {title}: {} s", began.elapsed().as_secs());
    if !status.success() {
        bail!("{title} failed: {status}\n  {command:?}");
    }
    Ok(())
}

/// Runs a step whose output matters only when it fails.
pub fn quiet(title: &str, mut command: Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!(
            "{title} failed: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Whether a program is on the path.
pub fn has(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| is_executable(&folder.join(program))))
}

fn is_executable(path: &Path) -> bool {
    path.is_file()
}

/// A command as a person would type it.
pub fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program()).to_string_lossy();
    let arguments = command.get_args().map(|argument| {
        let text = argument.to_string_lossy();
        if text.contains([' ', '"', '{', '*']) { format!("'{text}'") } else { text.into_owned() }
    });
    std::iter::once(program.into_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}
