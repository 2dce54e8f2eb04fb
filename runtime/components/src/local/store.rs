//! The engine behind every component of this folder: the folder's lock, its file, the thread that
//! writes and the connections that read.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use pillion_spi::OpenEnv;
use pillion_spi::error::{Error, Result};
use pillion_spi::state::{Applied, Trouble};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::checkpoint::{Checkpointer, Turn};
use super::clock::LogicalClock;
use super::engine::Engine;
use super::lock::{self, Lock};
use super::read::{self, Readers};
use super::writer::{Call, Job, Writer};
use super::{fault, schema};
use crate::watch::Hub;

/// How many writes may wait.
const QUEUE: usize = 1024;
/// How many KiB of keys and values may wait.
const QUEUE_KIB: usize = 128 << 10;
/// The longest sleep until the next expiry. Timers stand still while the machine is suspended and
/// expiry does not, so a long one would come late.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// How often, and how long apart, the lock of the folder is tried: for a second.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// How often a store in trouble tries whether it is over.
const PROBE: Duration = Duration::from_secs(5);

/// What the writer, the readers and the callers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) clock: LogicalClock,
    pub(super) hub: Hub,
    /// When the next entry expires, in logical time.
    pub(super) earliest: AtomicI64,
    /// `earliest` came nearer.
    pub(super) earlier: Notify,
    trouble: Mutex<Option<Trouble>>,
}

impl Shared {
    /// Why the file cannot be written, if so.
    pub(super) fn trouble(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) shared: Arc<Shared>,
    pub(super) readers: Arc<Readers>,
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
    /// Asynchronous, so that a second `close` waits for the first.
    writer: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    env: OpenEnv,
}

impl Store {
    /// Opens the file in `dir`, making both if need be.
    pub(super) async fn open(dir: &Path, env: OpenEnv) -> Result<Self> {
        let dir: Arc<Path> = env.base_dir.join(dir).into();
        let lock = lock(&dir, &env).await?;
        let opening = env.clone();
        // When nobody takes the result any more, all of it is closed again.
        let store = blocking(move || Self::open_locked(&dir, lock, opening)).await?;
        store.env.spawn(keep_expiring(store.shared.clone(), store.jobs.downgrade()));
        Ok(store)
    }

    fn open_locked(dir: &Path, lock: Lock, env: OpenEnv) -> Result<Self> {
        let path = dir.join(schema::FILE);
        let connection = schema::open(&path, &*env.clock, &env.random)?;
        let clock = LogicalClock::resume(env.clock.clone(), &connection).map_err(fault::translate)?;
        if let Err(error) = clock.save(&connection) {
            // The disk may be full. Entries can still be read, and expiry needs it only after a reboot.
            tracing::warn!(path = %path.display(), %error, "the clock of the state file was not saved");
        }
        let revision = read::last_revision(&connection).map_err(fault::translate)?;
        let shared = Arc::new(Shared {
            path: path.clone(),
            clock,
            hub: Hub::new(revision),
            earliest: AtomicI64::new(0),
            earlier: Notify::new(),
            trouble: Mutex::default(),
        });
        let turn = Turn::default();
        let (clock, random) = (env.clock.clone(), env.random.clone());
        let engine = Engine::new(connection, shared.clone(), clock, random, turn.clone()).map_err(fault::translate)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = Writer::start(engine, Checkpointer::start(&path, turn)?, queue, lock)?;
        Ok(Self {
            readers: Arc::new(Readers::new(path, env.workers, env.closing().clone())),
            shared,
            jobs,
            room: Arc::new(Semaphore::new(QUEUE_KIB)),
            writer: tokio::sync::Mutex::new(Some(writer)),
            env,
        })
    }

    /// Hands a call to the writer and waits until it is committed. Dropping the future while the
    /// call still waits in the queue withdraws it.
    pub(super) async fn write(&self, mut call: Call) -> Result<Applied> {
        let closed = || Error::unavailable("the store is closed");
        let kib = u32::try_from((call.bytes >> 10).min(QUEUE_KIB - 1) + 1).unwrap_or(1);
        let room = self.room.clone().acquire_many_owned(kib).await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        call.reply = Some(Reply { answer, _room: room });
        self.jobs.send(Job::Call(call)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| {
            // It is withdrawn only by us, so the writer panicked over it.
            Error::internal("the writer of the state file has failed")
                .advice("read the key before you write again")
                .outcome_unknown()
        })?
    }

    /// Cancelled when the store closes.
    pub(super) fn closing(&self) -> &CancellationToken {
        self.env.closing()
    }

    /// Ends the writer after what waits, and lets go of the file.
    pub(super) async fn close(&self) {
        let mut writer = self.writer.lock().await;
        self.room.close();
        self.env.finish_tasks().await;
        self.readers.close().await;
        // Refused when it has ended already.
        let _ = self.jobs.send(Job::Close).await;
        if let Some(thread) = writer.take() {
            // It panics only by a defect, and then there is nothing left to end.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // The writer ends when the queue has no sender any more; the tasks must not outlive it.
        self.env.closing().cancel();
    }
}

/// The way back to a caller; it also holds the call's room in the queue.
#[derive(Debug)]
pub(super) struct Reply {
    answer: oneshot::Sender<Result<Applied>>,
    _room: OwnedSemaphorePermit,
}

impl Reply {
    /// Whether the caller has gone away.
    pub(super) fn is_withdrawn(&self) -> bool {
        self.answer.is_closed()
    }

    /// Answers.
    pub(super) fn send(self, answer: Result<Applied>) {
        // The caller may have gone away meanwhile.
        let _ = self.answer.send(answer);
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("opening the state file panicked").source(error))?
}

/// Takes the folder. A holder that is about to let go of it is waited for: an opening that was given
/// up, or a process that is ending.
async fn lock(dir: &Arc<Path>, env: &OpenEnv) -> Result<Lock> {
    for _ in 0..LOCK_ATTEMPTS {
        let dir = dir.clone();
        let taken = blocking(move || {
            make_dir(&dir).map_err(|error| {
                Error::unavailable(format!("cannot make the folder `{}`", dir.display()))
                    .source(error)
                    .advice("check the path and its permissions")
            })?;
            Lock::take(&dir)
        });
        if let Some(lock) = taken.await? {
            return Ok(lock);
        }
        env.clock.sleep(LOCK_PAUSE).await;
    }
    Err(lock::held(dir))
}

fn make_dir(dir: &Path) -> std::io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(dir)?;
    // Its name must survive a loss of power as surely as what will be in it.
    #[cfg(unix)]
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Asks the writer to remove expired entries as their time comes, and in trouble to try again.
async fn keep_expiring(shared: Arc<Shared>, jobs: mpsc::WeakSender<Job>) {
    loop {
        let until = shared.earliest.load(Ordering::Acquire).saturating_sub(shared.clock.now());
        let wait = match shared.trouble().is_some() {
            // Whatever is due: each attempt costs a failing disk something.
            true => PROBE,
            false => Duration::from_nanos(u64::try_from(until).unwrap_or(0)).min(LONGEST_SLEEP),
        };
        if !wait.is_zero() {
            tokio::select! {
                () = shared.clock.sleep(wait) => {}
                () = shared.earlier.notified() => continue,
            }
        }
        let (done, expired) = oneshot::channel();
        let Some(jobs) = jobs.upgrade() else { return };
        if jobs.send(Job::Expire(done)).await.is_err() {
            return;
        }
        drop(jobs);
        // Without answer it failed, and the trouble is known.
        let _ = expired.await;
    }
}
