//! Planted defects: each must be found by the checker that is there for it, or the suites prove
//! nothing.

use std::path::Path;

use anyhow::Result;

use super::backend::Kind;
use super::history::Arena;
use super::kill::{Loop, Planted};
use super::report::Verdict;

/// A defect, as `PILLION_CHAOS` switches it on.
#[derive(Clone, Copy, Debug)]
pub struct Defect {
    /// The store that has it.
    pub kind: Kind,
    /// Its name.
    pub name: &'static str,
    finder: Finder,
}

/// Which checker must find it, and by which words.
#[derive(Clone, Copy, Debug)]
enum Finder {
    /// The kill loop.
    Loop { points: &'static [&'static str], words: &'static str },
    /// A history.
    History,
}

/// Violations of the audit of acknowledged writes.
const LOST: &str = "is lost";
/// Violations of the bank.
const BANK: &str = "the bank:";
/// Violations of writes that were repeated.
const TWICE: &str = "repeated, the write made";
const HISTORY: &str = "is not linearizable";

/// All of them.
pub const DEFECTS: [Defect; 8] = [
    Defect {
        kind: Kind::Local,
        name: "local.ack_before_commit",
        // What was told too early gets out while the commit is held.
        finder: Finder::Loop { points: &["local.before_commit=hold"], words: LOST },
    },
    Defect { kind: Kind::Redis, name: "redis.ack_before_reply", finder: Finder::Loop { points: &[], words: LOST } },
    Defect { kind: Kind::Local, name: "local.skip_transaction", finder: Finder::Loop { points: &[], words: BANK } },
    Defect { kind: Kind::Redis, name: "redis.torn_transaction", finder: Finder::Loop { points: &[], words: BANK } },
    Defect {
        kind: Kind::Local,
        name: "local.forget_call",
        finder: Finder::Loop { points: &["local.after_commit=hold"], words: TWICE },
    },
    Defect { kind: Kind::Memory, name: "memory.ignore_etag", finder: Finder::History },
    Defect { kind: Kind::Local, name: "local.ignore_etag", finder: Finder::History },
    Defect { kind: Kind::Redis, name: "redis.ignore_etag", finder: Finder::History },
];

/// Looks for a defect in up to `cycles` cycles.
///
/// # Errors
/// When a step cannot be carried out for another reason than the defect.
pub async fn find(program: &Path, defect: Defect, cycles: u32, seed: u64) -> Result<Verdict> {
    let (violations, words) = match defect.finder {
        Finder::Loop { points, words } => {
            let planted = Planted { chaos: defect.name, points: Some(points), words };
            (Loop::new(program, defect.kind, planted, seed).await?.run(cycles).await?.violations, words)
        }
        Finder::History => {
            (Arena::new(program, defect.kind, defect.name, seed).await?.run(cycles).await?.violations, HISTORY)
        }
    };
    let found = violations.iter().find(|violation| violation.contains(words));
    let shown = found.and_then(|found| found.lines().next()).unwrap_or_default();
    let shown: String = shown.chars().take(110).collect();
    let not_found = format!("not found within {cycles} cycles; found was {violations:?}");
    Ok(Verdict::new(format!("found: {shown}"), Vec::new()).require(found.is_some(), not_found))
}
