//! Whether a history could have happened one call at a time.
//!
//! The search is the one of Wing and Gong with the improvements of Lowe: choose any call that was
//! made before the first outstanding answer, see whether the model gives that answer, go on from
//! there, and never look twice at the same set of chosen calls in the same state. A history is
//! judged key by key, since calls of different keys cannot contradict each other.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;

use crate::history::Operation;

/// What a single copy would do.
pub trait Model {
    /// The state of the copy.
    type State: Clone + Eq + Hash;
    /// A call.
    type Input;
    /// An answer.
    type Output;

    /// The state at the beginning.
    fn initial(&self) -> Self::State;

    /// The states in which `input`, executed in `state`, can leave the copy when it is answered by
    /// `output`; none if that answer is wrong. Without an answer, the states in which it can leave
    /// the copy if it has an effect; none if it cannot have any.
    fn step(&self, state: &Self::State, input: &Self::Input, output: Option<&Self::Output>) -> Vec<Self::State>;
}

/// The judgement of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order that explains every answer.
    Linearizable,
    /// There is none.
    Violation(Violation),
    /// None was found within [`MOST_STATES`].
    Undecided,
}

/// Why there is no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The longest order found, as indices into the history.
    pub explained: Vec<usize>,
    /// The first answer, by time, that could not be added to it.
    pub stuck: usize,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after the calls {:?} there is no way to explain the answer of call {}", self.explained, self.stuck)
    }
}

/// How many states are looked at before the search gives up.
pub const MOST_STATES: usize = 2_000_000;

/// Judges the calls of one key.
pub fn check<M: Model>(model: &M, operations: &[Operation<M::Input, M::Output>]) -> Verdict {
    Search::new(model, operations).run()
}

/// A set of calls.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Chosen(Box<[u64]>);

impl Chosen {
    fn with(&self, call: usize) -> Self {
        let mut set = self.clone();
        set.0[call / 64] |= 1 << (call % 64);
        set
    }
}

/// The events that are not yet explained, by time, as a doubly linked list in two vectors: taking
/// one out and putting it back (in reverse order) costs nothing.
struct Events {
    /// Of event `e`, the next; the last entry is the head.
    next: Vec<usize>,
    before: Vec<usize>,
    /// The call that the event belongs to, and whether it is its answer.
    of: Vec<(usize, bool)>,
    /// Of each call, its beginning and its answer.
    at: Vec<(usize, Option<usize>)>,
}

impl Events {
    fn new<I, O>(operations: &[Operation<I, O>]) -> Self {
        let mut times: Vec<(u64, usize, bool)> = Vec::new();
        for (call, operation) in operations.iter().enumerate() {
            times.push((operation.invoked, call, false));
            times.extend(operation.output.iter().map(|(_, returned)| (*returned, call, true)));
        }
        times.sort_unstable();
        let head = times.len();
        let mut at = vec![(head, None); operations.len()];
        for (event, (_, call, answer)) in times.iter().enumerate() {
            if *answer {
                at[*call].1 = Some(event);
            } else {
                at[*call].0 = event;
            }
        }
        let of = times.into_iter().map(|(_, call, answer)| (call, answer)).collect();
        let ring = head + 1;
        let next = (0..ring).map(|event| (event + 1) % ring).collect();
        let before = (0..ring).map(|event| (event + head) % ring).collect();
        Self { next, before, of, at }
    }

    fn head(&self) -> usize {
        self.of.len()
    }

    fn take(&mut self, call: usize) {
        let (begin, answer) = self.at[call];
        for event in [Some(begin), answer].into_iter().flatten() {
            let (before, next) = (self.before[event], self.next[event]);
            self.next[before] = next;
            self.before[next] = before;
        }
    }

    fn put_back(&mut self, call: usize) {
        let (begin, answer) = self.at[call];
        for event in [answer, Some(begin)].into_iter().flatten() {
            let (before, next) = (self.before[event], self.next[event]);
            self.next[before] = event;
            self.before[next] = event;
        }
    }

    /// The calls made before the first outstanding answer, and whose answer that is.
    fn candidates(&self) -> (Vec<usize>, Option<usize>) {
        let mut calls = Vec::new();
        let mut event = self.next[self.head()];
        while event != self.head() {
            let (call, answer) = self.of[event];
            if answer {
                return (calls, Some(call));
            }
            calls.push(call);
            event = self.next[event];
        }
        (calls, None)
    }
}

/// One choice and what may be tried after it.
struct Frame<S> {
    /// The call chosen to get here; none at the beginning.
    call: Option<usize>,
    chosen: Chosen,
    untried: Vec<(usize, S)>,
}

struct Search<'a, M: Model> {
    model: &'a M,
    operations: &'a [Operation<M::Input, M::Output>],
    events: Events,
    seen: HashSet<(Chosen, M::State)>,
    frames: Vec<Frame<M::State>>,
    best: Option<Violation>,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, operations: &'a [Operation<M::Input, M::Output>]) -> Self {
        let events = Events::new(operations);
        Self { model, operations, events, seen: HashSet::new(), frames: Vec::new(), best: None }
    }

    fn run(mut self) -> Verdict {
        let none = Chosen(vec![0; self.operations.len().div_ceil(64)].into());
        if self.enter(None, none, &self.model.initial()) {
            return Verdict::Linearizable;
        }
        while let Some(frame) = self.frames.last_mut() {
            if self.seen.len() > MOST_STATES {
                return Verdict::Undecided;
            }
            let Some((call, state)) = frame.untried.pop() else {
                if let Some(call) = frame.call {
                    self.events.put_back(call);
                }
                self.frames.pop();
                continue;
            };
            let chosen = frame.chosen.with(call);
            self.events.take(call);
            if self.enter(Some(call), chosen, &state) {
                return Verdict::Linearizable;
            }
        }
        // Nothing outstanding at the beginning would have ended the search there.
        Verdict::Violation(self.best.unwrap_or(Violation { explained: Vec::new(), stuck: 0 }))
    }

    /// Opens a frame for the calls that may follow; whether every answer is explained.
    fn enter(&mut self, call: Option<usize>, chosen: Chosen, state: &M::State) -> bool {
        let (candidates, outstanding) = self.events.candidates();
        let Some(stuck) = outstanding else { return true };
        let mut untried = Vec::new();
        for candidate in candidates {
            let operation = &self.operations[candidate];
            let output = operation.output.as_ref().map(|(output, _)| output);
            for next in self.model.step(state, &operation.input, output) {
                if self.seen.insert((chosen.with(candidate), next.clone())) {
                    untried.push((candidate, next));
                }
            }
        }
        self.frames.push(Frame { call, chosen, untried });
        let explained = self.frames.len() - 1;
        if self.best.as_ref().is_none_or(|best| best.explained.len() < explained) {
            let explained = self.frames.iter().filter_map(|frame| frame.call).collect();
            self.best = Some(Violation { explained, stuck });
        }
        false
    }
}
