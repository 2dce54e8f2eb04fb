//! The scenario runner, launched.

use anyhow::Result;

use crate::step::{build_all, command, run as step};
use crate::{language, tool};

/// Run the scenarios in every language, mode and store.
#[derive(clap::Args)]
pub struct Arguments {
    /// Passed on to the runner: --lang, --mode, --store, --replay …; without --lang all languages.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Arguments {
    /// Every language, mode and store; what cannot be started is a failure.
    pub fn everything() -> Self {
        Self { arguments: Vec::new() }
    }

    /// Those that are quick: in Rust and over HTTP.
    pub fn quick() -> Self {
        Self { arguments: vec!["--lang".to_owned(), "rust".to_owned()] }
    }

    /// The languages that are asked for; none if that is left open.
    fn languages(&self) -> Vec<&str> {
        let arguments = self.arguments.iter().map(String::as_str);
        let before = std::iter::once("").chain(arguments.clone());
        arguments
            .zip(before)
            .filter_map(|(argument, before)| {
                argument.strip_prefix("--lang=").or((before == "--lang").then_some(argument))
            })
            .flat_map(|list| list.split(','))
            .collect()
    }
}

/// Builds what the scenarios run on, and runs them.
pub fn run(arguments: &Arguments) -> Result<()> {
    tool::packages(&[tool::REDIS])?;
    let programs = build_all()?;
    let mut runner = command(programs.join("scenario"), &[])?;
    let languages = arguments.languages();
    if languages.is_empty() {
        language::stage(language::ALL, &programs)?;
        runner.args(["--lang", &language::ALL.join(",")]);
    } else {
        language::stage(languages, &programs)?;
    }
    runner.args(&arguments.arguments).env("PILLION_BIN", programs.join("pillion"));
    step("scenarios", runner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_languages_are_found_among_what_is_passed_on() {
        let languages = |text: &str| {
            let arguments = Arguments { arguments: text.split(' ').map(str::to_owned).collect() };
            arguments.languages().join(" ")
        };
        assert_eq!(languages("--mode grpc --lang python,node --store memory"), "python node");
        assert_eq!(languages("--lang=ruby"), "ruby");
        assert_eq!(languages("--mode grpc"), "");
    }
}
