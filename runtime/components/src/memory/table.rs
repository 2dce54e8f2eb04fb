//! The entries of a store in memory, and everything that is known about their order.

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pillion_spi::error::{Error, Kind, Result};
use pillion_spi::state::{Action, Condition, Entry, Expiry, Generation, Key, Op, OpOutcome, Page, Scan, Version};
use pillion_spi::{Clock, Random, chaos};

use crate::repeat::{self, Call, Remembered};
use crate::watch::{Backlog, Change, Present, Room, Scope};
use crate::{PAGE_BYTES, condition, cursor};

/// What an entry takes beside its bytes: its places in the maps.
pub(super) const OVERHEAD: u64 = 256;
/// How many expired entries are removed at a time to make room.
const EXPIRY_STEP: usize = 16;
/// How many deletes are remembered for watchers that resume.
const MAX_GRAVES: usize = 10_000;

/// The changes to report, if anybody watches.
type Report<'a> = Option<&'a mut Vec<Change>>;

/// A sorted map for lists, a hash map for reads (no order, hence no search), and one map for each
/// other order that is asked for. Keys are shared, so each costs a pointer.
pub(super) struct Table {
    slots: HashMap<Key, Slot>,
    keys: BTreeSet<Key>,
    deadlines: BTreeSet<(Duration, Key)>,
    revisions: BTreeMap<u64, Key>,
    graves: Graves,
    calls: Calls,
    revision: u64,
    bytes: u64,
    max_bytes: u64,
    closed: bool,
}

#[derive(Clone)]
struct Slot {
    value: Bytes,
    content_type: Option<Box<str>>,
    version: Version,
    deadline: Option<Duration>,
    revision: u64,
}

impl Slot {
    fn is_expired(&self, now: Duration) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    fn size(&self, key: &Key) -> u64 {
        size(key, &self.value, self.content_type.as_deref())
    }

    fn entry(&self, key: &Key, expires_in: Option<Duration>) -> Entry {
        Entry {
            key: key.clone(),
            value: self.value.clone(),
            content_type: self.content_type.as_deref().map(str::to_owned),
            version: self.version,
            expires_in,
        }
    }

    fn change(&self, key: &Key) -> Change {
        Change::Put { entry: self.entry(key, None), deadline: self.deadline, revision: self.revision }
    }
}

/// Deleted keys, for watchers that resume.
struct Graves {
    keys: HashMap<Key, u64>,
    revisions: BTreeMap<u64, (Key, bool)>,
    /// Deletes up to this revision may be forgotten.
    forgotten: u64,
}

impl Graves {
    fn dig(&mut self, key: Key, expired: bool, revision: u64) {
        self.keys.insert(key.clone(), revision);
        self.revisions.insert(revision, (key, expired));
        while self.revisions.len() > MAX_GRAVES {
            let Some((revision, (key, _))) = self.revisions.pop_first() else { break };
            self.keys.remove(&key);
            self.forgotten = revision;
        }
    }

    fn fill(&mut self, key: &Key) {
        if let Some(revision) = self.keys.remove(key) {
            self.revisions.remove(&revision);
        }
    }
}

/// Calls with an idempotency key, oldest first.
#[derive(Default)]
struct Calls {
    remembered: HashMap<String, Remembered>,
    ages: VecDeque<(Duration, String)>,
}

/// What a remembered call takes.
fn call_size(key: &str, outcomes: usize) -> u64 {
    OVERHEAD + 2 * key.len() as u64 + 40 * outcomes as u64
}

impl Table {
    /// An empty table whose first change gets the revision after `revision`.
    pub(super) fn new(revision: u64, max_bytes: u64) -> Self {
        Self {
            slots: HashMap::new(),
            keys: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            revisions: BTreeMap::new(),
            graves: Graves { keys: HashMap::new(), revisions: BTreeMap::new(), forgotten: revision },
            calls: Calls::default(),
            revision,
            bytes: 0,
            max_bytes,
            closed: false,
        }
    }

