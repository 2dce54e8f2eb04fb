//! The main job, shown: one runtime, reached in every way there is, on two stores.

mod example;
mod show;

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use show::Show;

use crate::dist::{self, Kind, Made};
use crate::sidecar::Sidecar;

use crate::step::{PROFILE, cargo, line, run as step, target};
use crate::{repository, tool};

/// Build Pillion, run it, and show its main job; installs what it needs.
#[derive(clap::Args)]
pub struct Arguments {
    /// End when everything was shown, with 0 if everything answered as it should.
    #[arg(long)]
    once: bool,
}

impl Arguments {
    /// For the tests.
    pub fn once() -> Self {
        Self { once: true }
    }
}

/// Builds the binary that is shipped: without failure points and test services.
pub fn build(profile: &str) -> Result<PathBuf> {
    let built = target()?.join(if profile == "dev" { "debug" } else { profile });
    // Kept apart: builds with more features would replace it.
    let kept = target()?.join("shipped");
    fs::create_dir_all(&kept)?;
    let keep = |from: &str, to: &str| -> Result<PathBuf> {
        let (from, to) = (built.join(from), kept.join(to));
        let _ = fs::remove_file(&to);
        fs::copy(&from, &to).with_context(|| format!("{}", from.display()))?;
        Ok(to)
    };
    step("building pillion", cargo(&["build", "--profile", profile, "-p", "pillion-cli"])?)?;
    let binary = keep("pillion", "pillion")?;
    // On its own: an example brings the features that tests ask for.
    step("building the example", cargo(&["build", "--profile", profile, "-p", "pillion", "--example", "quickstart"])?)?;
    keep("examples/quickstart", "quickstart")?;
    Ok(binary)
}

/// Builds, then shows.
pub fn main(arguments: &Arguments) -> Result<()> {
    let binary = build(PROFILE)?;
    let packages = dist::make(&Kind::LANGUAGES, PROFILE)?;
    run(arguments, &binary, &packages)
}

/// Shows what `binary` and the packages of the languages do.
pub fn run(arguments: &Arguments, binary: &Path, packages: &Made) -> Result<()> {
    tool::packages(&[tool::REDIS, tool::CURL])?;
    let client = layotto_client()?;
    let examples = example::install(packages)?;
    let folder = tempfile::tempdir()?;
    let quickstart = binary.with_file_name("quickstart");

    println!("\n━━ Pillion on its embedded store, without a configuration file\n");
    let data = folder.path().join("data");
    let dev = Sidecar::start(
        Command::new(binary).args(["dev", "--port", "0", "--json", "--persist"]).arg(&data).current_dir(folder.path()),
    )?;
    let show = Show { binary, quickstart: &quickstart, client: &client, endpoint: &dev.endpoint, examples: &examples };
    show.everything(true)?;

    println!("\n━━ The same on a Redis server\n");
    let redis = Redis::start(folder.path())?;
    let file = folder.path().join("pillion.yaml");
    fs::write(
        &file,
        format!(
            "listen: {{tcp: \"127.0.0.1:0\", unix: off}}\ncomponents:\n  state: {{type: state.redis, url: \"redis://127.0.0.1:{}\"}}\nlayotto: {{hello: {{helloworld: greeting}}}}\n",
            redis.port
        ),
    )?;
    print!("{}", fs::read_to_string(&file)?);
    let serve =
        Sidecar::start(Command::new(binary).args(["serve", "--json", "-f"]).arg(&file).current_dir(folder.path()))?;
    Show { endpoint: &serve.endpoint, ..show }.everything(false)?;

    println!("\n━━ Everything answered as it should");
    if !arguments.once {
        println!(
            "   {} keeps running on its embedded store, {} on Redis; Ctrl-C ends both",
            dev.endpoint, serve.endpoint
        );
        dev.wait()?;
    }
    Ok(())
}

/// The published client of another runtime, installed as its own documentation says.
fn layotto_client() -> Result<PathBuf> {
    let folder = repository()?.join("runtime/tests/layotto_npm");
    if !folder.join("node_modules/layotto").exists() {
        let mut install = crate::step::command("npm", &["ci", "--no-audit", "--no-fund", "--loglevel=error"])?;
        install.current_dir(&folder);
        crate::step::quiet("npm ci", install)?;
    }
    Ok(folder.join("client.mjs"))
}

/// A running Redis server, ended with this value.
struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    fn start(folder: &Path) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut command = Command::new("redis-server");
        command.args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ]);
        println!("$ {}", line(&command));
        command.arg("--dir").arg(folder).args(["--save", "", "--loglevel", "warning"]);
        let child = command.stdout(Stdio::null()).stdin(Stdio::null()).spawn().context("cannot start redis-server")?;
        let server = Self { child, port };
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if began.elapsed() > Duration::from_secs(10) {
                bail!("redis-server does not listen");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
