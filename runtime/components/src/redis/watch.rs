//! Watching, by keyspace notifications.
//!
//! A notification says that something happened to a key, not what is stored now, and those of a
//! time without connection are lost. So it is only a hint to read the key again, a watch begins
//! with a subscription and only then reads what is there, and after every break it starts over.
//! Each watch has its own connection, on which it also reads; one task looks after both.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use pillion_spi::state::{Entry, Key, WatchEvent, WatchSpec, WatchStream};
use pillion_spi::{Error, Kind, Result};
use redis::{PushInfo, PushKind, Value};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

use super::error::Fault;
use super::layout::OWN_PREFIX;
use super::link::LOOK_AGAIN;
use super::live::{Channel, Live};
use super::probe::probe;
use super::read::{self, Pace, Part};
use super::server::{Driver, Server};

/// How many events wait for a slow watcher before hints are conflated.
const EVENTS: usize = 64;
/// How many KiB of them. One that is larger waits alone.
const EVENTS_KIB: usize = 256;
/// How many bytes of entries are held while they wait for room among the events. The first may have
/// more.
const READ_BYTES: usize = 256 << 10;
/// How many keys may wait to be read again; with more, everything is.
const HINTS: usize = 10_000;
/// How many keys are read at once.
const BATCH: usize = 64;
/// Of how many keys it is remembered what was sent last. One write causes several notifications;
/// of those that are read apart, all but the first are dropped by this.
const SENT: usize = 1024;

/// A number of our own would say that a watch can be resumed from it.
const NO_REVISION: u64 = 0;

/// Opens a watch.
pub(super) async fn watch(server: Arc<Server>, spec: WatchSpec) -> Result<WatchStream> {
    let hints = Arc::new(Hints::new(server.database()));
    let (events, mut stream) = mpsc::channel(EVENTS);
    let mut watch = Watch {
        server: server.clone(),
        spec,
        hints,
        events,
        room: Arc::new(Semaphore::new(EVENTS_KIB)),
        pace: Pace::new(READ_BYTES),
        sent: Sent::default(),
    };
    let connected = watch.connect().await?;
    server.env.spawn(async move {
        let events = watch.events.clone();
        tokio::select! {
            error = watch.run(connected) => drop(events.send((Err(error), None)).await),
            () = events.closed() => {}
        }
    });
    // Handing an event out makes room for another.
    Ok(futures::stream::poll_fn(move |context| stream.poll_recv(context)).map(|(event, _room)| event).boxed())
}

/// Why a connection of a watch is not used any more.
enum Break {
    /// It is lost; another one will do.
    Lost,
    /// The watch cannot go on.
    Failed(Error),
}

impl From<Error> for Break {
    fn from(error: Error) -> Self {
        match error.kind() {
            Kind::Unavailable | Kind::Deadline => Self::Lost,
            _ => Self::Failed(error),
        }
    }
}

/// When a watcher is told that a key is gone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gone {
    Always,
    /// Among the present entries: only to take back what was sent.
    IfSent,
}

struct Watch {
    server: Arc<Server>,
    spec: WatchSpec,
    hints: Arc<Hints>,
    events: mpsc::Sender<(Result<WatchEvent>, Option<OwnedSemaphorePermit>)>,
    room: Arc<Semaphore>,
    pace: Pace,
    sent: Sent,
}

impl Watch {
    /// Connects and subscribes: from here on every change leaves a hint.
    async fn connect(&self) -> Result<(Live, Driver)> {
        let hints = self.hints.clone();
        let inbox = Arc::new(move |push: PushInfo| {
            hints.take_in(push);
            Ok::<_, Error>(())
        });
        let (live, mut driver, facts) = self.server.connect(Some(inbox)).await?;
        self.server.learn(facts);
        if !facts.notifies {
            return Err(unsupported());
        }
        let database = self.server.database();
        let channel = if self.spec.exact {
            format!("__keyspace@{database}__:{}", self.spec.prefix)
        } else {
            format!("__keyspace@{database}__:{}", read::pattern(&self.spec.prefix))
        };
        let channel = if self.spec.exact { Channel::Named(&channel) } else { Channel::Matching(&channel) };
        let subscribe = async {
            tokio::select! {
                subscribed = live.subscribe(channel) => subscribed.map_err(Fault::of_read),
                () = &mut driver => Err(Error::unavailable("the connection to Redis was lost")),
            }
        };
        match self.server.env.clock.timeout(self.server.connect_timeout, subscribe).await {
            Ok(subscribed) => subscribed?,
            Err(_) => return Err(Error::unavailable(format!("{} did not answer in time", self.server.name()))),
        }
        Ok((live, driver))
    }

