//! What pages point at exists: files, headings, tests and tasks.

use std::path::Path;

use crate::page::{read, repository};

/// Every page for people.
fn pages() -> Vec<String> {
    let mut pages: Vec<String> = ["runtime/compat-layotto/README.md", "sdk-rust/README.md"].map(str::to_owned).into();
    for folder in ["", "docs", "docs/decisions"] {
        for entry in std::fs::read_dir(repository().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                pages.push(if folder.is_empty() { name } else { format!("{folder}/{name}") });
            }
        }
    }
    pages
}

/// The links of a page: their texts and targets. Code, where brackets mean something else, is left out.
fn links(text: &str) -> Vec<(String, String)> {
    let prose: Vec<_> = text.split("```").step_by(2).collect();
    let mut links = Vec::new();
    for (at, _) in prose.join("").match_indices("](") {
        let prose = prose.join("");
        let (before, after) = (&prose[..at], &prose[at + 2..]);
        let (Some(begin), Some(end)) = (before.rfind('['), after.find(')')) else { continue };
        links.push((before[begin + 1..].to_owned(), after[..end].to_owned()));
    }
    links
}

/// The anchors of a page's headings.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings
        .map(|heading| {
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
            kept.collect::<String>().to_lowercase().replace(' ', "-")
        })
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut seen = 0;
    for page in pages() {
        let text = read(&page);
        for (shown, target) in links(&text) {
            if target.contains("://") {
                continue;
            }
            seen += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = if file.is_empty() {
                repository().join(&page)
            } else {
                repository().join(&page).parent().unwrap().join(file)
            };
            if let Some(problem) = problem(&path, anchor, &shown) {
                broken.push(format!("{page}: [{shown}]({target}): {problem}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(seen >= 20, "only {seen} links were found");
}

/// What is wrong with a link. One to a source whose text is a name stands for what has that name there.
fn problem(path: &Path, anchor: &str, shown: &str) -> Option<&'static str> {
    if !path.exists() {
        return Some("there is no such file");
    }
    let text = || std::fs::read_to_string(path).unwrap_or_default();
    if !anchor.is_empty() && !anchors(&text()).iter().any(|heading| heading == anchor) {
        return Some("there is no such heading");
    }
    let name = shown.strip_prefix('`').and_then(|name| name.strip_suffix('`'));
    let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match name.filter(is_name) {
        Some(name) if path.extension().is_some_and(|kind| kind == "rs") && !text().contains(name) => {
            Some("nothing there has this name")
        }
        _ => None,
    }
}

#[test]
fn every_task_that_is_named_exists() {
    let source = read("xtask/src/main.rs");
    let tasks = source.split_once("enum Task {").and_then(|(_, rest)| rest.split_once("\n}")).unwrap().0;
    let tasks: Vec<_> = tasks
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| line.split(['(', ',']).next().unwrap_or_default().to_lowercase())
        .collect();
    let mut unknown = Vec::new();
    for page in pages() {
        for (_, rest) in read(&page).match_indices("cargo xtask ").map(|(at, name)| (at, at + name.len())) {
            let text = read(&page);
            let name: String = text[rest..].chars().take_while(char::is_ascii_lowercase).collect();
            if !name.is_empty() && !tasks.contains(&name) {
                unknown.push(format!("{page}: cargo xtask {name}"));
            }
        }
    }
    assert!(unknown.is_empty(), "{}; there are: {}", unknown.join(", "), tasks.join(", "));
}

#[test]
fn what_leads_nowhere_is_noticed() {
    assert_eq!(
        links("a [b](c.md#d) `e`\n```\n[f](g)\n```\n[h](i)"),
        [("b".to_owned(), "c.md#d".to_owned()), ("h".to_owned(), "i".to_owned())]
    );
    let source = Path::new(file!()).file_name().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readme").join(source);
    assert_eq!(problem(&source, "", "`what_leads_nowhere_is_noticed`"), None);
    let absent = ["no", "such", "name"].join("_");
    assert!(problem(&source, "", &format!("`{absent}`")).is_some());
    let readme = repository().join("README.md");
    assert_eq!(problem(&readme, "honest-limits", "x"), None);
    assert!(problem(&readme, "nothing", "x").is_some());
    assert!(problem(&repository().join("nothing"), "", "x").is_some());
}
