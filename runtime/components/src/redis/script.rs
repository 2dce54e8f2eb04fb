//! The script that applies writes: what it is told and what it answers.

use std::sync::LazyLock;
use std::time::Duration;

use pillion_spi::state::{Action, Condition, Expiry, Generation, Op, OpOutcome, Version};
use pillion_spi::{Error, Kind, Random, Result, chaos};
use redis::{Cmd, Script};

use crate::repeat::{self, Digest};

/// Its text.
pub(super) const SOURCE: &str = include_str!("apply.lua");

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(SOURCE));

/// How a group of writes is to be treated.
pub(super) struct Group {
    /// All or nothing.
    pub(super) atomic: bool,
    /// How the answer is remembered, if it is.
    pub(super) remember: Option<Memory>,
}

/// Where the answer to a call is remembered.
pub(super) struct Memory {
    /// The key on the server.
    pub(super) key: String,
    /// What the call is to do; the answer is that of no other.
    pub(super) digest: Digest,
    /// How long.
    pub(super) window: Duration,
}

/// By which the server is told the script.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// Its hash: short, but the server may not know it.
    Hash,
    /// Its text.
    Text,
}

/// A call of the script.
pub(super) fn call(by: By, ops: &[Op], group: &Group, random: &(dyn Random + 'static)) -> Cmd {
    let size: usize = ops.iter().map(|op| op.key.as_str().len() + value_len(op) + 64).sum();
    let mut cmd = Cmd::with_capacity(7 * ops.len() + 7, size + 128);
    match by {
        By::Hash => cmd.arg("EVALSHA").arg(SCRIPT.get_hash()),
        By::Text => cmd.arg("EVAL").arg(SOURCE),
    };
    cmd.arg(ops.len() + usize::from(group.remember.is_some()));
    for op in ops {
        cmd.arg(op.key.as_str());
    }
    if let Some(memory) = &group.remember {
        cmd.arg(&memory.key);
    }
    cmd.arg(if group.atomic { "all" } else { "each" });
    match &group.remember {
        Some(memory) => cmd.arg(milliseconds(memory.window)).arg(memory.digest.to_string()),
        None => cmd.arg("").arg(""),
    };
    for op in ops {
        push_condition(&mut cmd, &op.condition);
        match &op.action {
            Action::Delete => cmd.arg("d").arg("").arg("").arg(""),
            Action::Put { value, content_type, expiry } => {
                match expiry {
                    Expiry::Never => cmd.arg("n"),
                    Expiry::Keep => cmd.arg("k"),
                    Expiry::After(time) => cmd.arg(milliseconds(*time)),
                };
                cmd.arg(value.as_ref()).arg(Generation::from_random(random.u64()).to_string());
                match content_type {
                    Some(content_type) => cmd.arg(format!(" {content_type}")),
                    None => cmd.arg(""),
                }
            }
        };
    }
    cmd
}

fn value_len(op: &Op) -> usize {
    match &op.action {
        Action::Put { value, content_type, .. } => value.len() + content_type.as_ref().map_or(0, String::len),
        Action::Delete => 0,
    }
}

fn push_condition(cmd: &mut Cmd, condition: &Condition) {
    if chaos::fires("redis.ignore_etag") {
        cmd.arg("x").arg("");
        return;
    }
    match condition {
        Condition::None => cmd.arg("n").arg(""),
        Condition::IfAbsent => cmd.arg("a").arg(""),
        Condition::IfMatch(version) => cmd.arg("m").arg(version.to_string()),
        Condition::IfMatchOrAbsent(version) => cmd.arg("o").arg(version.to_string()),
        Condition::FirstWrite(None) => cmd.arg("f").arg(""),
        Condition::FirstWrite(Some(version)) => cmd.arg("f").arg(version.to_string()),
    };
}

/// Milliseconds for PEXPIRE: rounded up, so that nothing goes early, and never zero, which would
/// delete. Redis adds them to the time of day in 64 bits; a third of a million years is enough.
fn milliseconds(time: Duration) -> u64 {
    const MOST: u128 = 1 << 53;
    let milliseconds = time.as_nanos().div_ceil(1_000_000).clamp(1, MOST);
    u64::try_from(milliseconds).unwrap_or(u64::MAX)
}

/// Reads the answer for `count` writes.
///
/// # Errors
/// [`Kind::Reused`] when the idempotency key belongs to another call; or it is not one of this script for so
/// many writes.
pub(super) fn outcomes(answer: &[u8], count: usize) -> Result<Vec<OpOutcome>> {
    let text = std::str::from_utf8(answer).map_err(|_| not_ours())?;
    if text == "R" {
        return Err(repeat::reused());
    }
    let outcomes: Vec<OpOutcome> = text.split('\n').map(outcome).collect::<Option<_>>().ok_or_else(not_ours)?;
    if outcomes.len() != count {
        return Err(not_ours());
    }
    Ok(outcomes)
}

fn not_ours() -> Error {
    Error::internal("Redis gave an answer that the script cannot have given")
}

fn outcome(line: &str) -> Option<OpOutcome> {
    let mut words = line.split(' ');
    let existed = |word| match word {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    };
    Some(match words.next()? {
        "A" => OpOutcome::Applied { version: Some(words.next()?.parse().ok()?), existed: existed(words.next()?)? },
        "D" => OpOutcome::Applied { version: None, existed: existed(words.next()?)? },
        "C" => OpOutcome::Conflict { found: words.next().map(str::parse::<Version>).transpose().ok()? },
        "X" => OpOutcome::Aborted,
        "T" => OpOutcome::Failed(
            Error::new(Kind::Corrupt, format!("the key holds a Redis {}, which is no entry", words.next()?))
                .advice("another program uses this key; choose another key or database"),
        ),
        "N" => OpOutcome::Failed(
            Error::new(Kind::Denied, "the Redis user may not do all that this write takes").advice("extend its ACL"),
        ),
        "V" => {
            OpOutcome::Failed(Error::new(Kind::Corrupt, "the stored version is not a number that can be counted on"))
        }
        _ => return None,
    })
}