    /// Keeps the watch going until it cannot, and tells why.
    async fn run(&mut self, mut connected: (Live, Driver)) -> Error {
        loop {
            let (live, driver) = connected;
            let server = self.server.clone();
            let end = tokio::select! {
                () = driver => Break::Lost,
                _ = live.broken(&server) => Break::Lost,
                end = self.follow(&live) => end,
            };
            if let Break::Failed(error) = end {
                return error;
            }
            self.hints.overflow();
            connected = match self.reconnect().await {
                Ok(connected) => connected,
                Err(error) => return error,
            };
        }
    }

    async fn reconnect(&self) -> Result<(Live, Driver)> {
        let mut failures = 0;
        loop {
            self.server.pause(failures).await;
            match self.connect().await {
                Ok(connected) => {
                    self.server.rejoice();
                    return Ok(connected);
                }
                Err(error) if error.kind() == Kind::Unsupported => return Err(error),
                Err(error) => self.server.complain(&error),
            }
            failures += 1;
        }
    }

    /// Sends what is there and then what changes, for as long as the connection lasts.
    async fn follow(&mut self, live: &Live) -> Break {
        let (server, hints) = (self.server.clone(), self.hints.clone());
        let work = async {
            if let Err(end) = self.snapshot(live).await {
                return end;
            }
            loop {
                hints.arrived.notified().await;
                if let Err(end) = self.catch_up(live).await {
                    return end;
                }
            }
        };
        let look = async {
            loop {
                server.env.clock.sleep(LOOK_AGAIN).await;
                match probe(live, &server.env.name).await {
                    Ok(facts) => {
                        server.learn(facts);
                        if !facts.notifies {
                            return Break::Failed(unsupported());
                        }
                    }
                    Err(error) => return error.into(),
                }
            }
        };
        tokio::select! {
            end = work => end,
            end = look => end,
        }
    }

    /// Sends the present entries. Those that have changed since the subscription come last, in the
    /// order of their changes: whoever sees one of two changes has seen the one before it, too.
    async fn snapshot(&mut self, live: &Live) -> Result<(), Break> {
        if self.hints.take_overflow() {
            self.sent = Sent::default();
            self.send(WatchEvent::Resync).await?;
        }
        if self.spec.exact {
            let key = Key::new(self.spec.prefix.as_str());
            self.put_unchanged(live, &[key]).await?;
        } else {
            let pattern = read::pattern(&self.spec.prefix);
            let mut cursor = 0;
            loop {
                let (keys, next) = read::step(live, &pattern, cursor, BATCH).await?;
                self.put_unchanged(live, &keys).await?;
                if next == 0 {
                    break;
                }
                cursor = next;
            }
        }
        // No more than that: others may go on writing for ever.
        let mut changed = self.hints.len();
        while changed > 0 {
            let batch = changed.min(BATCH);
            self.read_again(live, batch, Gone::IfSent).await?;
            changed -= batch;
        }
        self.send(WatchEvent::Synced { revision: NO_REVISION }).await
    }

    /// Sends the entries about which there is no hint. A notification comes before the answer that
    /// shows what it told of, so there is one for every entry that has changed.
    async fn put_unchanged(&mut self, live: &Live, mut keys: &[Key]) -> Result<(), Break> {
        while !keys.is_empty() {
            let found = self.read(live, keys).await?;
            keys = &keys[found.len()..];
            for entry in found.into_iter().flatten().flatten() {
                if !self.hints.names(&entry.key) {
                    self.put(entry).await?;
                }
            }
        }
        Ok(())
    }