    /// Forgets everything.
    pub(super) fn close(&mut self) {
        *self = Self { closed: true, ..Self::new(self.revision, 0) };
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// When the next entry expires.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// The entry of `key`. The clock is read only for one that expires.
    pub(super) fn get(&self, key: &Key, clock: &dyn Clock) -> Option<Entry> {
        let slot = self.slots.get(key)?;
        let expires_in = match slot.deadline {
            None => None,
            Some(deadline) => Some(deadline.checked_sub(clock.boottime()).filter(|left| !left.is_zero())?),
        };
        Some(slot.entry(key, expires_in))
    }

    /// A call of the store: recognises repetitions and applies the rest.
    pub(super) fn call(
        &mut self,
        ops: &[Op],
        atomic: bool,
        call: Option<Call>,
        now: Duration,
        random: &Arc<dyn Random>,
        mut report: Report<'_>,
    ) -> Result<Vec<OpOutcome>> {
        self.forget_calls(now);
        let Some(Call { id, digest }) = call else {
            return self.apply(ops, atomic, now, random, report);
        };
        let repeated = self.calls.remembered.get(&id).map(|call| call.replay(digest)).transpose()?;
        let outcomes = match repeated {
            Some(outcomes) => {
                let mut again = Vec::with_capacity(ops.len());
                for (op, outcome) in ops.iter().zip(outcomes) {
                    again.push(outcome.unwrap_or_else(|| self.apply_one(op, now, random, report.as_deref_mut())));
                }
                again
            }
            None => {
                let size = call_size(&id, ops.len());
                self.make_room(&[], size, now, report.as_deref_mut())?;
                let outcomes = self.apply(ops, atomic, now, random, report)?;
                self.bytes += size;
                self.calls.ages.push_back((now + repeat::WINDOW, id.clone()));
                outcomes
            }
        };
        self.calls.remembered.insert(id, Remembered::new(digest, &outcomes));
        Ok(outcomes)
    }

    fn forget_calls(&mut self, now: Duration) {
        while let Some((_, id)) = self.calls.ages.pop_front_if(|(until, _)| *until <= now) {
            if let Some(call) = self.calls.remembered.remove(&id) {
                self.bytes -= call_size(&id, call.len());
            }
        }
    }

    fn apply(
        &mut self,
        ops: &[Op],
        atomic: bool,
        now: Duration,
        random: &Arc<dyn Random>,
        mut report: Report<'_>,
    ) -> Result<Vec<OpOutcome>> {
        if !atomic {
            return Ok(ops.iter().map(|op| self.apply_one(op, now, random, report.as_deref_mut())).collect());
        }
        // The keys differ, so that no write changes what holds for another.
        let mut found = Vec::with_capacity(ops.len());
        for op in ops {
            match self.check(op, now) {
                Ok(version) => found.push(version),
                Err(conflict) => {
                    let mut outcomes: Vec<_> = ops.iter().map(|_| OpOutcome::Aborted).collect();
                    outcomes[found.len()] = conflict;
                    return Ok(outcomes);
                }
            }
        }
        self.make_room(ops, 0, now, report.as_deref_mut())?;
        Ok(ops.iter().zip(found).map(|(op, found)| self.write(op, found, now, random, report.as_deref_mut())).collect())
    }

    fn apply_one(&mut self, op: &Op, now: Duration, random: &Arc<dyn Random>, mut report: Report<'_>) -> OpOutcome {
        let found = match self.check(op, now) {
            Ok(found) => found,
            Err(conflict) => return conflict,
        };
        match self.make_room(slice::from_ref(op), 0, now, report.as_deref_mut()) {
            Ok(()) => self.write(op, found, now, random, report),
            Err(error) => OpOutcome::Failed(error),
        }
    }

    /// The version of the present entry, if `op` may be applied to it.
    fn check(&self, op: &Op, now: Duration) -> Result<Option<Version>, OpOutcome> {
        let found = self.slots.get(&op.key).filter(|slot| !slot.is_expired(now)).map(|slot| slot.version);
        let ignored = op.condition != Condition::None && chaos::fires("memory.ignore_etag");
        if ignored || condition::holds(&op.condition, found.as_ref()) {
            Ok(found)
        } else {
            Err(OpOutcome::Conflict { found })
        }
    }

    /// How many bytes are taken after `ops`.
    fn bytes_after(&self, ops: &[Op]) -> u64 {
        let (mut grown, mut freed) = (self.bytes, 0);
        for op in ops {
            freed += self.slots.get(&op.key).map_or(0, |slot| slot.size(&op.key));
            if let Action::Put { value, content_type, .. } = &op.action {
                grown += size(&op.key, value, content_type.as_deref());
            }
        }
        grown - freed
    }

    /// Makes sure that `ops` and `extra` bytes fit, removing expired entries if need be.
    fn make_room(&mut self, ops: &[Op], extra: u64, now: Duration, mut report: Report<'_>) -> Result<()> {
        let too_much = |table: &Self| {
            let after = table.bytes_after(ops) + extra;
            after > table.max_bytes && after > table.bytes
        };
        while too_much(self) {
            // No more than it takes: others wait for the table meanwhile.
            if self.expire(now, EXPIRY_STEP, report.as_deref_mut()) == 0 && too_much(self) {
                let message = format!(
                    "the store holds {} bytes of at most {} and would hold {}",
                    self.bytes,
                    self.max_bytes,
                    self.bytes_after(ops) + extra
                );
                return Err(Error::new(Kind::Exhausted, message)
                    .advice("delete entries, let them expire, or raise `max_bytes`"));
            }
        }
        Ok(())
    }

    /// Applies `op` to a key whose entry, if there is one, is at version `found`.
    fn write(
        &mut self,
        op: &Op,
        found: Option<Version>,
        now: Duration,
        random: &Arc<dyn Random>,
        report: Report<'_>,
    ) -> OpOutcome {
        let Action::Put { value, content_type, expiry } = &op.action else {
            self.remove(&op.key, found.is_none(), report);
            return OpOutcome::Applied { version: None, existed: found.is_some() };
        };
        let version = match found {
            Some(version) => Version { counter: version.counter + 1, ..version },
            None => Version { counter: 1, generation: Some(Generation::from_random(random.u64())) },
        };
        let before = self.slots.get(&op.key).filter(|_| found.is_some()).and_then(|slot| slot.deadline);
        let slot = Slot {
            // A copy: the bytes may be a small part of a large message, which they would keep alive
            // uncounted.
            value: Bytes::copy_from_slice(value),
            content_type: content_type.as_deref().map(Box::from),
            version,
            deadline: match expiry {
                Expiry::Never => None,
                Expiry::Keep => before,
                Expiry::After(time) => Some(now.saturating_add(*time)),
            },
            revision: self.revision + 1,
        };
        self.insert(op.key.clone(), slot, report);
        OpOutcome::Applied { version: Some(version), existed: found.is_some() }
    }

    fn insert(&mut self, key: Key, slot: Slot, report: Report<'_>) {
        self.revision = slot.revision;
        self.bytes += slot.size(&key);
        self.graves.fill(&key);
        self.revisions.insert(slot.revision, key.clone());
        if let Some(deadline) = slot.deadline {
            self.deadlines.insert((deadline, key.clone()));
        }
        if let Some(report) = report {
            report.push(slot.change(&key));
        }
        match self.slots.entry(key) {
            MapEntry::Occupied(mut entry) => {
                let before = entry.insert(slot);
                let key = entry.key();
                self.bytes -= before.size(key);
                self.revisions.remove(&before.revision);
                if let Some(deadline) = before.deadline.filter(|_| before.deadline != entry.get().deadline) {
                    self.deadlines.remove(&(deadline, key.clone()));
                }
            }
            MapEntry::Vacant(entry) => {
                self.keys.insert(entry.key().clone());
                entry.insert(slot);
            }
        }
    }

    fn remove(&mut self, key: &Key, expired: bool, report: Report<'_>) {
        let Some((key, slot)) = self.slots.remove_entry(key) else { return };
        self.bytes -= slot.size(&key);
        self.keys.remove(&key);
        self.revisions.remove(&slot.revision);
        if let Some(deadline) = slot.deadline {
            self.deadlines.remove(&(deadline, key.clone()));
        }
        self.revision += 1;
        if let Some(report) = report {
            report.push(Change::Delete { key: key.clone(), expired, revision: self.revision });
        }
        self.graves.dig(key, expired, self.revision);
    }

    /// Removes at most `limit` expired entries, and calls that need not be remembered any more; says
    /// how many entries.
    pub(super) fn expire(&mut self, now: Duration, limit: usize, mut report: Report<'_>) -> usize {
        self.forget_calls(now);
        for removed in 0..limit {
            let Some((_, key)) = self.deadlines.first().filter(|(deadline, _)| *deadline <= now) else {
                return removed;
            };
            let key = key.clone();
            self.remove(&key, true, report.as_deref_mut());
        }
        limit
    }

    /// A page of a list.
    pub(super) fn scan(&self, scan: &Scan, now: Duration) -> Result<Page> {
        let limit = scan.limit.max(1);
        let mut entries = Vec::with_capacity(limit.min(1024));
        let mut bytes = 0;
        let mut next = None;
        for (key, slot) in self.range(&scan.prefix, cursor::begin(scan)?) {
            if slot.is_expired(now) {
                continue;
            }
            if entries.len() == limit || bytes >= PAGE_BYTES {
                next = entries.last().map(|entry: &Entry| cursor::after(&entry.key));
                break;
            }
            let mut entry = slot.entry(key, slot.deadline.map(|deadline| deadline - now));
            if scan.keys_only {
                entry.value = Bytes::new();
            }
            bytes += entry.key.as_str().len() + entry.value.len();
            entries.push(entry);
        }
        Ok(Page { entries, next })
    }

    /// The slots whose keys begin with `prefix`, behind `after`, in key order.
    fn range<'a>(&'a self, prefix: &'a str, after: Option<&str>) -> impl Iterator<Item = (&'a Key, &'a Slot)> {
        let start = match after {
            Some(key) => Bound::Excluded(Key::new(key)),
            None => Bound::Included(Key::new(prefix)),
        };
        self.keys
            .range((start, Bound::Unbounded))
            .take_while(move |key| key.as_str().starts_with(prefix))
            .filter_map(|key| Some((key, self.slots.get(key)?)))
    }

