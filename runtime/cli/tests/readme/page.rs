//! A Markdown page, as its fenced blocks.

use std::path::{Path, PathBuf};

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The line on which it begins.
    pub(crate) line: usize,
    /// What stands behind the fence: a language, and for a file its name.
    pub(crate) info: String,
    pub(crate) text: String,
}

impl Block {
    /// The name of the file that the block is, if it is one: ```` ```yaml pillion.yaml ````.
    pub(crate) fn file(&self) -> Option<&str> {
        self.info.split_once(' ').map(|(_, name)| name)
    }
}

/// A command of a console block, with what it prints.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) command: String,
    pub(crate) shown: Vec<String>,
}

/// The folder of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of a page, by its path in the repository.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The blocks of a page, in its order.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                open = Some(Block { line: number + 1, info: info.trim().to_owned(), text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    assert_eq!(open, None, "a block has no end");
    blocks
}

/// The commands of a console block.
pub(crate) fn steps(block: &Block) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (number, line) in block.text.lines().enumerate() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => {
                let line = block.line + 1 + number;
                steps.push(Step { line, command: command.to_owned(), shown: Vec::new() });
            }
            (None, Some(step)) => step.shown.push(line.to_owned()),
            (None, None) => panic!("line {}: a console block begins with a command", block.line),
        }
    }
    steps
}

#[test]
fn blocks_and_steps_are_found() {
    let text = "a\n```console\n$ x --y\n1\n\n$ z\n```\nb\n```yaml f.yaml\nk: v\n```\n";
    let blocks = blocks(text);
    assert_eq!(blocks.len(), 2);
    let steps = steps(&blocks[0]);
    assert_eq!(steps.iter().map(|step| (step.line, &*step.command)).collect::<Vec<_>>(), [(3, "x --y"), (6, "z")]);
    assert_eq!((steps[0].shown.as_slice(), steps[1].shown.len()), (["1".to_owned(), String::new()].as_slice(), 0));
    assert_eq!((blocks[0].file(), blocks[1].file(), &*blocks[1].text), (None, Some("f.yaml"), "k: v\n"));
}
