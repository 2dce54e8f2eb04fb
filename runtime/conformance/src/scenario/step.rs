//! What happens in a scenario, step by step.
//!
//! A step is an object with exactly one of these keys, and the keys that go with it:
//!
//! | key | what it does | with |
//! |---|---|---|
//! | `call: api.method` | makes a call | `args`, `app`, `timeout`, `expect` or `error`, `eventually` |
//! | `start: api.method` | begins a call and leaves it under way | `as`, `args`, `app`, `timeout` |
//! | `await: name` | waits for a started call | `expect` or `error` |
//! | `cancel: name` | gives a started call up | |
//! | `open: api.method` | begins a call with streams | `as`, `args`, `app`, `timeout` |
//! | `next: name` | takes the next message of a stream | `expect`, `error` or `end`; `until`, `before` |
//! | `send: name` | sends a message | `args` |
//! | `finish: name` | ends the upload as complete; an upload with one answer has it then | `expect` or `error` |
//! | `abandon: name` | lets the upload fail | |
//! | `close: name` | gives a stream up | |
//! | `race: api.method` | makes `times` calls at once | `args` with `$i`, `succeed`, `expect`, `error` |
//! | `pages: api.method` | follows the pages of a list | `args`, `items`, `at_most`, `expect` |
//! | `parallel: [[…], […]]` | runs lists of calls at once | |
//! | `elapse: duration` | lets so much time pass for the components | |
//! | `restart: stop` or `kill` | ends the runtime and starts it again | |
//!
//! `timeout` is the deadline of the call. `eventually` repeats a call until it is answered as
//! expected, for at most so long. A stream whose opening fails gives its error as its first message.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use pillion_spi::HumanDuration;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::pattern::Pattern;
use super::template::Template;

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// A call and its answer.
    Call(Call),
    /// A call that is left under way.
    Start(Start),
    /// The answer of a started call.
    Await(String, Expected),
    /// A started call is given up.
    Cancel(String),
    /// A call with streams begins.
    Open(Start),
    /// A stream's next message.
    Next(String, Next),
    /// A message goes out.
    Send(String, Template),
    /// The upload is complete.
    Finish(String, Expected),
    /// The upload fails.
    Abandon(String),
    /// A stream is given up.
    Close(String),
    /// Many calls at once.
    Race(Race),
    /// All pages of a list.
    Pages(Pages),
    /// Lists of calls at once.
    Parallel(Vec<Vec<Call>>),
    /// Time passes.
    Elapse(Duration),
    /// The runtime ends and begins anew.
    Restart(Stop),
}

/// Which method: `state.get_many`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// `state`.
    pub api: String,
    /// `get_many`.
    pub name: String,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.api, self.name)
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The request message.
    pub args: Template,
    /// On behalf of which application.
    pub app: Option<Template>,
    /// How long the caller waits.
    pub timeout: Option<Duration>,
}

/// See [`Step::Call`].
#[derive(Clone, Debug)]
pub struct Call {
    /// What is asked.
    pub asked: Asked,
    /// What is answered.
    pub expected: Expected,
    /// For how long the call is repeated until it is answered so.
    pub eventually: Option<Duration>,
}

/// See [`Step::Start`] and [`Step::Open`].
#[derive(Clone, Debug)]
pub struct Start {
    /// What is asked.
    pub asked: Asked,
    /// What other steps call it.
    pub name: String,
}

/// How a call must end.
#[derive(Clone, Debug)]
pub enum Expected {
    /// With this answer.
    Answer(Pattern),
    /// With this error.
    Error(ErrorPattern),
}

/// How a stream must go on.
#[derive(Clone, Debug)]
pub enum Next {
    /// With this message.
    Message(Pattern),
    /// With this error.
    Error(ErrorPattern),
    /// Not at all.
    End,
    /// At some point with a message like the first pattern, after a list of others like the second.
    Until(Pattern, Pattern),
}

/// Which error.
#[derive(Clone, Debug)]
pub struct ErrorPattern {
    /// The code: `state.etag_mismatch`.
    pub reason: String,
    /// Its category, in lower case; any if not given.
    pub category: Option<String>,
    /// Whether the call may have taken effect: `rejected` (the default) or `unknown`.
    pub outcome: String,
    /// Further fields of the error: `message`, `component`, `metadata`, `retryable`.
    pub rest: Pattern,
}

/// See [`Step::Race`].
#[derive(Clone, Debug)]
pub struct Race {
    /// What is asked, with `$i`.
    pub asked: Asked,
    /// How often.
    pub times: u64,
    /// How many of the calls succeed.
    pub succeed: usize,
    /// What those are answered.
    pub answer: Pattern,
    /// How the others fail.
    pub error: Option<ErrorPattern>,
}

/// See [`Step::Pages`].
#[derive(Clone, Debug)]
pub struct Pages {
    /// What is asked; the page token is added.
    pub asked: Asked,
    /// The field with a page's items.
    pub items: String,
    /// The most items that a page may have.
    pub at_most: Option<usize>,
    /// The items of all pages.
    pub expect: Pattern,
}

