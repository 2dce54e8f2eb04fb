//! The gem.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::{Bench, FFI_FEATURES};
use crate::language::{self, library, one_file};
use crate::step::{command, quiet};

/// Builds it, with the native library inside.
pub fn gem(bench: &Bench<'_>) -> Result<PathBuf> {
    let built = bench.build("pillion-ffi", &["--features", FFI_FEATURES])?;
    let programs = bench.build("pillion-ffi-bindgen", &[])?;
    let folder = bench.folder("gem")?;
    language::ruby::lay_out(&library(&built, "pillion_ffi")?, &programs, &folder)?;
    fs::copy(crate::repository()?.join("LICENSE"), folder.join("LICENSE"))?;
    let mut gem = command("gem", &["build", "pillion.gemspec", "--output"])?;
    gem.arg(bench.packages.join("pillion.gem")).current_dir(&folder);
    quiet("gem build", gem)?;
    one_file(&bench.packages, ".gem")
}
