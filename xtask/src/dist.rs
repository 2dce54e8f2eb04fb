//! The packages: built for this platform, listed, with what each other platform needs.

mod ffi;
mod kotlin;
mod node;
mod platform;
mod python;
mod ruby;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use platform::{PLATFORMS, Platform};

use crate::step::{self, cargo, command, quiet, target};

/// Build the packages for this platform, try each where there is nothing else, and list them.
#[derive(clap::Args)]
pub struct Arguments {
    /// How to compile. Releases take the default; `ci` is quick and shows that packing works.
    #[arg(long, default_value = "dist")]
    profile: String,
    /// Only these packages.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Kind>,
}

/// The features of the library for Kotlin and Ruby: all that programs can use.
const FFI_FEATURES: &str = "redis,testing";

/// What is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// The command, in an archive.
    Command,
    /// The wheel.
    Python,
    /// The npm packages: the main one and that of this platform.
    Node,
    /// The jar for the JVM.
    Kotlin,
    /// The gem.
    Ruby,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Command, Self::Python, Self::Node, Self::Kotlin, Self::Ruby];
    /// Those of the languages.
    pub const LANGUAGES: [Self; 4] = [Self::Python, Self::Node, Self::Kotlin, Self::Ruby];

    /// Makes the packages.
    fn make(self, bench: &Bench<'_>) -> Result<Vec<PathBuf>> {
        Ok(match self {
            Self::Command => vec![archive(bench)?],
            Self::Python => vec![python::wheel(bench)?],
            Self::Node => node::packages(bench)?,
            Self::Kotlin => vec![kotlin::jar(bench)?],
            Self::Ruby => vec![ruby::gem(bench)?],
        })
    }

    /// Tries the packages where there is nothing else: no cargo, no registry. Does what a newcomer does first.
    fn check(self, bench: &Bench<'_>, packages: &[PathBuf]) -> Result<()> {
        match self {
            Self::Command => Ok(()),
            Self::Python => python::check(bench, packages),
            Self::Node => node::check(bench, packages),
            Self::Kotlin => kotlin::check(bench, packages),
            Self::Ruby => ruby::check(bench, packages),
        }
    }
}

/// Packages that were made.
pub struct Made {
    bench: Bench<'static>,
    packages: Vec<(Kind, Vec<PathBuf>)>,
}

impl Made {
    /// The packages of each kind.
    pub fn packages(&self) -> impl Iterator<Item = (Kind, &[PathBuf])> {
        self.packages.iter().map(|(kind, packages)| (*kind, packages.as_slice()))
    }

    /// Compiles a Kotlin program into `folder` with nothing but the jar and its dependencies; gives what it
    /// runs with.
    pub fn kotlin(&self, source: &Path, folder: &Path) -> Result<OsString> {
        let jar = self.packages.iter().find(|(kind, _)| *kind == Kind::Kotlin).and_then(|(_, jars)| jars.first());
        kotlin::compile(&self.bench, jar.context("no jar was made")?, source, folder)
    }
}

/// Where packages are made, and how.
struct Bench<'a> {
    platform: &'static Platform,
    profile: &'a str,
    /// Where the packages go.
    packages: PathBuf,
}

impl<'a> Bench<'a> {
    /// With an empty folder for packages.
    fn clear(profile: &'a str) -> Result<Self> {
        let packages = target()?.join("package");
        if packages.exists() {
            fs::remove_dir_all(&packages)?;
        }
        fs::create_dir_all(&packages)?;
        Ok(Self { platform: platform::here()?, profile, packages })
    }

    /// Builds `package` with these further arguments and gives the folder of what was built.
    fn build(&self, package: &str, arguments: &[&str]) -> Result<PathBuf> {
        let mut build = cargo(&["build", "--locked", "--profile", self.profile, "-p", package])?;
        build.args(arguments);
        step::run(&format!("building {package}"), build)?;
        Ok(target()?.join(if self.profile == "dev" { "debug" } else { self.profile }))
    }

    /// An empty folder to put the contents of a package into.
    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.packages.join("contents").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

/// Builds packages as they are shipped, to be measured.
pub fn build(kinds: &[Kind]) -> Result<Vec<Vec<PathBuf>>> {
    let bench = Bench::clear("dist")?;
    kinds.iter().map(|kind| kind.make(&bench)).collect()
}

/// Builds packages, and tries each.
pub fn make(kinds: &[Kind], profile: &'static str) -> Result<Made> {
    let bench = Bench::clear(profile)?;
    let mut packages = Vec::new();
    for kind in kinds {
        let made = kind.make(&bench)?;
        kind.check(&bench, &made)?;
        packages.push((*kind, made));
    }
    Ok(Made { bench, packages })
}

/// Builds, tries and lists them.
pub fn run(arguments: &Arguments) -> Result<()> {
    let bench = Bench::clear(&arguments.profile)?;
    let wanted = if arguments.only.is_empty() { &Kind::ALL[..] } else { &arguments.only };
    let mut made = Vec::new();
    for kind in wanted {
        let packages = kind.make(&bench)?;
        kind.check(&bench, &packages)?;
        made.extend(packages);
    }
    println!("\npackages for {}, in {}:", bench.platform.triple, bench.packages.display());
    for file in &made {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        println!("  {name:<56} {:>6.1} MB", fs::metadata(file)?.len() as f64 / 1e6);
    }
    println!("\nother platforms, each on a machine of its own or across:");
    for platform in PLATFORMS.iter().filter(|platform| platform.triple != bench.platform.triple) {
        println!("  {:<28} {:<18} {}", platform.triple, platform.npm, platform.needs);
    }
    Ok(())
}

/// The command, with what its users have to read.
fn archive(bench: &Bench<'_>) -> Result<PathBuf> {
    let built = bench.build("pillion-cli", &[])?;
    let name = format!("pillion-{}-{}", version(), bench.platform.triple);
    let folder = bench.folder(&name)?;
    let root = crate::repository()?;
    for (from, to) in
        [(built.join("pillion"), "pillion"), (root.join("LICENSE"), "LICENSE"), (root.join("README.md"), "README.md")]
    {
        fs::copy(&from, folder.join(to)).with_context(|| from.display().to_string())?;
    }
    let file = bench.packages.join(format!("{name}.tar.gz"));
    let mut tar = command("tar", &["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "-czf"])?;
    tar.arg(&file).arg("-C").arg(bench.packages.join("contents")).arg(&name);
    quiet("tar", tar)?;
    Ok(file)
}

/// The one version of everything.
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
