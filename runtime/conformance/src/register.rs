//! One entry of a state store as a model for the [linearizability](crate::linearizability) checker,
//! and clients that record what they did to it.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use pillion_spi::state::{
    Action, Applied, ApplyOptions, Condition, Entry, Expiry, Generation, Key, Op, OpOutcome, ReadOptions, Version,
};
use pillion_spi::{Error, Outcome};

use crate::cancel::dropped_after;
use crate::env::Store;
use crate::history::{History, Recorder};
use crate::linearizability::{self, Model, Verdict};
use crate::seed::Seeded;

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The value and version.
    Read,
    /// To store a value.
    Put(u64, Condition),
    /// To remove the entry.
    Delete(Condition),
}

/// What it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The value and version read.
    Read(Option<(u64, Version)>),
    /// The write took effect.
    Applied {
        /// The version after it.
        version: Option<Version>,
        /// Whether there was an entry.
        existed: bool,
    },
    /// The condition did not hold.
    Conflict {
        /// The version found.
        found: Option<Version>,
    },
}

/// A present entry. The generation is not known while only unanswered calls have created it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Present {
    value: u64,
    counter: u64,
    generation: Option<Generation>,
}

impl Present {
    /// The entry, after `version` was seen of it; `None` if it is another version.
    fn seen_as(self, version: Version) -> Option<Self> {
        if self.counter != version.counter {
            return None;
        }
        let generation = match (self.generation, version.generation) {
            (Some(known), Some(seen)) if known != seen => return None,
            (known, seen) => known.or(seen),
        };
        Some(Self { generation, ..self })
    }
}

/// An entry with version and conditions. `FirstWrite` is not part of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Register;

/// The ways in which `condition` can be judged on `state`, each with what is then known of it.
fn judgements(condition: &Condition, state: Option<Present>) -> Vec<(bool, Option<Present>)> {
    let on_version = |version: &Version, present: Present| match (version.generation, present.generation) {
        _ if version.counter != present.counter => vec![(false, Some(present))],
        (Some(wanted), None) => {
            vec![(true, Some(Present { generation: Some(wanted), ..present })), (false, Some(present))]
        }
        (Some(wanted), Some(found)) => vec![(wanted == found, Some(present))],
        (None, _) => vec![(true, Some(present))],
    };
    match (condition, state) {
        (Condition::None, _) => vec![(true, state)],
        (Condition::IfAbsent, _) => vec![(state.is_none(), state)],
        (Condition::IfMatch(_), None) => vec![(false, None)],
        (Condition::IfMatchOrAbsent(_), None) => vec![(true, None)],
        (Condition::IfMatch(version) | Condition::IfMatchOrAbsent(version), Some(present)) => {
            on_version(version, present)
        }
        (Condition::FirstWrite(_), _) => Vec::new(),
    }
}

/// The state after a conflict answered by `found`, if that answer is right.
fn after_conflict(state: Option<Present>, found: Option<Version>) -> Option<Option<Present>> {
    match (state, found) {
        (None, None) => Some(None),
        (Some(present), Some(version)) => present.seen_as(version).map(Some),
        _ => None,
    }
}

impl Model for Register {
    type State = Option<Present>;
    type Input = Input;
    type Output = Output;

    fn initial(&self) -> Self::State {
        None
    }

    fn step(&self, state: &Self::State, input: &Input, output: Option<&Output>) -> Vec<Self::State> {
        let (condition, value) = match input {
            Input::Read => {
                return match (state, output) {
                    (None, Some(Output::Read(None))) => vec![None],
                    (Some(present), Some(Output::Read(Some((value, version))))) if present.value == *value => {
                        present.seen_as(*version).map(Some).into_iter().collect()
                    }
                    _ => Vec::new(),
                };
            }
            Input::Put(value, condition) => (condition, Some(*value)),
            Input::Delete(condition) => (condition, None),
        };
        let mut states = Vec::new();
        for (holds, state) in judgements(condition, *state) {
            let after = value.map(|value| match state {
                None => Present { value, counter: 1, generation: None },
                Some(before) => Present { value, counter: before.counter + 1, ..before },
            });
            match output {
                // An unanswered write that met a conflict had no effect.
                None if holds => states.push(after),
                Some(Output::Applied { version, existed }) if holds && *existed == state.is_some() => {
                    match (after, version) {
                        (None, None) => states.push(None),
                        (Some(after), Some(version)) => states.extend(after.seen_as(*version).map(Some)),
                        _ => {}
                    }
                }
                Some(Output::Conflict { found }) if !holds => states.extend(after_conflict(state, *found)),
                _ => {}
            }
        }
        states
    }
}

impl History<Key, Input, Output> {
    /// Judges it.
    ///
    /// # Errors
    /// That it is not linearizable, or that this could not be found out.
    pub fn check(&self) -> Result<()> {
        for (key, operations) in &self.0 {
            match linearizability::check(&Register, operations) {
                Verdict::Linearizable => {}
                Verdict::Undecided => bail!("the {} calls on `{key}` are too many to judge", operations.len()),
                Verdict::Violation(violation) => {
                    let calls = operations.iter().enumerate();
                    let calls: Vec<String> = calls.map(|(index, call)| format!("{index}: {call:?}")).collect();
                    bail!("`{key}` is not linearizable: {violation}\n{}", calls.join("\n"));
                }
            }
        }
        Ok(())
    }
}

