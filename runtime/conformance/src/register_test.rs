//! The checker, checked: planted violations, random histories, and a search by brute force.

use super::*;
use crate::history::Operation;
use crate::linearizability::{Verdict, check};

type Call = Operation<Input, Output>;

const LIFE: Generation = Generation::from_random(1);
const NEXT_LIFE: Generation = Generation::from_random(2);

fn version(counter: u64) -> Version {
    Version { counter, generation: Some(LIFE) }
}

fn call(times: std::ops::Range<u64>, input: Input, output: Output) -> Call {
    Operation { input, output: Some((output, times.end)), invoked: times.start }
}

fn unanswered(invoked: u64, input: Input) -> Call {
    Operation { input, output: None, invoked }
}

fn put(value: u64) -> Input {
    Input::Put(value, Condition::None)
}

fn put_if(value: u64, counter: u64) -> Input {
    Input::Put(value, Condition::IfMatch(version(counter)))
}

fn applied(counter: u64) -> Output {
    Output::Applied { version: Some(version(counter)), existed: counter > 1 }
}

fn read(value: u64, counter: u64) -> Output {
    Output::Read(Some((value, version(counter))))
}

fn conflict(counter: u64) -> Output {
    Output::Conflict { found: Some(version(counter)) }
}

#[track_caller]
fn fine(calls: &[Call]) {
    assert_eq!(check(&Register, calls), Verdict::Linearizable);
}

#[track_caller]
fn wrong(calls: &[Call]) {
    assert!(matches!(check(&Register, calls), Verdict::Violation(_)), "{calls:?}");
}

#[test]
fn one_call_after_another_is_fine() {
    fine(&[]);
    fine(&[
        call(0..1, Input::Read, Output::Read(None)),
        call(2..3, put(10), applied(1)),
        call(4..5, Input::Read, read(10, 1)),
        call(6..7, put_if(20, 1), applied(2)),
        call(8..9, put_if(30, 1), conflict(2)),
        call(10..11, Input::Delete(Condition::IfMatch(version(2))), Output::Applied { version: None, existed: true }),
        call(12..13, Input::Read, Output::Read(None)),
    ]);
}

#[test]
fn calls_at_once_may_take_effect_in_any_order() {
    // Two writes overlap; the read after them sees the one that began first and ended last.
    let (one, other) = (call(0..10, put(1), applied(2)), call(1..5, put(2), applied(1)));
    fine(&[one.clone(), other.clone(), call(11..12, Input::Read, read(1, 2))]);
    wrong(&[one, other, call(11..12, Input::Read, read(2, 1))]);
}

#[test]
fn a_stale_read_is_found() {
    wrong(&[call(0..1, put(1), applied(1)), call(2..3, put(2), applied(2)), call(4..5, Input::Read, read(1, 1))]);
    // Seen by one reader, then not by a later one.
    wrong(&[
        call(0..1, put(1), applied(1)),
        unanswered(2, put(2)),
        call(3..4, Input::Read, read(2, 2)),
        call(5..6, Input::Read, read(1, 1)),
    ]);
}

#[test]
fn a_lost_update_is_found() {
    // Both conditional writes on one version succeed.
    wrong(&[
        call(0..1, put(1), applied(1)),
        call(2..5, put_if(2, 1), applied(2)),
        call(3..6, put_if(3, 1), applied(2)),
    ]);
    // An acknowledged write is gone.
    wrong(&[call(0..1, put(1), applied(1)), call(2..3, Input::Read, Output::Read(None))]);
}

#[test]
fn a_write_applied_twice_is_found() {
    wrong(&[call(0..1, put(1), applied(1)), call(2..3, put(2), applied(3))]);
    wrong(&[call(0..1, put(1), applied(1)), call(2..3, Input::Read, read(1, 2))]);
}

#[test]
fn an_ignored_version_is_found() {
    wrong(&[call(0..1, put(1), applied(1)), call(2..3, put(2), applied(2)), call(4..5, put_if(3, 1), applied(3))]);
    wrong(&[call(0..1, put(1), applied(1)), call(2..3, Input::Put(2, Condition::IfAbsent), applied(2))]);
}

#[test]
fn an_invented_conflict_is_found() {
    wrong(&[call(0..1, put(1), applied(1)), call(2..3, put_if(2, 1), conflict(1))]);
    wrong(&[call(0..1, Input::Put(1, Condition::IfAbsent), Output::Conflict { found: None })]);
}

