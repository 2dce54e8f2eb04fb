//! From the threads of the runtime back to the thread of JavaScript.
//!
//! A call is polled once where it is made. If it is ready, which calls that need neither disk nor network
//! are, its answer is the result, and no thread is involved. Otherwise it goes on in the runtime, its
//! result is a number, and its answer is put into a queue. Whoever puts the first one there wakes JavaScript,
//! which takes all that have come by then: one wake-up for many answers.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::FutureExt;
use futures::future::{AbortHandle, Abortable};
use napi::bindgen_prelude::{Array, Function, ToNapiValue, Unknown};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Result, Status};
use napi_derive::napi;

use crate::error::{exception, guarded, panicked};
use crate::runtime;

/// What turns an answer into an object, on the thread of JavaScript.
pub type Answer = Box<dyn for<'env> FnOnce(&'env Env) -> Result<Unknown<'env>> + Send>;

/// An answer for a type that needs no conversion of its own.
pub fn plain<T>(value: T) -> Answer
where
    T: for<'env> IntoUnknown<'env> + Send + 'static,
{
    Box::new(move |env| value.into_js(env))
}

/// What [`plain`] answers with.
pub trait IntoUnknown<'env>: Sized {
    /// The value in JavaScript.
    fn into_js(self, env: &'env Env) -> Result<Unknown<'env>>;
}

impl<'env, T: ToNapiValue> IntoUnknown<'env> for T {
    fn into_js(self, env: &'env Env) -> Result<Unknown<'env>> {
        self.into_unknown(env)
    }
}

type Wake = ThreadsafeFunction<(), Unknown<'static>, (), Status, false, true>;
type Ended = (u32, pillion::Result<Answer>);

/// The calls of one environment: the main thread of Node, or one worker.
#[napi]
pub struct Bridge {
    calls: Arc<Calls>,
}

/// The calls of one environment.
pub struct Calls {
    next: AtomicU32,
    state: Mutex<State>,
    wake: Wake,
}

#[derive(Default)]
struct State {
    running: HashMap<u32, AbortHandle>,
    ended: Vec<Ended>,
    /// The environment is gone, and nothing of it may be touched.
    closed: bool,
}

#[napi]
impl Bridge {
    /// A bridge that calls `wake` when answers can be taken.
    #[napi(constructor)]
    pub fn new(env: &Env, wake: Function<'_, (), Unknown<'static>>) -> Result<Self> {
        guarded(|| {
            // Weak: waiting for nothing keeps no program alive. While calls are under way `lib/bridge.js` does.
            let wake = wake.build_threadsafe_function().weak::<true>().build()?;
            let calls = Arc::new(Calls { next: AtomicU32::new(0), state: Mutex::default(), wake });
            env.add_env_cleanup_hook(calls.clone(), |calls| calls.close())?;
            Ok(Self { calls })
        })
    }

    /// Takes the answers that have come: number, error, answer, and again.
    #[napi]
    pub fn take<'env>(&self, env: &'env Env) -> Result<Array<'env>> {
        let ended = std::mem::take(&mut self.calls.state().ended);
        let mut taken = env.create_array(0)?;
        for (id, result) in ended {
            // Each is guarded by itself: a panic costs one call, not those whose answers came with it.
            let answer = guarded(|| result.map_err(|error| exception(&error)).and_then(|answer| answer(env)));
            taken.insert(id)?;
            match answer {
                Ok(answer) => {
                    taken.insert(())?;
                    taken.insert(answer)?;
                }
                Err(error) => {
                    taken.insert(error.reason.as_str())?;
                    taken.insert(())?;
                }
            }
        }
        Ok(taken)
    }

    /// Drops a call that is under way.
    #[napi]
    pub fn cancel(&self, id: u32) -> Result<()> {
        guarded(|| {
            let running = self.calls.state().running.remove(&id);
            if let Some(running) = running {
                running.abort();
            }
            Ok(())
        })
    }
}

impl Bridge {
    /// The calls, for what makes some.
    pub fn calls(&self) -> Arc<Calls> {
        self.calls.clone()
    }
}

impl Calls {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call: its answer if it is there already, otherwise its number.
    pub fn begin<'env>(
        self: &Arc<Self>,
        env: &'env Env,
        call: impl Future<Output = pillion::Result<Answer>> + Send + 'static,
    ) -> Result<Unknown<'env>> {
        let runtime = runtime::handle()?;
        let call = AssertUnwindSafe(call).catch_unwind();
        let call = async { call.await.unwrap_or_else(|panic| Err(panicked(&*panic))) };
        let mut call: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(call);
        // What ends here is also dropped in here: it may stand on the runtime.
        let _inside = runtime.enter();
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(answer)) => answer(env),
            Poll::Ready(Err(error)) => Err(exception(&error)),
            Poll::Pending => {
                let id = self.next.fetch_add(1, Ordering::Relaxed);
                let (handle, registration) = AbortHandle::new_pair();
                self.state().running.insert(id, handle);
                let calls = self.clone();
                let call = Abortable::new(call, registration);
                runtime.spawn(async move {
                    if let Ok(result) = call.await {
                        calls.end(id, result);
                    }
                });
                id.into_unknown(env)
            }
        }
    }

    fn end(&self, id: u32, result: pillion::Result<Answer>) {
        let first = {
            let mut state = self.state();
            if state.running.remove(&id).is_none() || state.closed {
                return;
            }
            state.ended.push((id, result));
            state.ended.len() == 1
        };
        if first {
            self.wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }

    /// Ends everything: the environment goes.
    fn close(&self) {
        let (running, ended) = {
            let mut state = self.state();
            state.closed = true;
            (std::mem::take(&mut state.running), std::mem::take(&mut state.ended))
        };
        running.into_values().for_each(|call| call.abort());
        drop(ended);
    }
}
