//! Ruby: the gem as it will be installed, laid out in a folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Result;

use super::{copy, library};
use crate::step::{command, quiet, target};
use crate::{repository, tool};

/// Where the gem for the tests is.
pub fn gem() -> Result<PathBuf> {
    Ok(target()?.join("sdk-ffi/ruby"))
}

/// Lays out the gem for the tests.
pub fn stage(programs: &Path) -> Result<()> {
    tool::packages(&[tool::RUBY])?;
    if !command("ruby", &["-e", "require 'ffi'"])?.stderr(Stdio::null()).status()?.success() {
        tool::install(&["ruby-ffi"])?;
    }
    lay_out(&library(programs, "pillion_ffi")?, programs, &gem()?)
}

/// Puts a gem around `library` into `folder`: the sources of the tree, the bridge that the generator in
/// `programs` makes for this very library, and the library.
pub fn lay_out(library: &Path, programs: &Path, folder: &Path) -> Result<()> {
    let sources = repository()?.join("sdk-ffi/ruby");
    copy_tree(&sources.join("lib"), &folder.join("lib"))?;
    for name in ["pillion.gemspec", "README.md"] {
        if sources.join(name).exists() {
            copy(&sources.join(name), &folder.join(name))?;
        }
    }
    let home = folder.join("lib/pillion");
    let made = tempfile::tempdir()?;
    let mut bindgen = command(programs.join("pillion-ffi-bindgen"), &["ruby"])?;
    bindgen.arg(library).arg(made.path());
    quiet("pillion-ffi-bindgen ruby", bindgen)?;
    fs::copy(made.path().join("pillion.rb"), home.join("native.rb"))?;
    if let Some(name) = library.file_name() {
        copy(library, &home.join(name))?;
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() { copy_tree(&entry.path(), &to)? } else { copy(&entry.path(), &to)? }
    }
    Ok(())
}
