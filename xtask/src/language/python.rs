//! Python: a virtual environment in the target folder with the package as it is in the tree.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{library, once};
use crate::repository;
use crate::step::{command, quiet, run, target};

const REQUIREMENTS: &str = "sdk-python/tests/requirements.txt";

/// The interpreter of the environment, which is made if there is none.
pub fn interpreter() -> Result<PathBuf> {
    let folder = target()?.join("python");
    let python = folder.join("bin/python");
    if !python.exists() {
        println!("── a virtual environment for Python");
        quiet("python3 -m venv", command("python3", &["-m", "venv", folder.to_str().context("not UTF-8")?])?)?;
    }
    let requirements = fs::read_to_string(repository()?.join(REQUIREMENTS)).context(REQUIREMENTS)?;
    once("python/requirements.txt", &requirements, || {
        println!("── installing what the tests of Python need");
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS];
        quiet("pip install", command(&python, &install)?)
    })?;
    Ok(python)
}

/// Runs its suites against the package in the environment.
pub fn test(programs: &Path) -> Result<()> {
    stage(programs)?;
    let mut tests = command(interpreter()?, &["-m", "pytest", "--quiet"])?;
    tests.current_dir(repository()?.join("sdk-python")).env("PILLION_BIN", programs.join("pillion"));
    run("the suites of Python", tests)
}

/// Puts the package into the environment.
pub fn stage(programs: &Path) -> Result<()> {
    let mut stage = command(interpreter()?, &["sdk-python/tests/stage.py"])?;
    stage.arg(library(programs, "pillion_native")?);
    quiet("staging the package for Python", stage)
}