/// How a runtime ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stop {
    /// It is asked to.
    Stop,
    /// As `kill -9` does.
    Kill,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenError {
    reason: String,
    category: Option<String>,
    #[serde(default = "rejected")]
    outcome: String,
    message: Option<Value>,
    component: Option<Value>,
    metadata: Option<Value>,
    retryable: Option<bool>,
}

fn rejected() -> String {
    "rejected".to_owned()
}

/// The keys that go with others; which of them, is for each kind of step to say.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct With {
    args: Option<Value>,
    app: Option<Value>,
    timeout: Option<HumanDuration>,
    eventually: Option<HumanDuration>,
    #[serde(rename = "as")]
    name: Option<String>,
    #[serde(deserialize_with = "given")]
    expect: Option<Value>,
    error: Option<WrittenError>,
    end: bool,
    until: Option<Value>,
    before: Option<Value>,
    times: Option<u64>,
    succeed: Option<usize>,
    items: Option<String>,
    at_most: Option<usize>,
}

/// `expect: null` is an expectation.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Each kind of step, with the keys that may go with it.
const KINDS: [(&str, &[&str]); 15] = [
    ("call", &["args", "app", "timeout", "expect", "error", "eventually"]),
    ("start", &["as", "args", "app", "timeout"]),
    ("await", &["expect", "error"]),
    ("cancel", &[]),
    ("open", &["as", "args", "app", "timeout"]),
    ("next", &["expect", "error", "end", "until", "before"]),
    ("send", &["args"]),
    ("finish", &["expect", "error"]),
    ("abandon", &[]),
    ("close", &[]),
    ("race", &["args", "app", "timeout", "times", "succeed", "expect", "error"]),
    ("pages", &["args", "app", "timeout", "items", "at_most", "expect"]),
    ("parallel", &[]),
    ("elapse", &[]),
    ("restart", &[]),
];

impl Step {
    /// Reads a step.
    ///
    /// # Errors
    /// Whatever is wrong with it.
    pub fn parse(mut fields: Map<String, Value>) -> Result<Self> {
        let mut kinds = KINDS.iter().filter(|(kind, _)| fields.contains_key(*kind));
        let (Some((kind, with)), None) = (kinds.next(), kinds.next()) else {
            bail!("a step has one of {}", KINDS.map(|(kind, _)| format!("`{kind}`")).join(", "));
        };
        let head = fields.remove(*kind).unwrap_or_default();
        if let Some(name) = fields.keys().find(|name| !with.contains(&name.as_str())) {
            bail!("unknown field `{name}` of `{kind}`, which takes {with:?}");
        }
        let with: With = read(Value::Object(fields))?;
        Ok(match *kind {
            "call" => Self::Call(call(head, with)?),
            "start" => Self::Start(start(head, with)?),
            "await" => Self::Await(read(head)?, expected(with.expect, with.error)?),
            "cancel" => Self::Cancel(read(head)?),
            "open" => Self::Open(start(head, with)?),
            "next" => Self::Next(read(head)?, next(with)?),
            "send" => Self::Send(read(head)?, args(with.args)?),
            "finish" => Self::Finish(read(head)?, expected(with.expect, with.error)?),
            "abandon" => Self::Abandon(read(head)?),
            "close" => Self::Close(read(head)?),
            "race" => Self::Race(race(head, with)?),
            "pages" => Self::Pages(pages(head, with)?),
            "parallel" => Self::Parallel(parallel(head)?),
            "elapse" => Self::Elapse(read::<HumanDuration>(head)?.get()),
            _ => Self::Restart(read(head)?),
        })
    }

    /// Tells `seen` of every variable.
    pub fn variables<'a>(&'a self, seen: &mut impl FnMut(&'a str)) {
        match self {
            Self::Call(call) => call.variables(seen),
            Self::Start(start) | Self::Open(start) => start.asked.variables(seen),
            Self::Await(_, expected) | Self::Finish(_, expected) => expected.variables(seen),
            Self::Next(_, next) => match next {
                Next::Message(pattern) => pattern.variables(seen),
                Next::Error(error) => error.rest.variables(seen),
                Next::Until(pattern, before) => {
                    pattern.variables(seen);
                    before.variables(seen);
                }
                Next::End => {}
            },
            Self::Send(_, args) => args.variables(seen),
            Self::Race(race) => {
                race.asked.variables(seen);
                race.answer.variables(seen);
                if let Some(error) = &race.error {
                    error.rest.variables(seen);
                }
            }
            Self::Pages(pages) => {
                pages.asked.variables(seen);
                pages.expect.variables(seen);
            }
            Self::Parallel(branches) => branches.iter().flatten().for_each(|call| call.variables(seen)),
            Self::Cancel(_) | Self::Abandon(_) | Self::Close(_) | Self::Elapse(_) | Self::Restart(_) => {}
        }
    }
}

