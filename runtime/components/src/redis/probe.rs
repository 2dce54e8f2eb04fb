//! What the server is set up to do: looked at on every connection and now and then after.

use pillion_spi::{Durability, Error, Kind, LocalDurability, Replication, Result};
use redis::{Pipeline, Value};

use super::error::{Fault, refused};
use super::live::Live;
use super::script;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// How durable an acknowledged write is.
    pub(super) durability: Durability,
    /// How many replicas follow it, those left out that are still copying.
    pub(super) replicas: usize,
    /// It is a replica itself: what it answers may be old.
    pub(super) replica: bool,
    /// It may drop entries to make room.
    pub(super) evicts: bool,
    /// It reports every change of a key that matters to a watcher, and on a connection that can
    /// also be asked (RESP3, since Redis 6).
    pub(super) notifies: bool,
}

/// The settings that decide about durability, eviction and notification.
const SETTINGS: [&str; 6] = [
    "appendonly",
    "appendfsync",
    "no-appendfsync-on-rewrite",
    "maxmemory",
    "maxmemory-policy",
    "notify-keyspace-events",
];

const SECTIONS: [&str; 4] = ["server", "replication", "persistence", "memory"];

/// Asks the server, on behalf of the component of that name.
///
/// # Errors
/// The server cannot serve: it is loading, refuses the user, or is of a kind that does not work.
pub(super) async fn probe(live: &Live, component: &str) -> Result<Facts> {
    let mut pipeline = Pipeline::with_capacity(SECTIONS.len() + SETTINGS.len() + 2);
    for section in SECTIONS {
        pipeline.cmd("INFO").arg(section);
    }
    for setting in SETTINGS {
        pipeline.cmd("CONFIG").arg("GET").arg(setting);
    }
    // For whoever reads the server's CLIENT LIST; it takes no blanks.
    pipeline.cmd("CLIENT").arg("SETNAME").arg(format!("pillion:{}", component.replace(' ', "_")));
    // Loaded here once, so that the first write need not send it. If the user may not, a write
    // sends it itself.
    pipeline.cmd("SCRIPT").arg("LOAD").arg(script::SOURCE);
    let mut answers = live.send_all(&pipeline).await.map_err(Fault::of_read)?.into_iter();

    let mut info = String::new();
    for answer in answers.by_ref().take(SECTIONS.len()) {
        match answer {
            Value::ServerError(error) if refused(&error).kind() == Kind::Denied && error.code() != "NOPERM" => {
                return Err(refused(&error));
            }
            Value::BulkString(text) => info.push_str(&String::from_utf8_lossy(&text)),
            Value::VerbatimString { text, .. } => info.push_str(&text),
            _ => {}
        }
    }
    let settings: Vec<Option<String>> = answers.by_ref().take(SETTINGS.len()).map(setting).collect();
    judge(&info, &settings)
}

/// The value in an answer to `CONFIG GET`; `None` if it was refused or the setting does not exist.
fn setting(answer: Value) -> Option<String> {
    let text = |value: Value| match value {
        Value::BulkString(text) => String::from_utf8(text).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    };
    match answer {
        Value::Array(pair) => pair.into_iter().nth(1).and_then(text),
        Value::Map(pairs) => pairs.into_iter().next().and_then(|(_, value)| text(value)),
        _ => None,
    }
}

fn judge(info: &str, settings: &[Option<String>]) -> Result<Facts> {
    let field =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end);
    let [appendonly, appendfsync, no_fsync_on_rewrite, maxmemory, policy, events] = settings else {
        return Err(Error::internal("another number of settings than were asked for"));
    };
    match field("redis_mode") {
        Some("cluster") => {
            return Err(Error::config("the Redis server is a cluster node, which this component does not support")
                .advice("use a standalone server or a primary with replicas"));
        }
        Some("sentinel") => {
            return Err(Error::config("this is a Redis Sentinel, not a server that stores")
                .advice("put the address of the primary into `url`, or a name that follows it"));
        }
        _ => {}
    }
    if field("loading") == Some("1") {
        return Err(
            Error::unavailable("Redis is still loading its data").advice("wait until the server has read its files")
        );
    }
    let replicas = info.lines().filter(|line| line.starts_with("slave") && line.contains("state=online")).count();
    let major: Option<u32> = field("redis_version").and_then(|version| version.split('.').next()?.parse().ok());
    // INFO tells some of it where CONFIG is forbidden, as hosted servers do.
    let limited = maxmemory.as_deref().or(field("maxmemory")).is_none_or(|bytes| bytes != "0");
    let policy = policy.as_deref().or(field("maxmemory_policy"));
    let evicts = limited && policy.is_none_or(|policy| policy != "noeviction");
    let appends = match appendonly {
        Some(appendonly) => Some(appendonly == "yes"),
        None => field("aof_enabled").map(|enabled| enabled == "1"),
    };
    let (local, unverified) = local(appends, appendfsync.as_deref(), no_fsync_on_rewrite.as_deref());
    Ok(Facts {
        durability: Durability {
            // What may be dropped at any moment to make room survives nothing.
            local: if evicts && policy.is_some() { LocalDurability::Memory } else { local },
            replication: if replicas > 0 { Replication::Async } else { Replication::Single },
            unverified,
        },
        replicas,
        replica: field("role") == Some("slave"),
        evicts,
        notifies: major >= Some(6) && events.as_deref().is_some_and(notifies),
    })
}

/// What a write survives once it is acknowledged, and whether that is not for sure.
///
/// - `always`: the log is written and synced before the answer: power loss. Except that with
///   `no-appendfsync-on-rewrite` it is only written while a rewrite runs.
/// - `no`: the log is written before the answer, and the kernel syncs it some time: the kill of any
///   process.
/// - `everysec`: it is written before the answer as well, *unless* the sync of a second ago still
///   runs; then the write waits in the process for up to two seconds, answers go out, and a kill
///   loses them. A class is what always holds, so this one is `Memory`.
/// - Snapshots alone: what came after the last one is lost with the process.
fn local(appends: Option<bool>, fsync: Option<&str>, no_fsync_on_rewrite: Option<&str>) -> (LocalDurability, bool) {
    match (appends, fsync) {
        (Some(false), _) => (LocalDurability::Memory, false),
        (Some(true), Some("always")) if no_fsync_on_rewrite == Some("no") => (LocalDurability::PowerLoss, false),
        (Some(true), Some("always" | "no")) => (LocalDurability::ProcessCrash, false),
        (Some(true), Some(_)) => (LocalDurability::Memory, false),
        // Not to be seen: as Redis is delivered, without a log, and with `everysec` if there is one.
        (Some(true) | None, _) => (LocalDurability::Memory, true),
    }
}

/// Whether `notify-keyspace-events` makes the server report, by key, what can happen to an entry:
/// generic commands, hash and string writes, expiry and eviction.
fn notifies(events: &str) -> bool {
    events.contains('K') && (events.contains('A') || "gh$xe".chars().all(|class| events.contains(class)))
}
