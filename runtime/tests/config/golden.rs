//! What is said about each file in `case/`, compared with the text beside it.
//!
//! After an intended change: `UPDATE_EXPECTED=1 cargo test -p pillion-runtime --test config`, then
//! read the difference.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use pillion_proto::{REASONS, Reason};
use pillion_runtime::config::Loader;

use crate::component::registry;

/// The value of the variable `SECRET`; no part of it may ever be shown.
const SECRET: &str = "hunter2 hunter3 hunter4";

fn environment(name: &str) -> Option<OsString> {
    let value = match name {
        "EMPTY" => "",
        "HOST" => "cache.example",
        "NUMBER" => "5",
        "SECRET" => SECRET,
        "WORD" => "several",
        _ => return None,
    };
    Some(value.into())
}

#[test]
fn every_case_is_refused_with_the_expected_text() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/case");
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let registry = registry();
    let mut cases: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension != "expected"));
    cases.sort();
    assert!(cases.len() >= 40, "only {} cases were found in {}", cases.len(), folder.display());

    let mut seen = Vec::new();
    let mut different = Vec::new();
    for path in &cases {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(path).unwrap();
        let Err(problems) = Loader::new(&registry, &environment).text(name, &text, "") else {
            different.push(format!("{name}: it was accepted"));
            continue;
        };
        seen.extend(problems.iter().map(|problem| problem.reason()));
        let shown = problems.render(false) + "\n";
        let all = format!("{shown}{}{problems:?}{}", problems.to_json(), problems.render(true));
        for part in SECRET.split(' ') {
            assert!(!all.contains(part), "{name}: the value of a variable is shown:\n{all}");
        }

        let beside = path.with_extension("expected");
        if update {
            fs::write(&beside, &shown).unwrap();
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        if shown != expected {
            different.push(format!("{name}: expected\n{expected}\nfound\n{shown}"));
        }
    }
    assert!(different.is_empty(), "{} cases differ\n\n{}", different.len(), different.join("\n\n"));

    // These are about files and addresses, not about text.
    let elsewhere = [
        Reason::ConfigNotFound,
        Reason::ConfigUnreadable,
        Reason::ConfigTooLarge,
        Reason::ConfigNotText,
        Reason::ConfigAmbiguous,
        Reason::ConfigAddressInUse,
    ];
    let mut without_case = REASONS.to_vec();
    without_case.retain(|reason| reason.name().starts_with("config.") && !seen.contains(reason));
    without_case.retain(|reason| !elsewhere.contains(reason));
    assert!(without_case.is_empty(), "no case shows {without_case:?}");
}