impl Call {
    fn variables<'a>(&'a self, seen: &mut impl FnMut(&'a str)) {
        self.asked.variables(seen);
        self.expected.variables(seen);
    }
}

impl Asked {
    fn variables<'a>(&'a self, seen: &mut impl FnMut(&'a str)) {
        self.args.variables(seen);
        if let Some(app) = &self.app {
            app.variables(seen);
        }
    }
}

impl Expected {
    fn variables<'a>(&'a self, seen: &mut impl FnMut(&'a str)) {
        match self {
            Self::Answer(pattern) => pattern.variables(seen),
            Self::Error(error) => error.rest.variables(seen),
        }
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T> {
    Ok(serde_json::from_value(value)?)
}

fn asked(head: Value, with: &mut With) -> Result<Asked> {
    let method = head.as_str().and_then(|text| text.split_once('.'));
    let (api, name) = method.with_context(|| format!("{head} is not of the form `api.method`"))?;
    Ok(Asked {
        method: Method { api: api.to_owned(), name: name.to_owned() },
        args: args(with.args.take())?,
        app: with.app.take().map(Template::parse).transpose()?,
        timeout: with.timeout.map(HumanDuration::get),
    })
}

fn args(args: Option<Value>) -> Result<Template> {
    Template::parse(args.unwrap_or_else(|| Value::Object(Map::new()))).context("`args`")
}

fn call(head: Value, mut with: With) -> Result<Call> {
    Ok(Call {
        asked: asked(head, &mut with)?,
        expected: expected(with.expect, with.error)?,
        eventually: with.eventually.map(HumanDuration::get),
    })
}

fn start(head: Value, mut with: With) -> Result<Start> {
    Ok(Start { asked: asked(head, &mut with)?, name: with.name.context("it needs a name: `as`")? })
}

fn expected(expect: Option<Value>, error: Option<WrittenError>) -> Result<Expected> {
    match (expect, error) {
        (Some(_), Some(_)) => bail!("a call has `expect` or `error`, not both"),
        (_, Some(error)) => Ok(Expected::Error(error_pattern(error)?)),
        (expect, None) => answer(expect).map(Expected::Answer),
    }
}

fn answer(expect: Option<Value>) -> Result<Pattern> {
    expect.map_or(Ok(Pattern::Any), Pattern::parse).context("`expect`")
}

fn error_pattern(error: WrittenError) -> Result<ErrorPattern> {
    let WrittenError { reason, category, outcome, message, component, metadata, retryable } = error;
    ensure!(matches!(&*outcome, "rejected" | "unknown"), "`outcome` is `rejected` or `unknown`, not `{outcome}`");
    let fields = [
        ("message", message),
        ("component", component),
        ("metadata", metadata),
        ("retryable", retryable.map(Value::Bool)),
    ];
    let rest = fields.into_iter().filter_map(|(name, field)| Some((name.to_owned(), field?))).collect();
    Ok(ErrorPattern { reason, category, outcome, rest: Pattern::parse(Value::Object(rest)).context("`error`")? })
}

fn next(with: With) -> Result<Next> {
    let With { expect, error, end, until, before, .. } = with;
    ensure!(until.is_some() || before.is_none(), "`before` goes with `until`");
    Ok(match (expect, error, end, until) {
        (None, Some(error), false, None) => Next::Error(error_pattern(error)?),
        (None, None, true, None) => Next::End,
        (None, None, false, Some(until)) => {
            let before = before.map_or(Ok(Pattern::Each(Box::new(Pattern::Any))), Pattern::parse);
            Next::Until(Pattern::parse(until).context("`until`")?, before.context("`before`")?)
        }
        (expect, None, false, None) => Next::Message(answer(expect)?),
        _ => bail!("`next` has one of `expect`, `error`, `end` and `until`"),
    })
}

fn race(head: Value, mut with: With) -> Result<Race> {
    let asked = asked(head, &mut with)?;
    let times = with.times.context("a race needs `times`")?;
    ensure!((2..=64).contains(&times), "`times` is 2 to 64");
    Ok(Race {
        asked,
        times,
        succeed: with.succeed.context("a race needs `succeed`")?,
        answer: answer(with.expect)?,
        error: with.error.map(error_pattern).transpose()?,
    })
}

fn pages(head: Value, mut with: With) -> Result<Pages> {
    Ok(Pages {
        asked: asked(head, &mut with)?,
        items: with.items.context("`pages` needs `items`")?,
        at_most: with.at_most,
        expect: answer(with.expect)?,
    })
}

fn parallel(head: Value) -> Result<Vec<Vec<Call>>> {
    let branches: Vec<Vec<Map<String, Value>>> = read(head).context("`parallel` takes lists of steps")?;
    let steps = branches.into_iter().map(|branch| branch.into_iter().map(call_of).collect());
    steps.collect()
}

fn call_of(fields: Map<String, Value>) -> Result<Call> {
    match Step::parse(fields)? {
        Step::Call(call) => Ok(call),
        _ => bail!("`parallel` has only calls"),
    }
}
