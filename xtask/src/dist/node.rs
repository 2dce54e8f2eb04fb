//! The npm packages.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::platform::PLATFORMS;
use super::{Bench, version};
use crate::language::library;
use crate::repository;
use crate::step::command;

/// What the package of a platform may weigh as it is downloaded.
const BUDGET: u64 = 8_000_000;
/// What only our own tests have: their service, and failure points.
const OF_TESTS: [&str; 3] = ["the upload ended without its final message", "PILLION_CHAOS", "local.ack_before_commit"];

/// The main package, and the one with the native half for this platform: as the package itself packs them.
pub fn packages(bench: &Bench<'_>) -> Result<Vec<PathBuf>> {
    let built = bench.build("pillion-node", &["--features", "testing"])?;
    let mut pack = command("node", &["sdk-node/scripts/pack.mjs"])?;
    pack.arg(library(&built, "pillion_node")?).arg(&bench.packages);
    pack.args(PLATFORMS.iter().map(|platform| platform.npm).filter(|name| !name.is_empty()));
    let files = said("packing for npm", pack)?;
    let made: Vec<_> = files.lines().map(|file| bench.packages.join(file.trim())).collect();
    Ok(made)
}

/// Installs them into an empty folder, as on a machine that has Node and nothing else, with no registry in reach; runs
/// the first program of the README there, in both modes; and sees to what they weigh and hold.
pub fn check(bench: &Bench<'_>, made: &[PathBuf]) -> Result<()> {
    let place = Place::new()?;
    let mut install = place.run("npm")?;
    install.args(["install", "--no-audit", "--no-fund", "--fetch-retries=0", "--loglevel=error"]).args(made);
    said("installing the npm packages", install)?;

    let readme = fs::read_to_string(repository()?.join("sdk-node/README.md"))?;
    let program = readme.split("```js\n").nth(1).and_then(|rest| rest.split("```").next()).context("no program")?;
    let promised = program.split(" // ").nth(1).and_then(|rest| rest.lines().next()).context("it promises nothing")?;
    fs::write(place.folder().join("app.mjs"), program)?;
    for words in [&["node", "app.mjs"][..], &["npx", "pillion", "dev", "--port", "0", "--", "node", "app.mjs"]] {
        let mut run = place.run(words[0])?;
        run.args(&words[1..]);
        let printed = said("the first program of the README", run)?;
        if !printed.contains(promised) {
            bail!(
                "the first program of the README promises {promised:?}, and `{}` prints:\n{printed}",
                words.join(" ")
            );
        }
    }

    let modules = place.folder().join("node_modules");
    let native = format!("@pillion/{0}/pillion.{0}.node", bench.platform.npm);
    let native = fs::read(modules.join(&native)).with_context(|| format!("{native} was not installed"))?;
    for text in OF_TESTS {
        if native.windows(text.len()).any(|found| found == text.as_bytes()) {
            bail!("the native half of the npm packages has {text:?} in it: a feature of our own tests is on");
        }
    }
    if modules.join("pillion/lib/gen/shapes.js").exists() {
        bail!("the main npm package has the service of our own tests");
    }
    for file in made {
        let size = fs::metadata(file)?.len();
        println!("{}: {:.1} MB of {:.1}", file.display(), size as f64 / 1e6, BUDGET as f64 / 1e6);
        // What `ci` builds is not what is shipped.
        if size > BUDGET && bench.profile == "dist" {
            bail!("{} is larger than its budget", file.display());
        }
    }
    println!("the npm packages of {} work in an empty folder, alone and beside `npx pillion dev`", version());
    Ok(())
}

/// An empty folder, and a path with Node, what comes with it, and a shell.
struct Place(TempDir);

impl Place {
    fn new() -> Result<Self> {
        let place = Self(tempfile::tempdir()?);
        fs::create_dir_all(place.0.path().join("bin"))?;
        fs::create_dir_all(place.folder())?;
        for program in ["node", "npm", "npx", "sh", "env"] {
            symlink(found(program)?, place.0.path().join("bin").join(program))?;
        }
        fs::write(place.folder().join("package.json"), "{}")?;
        Ok(place)
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("app")
    }

    fn run(&self, program: &str) -> Result<Command> {
        let bin = self.0.path().join("bin");
        let mut command = command(bin.join(program), &[])?;
        command.current_dir(self.folder()).env_clear().env("PATH", bin).env("HOME", self.0.path());
        // A closed port: whatever asks a registry fails.
        command.env("npm_config_registry", "http://127.0.0.1:9/");
        Ok(command)
    }
}

/// Where a program is.
fn found(program: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let file = env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
    let file = file.with_context(|| format!("{program} is not on the PATH"))?;
    fs::canonicalize(&file).with_context(|| format!("{}", Path::display(&file)))
}

/// Runs a step and gives what it printed.
fn said(title: &str, mut command: Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{title} failed: {}\n{stdout}{stderr}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{title} printed what is not UTF-8"))
}
