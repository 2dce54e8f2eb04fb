//! Puts together what a language needs from a built `pillion-ffi`: `pillion-ffi-bindgen LANGUAGE LIBRARY FOLDER`.
//!
//! | language | in the folder |
//! |---|---|
//! | `ruby` | the gem as it is packed: `lib`, with the sources that UniFFI makes and the library |
//! | `kotlin` | `bindings` with the sources, `native` with the library as JNA looks for it; Maven packs them |
//! | `swift` | the sources, the header and the module map that an XCFramework and Package.swift are made of |
//!
//! The library has to be the one that the sources are used with: what it was built with shows in them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use uniffi_bindgen::bindings::{GenerateOptions, TargetLanguage, generate};

const USAGE: &str = "usage: pillion-ffi-bindgen kotlin|ruby|swift LIBRARY FOLDER";
/// What is written by hand or by `cargo xtask codegen` for Ruby.
const GEM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../ruby");

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [language, library, folder] = arguments.as_slice() else { bail!(USAGE) };
    let (library, folder) = (Path::new(library), Path::new(folder));
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    match language.as_str() {
        "kotlin" => kotlin(library, folder),
        "ruby" => ruby(library, folder),
        "swift" => bindings(TargetLanguage::Swift, library, folder),
        other => bail!("there is no language `{other}` here; {USAGE}"),
    }
}

fn bindings(language: TargetLanguage, library: &Path, folder: &Path) -> Result<()> {
    let text =
        |path: &Path| path.to_str().map(str::to_owned).with_context(|| format!("{} is not UTF-8", path.display()));
    generate(GenerateOptions {
        languages: vec![language],
        source: text(library)?.into(),
        out_dir: text(folder)?.into(),
        crate_filter: Some("pillion_ffi".into()),
        metadata_no_deps: true,
        ..GenerateOptions::default()
    })
}

fn kotlin(library: &Path, folder: &Path) -> Result<()> {
    bindings(TargetLanguage::Kotlin, library, &folder.join("bindings"))?;
    let native = folder.join("native").join(jna_platform());
    fs::create_dir_all(&native)?;
    copy(library, &native)
}

/// The folder in which JNA looks for the library of this platform.
fn jna_platform() -> String {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    };
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x86-64",
        other => other,
    };
    format!("{system}-{machine}")
}

fn ruby(library: &Path, folder: &Path) -> Result<()> {
    let packed = folder.join("lib/pillion");
    if packed.exists() {
        // What was taken out of the gem would otherwise live on here.
        fs::remove_dir_all(&packed)?;
    }
    copy_folder(&Path::new(GEM).join("lib"), &folder.join("lib"))?;
    for file in ["pillion.gemspec", "README.md"] {
        copy(&Path::new(GEM).join(file), folder)?;
    }
    copy(library, &packed)?;
    // UniFFI names the file after the library; `pillion.rb` is the gem's own.
    let made = folder.join("bindings");
    bindings(TargetLanguage::Ruby, library, &made)?;
    fs::rename(made.join("pillion.rb"), packed.join("native.rb"))?;
    fs::remove_dir_all(made)?;
    Ok(())
}

fn copy(file: &Path, folder: &Path) -> Result<()> {
    let name = file.file_name().with_context(|| format!("{} is no file", file.display()))?;
    fs::copy(file, folder.join(name)).with_context(|| format!("copying {}", file.display()))?;
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()))?;
        } else {
            copy(&entry.path(), to)?;
        }
    }
    Ok(())
}
