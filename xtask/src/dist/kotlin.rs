//! The jar for the JVM.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::{Bench, FFI_FEATURES};
use crate::language::{self, library};

/// Builds it, with the native library inside.
pub fn jar(bench: &Bench<'_>) -> Result<PathBuf> {
    let built = bench.build("pillion-ffi", &["--features", FFI_FEATURES])?;
    let programs = bench.build("pillion-ffi-bindgen", &[])?;
    let made = language::kotlin::package(&library(&built, "pillion_ffi")?, &programs)?;
    let jar = bench.packages.join(format!("pillion-{}-{}.jar", super::version(), bench.platform.triple));
    fs::copy(made, &jar)?;
    Ok(jar)
}
