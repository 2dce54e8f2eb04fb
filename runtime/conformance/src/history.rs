//! What clients did and when: the raw material of the checkers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One call of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<I, O> {
    /// What was asked.
    pub input: I,
    /// What was answered and when; `None` if no answer came: the call may have taken effect at any
    /// time after it was made, or never.
    pub output: Option<(O, u64)>,
    /// When it was asked.
    pub invoked: u64,
}

/// Calls of many clients, by key, in the order in which they were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History<K: Ord, I, O>(pub BTreeMap<K, Vec<Operation<I, O>>>);

/// Records calls of many clients at once.
///
/// Time is a counter that is read before a call is made and after its answer came, so when one
/// call's answer has a smaller number than another call's begin, it really came before.
#[derive(Debug)]
pub struct Recorder<K, I, O> {
    recorded: Mutex<Recorded<K, I, O>>,
}

#[derive(Debug)]
struct Recorded<K, I, O> {
    now: u64,
    calls: Vec<Option<(K, Operation<I, O>)>>,
}

/// A call under way. When it is dropped without a word, its outcome stays unknown.
#[derive(Debug)]
#[must_use]
pub struct Call(usize);

impl<K, I, O> Default for Recorder<K, I, O> {
    fn default() -> Self {
        Self { recorded: Mutex::new(Recorded { now: 0, calls: Vec::new() }) }
    }
}

impl<K: Ord, I, O> Recorder<K, I, O> {
    fn tick(&self) -> MutexGuard<'_, Recorded<K, I, O>> {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.now += 1;
        recorded
    }

    /// A call is about to be made.
    pub fn invoke(&self, key: K, input: I) -> Call {
        let mut recorded = self.tick();
        let operation = Operation { input, output: None, invoked: recorded.now };
        recorded.calls.push(Some((key, operation)));
        Call(recorded.calls.len() - 1)
    }

    /// The answer came.
    pub fn answered(&self, call: Call, output: O) {
        let mut recorded = self.tick();
        let now = recorded.now;
        if let Some((_, operation)) = recorded.calls[call.0].as_mut() {
            operation.output = Some((output, now));
        }
    }

    /// The call surely had no effect: it is as if it had never been made.
    pub fn rejected(&self, call: Call) {
        self.tick().calls[call.0] = None;
    }

    /// What was recorded.
    pub fn finish(self) -> History<K, I, O> {
        let mut keys = BTreeMap::<K, Vec<_>>::new();
        let recorded = self.recorded.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (key, operation) in recorded.calls.into_iter().flatten() {
            keys.entry(key).or_default().push(operation);
        }
        History(keys)
    }
}
