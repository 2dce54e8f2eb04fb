//! Python: a virtual environment in the target folder with the package as it is in the tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{library, once};
use crate::repository;
use crate::step::{command, quiet, run, target};

const REQUIREMENTS: &str = "sdk-python/tests/requirements.txt";

/// The interpreter of the environment, which is made if there is none.
pub fn interpreter() -> Result<PathBuf> {
    let folder = target()?.join("python");
    let python = environment(&folder)?;
    let requirements = fs::read_to_string(repository()?.join(REQUIREMENTS)).context(REQUIREMENTS)?;
    once("python/requirements.txt", &requirements, || {
        println!("── installing what the tests of Python need");
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS];
        quiet("pip install", command(&python, &install)?)
    })?;
    Ok(python)
}

/// The interpreter of a virtual environment in `folder`, which is made if there is none.
fn environment(folder: &Path) -> Result<PathBuf> {
    let python = folder.join("bin/python");
    if !python.exists() {
        println!("── a virtual environment for Python");
        quiet("python3 -m venv", command("python3", &["-m", "venv", folder.to_str().context("not UTF-8")?])?)?;
    }
    Ok(python)
}

/// Runs its suites against the package in the environment.
pub fn test(programs: &Path) -> Result<()> {
    stage(programs)?;
    run("the linter of Python", command(interpreter()?, &["-m", "ruff", "check", "--quiet", "sdk-python"])?)?;
    let mut tests = command(interpreter()?, &["-m", "pytest", "--quiet"])?;
    tests.current_dir(repository()?.join("sdk-python")).env("PILLION_BIN", programs.join("pillion"));
    run("the suites of Python", tests)
}

/// The program that measures a wheel, in an environment of its own.
pub fn bench(packages: &[PathBuf]) -> Result<Command> {
    let folder = target()?.join("bench/python");
    let python = environment(&folder)?;
    let wheel = packages.first().context("no wheel was made")?;
    let mut install = command(&python, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])?;
    install.args(["-r", "sdk-python/bench/requirements.txt"]);
    quiet("pip install", install)?;
    let mut install = command(&python, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])?;
    install.args(["--no-deps", "--force-reinstall"]).arg(wheel);
    quiet("pip install", install)?;
    let mut program = command(python, &["sdk-python/bench/bench.py", "--package"])?;
    program.arg(wheel);
    Ok(program)
}

/// Puts the package into the environment.
pub fn stage(programs: &Path) -> Result<()> {
    let mut stage = command(interpreter()?, &["sdk-python/tests/stage.py"])?;
    stage.arg(library(programs, "pillion_native")?);
    quiet("staging the package for Python", stage)
}
