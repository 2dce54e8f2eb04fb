//! The wheel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::Bench;
use crate::language::one_file;
use crate::step::{self, command, quiet};
use crate::{repository, tool};

const README: &str = "sdk-python/README.md";
/// What a release may weigh.
const BUDGET: u64 = 8_000_000;

/// Builds it: one for every Python from 3.10 on.
pub fn wheel(bench: &Bench<'_>) -> Result<PathBuf> {
    let maturin = tool::wheel(tool::MATURIN)?;
    let mut build = command(maturin, &["build", "--locked", "--manifest-path", "sdk-python/Cargo.toml"])?;
    build.args(["--profile", bench.profile, "--strip", "--out"]).arg(&bench.packages);
    step::run("building the wheel", build)?;
    let wheel = one_file(&bench.packages, ".whl")?;
    Ok(wheel)
}

/// Installs it into an empty environment, where there is neither cargo nor a registry, and does there
/// what a newcomer does first.
pub fn check(bench: &Bench<'_>, made: &[PathBuf]) -> Result<()> {
    let Some(wheel) = made.iter().find(|file| file.extension().is_some_and(|ending| ending == "whl")) else {
        bail!("no wheel was made");
    };
    let bytes = fs::metadata(wheel)?.len();
    println!("── the wheel: {:.1} MB, of {:.1} MB that a release may have", bytes as f64 / 1e6, BUDGET as f64 / 1e6);
    ensure!(bench.profile != "dist" || bytes <= BUDGET, "the wheel is too large");

    let folder = tempfile::tempdir()?;
    let venv = folder.path().join("venv");
    quiet(
        "python3 -m venv",
        command("python3", &["-m", "venv"]).map(|mut make| {
            make.arg(&venv);
            make
        })?,
    )?;
    let empty = Environment { folder: folder.path(), programs: venv.join("bin") };
    empty.run("python", &["-m", "pip", "install", "--no-index", &wheel.to_string_lossy()])?;

    let (snippet, expected) = first_snippet()?;
    fs::write(folder.path().join("app.py"), snippet)?;
    let printed = empty.run("python", &["-W", "error", "app.py"])?;
    ensure!(printed == expected, "{README} says that its first program prints\n{expected}but it printed\n{printed}");
    let printed = empty.run("pillion", &["dev", "--port", "0", "--", "python", "-W", "error", "app.py"])?;
    ensure!(printed.contains(&expected), "beside a sidecar, the first program of {README} printed\n{printed}");
    let version = empty.run("pillion", &["--version"])?;
    ensure!(version == format!("pillion {}\n", super::version()), "`pillion --version` printed\n{version}");
    let status = empty.command("pillion", &["frobnicate"]).output()?.status;
    ensure!(status.code() == Some(2), "`pillion frobnicate` ended with {status}");
    // What only tests have.
    let printed = empty.run("python", &["-c", "from pillion import _native; print(*dir(_native))"])?;
    for name in ["shapes", "inject_panics"] {
        ensure!(!printed.split_whitespace().any(|found| found == name), "the wheel has `{name}`, which is for tests");
    }
    println!("── the wheel does in an empty environment what {README} says");
    Ok(())
}

/// A virtual environment, and nothing else that a program could find.
struct Environment<'a> {
    folder: &'a Path,
    programs: PathBuf,
}

impl Environment<'_> {
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join(program));
        let path = format!("{}:/usr/bin:/bin", self.programs.display());
        command.args(arguments).current_dir(self.folder).env_clear().env("PATH", path).env("HOME", self.folder);
        command
    }

    /// What a program prints.
    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.command(program, arguments).output().with_context(|| format!("cannot start {program}"))?;
        if !output.status.success() {
            bail!("{program} {arguments:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// The first program in the README, and what it says that it prints.
fn first_snippet() -> Result<(String, String)> {
    let text = fs::read_to_string(repository()?.join(README))?;
    let snippet = text.split_once("```python\n").and_then(|(_, rest)| rest.split_once("```"));
    let (snippet, _) = snippet.with_context(|| format!("{README} has no program in it"))?;
    let expected = snippet.lines().filter_map(|line| line.split_once("#> ")).map(|(_, said)| format!("{said}\n"));
    Ok((snippet.to_owned(), expected.collect()))
}
