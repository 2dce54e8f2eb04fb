//! The program: every case on every registered type, under the command line of Rust's own test
//! harness.

use std::collections::BTreeSet;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use pillion_spi::{Clock, SystemClock};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use crate::env::Env;
use crate::fixture::{Opened, Subject, subjects};
use crate::report::{Ended, Report};
use crate::suite::{Case, state};

/// How long one case may take. It is generous: only a hang should meet it.
const LIMIT: Duration = Duration::from_secs(120);

/// Set in the environment of a process that runs one case alone.
const ALONE: &str = "PILLION_TEST_ALONE";

/// The name of the threads of the tokio runtime, which are not the component's.
pub const HARNESS_THREAD: &str = "harness";

#[derive(Parser)]
struct Options {
    /// Types that must be there, as in `memory,local,redis`: where the backend of one is missing,
    /// its cases fail instead of being left out.
    #[arg(long, env = "PILLION_TEST_REQUIRE", value_delimiter = ',', value_name = "TYPES")]
    require: Vec<String>,
    #[command(flatten)]
    harness: Arguments,
}

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What all cases share.
struct Harness {
    stands: Vec<Stand>,
    report: Mutex<Report>,
    // Last: stores end before the runtime that their tasks live on.
    runtime: Runtime,
}

/// A type and the store that its cases share.
struct Stand {
    subject: Subject,
    required: bool,
    shared: OnceCell<Opened>,
}

fn run(options: Options) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name(HARNESS_THREAD)
        .enable_all()
        .build()
        .context("starting tokio")?;
    let (subjects, without) = subjects();
    if !without.is_empty() {
        bail!("no fixture for {}", without.join(", "));
    }
    let known: BTreeSet<&str> = subjects.iter().map(|subject| subject.kind.name()).collect();
    let required: BTreeSet<String> = options
        .require
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| if name.contains('.') { name.clone() } else { format!("state.{name}") })
        .collect();
    let stands = subjects
        .into_iter()
        .map(|subject| {
            let required = required.contains(subject.kind.name());
            Stand { subject, required, shared: OnceCell::new() }
        })
        .collect();
    if let Some(name) = required.iter().find(|name| !known.contains(name.as_str())) {
        bail!("`{name}` is required but not compiled in");
    }
    let harness = Arc::new(Harness { stands, report: Mutex::default(), runtime });

    let mut trials = Vec::new();
    for (index, stand) in harness.stands.iter().enumerate() {
        for (order, suite) in state::SUITES.iter().enumerate() {
            if !stand.subject.fixture.runs(suite.name) {
                continue;
            }
            for case in suite.cases {
                let name = format!("{}::{}::{}", stand.subject.name(), suite.name, case.name);
                let place = Trialled { harness: harness.clone(), stand: index, order, suite: suite.name, case };
                trials.push(Trial::ignorable_test(name.clone(), move || place.run(&name)));
            }
        }
    }
    let conclusion = libtest_mimic::run(&options.harness, trials);
    for stand in &harness.stands {
        if let Some(opened) = stand.shared.get() {
            harness.runtime.block_on(opened.state.close());
        }
    }
    if !options.harness.list && !options.harness.exact {
        print!("{}", harness.report.lock().unwrap_or_else(PoisonError::into_inner));
    }
    Ok(conclusion.exit_code())
}

struct Trialled {
    harness: Arc<Harness>,
    stand: usize,
    order: usize,
    suite: &'static str,
    case: &'static Case,
}

impl Trialled {
    fn run(self, name: &str) -> Result<Completion, Failed> {
        let kind = self.harness.stands[self.stand].subject.name();
        self.report(|report| report.began(&kind, self.order, self.suite));
        let outcome = self.judge(name).map_err(|error| Failed::from(format!("{error:#}")))?;
        let ended = match outcome {
            Completion::Completed => Ended::Passed,
            Completion::Ignored { .. } => Ended::Unsupported,
        };
        self.report(|report| report.ended(&kind, self.order, ended));
        Ok(outcome)
    }

    fn report(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.harness.report.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn judge(&self, name: &str) -> Result<Completion> {
        let stand = &self.harness.stands[self.stand];
        if let Some(why) = stand.subject.fixture.missing() {
            if stand.required {
                bail!("required, but {why}");
            }
            return Ok(Completion::ignored_with(why));
        }
        self.harness.runtime.block_on(async {
            let shared = stand.shared.get_or_try_init(|| open_shared(&stand.subject)).await?;
            let caps = shared.state.store.caps();
            if let Some(need) = self.case.needs.iter().find(|need| !need.met(&stand.subject, &caps)) {
                return Ok(Completion::ignored_with(format!("the store does not declare {need:?}")));
            }
            if self.case.alone && std::env::var_os(ALONE).is_none() {
                return run_alone(name, &stand.subject).await;
            }
            let env = Env::new(stand.subject.clone(), shared.state.store.clone(), self.case.name);
            let clock: &dyn Clock = &SystemClock;
            match clock.timeout(LIMIT, (self.case.run)(&env)).await {
                Ok(result) => result.map(|()| Completion::Completed),
                Err(_) => bail!("the case did not end within {LIMIT:?}"),
            }
        })
    }
}

async fn open_shared(subject: &Subject) -> Result<Opened> {
    subject.open(&subject.fixture.place().await?, Arc::new(SystemClock)).await
}

/// Runs this case in a process of its own.
async fn run_alone(name: &str, subject: &Subject) -> Result<Completion> {
    let program = std::env::current_exe().context("finding this program")?;
    let environment = subject.fixture.environment().await?;
    let name = name.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        Command::new(program)
            .args(["--exact", &name, "--test-threads", "1"])
            .env(ALONE, "1")
            .envs(environment)
            .env_remove("PILLION_TEST_REQUIRE")
            .output()
    })
    .await?
    .context("starting this program again")?;
    if output.status.success() {
        return Ok(Completion::Completed);
    }
    bail!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
