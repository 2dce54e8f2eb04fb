//! Whether every language, mode and store behaves as the contract says: scenarios as data, played
//! by one program that holds every assertion.
//!
//! A [scenario](format) is a list of [steps](step) with [values](template) to send and
//! [patterns](pattern) to compare with. A [session] carries the calls: through the [driver] of a
//! language, or over plain [HTTP](http). A [stage] is the runtime they reach.

pub mod driver;
pub mod format;
pub mod gap;
pub mod http;
pub mod language;
pub mod mode;
pub mod need;
pub mod pattern;
pub mod report;
pub mod run;
pub mod session;
pub mod stage;
pub mod step;
pub mod store;
pub mod template;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use pillion_spi::{Clock, SystemClock};
use serde_json::{Map, Value};

use self::format::Scenario;
use self::gap::Gaps;
use self::language::Languages;
use self::mode::Mode;
use self::report::{Cell, Ending, Line, Report};
use self::run::{Transcript, play};
use self::stage::{Programs, Stage};
use self::store::Store;
use self::template::Variables;

/// The variables that every scenario has: the beginning of its own keys, the language, mode and
/// store, and what an acknowledgement of the store is worth.
pub const GIVEN: [&str; 5] = ["own", "lang", "mode", "store", "durability"];

/// The language of [`Mode::Http`], in which none is involved.
const NO_LANGUAGE: &str = "http";

/// Plays the scenarios in every language, mode and store that is asked for. A store, driver or
/// sidecar that cannot be started is a failure, never left out.
#[derive(Debug, Parser)]
#[command(name = "scenario")]
pub struct Options {
    /// The languages.
    #[arg(long, value_delimiter = ',', default_value = "rust")]
    lang: Vec<String>,
    /// The modes.
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Mode::ALL)]
    mode: Vec<Mode>,
    /// The stores.
    #[arg(long, value_delimiter = ',', default_values_t = Store::NAMES.map(str::to_owned))]
    store: Vec<String>,
    /// Play only scenarios whose group or name has this in it.
    #[arg(long)]
    filter: Option<String>,
    /// Play only the scenario of this name, and print what goes over the wire.
    #[arg(long, value_name = "NAME")]
    replay: Option<String>,
    /// Print the result as one JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
    /// List the scenarios and end.
    #[arg(long)]
    list: bool,
    /// The folder with the scenarios.
    #[arg(long, value_name = "DIR", default_value = SCENARIOS)]
    scenarios: PathBuf,
    /// The sidecar. Default: the one beside this program.
    #[arg(long, env = "PILLION_BIN", value_name = "FILE")]
    sidecar: Option<PathBuf>,
    /// The driver of a language, with its first arguments: `python=python3 -m pillion._driver`.
    /// Default: what the table `drivers.yaml` says.
    #[arg(long, value_name = "LANG=COMMAND", value_parser = driver_command)]
    driver: Vec<(String, driver::CommandLine)>,
}

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto/scenarios");

fn driver_command(text: &str) -> Result<(String, driver::CommandLine), String> {
    let (lang, command) = text.split_once('=').ok_or("it has the form LANG=COMMAND")?;
    Ok((lang.to_owned(), command.split_whitespace().map(str::to_owned).collect()))
}

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let played = runtime.context("starting tokio").and_then(|runtime| runtime.block_on(play_all(&Options::parse())));
    match played {
        Ok(failed) => ExitCode::from(u8::from(failed > 0)),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Plays what `options` ask for, prints it, and returns how many scenarios failed.
///
/// # Errors
/// Scenario files that are wrong, and options that name what there is not.
pub async fn play_all(options: &Options) -> Result<usize> {
    let scenarios = format::read_folder(&options.scenarios)?;
    let gaps = Gaps::read(&options.scenarios, &scenarios)?;
    let chosen: Vec<_> = scenarios.iter().filter(|scenario| options.chooses(scenario)).collect();
    ensure!(!chosen.is_empty(), "no scenario is called so");
    if options.list {
        chosen.iter().for_each(|scenario| println!("{scenario}"));
        return Ok(0);
    }
    let programs = options.programs()?;
    let mut report = Report::default();
    for name in &options.store {
        let store = Store::find(name);
        for cell in options.cells(name)? {
            let mut company = Company { programs: &programs, cell, store: &store, gaps: &gaps, shared: None };
            for scenario in &chosen {
                let transcript = Transcript::default();
                let began = SystemClock.now();
                let ending = company.judge(scenario, &transcript).await;
                let took = SystemClock.now().duration_since(began);
                options.show(scenario, &company.cell, &ending, &transcript);
                report.add(Line {
                    group: scenario.group.clone(),
                    scenario: scenario.name.clone(),
                    cell: company.cell.clone(),
                    ending,
                    milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                });
            }
            if let Some(stage) = company.shared.take()
                && let Err(error) = stage.end().await
            {
                let ending = Ending::Failed { problem: format!("{error:#}") };
                let cell = company.cell.clone();
                eprintln!("FAILED {cell}: ending the runtime: {error:#}");
                let (group, scenario) = ("(end)".to_owned(), "the runtime ends".to_owned());
                report.add(Line { group, scenario, cell, ending, milliseconds: 0 });
            }
        }
    }
    if options.json {
        for line in report.lines() {
            println!("{}", serde_json::to_string(line)?);
        }
    } else {
        print!("{report}");
    }
    Ok(report.failed())
}

impl Options {
    fn chooses(&self, scenario: &Scenario) -> bool {
        if let Some(name) = &self.replay {
            return scenario.name == *name;
        }
        let part = self.filter.as_deref().unwrap_or_default();
        scenario.to_string().contains(part)
    }

    fn programs(&self) -> Result<Programs> {
        let program = std::env::current_exe().context("finding this program")?;
        let beside = program.parent().unwrap_or(Path::new(""));
        let mut languages = Languages::read(beside)?;
        for (lang, command) in &self.driver {
            languages.set(lang, command.clone());
        }
        let sidecar = match &self.sidecar {
            Some(sidecar) => sidecar.clone(),
            None => beside.join(format!("pillion{}", std::env::consts::EXE_SUFFIX)),
        };
        Ok(Programs { sidecar, languages })
    }

    fn cells(&self, store: &str) -> Result<Vec<Cell>> {
        let Some(store) = Store::NAMES.into_iter().find(|known| *known == store) else {
            bail!("there is no store `{store}`; there are {}", Store::NAMES.join(", "));
        };
        let mut cells = Vec::new();
        for &mode in &self.mode {
            let languages = if mode == Mode::Http { &[NO_LANGUAGE.to_owned()][..] } else { &self.lang[..] };
            cells.extend(languages.iter().map(|lang| Cell { lang: lang.clone(), mode, store }));
        }
        Ok(cells)
    }

    fn show(&self, scenario: &Scenario, cell: &Cell, ending: &Ending, transcript: &Transcript) {
        let failed = matches!(ending, Ending::Failed { .. });
        if self.replay.is_some() || failed {
            eprint!("{} ({cell})\n{transcript}", scenario);
        }
        if let Ending::Failed { problem } = ending {
            eprintln!("FAILED {scenario} ({cell}): {problem}\n");
        }
    }
}

/// What plays the scenarios of one cell.
struct Company<'a> {
    programs: &'a Programs,
    cell: Cell,
    store: &'a Result<Store>,
    gaps: &'a Gaps,
    /// The runtime of the scenarios that need none to themselves.
    shared: Option<Stage>,
}

