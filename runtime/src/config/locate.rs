//! Which file is the configuration.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use pillion_proto::Reason;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::expand::Environment;
use super::foreign;

/// The variable that names the configuration file.
pub const CONFIG_VARIABLE: &str = "PILLION_CONFIG";

/// Names that a configuration may have in a folder.
const NAMES: [&str; 3] = ["pillion.yaml", "pillion.yml", "pillion.json"];

/// Where a configuration was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The file.
    pub path: PathBuf,
    /// Why this one.
    pub by: LocatedBy,
}

/// Why a file is the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocatedBy {
    /// It was named on the command line.
    Argument,
    /// `PILLION_CONFIG` names it.
    Variable,
    /// It lies in the working directory or a folder above it.
    Folder,
}

/// Finds the configuration: the one named by `argument`; the one named by `PILLION_CONFIG`;
/// `pillion.yaml`, `pillion.yml` or `pillion.json` in `working_dir` or, inside a git repository, in
/// a folder above it up to the root of the repository. Nothing if there is none.
///
/// A file that is named is not looked at here; reading it says what is wrong with it.
///
/// # Errors
/// Several candidates in one folder; a configuration that is not supported: `pillion.toml`, Dapr
/// resources in `components` or `resources`, a Layotto configuration in `config.json` or `configs`.
pub fn locate(
    argument: Option<&Path>,
    working_dir: &Path,
    environment: &Environment<'_>,
) -> Result<Option<Located>, Diagnostics> {
    let named = |path: PathBuf, by| Some(Located { path: working_dir.join(path), by });
    if let Some(path) = argument {
        return Ok(named(path.to_path_buf(), LocatedBy::Argument));
    }
    if let Some(path) = environment(CONFIG_VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(named(path.into(), LocatedBy::Variable));
    }
    search(working_dir).map_err(|problem| Diagnostics::new(None, vec![problem]))
}

fn search(working_dir: &Path) -> Result<Option<Located>, Diagnostic> {
    // Outside of a repository nothing bounds the search, and a file in, say, /tmp is another's.
    let root = working_dir.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(working_dir);
    for folder in working_dir.ancestors() {
        if let Some(path) = only_candidate(folder)? {
            return Ok(Some(Located { path, by: LocatedBy::Folder }));
        }
        if folder == root {
            break;
        }
    }
    match foreign_candidates(working_dir).into_iter().find_map(|path| Some((foreign_format(&path)?, path))) {
        Some((format, path)) => {
            let advice = "or name another configuration with `--config`";
            Err(foreign::refuse(&path.to_string_lossy(), format).help(advice))
        }
        None => Ok(None),
    }
}

/// The configuration in a folder, if there is exactly one.
fn only_candidate(folder: &Path) -> Result<Option<PathBuf>, Diagnostic> {
    let mut found: Vec<PathBuf> = NAMES.iter().map(|name| folder.join(name)).filter(|path| path.exists()).collect();
    let toml = folder.join("pillion.toml");
    if found.is_empty() && toml.exists() {
        return Err(foreign::refuse(&toml.to_string_lossy(), foreign::Format::Toml));
    }
    if found.len() > 1 {
        let names: Vec<_> = found.iter().map(|path| format!("`{}`", path.display())).collect();
        let message = format!("{} could each be the configuration", names.join(" and "));
        return Err(Diagnostic::new(Reason::ConfigAmbiguous, message).help("keep one, or name one with `--config`"));
    }
    Ok(found.pop())
}

/// The configuration in a folder that was named instead of a file.
pub(crate) fn file_in(folder: &Path) -> Option<PathBuf> {
    NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// Files that other runtimes read without being told, at most so many.
fn foreign_candidates(working_dir: &Path) -> Vec<PathBuf> {
    const MOST: usize = 200;
    let mut candidates = vec![working_dir.join("config.json")];
    for (folder, extensions) in
        [("components", ["yaml", "yml"].as_slice()), ("resources", &["yaml", "yml"]), ("configs", &["json"])]
    {
        let Ok(entries) = fs::read_dir(working_dir.join(folder)) else { continue };
        let paths = entries.take(MOST).filter_map(|entry| Some(entry.ok()?.path()));
        let known = |path: &PathBuf| path.extension().is_some_and(|e| extensions.iter().any(|known| e == *known));
        let mut found: Vec<_> = paths.filter(known).collect();
        found.sort();
        candidates.extend(found);
    }
    candidates
}

fn foreign_format(path: &Path) -> Option<foreign::Format> {
    const ENOUGH: u64 = 64 << 10;
    if !path.is_file() {
        return None;
    }
    let mut start = Vec::new();
    fs::File::open(path).ok()?.take(ENOUGH).read_to_end(&mut start).ok()?;
    foreign::recognize(&String::from_utf8_lossy(&start))
}
