//! Playing a scenario, and judging what comes back.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use futures::future::try_join_all;
use pillion_spi::{Clock, SystemClock};
use serde_json::Value;

use super::format::Scenario;
use super::pattern::shown;
use super::session::{Answer, Pending, Request, Session, Stream};
use super::stage::Stage;
use super::step::{Asked, Call, ErrorPattern, Expected, Next, Pages, Race, Step};
use super::template::{COUNTER, Variables};

/// How long anything may take that has no limit of its own. Only a hang should meet it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often `eventually` tries.
const INTERVAL: Duration = Duration::from_millis(20);

/// More messages than any scenario waits through.
const MOST_MESSAGES: usize = 10_000;

/// What went over the wire, for people.
#[derive(Clone, Debug, Default)]
pub struct Transcript(Arc<Mutex<Vec<String>>>);

impl Transcript {
    fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.into());
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

/// Plays `scenario` on `stage`.
///
/// # Errors
/// The first step that did not go as it should.
pub async fn play(scenario: &Scenario, stage: &mut Stage, variables: Variables, transcript: &Transcript) -> Result<()> {
    let mut play = Play { variables, transcript, calls: HashMap::new(), streams: HashMap::new() };
    let mut result = Ok(());
    for (index, step) in scenario.steps.iter().enumerate() {
        let clock: &dyn Clock = &SystemClock;
        let played = clock.timeout(PATIENCE, play.step(step, stage)).await;
        result = played.unwrap_or_else(|_| bail!("it did not end within {PATIENCE:?}"));
        if result.is_err() {
            result = result.with_context(|| format!("step {}", index + 1));
            break;
        }
    }
    // What a scenario leaves open must not disturb the next one.
    let tidied = clock_limited(play.tidy()).await;
    result.and(tidied)
}

async fn clock_limited(future: impl Future<Output = Result<()>>) -> Result<()> {
    let clock: &dyn Clock = &SystemClock;
    clock.timeout(PATIENCE, future).await.context("giving up what was left open")?
}

struct Play<'a> {
    variables: Variables,
    transcript: &'a Transcript,
    calls: HashMap<String, Box<dyn Pending>>,
    streams: HashMap<String, Box<dyn Stream>>,
}

impl Play<'_> {
    async fn step(&mut self, step: &Step, stage: &mut Stage) -> Result<()> {
        let session = stage.session().clone();
        let desk = Desk { session: &*session, transcript: self.transcript };
        match step {
            Step::Call(call) => desk.call(call, &mut self.variables).await?,
            Step::Start(start) => {
                let pending = desk.session.start(desk.request(&start.asked, &self.variables)?).await?;
                ensure!(self.calls.insert(start.name.clone(), pending).is_none(), "`{}` is under way", start.name);
            }
            Step::Await(name, expected) => {
                let answer = self.started(name)?.answer().await?;
                desk.note_answer(&answer);
                expected.check(&answer, &mut self.variables)?;
            }
            Step::Cancel(name) => {
                self.transcript.note(format!("cancel {name}"));
                self.started(name)?.cancel().await?;
            }
            Step::Open(open) => {
                let stream = desk.session.open(desk.request(&open.asked, &self.variables)?).await?;
                ensure!(self.streams.insert(open.name.clone(), stream).is_none(), "`{}` is open", open.name);
            }
            Step::Next(name, next) => {
                let stream = self.streams.get_mut(name).with_context(|| format!("`{name}` is not open"))?;
                desk.next(name, &mut **stream, next, &mut self.variables).await?;
            }
            Step::Send(name, args) => {
                let message = args.fill(&self.variables)?;
                self.transcript.note(format!("send {name} {}", shown(Some(&message))));
                self.opened(name)?.send(message).await?;
            }
            Step::Finish(name, expected) => {
                self.transcript.note(format!("finish {name}"));
                let answer = self.opened(name)?.finish().await?;
                desk.note_answer(&answer);
                expected.check(&answer, &mut self.variables)?;
            }
            Step::Abandon(name) => {
                self.transcript.note(format!("fail {name}"));
                self.opened(name)?.fail().await?;
            }
            Step::Close(name) => {
                self.transcript.note(format!("close {name}"));
                self.streams.remove(name).with_context(|| format!("`{name}` is not open"))?.close().await?;
            }
            Step::Race(race) => desk.race(race, &mut self.variables).await?,
            Step::Pages(pages) => desk.pages(pages, &mut self.variables).await?,
            Step::Parallel(branches) => {
                let branches = branches.iter().map(|branch| {
                    let mut variables = self.variables.clone();
                    let desk = &desk;
                    async move {
                        for call in branch {
                            desk.call(call, &mut variables).await?;
                        }
                        Ok::<_, Error>(())
                    }
                });
                try_join_all(branches).await?;
            }
            Step::Elapse(time) => {
                self.transcript.note(format!("{time:?} pass"));
                stage.elapse(*time).await?;
            }
            Step::Restart(how) => {
                self.transcript.note(format!("restart: {how:?}"));
                stage.restart(*how).await?;
            }
        }
        Ok(())
    }

    fn started(&mut self, name: &str) -> Result<Box<dyn Pending>> {
        self.calls.remove(name).with_context(|| format!("no call `{name}` is under way"))
    }

    fn opened(&mut self, name: &str) -> Result<&mut Box<dyn Stream>> {
        self.streams.get_mut(name).with_context(|| format!("`{name}` is not open"))
    }

    async fn tidy(&mut self) -> Result<()> {
        for (_, call) in self.calls.drain() {
            call.cancel().await?;
        }
        for (_, stream) in self.streams.drain() {
            stream.close().await?;
        }
        Ok(())
    }
}

