//! The blocking form of what is written by hand for asyncio: the same source without `async` and
//! `await`, so that the two cannot drift apart.

use anyhow::{Context, Result};

use super::super::Files;
use super::{PACKAGE, python};
use crate::repository;

/// The sources that have both forms.
const SOURCES: &[&str] = &["_client.py", "_state.py"];

/// What is said differently; longer ones first where one begins with another.
const WORDS: &[(&str, &str)] = &[
    ("from pillion.aio._opening import opening\n", ""),
    ("@opening\n", ""),
    ("async def __aenter__", "def __enter__"),
    ("async def __aexit__", "def __exit__"),
    ("async def __anext__", "def __next__"),
    ("def __aiter__", "def __iter__"),
    ("StopAsyncIteration", "StopIteration"),
    ("AsyncIterator", "Iterator"),
    ("async def ", "def "),
    ("async with", "with"),
    ("async for", "for"),
    ("await anext(", "next("),
    ("await ", ""),
    ("pillion.aio.", "pillion."),
    ("pillion.aio", "pillion"),
    ("ASYNC = True", "ASYNC = False"),
];

/// Emits the blocking modules.
pub fn emit() -> Result<Files> {
    let root = repository()?;
    let mut files = Files::new();
    for source in SOURCES {
        let path = root.join(format!("{PACKAGE}/aio/{source}"));
        let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        let text = WORDS.iter().fold(text, |text, (from, to)| text.replace(from, to));
        files.insert(format!("{PACKAGE}/{source}").into(), python(&text));
    }
    Ok(files)
}