    /// Reads the first of `keys`, at least one. Something that is no entry, and so no concern of a
    /// watcher, stays an error.
    async fn read(&mut self, live: &Live, keys: &[Key]) -> Result<Vec<Result<Option<Entry>>>, Break> {
        let count = self.pace.keys().min(keys.len());
        let (mut found, mut bytes, mut fit) = (Vec::with_capacity(count), 0, 0);
        for entry in read::read(live, &keys[..count], Part::Whole).await? {
            match entry {
                Err(error) if error.kind() != Kind::Corrupt => return Err(error.into()),
                entry => found.push(entry),
            }
            bytes += found.last().and_then(|entry| entry.as_ref().ok()?.as_ref()).map_or(0, read::size);
            fit += usize::from(bytes <= READ_BYTES);
        }
        self.pace.learn(count, bytes);
        // The reader may take its time, so what is too much now is read again then.
        found.truncate(fit.max(1));
        Ok(found)
    }

    /// Sends what has changed until there are no hints left.
    async fn catch_up(&mut self, live: &Live) -> Result<(), Break> {
        loop {
            if self.hints.overflowed() {
                self.snapshot(live).await?;
            }
            if self.hints.len() == 0 {
                return Ok(());
            }
            self.read_again(live, BATCH, Gone::Always).await?;
        }
    }

    /// Reads keys again about which there are hints, and sends what has changed.
    async fn read_again(&mut self, live: &Live, most: usize, gone: Gone) -> Result<(), Break> {
        let hints = self.hints.next(most);
        let (keys, expired): (Vec<Key>, Vec<bool>) = hints.into_iter().unzip();
        let mut done = 0;
        while done < keys.len() {
            for entry in self.read(live, &keys[done..]).await? {
                match entry {
                    Ok(Some(entry)) => self.put(entry).await?,
                    Ok(None) if gone == Gone::IfSent && !self.sent.may_have(&keys[done]) => {}
                    Ok(None) => self.delete(keys[done].clone(), expired[done]).await?,
                    Err(_) => {}
                }
                done += 1;
            }
        }
        Ok(())
    }

    async fn put(&mut self, entry: Entry) -> Result<(), Break> {
        let mut hasher = DefaultHasher::new();
        (entry.version, &entry.value, &entry.content_type).hash(&mut hasher);
        if self.sent.is_new(&entry.key, Some(hasher.finish())) {
            self.send(WatchEvent::Put { entry, revision: NO_REVISION }).await?;
        }
        Ok(())
    }

    async fn delete(&mut self, key: Key, expired: bool) -> Result<(), Break> {
        if self.sent.is_new(&key, None) {
            self.send(WatchEvent::Delete { key, expired, revision: NO_REVISION }).await?;
        }
        Ok(())
    }

    async fn send(&self, event: WatchEvent) -> Result<(), Break> {
        let bytes = match &event {
            WatchEvent::Put { entry, .. } => read::size(entry),
            _ => 0,
        };
        let kib = u32::try_from((bytes >> 10).min(EVENTS_KIB)).unwrap_or_default();
        let room = self.room.clone().acquire_many_owned(kib).await.map_err(|_| Break::Lost)?;
        self.events.send((Ok(event), Some(room))).await.map_err(|_| Break::Lost)
    }
}

fn unsupported() -> Error {
    Error::unsupported("the Redis server does not report changes")
        .advice("set `notify-keyspace-events KEA` on the server (Redis 6 or newer)")
}

/// The keys to read again, each once, in the order of their first notification.
struct Hints {
    channel_prefix: String,
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Default)]
struct Waiting {
    order: VecDeque<Key>,
    /// Whether the last that happened to the key was its expiry.
    expired: HashMap<Key, bool>,
    /// Some were missed.
    overflow: bool,
}