#[test]
fn a_version_of_an_earlier_life_that_matches_is_found() {
    let mut calls = vec![
        call(0..1, put(1), applied(1)),
        call(2..3, Input::Delete(Condition::None), Output::Applied { version: None, existed: true }),
    ];
    let later = Version { counter: 1, generation: Some(NEXT_LIFE) };
    calls.push(call(4..5, put(2), Output::Applied { version: Some(later), existed: false }));
    fine(&calls);
    let reborn = Version { counter: 2, generation: Some(NEXT_LIFE) };
    calls.push(call(6..7, put_if(3, 1), Output::Applied { version: Some(reborn), existed: true }));
    wrong(&calls);
}

#[test]
fn an_unanswered_write_may_take_effect_late_or_never() {
    let begin = [call(0..1, put(1), applied(1)), unanswered(2, put(2))];
    let with = |more: Vec<Call>| [begin.to_vec(), more].concat();
    fine(&with(vec![call(3..4, Input::Read, read(1, 1))]));
    fine(&with(vec![call(3..4, Input::Read, read(2, 2))]));
    fine(&with(vec![call(3..4, Input::Read, read(1, 1)), call(5..6, Input::Read, read(2, 2))]));
    fine(&with(vec![call(3..4, put(3), applied(2)), call(5..6, Input::Read, read(2, 3))]));
    // But only once, and not before it was asked.
    wrong(&with(vec![call(3..4, Input::Read, read(2, 3))]));
    wrong(&[call(0..1, Input::Read, read(1, 1)), unanswered(2, put(1))]);
}

#[test]
fn an_unanswered_conditional_write_needs_its_condition() {
    let begin = [call(0..1, put(1), applied(1)), unanswered(2, put_if(2, 1)), call(3..4, put(3), applied(2))];
    fine(&[begin.to_vec(), vec![call(5..6, Input::Read, read(3, 2))]].concat());
    wrong(&[begin.to_vec(), vec![call(5..6, Input::Read, read(2, 3))]].concat());
}

#[test]
fn an_unanswered_creation_learns_its_generation_later() {
    fine(&[
        unanswered(0, Input::Put(1, Condition::IfAbsent)),
        call(1..2, put_if(2, 1), applied(2)),
        call(3..4, Input::Read, read(2, 2)),
    ]);
    let other = Version { counter: 2, generation: Some(NEXT_LIFE) };
    wrong(&[
        unanswered(0, Input::Put(1, Condition::IfAbsent)),
        call(1..2, put_if(2, 1), applied(2)),
        call(3..4, Input::Read, Output::Read(Some((2, other)))),
    ]);
}

#[test]
fn the_violation_tells_where_the_search_ended() {
    let calls = [call(0..1, put(1), applied(1)), call(2..3, put(2), applied(2)), call(4..5, Input::Read, read(1, 1))];
    match check(&Register, &calls) {
        Verdict::Violation(violation) => assert_eq!((violation.explained, violation.stuck), (vec![0, 1], 2)),
        other => panic!("{other:?}"),
    }
}

/// Clients of a register that takes effect at one moment between call and answer.
fn simulate(random: &mut Seeded, clients: usize, calls: usize, unanswered_once_in: usize) -> Vec<Call> {
    struct Pending {
        call: usize,
        output: Option<Output>,
    }
    let mut register = Simulated::default();
    let mut history: Vec<Call> = Vec::new();
    let mut pending: Vec<Option<Pending>> = (0..clients).map(|_| None).collect();
    let mut now = 0;
    while history.len() < calls || pending.iter().any(Option::is_some) {
        now += 1;
        let client = random.below(clients);
        match pending[client].take() {
            None if history.len() < calls => {
                let counter = register.entry.map_or(1, |(_, version)| version.counter);
                let guess = Version { counter: counter.saturating_sub(random.below(2) as u64), ..version(1) };
                let guess = Version { generation: Some(register.generation()), ..guess };
                let value = history.len() as u64;
                let input = match random.below(7) {
                    0 | 1 => Input::Read,
                    2 => put(value),
                    3 => Input::Put(value, Condition::IfAbsent),
                    4 => Input::Put(value, Condition::IfMatch(guess)),
                    5 => Input::Put(value, Condition::IfMatchOrAbsent(Version::bare(guess.counter))),
                    _ => Input::Delete(Condition::IfMatch(guess)),
                };
                history.push(unanswered(now, input));
                pending[client] = Some(Pending { call: history.len() - 1, output: None });
            }
            None => {}
            // The client gives up: what it asked may have had its effect, or may never have.
            Some(_) if random.once_in(unanswered_once_in) => {}
            Some(Pending { call, output: None }) => {
                let output = Some(register.execute(&history[call].input));
                pending[client] = Some(Pending { call, output });
            }
            Some(Pending { call, output: Some(output) }) => history[call].output = Some((output, now)),
        }
    }
    history
}

