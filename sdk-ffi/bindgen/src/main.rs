//! Makes the sources of a language from a built `pillion-ffi`: `pillion-ffi-bindgen LANGUAGE LIBRARY FOLDER`.
//!
//! They are for this very library: what it was built with shows in them. It needs its symbols, so a library is
//! stripped afterwards.

use std::env;

use anyhow::{Result, bail};
use camino::Utf8PathBuf;
use uniffi_bindgen::bindings::{GenerateOptions, TargetLanguage, generate_with_bindgen_paths};
use uniffi_bindgen::{BindgenPaths, BindgenPathsLayer};

const USAGE: &str = "usage: pillion-ffi-bindgen kotlin|ruby|swift LIBRARY FOLDER";

fn main() -> Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [language, library, folder] = arguments.as_slice() else { bail!(USAGE) };
    let language = match language.as_str() {
        "kotlin" => TargetLanguage::Kotlin,
        "ruby" => TargetLanguage::Ruby,
        "swift" => TargetLanguage::Swift,
        other => bail!("there is no language `{other}` here; {USAGE}"),
    };
    let options = GenerateOptions {
        languages: vec![language],
        source: library.into(),
        out_dir: folder.into(),
        crate_filter: Some("pillion_ffi".into()),
        ..GenerateOptions::default()
    };
    let mut paths = BindgenPaths::default();
    paths.add_layer(Ours);
    generate_with_bindgen_paths(options, paths)
}

/// Where the settings of our one crate are. Asking cargo would compile its whole model of packages.
struct Ours;

impl BindgenPathsLayer for Ours {
    fn get_crate_root(&self, name: &str) -> Option<Utf8PathBuf> {
        (name == "pillion_ffi").then(|| concat!(env!("CARGO_MANIFEST_DIR"), "/..").into())
    }
}
