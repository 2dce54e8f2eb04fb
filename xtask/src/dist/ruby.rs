//! The gem.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::{Bench, one_file};
use crate::language::{self, library};
use crate::step::{command, quiet};

/// The features of the library in packages: everything that a program can use.
const FEATURES: &str = "redis,testing";

/// Builds it, with the native library inside.
pub fn gem(bench: &Bench<'_>) -> Result<PathBuf> {
    let built = bench.build("pillion-ffi", &["--features", FEATURES])?;
    let folder = bench.folder("gem")?;
    language::ruby::lay_out(&library(&built, "pillion_ffi")?, &built, &folder)?;
    fs::copy(crate::repository()?.join("LICENSE"), folder.join("LICENSE"))?;
    let mut gem = command("gem", &["build", "pillion.gemspec", "--output"])?;
    gem.arg(bench.packages.join("pillion.gem")).current_dir(&folder);
    quiet("gem build", gem)?;
    one_file(&bench.packages, ".gem")
}
