//! Streams as objects: `next`, `send`, `finish`, `fail`, `shut`.

#![cfg_attr(not(feature = "shapes"), allow(dead_code, reason = "only the test service uploads yet"))]

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use pillion::{Error, Events, Reason, Result};
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::call::{FfiCancel, until};
use crate::error::{FfiError, cancelled};
use crate::home::Home;

/// Messages of an upload that the call has not taken yet; `send` waits beyond that.
const UPLOAD_QUEUE: usize = 16;

/// A call with a stream of `U` to the runtime, of `D` from it, or both.
pub(crate) struct Stream<U, D>(Arc<Inner<U, D>>);

struct Inner<U, D> {
    home: Home,
    shut: CancellationToken,
    upload: Mutex<Option<mpsc::Sender<Result<U>>>>,
    receiving: AsyncMutex<Receiving<D>>,
}

/// What a call with a stream of requests gives.
pub(crate) enum Output<D> {
    One(D),
    Many(Events<D>),
}

enum Receiving<D> {
    Opening(AbortOnDropHandle<Result<Output<D>>>),
    Many(Events<D>),
    Ended,
}

impl<U: Send + 'static, D: Send + 'static> Stream<U, D> {
    pub(crate) fn download(home: Home, events: Events<D>) -> Self {
        Self::new(home, None, Receiving::Many(events))
    }

    pub(crate) fn upload<R>(home: Home, open: impl FnOnce(Events<U>) -> R) -> Self
    where
        R: Future<Output = Result<Output<D>>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(UPLOAD_QUEUE);
        let requests = futures::stream::unfold(receiver, |mut receiver: mpsc::Receiver<Result<U>>| async {
            Some((receiver.recv().await?, receiver))
        });
        let opening = home.executor().spawn(open(Events::new(requests)));
        Self::new(home, Some(sender), Receiving::Opening(opening))
    }

    fn new(home: Home, upload: Option<mpsc::Sender<Result<U>>>, receiving: Receiving<D>) -> Self {
        Self(Arc::new(Inner {
            home,
            shut: CancellationToken::new(),
            upload: Mutex::new(upload),
            receiving: AsyncMutex::new(receiving),
        }))
    }

    /// The next answer; nothing at the end. One caller at a time waits for it, others for their turn.
    pub(crate) async fn next(&self, cancel: Option<Arc<FfiCancel>>) -> Result<Option<D>, FfiError> {
        let inner = self.0.clone();
        self.0.home.guard(until(cancel, async move { inner.received().await }))?.await
    }

    /// The one answer of an upload.
    pub(crate) async fn answer(&self, cancel: Option<Arc<FfiCancel>>) -> Result<D, FfiError> {
        let ended = || Error::new(Reason::RequestInvalid, "the answer of this stream was taken already");
        let inner = self.0.clone();
        let answer = async move { inner.received().await?.ok_or_else(ended) };
        self.0.home.guard(until(cancel, answer))?.await
    }

    /// Sends a message; waits while the call is behind. A call that ended takes no more, and `next` or
    /// the answer says how it ended.
    pub(crate) async fn send(&self, message: U, cancel: Option<Arc<FfiCancel>>) -> Result<(), FfiError> {
        self.put(Ok(message), cancel).await
    }

    /// Ends the sending side with an error.
    pub(crate) async fn fail(&self, message: String) -> Result<(), FfiError> {
        self.put(Err(Error::new(Reason::RequestCancelled, message)), None).await
    }

    async fn put(&self, message: Result<U>, cancel: Option<Arc<FfiCancel>>) -> Result<(), FfiError> {
        let inner = self.0.clone();
        let sent = async move {
            let sender = inner.sender().clone();
            let finished = || Error::new(Reason::RequestInvalid, "the sending side of this stream has ended");
            let sender = sender.ok_or_else(finished)?;
            let _ = inner.shut.run_until_cancelled(sender.send(message)).await;
            Ok(())
        };
        self.0.home.guard(until(cancel, sent))?.await
    }

    /// Ends the sending side well.
    pub(crate) fn finish(&self) {
        self.0.sender().take();
    }

    /// Ends the call, and whatever waits for it.
    pub(crate) fn shut(&self) {
        self.0.shut.cancel();
        let executor = self.0.home.executor();
        match self.0.receiving.try_lock() {
            Ok(mut receiving) => executor.within(|| *receiving = Receiving::Ended),
            // Who waits for the next answer finds the stream shut and lets go of it. If they were cancelled they
            // are about to let go without having looked.
            Err(_) => {
                let inner = self.0.clone();
                executor.spawn(async move { *inner.receiving.lock().await = Receiving::Ended }).detach();
            }
        }
        // An upload that merely ended would look complete, should it be looked at before the call is gone.
        if let Some(sender) = self.0.sender().take() {
            let _ = sender.try_send(Err(cancelled()));
        }
    }
}

impl<U, D> Inner<U, D> {
    async fn received(&self) -> Result<Option<D>> {
        let mut receiving = self.receiving.lock().await;
        let next = async {
            if let Receiving::Opening(call) = &mut *receiving {
                let output = call.await.map_err(lost);
                *receiving = Receiving::Ended;
                match output?? {
                    Output::One(message) => return Ok(Some(message)),
                    Output::Many(events) => *receiving = Receiving::Many(events),
                }
            }
            match &mut *receiving {
                Receiving::Many(events) => events.next().await,
                Receiving::Opening(_) | Receiving::Ended => Ok(None),
            }
        };
        match self.shut.run_until_cancelled(next).await {
            Some(next) => next,
            None => {
                *receiving = Receiving::Ended;
                Err(cancelled())
            }
        }
    }

    fn sender(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Result<U>>>> {
        self.upload.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<U, D> Drop for Inner<U, D> {
    fn drop(&mut self) {
        let executor = self.home.executor();
        let receiving = std::mem::replace(self.receiving.get_mut(), Receiving::Ended);
        if executor.is_ours() {
            executor.within(|| drop(receiving));
        } else {
            std::mem::forget(receiving);
        }
    }
}

fn lost(error: tokio::task::JoinError) -> Error {
    Error::new(Reason::Unspecified, "the call was lost").outcome_unknown().source(error)
}
