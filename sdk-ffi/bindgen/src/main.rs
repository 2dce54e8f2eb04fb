//! Makes the sources of a language from a built `pillion-ffi`: `pillion-ffi-bindgen LANGUAGE LIBRARY FOLDER`.
//!
//! The library has to be the one that the sources are used with: what it was built with shows in them.

use anyhow::{Result, bail};
use uniffi_bindgen::bindings::{GenerateOptions, TargetLanguage, generate};

const USAGE: &str = "usage: pillion-ffi-bindgen kotlin|ruby|swift LIBRARY FOLDER";

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [language, library, folder] = arguments.as_slice() else { bail!(USAGE) };
    let language = match language.as_str() {
        "kotlin" => TargetLanguage::Kotlin,
        "ruby" => TargetLanguage::Ruby,
        "swift" => TargetLanguage::Swift,
        other => bail!("there is no language `{other}` here; {USAGE}"),
    };
    generate(GenerateOptions {
        languages: vec![language],
        source: library.into(),
        out_dir: folder.into(),
        crate_filter: Some("pillion_ffi".into()),
        metadata_no_deps: true,
        ..GenerateOptions::default()
    })
}
