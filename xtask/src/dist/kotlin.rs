//! The jar for the JVM.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use super::{Bench, ffi};
use crate::language;
use crate::step::{command, quiet};

/// What Maven or Gradle would add: the dependencies that the package names.
const NEEDED: [&str; 4] = ["kotlin-stdlib-", "kotlinx-coroutines-core-jvm-", "jna-", "annotations-"];
/// What Kotlin's compiler needs beside those, where it is of its own version.
const COMPILER: [&str; 3] = ["kotlin-compiler-embeddable", "kotlin-script-runtime", "kotlin-daemon-embeddable"];
/// The one that is not: every compiler asks for this old version.
const REFLECTION: (&str, &str) = ("kotlin-reflect", "1.6.10");

/// Builds it, with the native library inside.
pub fn jar(bench: &Bench<'_>) -> Result<PathBuf> {
    let built = ffi::build(bench)?;
    let made = language::kotlin::package(&built.library, &built.programs, &bench.folder("kotlin")?)?;
    let jar = bench.packages.join(format!("pillion-{}-{}.jar", super::version(), bench.platform.triple));
    fs::copy(made, &jar)?;
    Ok(jar)
}

/// Runs the first program of the README with the jar, in an empty folder: with its dependencies, the compiler
/// and nothing else.
pub fn check(bench: &Bench<'_>, made: &[PathBuf]) -> Result<()> {
    let jar = made.iter().find(|file| file.extension().is_some_and(|ending| ending == "jar"));
    let jar = jar.context("there is no jar to check")?;
    ffi::check_size(bench, jar)?;
    let unpacked = tempfile::tempdir()?;
    let mut unpack = command("jar", &["--extract", "--file"])?;
    unpack.arg(fs::canonicalize(jar)?).current_dir(unpacked.path());
    quiet("jar --extract", unpack)?;
    ffi::check_services(unpacked.path())?;

    let fresh = tempfile::tempdir()?;
    let programs = language::kotlin::readme()?;
    let program = programs.first().context("the README has no program")?;
    let source = fresh.path().join("Main.kt");
    fs::write(&source, program)?;
    let classpath = compile(bench, jar, &source, fresh.path())?;
    let ended = java(fresh.path(), &classpath)?.arg("MainKt").output()?;
    let said = String::from_utf8_lossy(&ended.stdout);
    let expected = program.lines().find_map(|line| line.split_once("println(")?.1.split_once(" // "));
    let expected = expected.context("the first program of the README does not say what it prints")?.1;
    if !ended.status.success() || said.trim_end() != expected {
        bail!("the first program printed {said:?}, not {expected:?}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    println!("── the jar in an empty folder: {expected}");
    Ok(())
}

/// Compiles a program into `folder`, with the jar, its dependencies and the compiler; gives what it runs with.
pub fn compile(bench: &Bench<'_>, jar: &Path, source: &Path, folder: &Path) -> Result<OsString> {
    let mut classpath = vec![jar.to_owned()];
    for name in NEEDED {
        classpath.push(dependency(bench, name)?);
    }
    let with_compiler = env::join_paths([&compiler(bench)?[..], &classpath].concat())?;
    let mut compile = java(folder, &with_compiler)?;
    compile.args(["org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", "-no-stdlib", "-no-reflect", "-d", "out", "-cp"]);
    compile.arg(env::join_paths(&classpath)?).arg(source);
    quiet("compiling a program with the jar", compile)?;
    classpath.push(folder.join("out"));
    Ok(env::join_paths(classpath)?)
}

/// A Java program in `folder` that knows these jars, and of the machine nothing but Java.
fn java(folder: &Path, classpath: &OsStr) -> Result<Command> {
    let mut java = command("java", &["-XX:TieredStopAtLevel=1", "-cp"])?;
    java.arg(classpath).current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin");
    Ok(java)
}

/// The jar that Maven resolved for the package.
fn dependency(bench: &Bench<'_>, name: &str) -> Result<PathBuf> {
    let folder = contents(bench).join("maven/dependencies");
    let mut jars = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let jar = jars.find_map(|entry| {
        let path = entry.ok()?.path();
        path.file_name()?.to_str()?.starts_with(name).then_some(path)
    });
    jar.with_context(|| format!("Maven put no `{name}*` into {}", folder.display()))
}

/// The compiler that Maven compiled the package with, in its repository.
fn compiler(bench: &Bench<'_>) -> Result<Vec<PathBuf>> {
    let library = dependency(bench, "kotlin-stdlib-")?;
    let version = library.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.rsplit_once('-'));
    let version = version.context("the library of Kotlin has no version")?.1;
    let home = PathBuf::from(env::var_os("HOME").context("HOME is not set")?);
    let jars = COMPILER.into_iter().map(|name| (name, version)).chain([REFLECTION]).map(|(name, version)| {
        let jar = home.join(format!(".m2/repository/org/jetbrains/kotlin/{name}/{version}/{name}-{version}.jar"));
        if !jar.exists() {
            bail!("there is no {}: is Maven's repository elsewhere?", jar.display());
        }
        Ok(jar)
    });
    jars.collect()
}

/// Where the package was built.
fn contents(bench: &Bench<'_>) -> PathBuf {
    bench.packages.join("contents/kotlin")
}
