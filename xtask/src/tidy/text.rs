//! What may not stand in files.

use std::path::Path;
use std::{fs, str};

use anyhow::{Context, Result};

use crate::repository;
use crate::step::command;

/// A file of ours is one thing; beyond this it is usually several.
const LONGEST: usize = 700;

/// Texts that may not stand in a source. Written in halves, so that this file is clean.
fn forbidden() -> [(String, &'static str); 7] {
    [
        (["TO", "DO"].concat(), "unfinished work belongs into an issue"),
        (["FIX", "ME"].concat(), "unfinished work belongs into an issue"),
        (["/home", "/"].concat(), "a path of one machine"),
        (["/root", "/"].concat(), "a path of one machine"),
        (["registry.npm", "js.org"].concat(), "the host name of a registry"),
        (["static.crates", ".io"].concat(), "the host name of a registry"),
        (["pypi.org", "/simple"].concat(), "the host name of a registry"),
    ]
}

/// Every breach.
pub fn check() -> Result<Vec<String>> {
    let root = repository()?;
    let output = command("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?.output()?;
    let names = str::from_utf8(&output.stdout).context("a file name that is not UTF-8")?;
    let mut problems = Vec::new();
    for name in names.split('\0').filter(|name| !name.is_empty()) {
        // A file that was removed and not yet committed is still listed.
        let Ok(contents) = fs::read(root.join(name)) else { continue };
        if let Ok(text) = str::from_utf8(&contents) {
            problems.extend(file(name, text));
        }
    }
    Ok(problems)
}

fn file(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let generated = name.contains("/gen/") || name.starts_with("docs/reference/") || name.ends_with(".lock");
    if generated {
        return problems;
    }
    let kind = Path::new(name).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let source = matches!(
        kind,
        "rs" | "py" | "pyi" | "ts" | "js" | "mjs" | "cjs" | "kt" | "swift" | "rb" | "proto" | "toml" | "yaml" | "md"
    );
    if source {
        for (word, why) in forbidden() {
            for (number, line) in text.lines().enumerate().filter(|(_, line)| line.contains(&word)) {
                problems.push(format!("{name}:{}: {why}: {}", number + 1, line.trim()));
            }
        }
    }
    let lines = text.lines().count();
    if kind == "rs" && lines > LONGEST {
        problems.push(format!("{name}: {lines} lines; is it one thing? (at most {LONGEST})"));
    }
    let module = Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if kind == "rs" && matches!(module, "util" | "utils" | "helper" | "helpers" | "common" | "misc") {
        problems.push(format!("{name}: `{module}` says nothing of what is in it"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_something_to_find() {
        let words = forbidden().map(|(word, _)| word).join("\n");
        assert_eq!(file("a/b.rs", &words).len(), forbidden().len());
        assert_eq!(file("a/b.rs", &"//\n".repeat(LONGEST + 1)).len(), 1);
        assert_eq!(file("a/utils.rs", "").len(), 1);
        assert_eq!(file("a/gen/b.rs", &words), Vec::<String>::new());
        assert_eq!(file("a/b.rs", "fn main() {}"), Vec::<String>::new());
    }
}