/// Makes calls and writes them down.
struct Desk<'a> {
    session: &'a dyn Session,
    transcript: &'a Transcript,
}

impl Desk<'_> {
    fn request(&self, asked: &Asked, variables: &Variables) -> Result<Request> {
        let app = asked.app.as_ref().map(|app| app.fill(variables)).transpose()?;
        let app = app.map(|app| app.as_str().map(str::to_owned).context("`app` is no text")).transpose()?;
        let args = asked.args.fill(variables)?;
        let request = Request { method: asked.method.clone(), args, app, timeout: asked.timeout };
        self.transcript.note(shortened(self.session.shown(&request)));
        Ok(request)
    }

    fn note_answer(&self, answer: &Answer) {
        let (word, value) = match answer {
            Ok(value) => ("ok", value),
            Err(error) => ("error", error),
        };
        self.transcript.note(format!("  {word} {}", shown(Some(value))));
    }

    async fn ask(&self, asked: &Asked, variables: &Variables) -> Result<Answer> {
        let answer = self.session.start(self.request(asked, variables)?).await?.answer().await?;
        self.note_answer(&answer);
        Ok(answer)
    }

    async fn call(&self, call: &Call, variables: &mut Variables) -> Result<()> {
        let deadline = call.eventually.map(|within| SystemClock.now() + within);
        loop {
            let answer = self.ask(&call.asked, variables).await?;
            let result = call.expected.check(&answer, variables);
            let late = deadline.is_none_or(|deadline| SystemClock.now() >= deadline);
            if result.is_ok() || late {
                return result.with_context(|| call.asked.method.to_string());
            }
            SystemClock.sleep(INTERVAL).await;
        }
    }

    async fn race(&self, race: &Race, variables: &mut Variables) -> Result<()> {
        let calls = (0..race.times).map(|index| {
            let mut variables = variables.clone();
            variables.insert(COUNTER.to_owned(), index.into());
            async move { self.ask(&race.asked, &variables).await }
        });
        let mut succeeded = 0;
        for answer in try_join_all(calls).await? {
            match (answer, &race.error) {
                (Ok(answer), _) => {
                    succeeded += 1;
                    race.answer.check(Some(&answer), variables)?;
                }
                (Err(error), Some(expected)) => expected.check(&error, variables)?,
                (Err(error), None) => bail!("a call of the race failed: {}", shown(Some(&error))),
            }
        }
        ensure!(succeeded == race.succeed, "{succeeded} calls of {} succeeded, not {}", race.times, race.succeed);
        Ok(())
    }

    async fn pages(&self, pages: &Pages, variables: &mut Variables) -> Result<()> {
        let mut all = Vec::new();
        let mut token = Value::from("");
        for _ in 0..MOST_MESSAGES {
            let mut request = self.request(&pages.asked, variables)?;
            request.args["pageToken"] = token;
            let answer = self.session.start(request).await?.answer().await?;
            self.note_answer(&answer);
            let mut page = answer.map_err(|error| anyhow!("a page failed: {}", shown(Some(&error))))?;
            let items = page.get_mut(&pages.items).map(Value::take).unwrap_or_else(|| Value::Array(Vec::new()));
            let Value::Array(items) = items else { bail!("`{}` is no list: {items}", pages.items) };
            let at_most = pages.at_most.unwrap_or(usize::MAX);
            ensure!(items.len() <= at_most, "a page has {} items; asked for were {at_most}", items.len());
            all.extend(items);
            token = page.get_mut("nextPageToken").map(Value::take).unwrap_or_default();
            if token.as_str().unwrap_or_default().is_empty() {
                return Ok(pages.expect.check(Some(&Value::Array(all)), variables)?);
            }
        }
        bail!("the list does not end")
    }

    async fn next(&self, name: &str, stream: &mut dyn Stream, next: &Next, variables: &mut Variables) -> Result<()> {
        let mut take = async || {
            self.transcript.note(format!("next {name}"));
            let next = stream.next().await?;
            match &next {
                Some(answer) => self.note_answer(answer),
                None => self.transcript.note("  end"),
            }
            Ok::<_, Error>(next)
        };
        match (next, take().await?) {
            (Next::Message(pattern), Some(Ok(message))) => Ok(pattern.check(Some(&message), variables)?),
            (Next::Error(expected), Some(Err(error))) => expected.check(&error, variables),
            (Next::End, None) => Ok(()),
            (Next::Until(last, before), Some(Ok(message))) => {
                let mut message = message;
                let mut others = Vec::new();
                while last.check(Some(&message), variables).is_err() {
                    others.push(message);
                    ensure!(others.len() < MOST_MESSAGES, "the message that was waited for does not come");
                    message = match take().await? {
                        Some(Ok(message)) => message,
                        other => bail!("waiting for a message, the stream gave {}", described(other.as_ref())),
                    };
                }
                before.check(Some(&Value::Array(others)), variables).context("the messages before")
            }
            (_, found) => bail!("the stream gave {}", described(found.as_ref())),
        }
    }
}

