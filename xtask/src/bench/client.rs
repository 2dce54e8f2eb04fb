//! The packages of other languages beside the stock clients of gRPC, on one sidecar.
//!
//! Each language has a program that measures both in one run and prints a figure a line.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::dist::{self, Kind};
use crate::language;
use crate::sidecar::Sidecar;
use crate::step::{cargo, run as step, target};

/// A language whose package is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// `grpc.aio` and `grpc`.
    Python,
    /// `@grpc/grpc-js`.
    Node,
}

impl Language {
    fn kind(self) -> Kind {
        match self {
            Self::Python => Kind::Python,
            Self::Node => Kind::Node,
        }
    }

    /// The program that measures, with these packages.
    fn program(self, packages: &[PathBuf]) -> Result<Command> {
        match self {
            Self::Python => language::python::bench(packages),
            Self::Node => language::node::bench(packages),
        }
    }
}

/// A figure.
#[derive(Deserialize)]
struct Row {
    row: String,
    pillion: f64,
    peer: Option<f64>,
    unit: String,
    goal: Option<String>,
    met: Option<bool>,
}

impl Row {
    fn print(&self) {
        let Self { row, pillion, peer, unit, goal, met } = self;
        let peer = peer.map_or(String::new(), |peer| format!("{peer:>10.1}  {:>5.2} ×", pillion / peer));
        let verdict = match met {
            None => "",
            Some(true) => "met",
            Some(false) => "MISSED",
        };
        println!("{row:<64} {pillion:>10.1} {unit:<8} {peer:<20} {:>8} {verdict}", goal.as_deref().unwrap_or_default());
    }
}

/// Builds what is shipped, and measures it; `arguments` go to the programs that measure.
pub fn run(languages: &[Language], arguments: &[String]) -> Result<()> {
    step("building pillion as it is shipped", cargo(&["build", "--profile", "dist", "-p", "pillion-cli"])?)?;
    let kinds: Vec<_> = languages.iter().map(|language| language.kind()).collect();
    let mut programs = Vec::new();
    for (language, packages) in languages.iter().zip(dist::build(&kinds)?) {
        programs.push((language, language.program(&packages)?));
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("pillion.yaml");
    fs::write(
        &file,
        "listen: {tcp: \"127.0.0.1:0\", unix: ./pillion.sock}\ncomponents: {state: {type: state.memory}}\n",
    )?;
    let binary = target()?.join("dist/pillion");
    let sidecar = Sidecar::start(Command::new(binary).args(["serve", "--json", "-f"]).arg(&file))?;
    for (language, mut program) in programs {
        println!("\n━━ {language:?}\n");
        println!("{:<64} {:>10} {:<8} {:>10}  {:>7} {:>8}", "", "pillion", "", "stock", "ratio", "goal");
        program.args(["--endpoint", &sidecar.endpoint]).args(arguments);
        if let Some(socket) = &sidecar.socket {
            program.args(["--unix", socket]);
        }
        let mut child = program.stdout(Stdio::piped()).spawn().context("cannot start the measurement")?;
        for line in BufReader::new(child.stdout.take().context("no standard output")?).lines() {
            let line = line?;
            serde_json::from_str::<Row>(&line).with_context(|| format!("{line:?} is no figure"))?.print();
        }
        let status = child.wait()?;
        if !status.success() {
            bail!("the measurement of {language:?} ended with {status}");
        }
    }
    Ok(())
}
