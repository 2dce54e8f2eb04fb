//! Node: the native half of the package, where `PILLION_ADDON` finds it.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{copy, library};
use crate::step::target;

/// The native half, with the services that only tests have.
pub fn addon() -> Result<PathBuf> {
    Ok(target()?.join("node/pillion.node"))
}

/// Copies it out of the build.
pub fn stage(programs: &Path) -> Result<()> {
    copy(&library(programs, "pillion_node")?, &addon()?)
}
