//! The wheel.

use std::path::PathBuf;

use anyhow::Result;

use super::Bench;
use crate::language::one_file;
use crate::step::{self, command};
use crate::tool;

/// Builds it: one for every Python from 3.10 on.
pub fn wheel(bench: &Bench<'_>) -> Result<PathBuf> {
    let maturin = tool::wheel(tool::MATURIN)?;
    let mut build = command(maturin, &["build", "--locked", "--manifest-path", "sdk-python/Cargo.toml"])?;
    build.args(["--profile", bench.profile, "--strip", "--out"]).arg(&bench.packages);
    step::run("building the wheel", build)?;
    one_file(&bench.packages, ".whl")
}
