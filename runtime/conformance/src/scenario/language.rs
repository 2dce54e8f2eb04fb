//! Which languages there are, and how their drivers are started: the table `drivers.yaml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::driver::CommandLine;

const TABLE: &str = include_str!("../../drivers.yaml");
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The drivers, by language.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Languages {
    drivers: BTreeMap<String, CommandLine>,
}

impl Languages {
    /// The table of this build, for programs in the folder `programs`.
    ///
    /// # Errors
    /// A table that is wrong, paths that are not UTF-8.
    pub fn read(programs: &Path) -> Result<Self> {
        let mut languages: Self = serde_saphyr::from_str(TABLE).context("drivers.yaml")?;
        let repository = std::fs::canonicalize(REPOSITORY).unwrap_or_else(|_| PathBuf::from(REPOSITORY));
        let text = |path: &Path| path.to_str().map(str::to_owned).context("a path is not UTF-8");
        let target = programs.parent().unwrap_or(programs);
        let places =
            [("{programs}", text(programs)?), ("{target}", text(target)?), ("{repository}", text(&repository)?)];
        for (lang, command) in &mut languages.drivers {
            ensure!(!command.is_empty(), "drivers.yaml: the driver of `{lang}` has no command");
            for word in command {
                for (name, path) in &places {
                    *word = word.replace(name, path);
                }
            }
        }
        Ok(languages)
    }

    /// Replaces the driver of a language, or adds one.
    pub fn set(&mut self, lang: &str, command: CommandLine) {
        self.drivers.insert(lang.to_owned(), command);
    }

    /// The driver of a language.
    ///
    /// # Errors
    /// When there is none, or when it was not built.
    pub fn driver(&self, lang: &str) -> Result<&CommandLine> {
        let Some(command) = self.drivers.get(lang) else {
            let known = self.drivers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            bail!("there is no driver for `{lang}`; there are: {known}");
        };
        // A word with a separator is a file of ours; a bare one is looked for on the path.
        let missing = command.iter().find(|word| Path::new(word).is_absolute() && !Path::new(word).exists());
        if let Some(missing) = missing {
            bail!(
                "the driver of `{lang}` was not built: there is no {missing}; `cargo xtask conformance --lang {lang}` builds it, and `--driver {lang}=COMMAND` names another"
            );
        }
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_was_not_built_is_missed_with_advice() {
        let languages = Languages::read(Path::new("/nowhere")).unwrap();
        let said = languages.driver("rust").unwrap_err().to_string();
        assert!(said.contains("/nowhere/pillion-driver") && said.contains("--lang rust"), "{said}");
        let said = languages.driver("cobol").unwrap_err().to_string();
        assert!(said.contains("`cobol`") && said.contains("python-aio"), "{said}");
    }

    #[test]
    fn a_driver_can_be_replaced() {
        let mut languages = Languages::read(Path::new("/nowhere")).unwrap();
        languages.set("rust", vec!["sh".to_owned()]);
        assert_eq!(languages.driver("rust").unwrap(), &["sh"]);
    }
}