impl Expected {
    fn check(&self, answer: &Answer, variables: &mut Variables) -> Result<()> {
        match (self, answer) {
            (Self::Answer(pattern), Ok(answer)) => Ok(pattern.check(Some(answer), variables)?),
            (Self::Error(expected), Err(error)) => expected.check(error, variables),
            (Self::Answer(_), Err(error)) => bail!("it failed: {}", shown(Some(error))),
            (Self::Error(expected), Ok(answer)) => {
                bail!("expected the error {}, but it succeeded: {}", expected.reason, shown(Some(answer)))
            }
        }
    }
}

impl ErrorPattern {
    fn check(&self, error: &Value, variables: &mut Variables) -> Result<()> {
        let field = |name: &str, wanted: &str| {
            ensure!(error[name] == wanted, "expected the {name} {wanted}, found {}", shown(Some(error)));
            Ok(())
        };
        field("reason", &self.reason)?;
        field("outcome", &self.outcome)?;
        if let Some(category) = &self.category {
            field("category", category)?;
        }
        for name in ["message", "category"] {
            ensure!(error[name].as_str().is_some_and(|text| !text.is_empty()), "the error has no {name}: {error}");
        }
        self.rest.check(Some(error), variables).context("the error")
    }
}

fn described(found: Option<&Answer>) -> String {
    match found {
        None => "its end".to_owned(),
        Some(Ok(message)) => format!("the message {}", shown(Some(message))),
        Some(Err(error)) => format!("the error {}", shown(Some(error))),
    }
}

fn shortened(text: String) -> String {
    const MOST: usize = 4000;
    match (0..=MOST).rev().find(|at| text.is_char_boundary(*at)) {
        Some(cut) if text.len() > MOST => format!("{}… ({} bytes)", &text[..cut], text.len()),
        _ => text,
    }
}