impl Company<'_> {
    async fn judge(&mut self, scenario: &Scenario, transcript: &Transcript) -> Ending {
        let elsewhere = |names: &[&str], name: &str| !names.is_empty() && !names.contains(&name);
        let modes: Vec<_> = scenario.modes.iter().map(|mode| mode.name()).collect();
        if elsewhere(&modes, self.cell.mode.name()) {
            return Ending::Unsupported { need: format!("only in {}", modes.join(", ")) };
        }
        let stores: Vec<_> = scenario.stores.iter().map(String::as_str).collect();
        if elsewhere(&stores, self.cell.store) {
            return Ending::Unsupported { need: format!("only on {}", stores.join(", ")) };
        }
        let played = self.play(scenario, transcript).await;
        let gap = self.gaps.reason(&scenario.name, &self.cell).map(str::to_owned);
        match (played, gap) {
            (Ok(Some(need)), _) => Ending::Unsupported { need },
            (Ok(None), None) => Ending::Passed,
            (Ok(None), Some(reason)) => {
                Ending::Failed { problem: format!("it passes, but is listed as a gap: {reason}") }
            }
            (Err(_), Some(reason)) => Ending::Gap { reason },
            (Err(error), None) => Ending::Failed { problem: format!("{error:#}") },
        }
    }

    /// Plays a scenario; returns what it needs and does not find.
    async fn play(&mut self, scenario: &Scenario, transcript: &Transcript) -> Result<Option<String>> {
        let store = self.store.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))?;
        let mut stage = match self.shared.take() {
            Some(stage) if !scenario.alone => stage,
            shared => {
                self.shared = shared;
                let Cell { lang, mode, .. } = &self.cell;
                let config = if scenario.alone { &scenario.config } else { &Map::new() };
                Stage::start(self.programs, lang, *mode, store, config).await?
            }
        };
        if let Some(need) = scenario.needs.iter().find(|need| !need.met(&stage.capabilities)) {
            self.give_back(scenario, stage).await?;
            return Ok(Some(need.to_string()));
        }
        let played = play(scenario, &mut stage, self.variables(store), transcript).await;
        if let Err(error) = played {
            // Whatever state it is in, the next scenario gets a new one.
            let logs = stage.logs();
            return Err(if logs.is_empty() {
                error
            } else {
                error.context(format!("the logs end with:\n{}\nand", tail(&logs)))
            });
        }
        self.give_back(scenario, stage).await?;
        Ok(None)
    }

    async fn give_back(&mut self, scenario: &Scenario, stage: Stage) -> Result<()> {
        if scenario.alone {
            return stage.end().await.context("ending the runtime");
        }
        self.shared = Some(stage);
        Ok(())
    }

    fn variables(&self, store: &Store) -> Variables {
        let own = format!("s{:08x}", crate::seed::random() as u32);
        let values: [Value; 5] = [
            own.into(),
            self.cell.lang.as_str().into(),
            self.cell.mode.name().into(),
            store.name().into(),
            store.durability(),
        ];
        GIVEN.map(str::to_owned).into_iter().zip(values).collect()
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
