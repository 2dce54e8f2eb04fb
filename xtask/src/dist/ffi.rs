//! The library inside the packages for Kotlin, Ruby and Swift.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{Bench, FFI_FEATURES};
use crate::language::library;
use crate::step::{PROFILE, command, quiet};

/// What a package may weigh for one platform, compressed.
const BUDGET: u64 = 4_000_000;
/// What only the services for our own tests have in them.
const TEST_ONLY: [&str; 2] = ["FfiShapes", "the upload ended without its final message"];
/// What is described in the library for the generator, and stays when the other symbols go.
const DESCRIPTION: &str = "UNIFFI_META_*";

/// What was built.
pub struct Built {
    /// The library as it is shipped.
    pub library: PathBuf,
    /// The folder of the generator.
    pub programs: PathBuf,
}

/// Builds the library, small where it is built to be shipped, and the generator.
pub fn build(bench: &Bench<'_>) -> Result<Built> {
    let profile = if bench.profile == "dist" { "mobile" } else { bench.profile };
    let small = Bench { platform: bench.platform, profile, packages: bench.packages.clone() };
    let described = library(&small.build("pillion-ffi", &["--features", FFI_FEATURES])?, "pillion_ffi")?;
    // Only its output is shipped.
    let quick = Bench { platform: bench.platform, profile: PROFILE, packages: bench.packages.clone() };
    let programs = quick.build("pillion-ffi-bindgen", &[])?;
    let folder = bench.packages.join("contents/ffi");
    fs::create_dir_all(&folder)?;
    let library = folder.join(described.file_name().context("a library without a name")?);
    let mut strip = command("strip", &["--strip-all", "--wildcard", "--keep-symbol", DESCRIPTION, "-o"])?;
    strip.args([&library, &described]);
    quiet("strip", strip)?;
    Ok(Built { library, programs })
}

/// Whether a package keeps to its size, which only one that was built to be shipped has.
pub fn check_size(bench: &Bench<'_>, package: &Path) -> Result<()> {
    let (size, name) = (fs::metadata(package)?.len(), package.file_name().unwrap_or_default().to_string_lossy());
    let counts = bench.profile != PROFILE;
    let note = if counts { "" } else { ", which counts when it is built to be shipped" };
    println!("── {name}: {:.2} MB of {:.0} MB{note}", size as f64 / 1e6, BUDGET as f64 / 1e6);
    if counts && size > BUDGET {
        bail!("{} is larger than its budget", package.display());
    }
    Ok(())
}

/// Whether anything in the folder of an unpacked package is there for our own tests.
pub fn check_services(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            check_services(&path)?;
            continue;
        }
        let bytes = fs::read(&path)?;
        for text in TEST_ONLY {
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                bail!("{} has `{text}` in it: a feature for our own tests is on", path.display());
            }
        }
    }
    Ok(())
}