#[derive(Default)]
struct Simulated {
    entry: Option<(u64, Version)>,
    lives: u64,
}

impl Simulated {
    fn generation(&self) -> Generation {
        Generation::from_random(self.lives)
    }

    fn execute(&mut self, input: &Input) -> Output {
        let (condition, value) = match input {
            Input::Read => return Output::Read(self.entry),
            Input::Put(value, condition) => (condition, Some(*value)),
            Input::Delete(condition) => (condition, None),
        };
        let found = self.entry.map(|(_, version)| version);
        let holds = match (condition, &found) {
            (Condition::None, _) | (Condition::IfAbsent | Condition::IfMatchOrAbsent(_), None) => true,
            (Condition::IfMatch(wanted) | Condition::IfMatchOrAbsent(wanted), Some(found)) => wanted.matches(found),
            _ => false,
        };
        if !holds {
            return Output::Conflict { found };
        }
        let version = value.map(|_| match found {
            Some(found) => Version { counter: found.counter + 1, ..found },
            None => {
                self.lives += 1;
                Version { counter: 1, generation: Some(self.generation()) }
            }
        });
        self.entry = value.zip(version);
        Output::Applied { version, existed: found.is_some() }
    }
}

/// Changes one answer.
fn spoil(random: &mut Seeded, history: &mut [Call]) {
    let index = random.below(history.len());
    let other = random.below(4) as u64;
    if let Some((output, _)) = &mut history[index].output {
        match output {
            Output::Read(Some((value, version))) => {
                if random.once_in(2) {
                    *value = other;
                } else {
                    version.counter = other;
                }
            }
            Output::Read(none) => *none = Some((other, version(1))),
            Output::Applied { version: Some(version), .. } | Output::Conflict { found: Some(version) } => {
                version.counter = other;
            }
            Output::Applied { existed, .. } => *existed = !*existed,
            Output::Conflict { found } => *found = Some(version(other)),
        }
    }
}

/// Tries every order of the answered calls together with every selection of the others.
fn by_brute_force(calls: &[Call], state: Option<Present>, left: &mut Vec<usize>) -> bool {
    if left.iter().all(|call| calls[*call].output.is_none()) {
        return true;
    }
    for position in 0..left.len() {
        let candidate = left[position];
        let too_early = |other: &usize| {
            calls[*other].output.as_ref().is_some_and(|(_, returned)| *returned < calls[candidate].invoked)
        };
        if left.iter().any(too_early) {
            continue;
        }
        left.remove(position);
        let output = calls[candidate].output.as_ref().map(|(output, _)| output);
        let possible = Register
            .step(&state, &calls[candidate].input, output)
            .into_iter()
            .any(|next| by_brute_force(calls, next, left));
        left.insert(position, candidate);
        if possible {
            return true;
        }
    }
    false
}

#[test]
fn histories_that_are_linearizable_by_making_pass() {
    for seed in 0..300 {
        let mut random = Seeded::new(seed);
        let history = simulate(&mut random, 1 + seed as usize % 8, 60, 15);
        assert_eq!(check(&Register, &history), Verdict::Linearizable, "seed {seed}: {history:#?}");
    }
}

#[test]
fn small_histories_are_judged_as_by_brute_force() {
    let (mut passed, mut failed) = (0, 0);
    for seed in 0..6000 {
        let mut random = Seeded::new(seed);
        let mut history = simulate(&mut random, 3, 6, 6);
        for _ in 0..random.below(3) {
            spoil(&mut random, &mut history);
        }
        let wanted = by_brute_force(&history, None, &mut (0..history.len()).collect());
        let found = check(&Register, &history) == Verdict::Linearizable;
        assert_eq!(found, wanted, "seed {seed}: {history:#?}");
        if wanted {
            passed += 1;
        } else {
            failed += 1;
        }
    }
    // Else the comparison would say little.
    assert!(passed > 1000 && failed > 1000, "{passed} passed, {failed} failed");
}

#[test]
fn a_long_history_is_judged_quickly_enough() {
    let mut random = Seeded::new(7);
    let history = simulate(&mut random, 8, 2000, 200);
    assert_eq!(check(&Register, &history), Verdict::Linearizable);
}