    /// A page of the present entries for a watcher.
    pub(super) fn present(&self, scope: &Scope, after: Option<&Key>, now: Duration) -> Present {
        let mut puts = Vec::new();
        let mut room = Room::new();
        let mut more = false;
        let slots = self
            .range(&scope.prefix, after.map(Key::as_str))
            .take_while(|(key, _)| !scope.exact || key.as_str() == scope.prefix)
            .filter(|(_, slot)| !slot.is_expired(now));
        for (key, slot) in slots {
            if room.is_full() {
                more = true;
                break;
            }
            let change = slot.change(key);
            room.fill(&change);
            puts.push(change);
        }
        Present { revision: self.revision, puts, more }
    }

    /// A page of the changes after a revision, for a watcher.
    pub(super) fn changes(&self, scope: &Scope, after: u64) -> Backlog {
        if after < self.graves.forgotten {
            return Backlog::Lost;
        }
        let later = (Bound::Excluded(after), Bound::Unbounded);
        let mut puts = self.revisions.range(later).filter(|(_, key)| scope.contains(key.as_str())).peekable();
        let mut deletes =
            self.graves.revisions.range(later).filter(|(_, (key, _))| scope.contains(key.as_str())).peekable();
        let mut changes = Vec::new();
        let mut room = Room::new();
        loop {
            let put_first = match (puts.peek(), deletes.peek()) {
                (None, None) => return Backlog::Page { changes, through: self.revision },
                (Some((put, _)), Some((delete, _))) => put < delete,
                (put, _) => put.is_some(),
            };
            if room.is_full() {
                let through = changes.last().map_or(after, Change::revision);
                return Backlog::Page { changes, through };
            }
            let change = if put_first {
                puts.next().and_then(|(_, key)| Some(self.slots.get(key)?.change(key)))
            } else {
                deletes.next().map(|(revision, (key, expired))| Change::Delete {
                    key: key.clone(),
                    expired: *expired,
                    revision: *revision,
                })
            };
            changes.extend(change.inspect(|change| room.fill(change)));
        }
    }
}

fn size(key: &Key, value: &[u8], content_type: Option<&str>) -> u64 {
    OVERHEAD + (key.as_str().len() + value.len() + content_type.map_or(0, str::len)) as u64
}
