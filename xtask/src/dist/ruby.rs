//! The gem.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Bench, ffi};
use crate::language;
use crate::step::{command, quiet};
use crate::{repository, step};

/// Nobody answers there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// Builds it, with the native library inside.
pub fn gem(bench: &Bench<'_>) -> Result<PathBuf> {
    language::ruby::install()?;
    let built = ffi::build(bench)?;
    let folder = bench.folder("gem")?;
    language::ruby::lay_out(&built.library, &built.programs, &folder)?;
    fs::copy(repository()?.join("LICENSE"), folder.join("LICENSE"))?;
    let mut build = command("gem", &["build", "--strict", "pillion.gemspec"])?;
    build.current_dir(&folder);
    quiet("gem build", build)?;
    let made = language::one_file(&folder, ".gem")?;
    let gem = bench.packages.join(made.file_name().context("a gem without a name")?);
    fs::rename(made, &gem)?;
    Ok(gem)
}

/// Installs it into an empty folder, with no registry and no cargo, and runs the first program of the README.
pub fn check(bench: &Bench<'_>, made: &[PathBuf]) -> Result<()> {
    let gem = made.iter().find(|file| file.extension().is_some_and(|ending| ending == "gem"));
    let gem = gem.context("there is no gem to check")?;
    ffi::check_size(bench, gem)?;
    let home = tempfile::tempdir()?;
    let mut install = alone("gem", home.path())?;
    install.args(["install", "--local", "--no-document"]).arg(fs::canonicalize(gem)?);
    quiet("gem install", install)?;
    ffi::check_services(&home.path().join("gems"))?;

    let readme = fs::read_to_string(repository()?.join("sdk-ffi/ruby/README.md"))?;
    let program = readme.split("```ruby\n").nth(1).and_then(|rest| rest.split("```").next());
    let program = program.context("the README has no program")?;
    let expected: Vec<_> = program.lines().filter_map(|line| Some(line.split_once("# prints ")?.1)).collect();
    let ended = alone("ruby", home.path())?.args(["-e", program]).output()?;
    let said = String::from_utf8_lossy(&ended.stdout);
    if expected.is_empty() || !ended.status.success() || said.lines().ne(expected.iter().copied()) {
        bail!("the first program printed {said:?}, not {expected:?}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    println!("── the gem in an empty folder: {}", expected.join(" "));
    Ok(())
}

/// A program that finds gems in `home` beside those of the machine, and of the machine no cargo.
fn alone(program: &str, home: &Path) -> Result<Command> {
    let mut command = step::command(program, &[])?;
    command.current_dir(home).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home).env("GEM_HOME", home);
    command.env("http_proxy", NOWHERE).env("https_proxy", NOWHERE);
    Ok(command)
}