/// Lets `tasks` clients make `calls` random calls each on `keys`, which must be fresh, and records
/// them. Some calls are dropped half-way, so their outcome is unknown.
///
/// # Errors
/// Answers that no store may give. Failures of the store are part of the history.
pub async fn storm(
    store: &Store,
    keys: &[Key],
    tasks: usize,
    calls: usize,
    seed: u64,
) -> Result<History<Key, Input, Output>> {
    let recorder = Arc::new(Recorder::default());
    let clients = (0..tasks).map(|task| {
        let client = Client {
            store: store.clone(),
            keys: keys.to_vec(),
            random: Seeded::new(seed ^ (task as u64).rotate_right(8)),
            recorder: recorder.clone(),
            known: vec![Version::bare(1); keys.len()],
            // Every value of a history is another, so that a read tells which write it saw.
            next_value: (task * calls) as u64,
        };
        tokio::spawn(client.run(calls))
    });
    for result in futures::future::join_all(clients).await {
        result??;
    }
    Ok(Arc::into_inner(recorder).context("a client still records")?.finish())
}

struct Client {
    store: Store,
    keys: Vec<Key>,
    random: Seeded,
    recorder: Arc<Recorder<Key, Input, Output>>,
    /// The version last seen of each key.
    known: Vec<Version>,
    next_value: u64,
}

impl Client {
    async fn run(mut self, calls: usize) -> Result<()> {
        for _ in 0..calls {
            let index = self.random.below(self.keys.len());
            let key = self.keys[index].clone();
            let input = self.invent(self.known[index]);
            let polls = if self.random.once_in(12) { self.random.below(4) } else { usize::MAX };
            let call = self.recorder.invoke(key.clone(), input.clone());
            let Some(answer) = dropped_after(polls, ask(&self.store, &key, &input)).await else { continue };
            match answer {
                Ok(output) => {
                    if let Output::Read(Some((_, version)))
                    | Output::Applied { version: Some(version), .. }
                    | Output::Conflict { found: Some(version) } = output
                    {
                        self.known[index] = version;
                    }
                    self.recorder.answered(call, output);
                }
                Err(Failure::Store(error)) if error.outcome() == Outcome::Rejected => self.recorder.rejected(call),
                Err(Failure::Store(_)) => {}
                Err(Failure::Absurd(what)) => bail!("{input:?} on `{key}`: {what}"),
            }
        }
        Ok(())
    }

    fn invent(&mut self, known: Version) -> Input {
        self.next_value += 1;
        let value = self.next_value;
        let version = if self.random.once_in(4) { Version::bare(known.counter) } else { known };
        match self.random.below(12) {
            0..=2 => Input::Read,
            3 => Input::Put(value, Condition::None),
            4 | 5 => Input::Put(value, Condition::IfAbsent),
            6..=8 => Input::Put(value, Condition::IfMatch(version)),
            9 => Input::Put(value, Condition::IfMatchOrAbsent(version)),
            10 => Input::Delete(Condition::IfMatch(version)),
            _ => Input::Delete(Condition::None),
        }
    }
}

enum Failure {
    Store(Error),
    Absurd(String),
}

async fn ask(store: &Store, key: &Key, input: &Input) -> Result<Output, Failure> {
    let (condition, action) = match input {
        Input::Read => {
            let mut results =
                store.raw().read(std::slice::from_ref(key), ReadOptions::default()).await.map_err(Failure::Store)?;
            return match results.pop() {
                Some(Ok(Some(Entry { value, version, .. }))) => {
                    let number = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
                    let number = number.ok_or_else(|| Failure::Absurd(format!("read {value:?}")))?;
                    Ok(Output::Read(Some((number, version))))
                }
                Some(Ok(None)) => Ok(Output::Read(None)),
                Some(Err(error)) => Err(Failure::Store(error)),
                None => Err(Failure::Absurd("no result".to_owned())),
            };
        }
        Input::Put(value, condition) => {
            (condition, Action::Put { value: value.to_string().into(), content_type: None, expiry: Expiry::Never })
        }
        Input::Delete(condition) => (condition, Action::Delete),
    };
    let op = Op { key: key.clone(), condition: condition.clone(), action };
    let Applied { mut outcomes, .. } =
        store.raw().apply(vec![op], ApplyOptions::default()).await.map_err(Failure::Store)?;
    match outcomes.pop() {
        Some(OpOutcome::Applied { version, existed }) => Ok(Output::Applied { version, existed }),
        Some(OpOutcome::Conflict { found }) => Ok(Output::Conflict { found }),
        Some(OpOutcome::Failed(error)) => Err(Failure::Store(error)),
        other => Err(Failure::Absurd(format!("answered {other:?}"))),
    }
}

#[cfg(test)]
#[path = "register_test.rs"]
mod tests;