impl Hints {
    fn new(database: i64) -> Self {
        Self { channel_prefix: format!("__keyspace@{database}__:"), waiting: Mutex::default(), arrived: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message of the server.
    fn take_in(&self, push: PushInfo) {
        let mut data = push.data.into_iter();
        match push.kind {
            PushKind::Message => {}
            PushKind::PMessage => drop(data.next()),
            _ => return,
        }
        let (Some(Value::BulkString(channel)), Some(Value::BulkString(event))) = (data.next(), data.next()) else {
            return;
        };
        let Ok(channel) = std::str::from_utf8(&channel) else { return };
        let Some(key) = channel.strip_prefix(&self.channel_prefix) else { return };
        if !key.starts_with(OWN_PREFIX) {
            self.add(Key::new(key), event == b"expired");
        }
    }

    fn add(&self, key: Key, expired: bool) {
        let mut waiting = self.lock();
        if waiting.expired.len() >= HINTS {
            *waiting = Waiting { overflow: true, ..Waiting::default() };
        } else if waiting.expired.insert(key.clone(), expired).is_none() {
            waiting.order.push_back(key);
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    fn len(&self) -> usize {
        self.lock().order.len()
    }

    fn names(&self, key: &Key) -> bool {
        self.lock().expired.contains_key(key)
    }

    fn next(&self, most: usize) -> Vec<(Key, bool)> {
        let mut waiting = self.lock();
        let count = waiting.order.len().min(most);
        let keys: Vec<Key> = waiting.order.drain(..count).collect();
        keys.into_iter()
            .map(|key| {
                let expired = waiting.expired.remove(&key).unwrap_or_default();
                (key, expired)
            })
            .collect()
    }

    /// Notes that hints were missed: none of those left is worth more than reading everything.
    fn overflow(&self) {
        *self.lock() = Waiting { overflow: true, ..Waiting::default() };
    }

    fn overflowed(&self) -> bool {
        self.lock().overflow
    }

    fn take_overflow(&self) -> bool {
        std::mem::take(&mut self.lock().overflow)
    }
}

/// What was sent last, of the keys that were sent last.
#[derive(Default)]
struct Sent {
    order: VecDeque<Key>,
    /// A digest of the entry; `None` if it was deleted.
    last: HashMap<Key, Option<u64>>,
    /// Some were sent that are not known any more.
    forgot: bool,
}

impl Sent {
    /// Notes what is sent of a key; `false` if it was sent already.
    fn is_new(&mut self, key: &Key, digest: Option<u64>) -> bool {
        match self.last.insert(key.clone(), digest) {
            Some(before) => before != digest,
            None => {
                self.order.push_back(key.clone());
                if self.order.len() > SENT
                    && let Some(oldest) = self.order.pop_front()
                {
                    self.last.remove(&oldest);
                    self.forgot = true;
                }
                true
            }
        }
    }

    /// Whether the watcher may have seen the entry.
    fn may_have(&self, key: &Key) -> bool {
        self.forgot || self.last.contains_key(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(channel: &str, event: &str) -> PushInfo {
        let text = |text: &str| Value::BulkString(text.into());
        PushInfo { kind: PushKind::PMessage, data: vec![text("*"), text(channel), text(event)] }
    }

    #[test]
    fn hints_name_each_key_once_and_what_happened_to_it_last() {
        let hints = Hints::new(3);
        for (channel, event) in [
            ("__keyspace@3__:b", "hset"),
            ("__keyspace@3__:a:c", "hincrby"),
            ("__keyspace@3__:b", "expired"),
            ("__keyspace@4__:d", "hset"),
            ("__keyspace@3__:||pillion||x", "set"),
            ("else", "hset"),
        ] {
            hints.take_in(push(channel, event));
        }
        assert_eq!(hints.next(10), [(Key::new("b"), true), (Key::new("a:c"), false)]);
        assert_eq!(hints.next(10), []);
    }

    #[test]
    fn too_many_hints_become_one() {
        let hints = Hints::new(0);
        for number in 0..=HINTS {
            assert!(!hints.overflowed());
            hints.add(Key::new(number.to_string()), false);
        }
        assert!(hints.take_overflow() && !hints.overflowed());
        assert_eq!(hints.next(HINTS), []);
    }

    #[test]
    fn what_was_sent_is_remembered_for_a_bounded_number_of_keys() {
        let mut sent = Sent::default();
        let key = |number: usize| Key::new(number.to_string());
        assert!(sent.is_new(&key(0), Some(1)));
        assert!(!sent.is_new(&key(0), Some(1)));
        assert!(sent.is_new(&key(0), None));
        for number in 1..=SENT {
            sent.is_new(&key(number), Some(1));
        }
        assert_eq!((sent.order.len(), sent.last.len()), (SENT, SENT));
        assert!(sent.is_new(&key(0), None), "it was forgotten");
    }
}
