//! The example of each language, with the package of this platform installed as its users do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::dist::{Kind, Made};
use crate::repository;
use crate::step::{command, quiet, target};

/// A program that runs in-process with `embedded`, and beside a sidecar with its endpoint.
#[derive(Debug)]
pub struct Example {
    /// The language.
    pub language: &'static str,
    program: PathBuf,
    arguments: Vec<PathBuf>,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Example {
    /// How a person would type it.
    pub fn shown(&self, mode: &str) -> String {
        let (program, last) = (name(&self.program), self.arguments.last().map(|last| name(last)).unwrap_or_default());
        format!("{program} {last} {mode}")
    }

    /// Runs it.
    pub fn command(&self, mode: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(mode).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Installs the packages and gives the examples.
pub fn install(made: &Made) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    for (kind, packages) in made.packages() {
        let folder = target()?.join("demo").join(format!("{kind:?}").to_lowercase());
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        examples.extend(match kind {
            Kind::Command => None,
            Kind::Python => Some(python(&folder, packages)?),
            Kind::Node => Some(node(&folder, packages)?),
            Kind::Kotlin => Some(kotlin(&folder, made)?),
            Kind::Ruby => Some(ruby(&folder, packages)?),
        });
    }
    Ok(examples)
}

fn python(folder: &Path, packages: &[PathBuf]) -> Result<Example> {
    let mut venv = command("python3", &["-m", "venv"])?;
    venv.arg(folder);
    quiet("python3 -m venv", venv)?;
    let python = folder.join("bin/python");
    let mut install =
        command(&python, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"])?;
    install.args(packages);
    quiet("pip install", install)?;
    let program = repository()?.join("sdk-python/example/demo.py");
    Ok(Example { language: "Python", program: python, arguments: vec![program], environment: Vec::new() })
}

fn node(folder: &Path, packages: &[PathBuf]) -> Result<Example> {
    fs::write(folder.join("package.json"), "{}\n")?;
    // Beside the package: that is where Node looks for it.
    let program = folder.join("demo.mjs");
    fs::copy(repository()?.join("sdk-node/example/demo.mjs"), &program)?;
    let mut install = command("npm", &["install", "--offline", "--no-audit", "--no-fund", "--loglevel=error"])?;
    install.args(packages).current_dir(folder);
    quiet("npm install", install)?;
    Ok(Example { language: "Node", program: "node".into(), arguments: vec![program], environment: Vec::new() })
}

fn kotlin(folder: &Path, made: &Made) -> Result<Example> {
    let classpath = made.kotlin(&repository()?.join("sdk-ffi/kotlin/example/Demo.kt"), folder)?;
    let arguments = vec!["-XX:TieredStopAtLevel=1".into(), "-cp".into(), classpath.into(), "example.DemoKt".into()];
    Ok(Example { language: "Kotlin", program: "java".into(), arguments, environment: Vec::new() })
}

fn ruby(folder: &Path, packages: &[PathBuf]) -> Result<Example> {
    let gem = packages.first().context("no gem was made")?;
    let mut install = command("gem", &["install", "--local", "--no-document", "--silent"])?;
    install.arg(gem).env("GEM_HOME", folder);
    quiet("gem install", install)?;
    let program = repository()?.join("sdk-ffi/ruby/example/demo.rb");
    let environment = vec![("GEM_HOME", folder.to_owned())];
    Ok(Example { language: "Ruby", program: "ruby".into(), arguments: vec![program], environment })
}
