//! The languages: what their drivers and tests need beside the programs that cargo builds.
//!
//! Everything stands on one build of the workspace, with the services that only tests have. A language
//! copies its library out of it, so that a later build does not pull it away, and puts what the registries
//! have for its tests into the target folder.

pub mod kotlin;
pub mod node;
pub mod python;
pub mod ruby;
pub mod swift;

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::step::{build_all, target};

/// Those that have a driver.
pub const ALL: [&str; 6] = ["rust", "python", "python-aio", "node", "kotlin", "ruby"];

/// Run the suites of the bindings: what the scenarios cannot say.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only of these languages.
    #[arg(long, value_delimiter = ',', default_value = "python,node,kotlin,ruby,swift")]
    lang: Vec<String>,
}

/// Builds everything and runs the suites.
pub fn run(arguments: &Arguments) -> Result<()> {
    let programs = build_all()?;
    arguments.lang.iter().try_for_each(|lang| test(lang, &programs))
}

/// Runs the suites of all languages.
pub fn test_all(programs: &Path) -> Result<()> {
    ["python", "node", "kotlin", "ruby", "swift"].iter().try_for_each(|lang| test(lang, programs))
}

/// Makes ready what the drivers of these languages need, out of the folder of the built programs.
pub fn stage<'a>(languages: impl IntoIterator<Item = &'a str>, programs: &Path) -> Result<()> {
    let mut languages: Vec<_> = languages.into_iter().map(|lang| lang.trim_end_matches("-aio")).collect();
    languages.sort_unstable();
    languages.dedup();
    for language in languages {
        match language {
            "python" => python::stage(programs)?,
            "node" => node::stage(programs)?,
            "kotlin" => kotlin::stage(programs)?,
            "ruby" => ruby::stage(programs)?,
            // The runner knows which there are, and says so.
            _ => {}
        }
    }
    Ok(())
}

/// Runs the suites of a language: types, exceptions, iterators, cancelling, exits, packages.
fn test(lang: &str, programs: &Path) -> Result<()> {
    match lang {
        "python" => python::test(programs),
        "node" => node::test(programs),
        "kotlin" => kotlin::test(programs),
        "ruby" => ruby::test(programs),
        "swift" => swift::test(programs),
        other => bail!("`{other}` has no suites; python, node, kotlin, ruby and swift have"),
    }
}

/// The library that cargo built of a crate.
pub fn library(programs: &Path, name: &str) -> Result<PathBuf> {
    let file = programs.join(format!("{}{name}{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX));
    if !file.exists() {
        bail!("there is no {}: build the workspace first", file.display());
    }
    Ok(file)
}

/// Copies a file unless the copy is of this very build. What runs on the old copy keeps it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let changed = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    let built = changed(from).with_context(|| from.display().to_string())?;
    if changed(to) == Some(built) {
        return Ok(());
    }
    let folder = to.parent().context("a file without a folder")?;
    fs::create_dir_all(folder)?;
    let fresh = tempfile::NamedTempFile::new_in(folder)?;
    fs::copy(from, fresh.path()).with_context(|| format!("copying {}", from.display()))?;
    fresh.as_file().set_modified(built)?;
    fresh.persist(to)?;
    Ok(())
}

/// Runs `install` unless it ran before for the same text, such as a list of requirements.
fn once(name: &str, text: &str, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let mark = target()?.join(name);
    if fs::read_to_string(&mark).is_ok_and(|found| found == text) {
        return Ok(());
    }
    install()?;
    fs::create_dir_all(mark.parent().context("a mark without a folder")?)?;
    fs::write(mark, text)?;
    Ok(())
}

/// The only file with this ending in a folder.
pub fn one_file(folder: &Path, ending: &str) -> Result<PathBuf> {
    let files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let file = files.into_iter().find(|file| file.to_string_lossy().ends_with(ending));
    file.with_context(|| format!("no file `*{ending}` was made in {}", folder.display()))
}
