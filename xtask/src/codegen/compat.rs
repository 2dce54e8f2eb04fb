//! The wire contracts of other runtimes, for the doors.

use std::path::Path;

use anyhow::Result;

use super::Files;

/// Emits the generated part of each door.
pub fn emit(_root: &Path) -> Result<Files> {
    Ok(Files::new())
}
