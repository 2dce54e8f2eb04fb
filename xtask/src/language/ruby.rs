//! Ruby: the gem as it will be installed, laid out in a folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Result;

use super::{copy, library};
use crate::step::{command, quiet, run, target};
use crate::{repository, tool};

const TESTS: &str = "sdk-ffi/ruby/test";
/// The bridge that UniFFI makes is not indented as Ruby would have it.
const BRIDGE: &str = "# -*- warn_indent: false -*-\n";

/// Where the gem for the tests is.
pub fn gem() -> Result<PathBuf> {
    Ok(target()?.join("sdk-ffi/ruby"))
}

/// Ruby with what the gem needs.
pub fn install() -> Result<()> {
    tool::packages(&[tool::RUBY])?;
    if !command("ruby", &["-e", "require 'ffi'"])?.stderr(Stdio::null()).status()?.success() {
        tool::install(&["ruby-ffi"])?;
    }
    Ok(())
}

/// Lays out the gem for the tests.
pub fn stage(programs: &Path) -> Result<()> {
    install()?;
    let folder = gem()?;
    let home = folder.join("lib");
    if home.exists() {
        // What was taken out of the gem would otherwise live on here.
        fs::remove_dir_all(&home)?;
    }
    lay_out(&library(programs, "pillion_ffi")?, programs, &folder)
}

/// Runs its suites against that gem.
pub fn test(programs: &Path) -> Result<()> {
    stage(programs)?;
    let files = fs::read_dir(repository()?.join(TESTS))?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let mut suites = command("ruby", &["-e", "ARGV.each { |file| require file }; ARGV.clear"])?;
    suites.args(files.iter().filter(|file| file.to_string_lossy().ends_with("_test.rb")));
    // Panics that are asked for are many, and what they have to say is known.
    suites.env("PILLION_BIN", programs.join("pillion")).env("RUST_BACKTRACE", "0");
    run("the suites of Ruby", suites)
}

/// Puts a gem around `library` into `folder`: the sources of the tree, the bridge that the generator in
/// `programs` makes for this very library, and the library.
pub fn lay_out(library: &Path, programs: &Path, folder: &Path) -> Result<()> {
    let sources = repository()?.join("sdk-ffi/ruby");
    copy_tree(&sources.join("lib"), &folder.join("lib"))?;
    for name in ["pillion.gemspec", "README.md"] {
        copy(&sources.join(name), &folder.join(name))?;
    }
    let home = folder.join("lib/pillion");
    let made = tempfile::tempdir()?;
    let mut bindgen = command(programs.join("pillion-ffi-bindgen"), &["ruby"])?;
    bindgen.arg(library).arg(made.path());
    quiet("pillion-ffi-bindgen ruby", bindgen)?;
    let bridge = fs::read_to_string(made.path().join("pillion.rb"))?;
    fs::write(home.join("native.rb"), BRIDGE.to_owned() + &bridge)?;
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
