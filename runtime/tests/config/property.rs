//! No input makes the loader fail in another way than by saying what is wrong.

use std::ffi::OsString;

use pillion_runtime::config::Loader;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::component::registry;

/// Pieces of configurations, well-formed and not.
const PIECES: [&str; 64] = [
    "app",
    "id",
    "listen",
    "tcp",
    "unix",
    "components",
    "state",
    "type",
    "state.redis",
    "state.memory",
    "url",
    "tls",
    "mode",
    "cluster",
    "window",
    "key_prefix",
    "limits",
    "message",
    "batch",
    "deadlines",
    "security",
    "token",
    "hello",
    ": ",
    ":",
    ", ",
    "\n",
    "\n  ",
    "\n    ",
    "\n- ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "|\n",
    ">\n",
    "? ",
    "&a ",
    "*a",
    "<<",
    "!t ",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "#",
    "\t",
    "${A}",
    "${B:-5}",
    "${",
    "$${",
    "null",
    "true",
    "5",
    "-1",
    "1e9",
    "4MiB",
    "5s",
    "redis://a:b@c",
    "é",
    "🎉",
    "\r\n",
];

fn check(text: &str) {
    let environment = |name: &str| (name == "A").then(|| OsString::from("hunter2"));
    let registry = registry();
    if let Err(problems) = Loader::new(&registry, &environment).text("pillion.yaml", text, "") {
        let count = problems.iter().count();
        assert!((1..=50).contains(&count), "{count} problems");
        let shown = problems.render(false);
        assert!(!shown.is_empty());
        assert!(!problems.render(true).is_empty());
        assert_eq!(problems.to_json()["errors"].as_array().unwrap().len(), count);
        assert!(text.contains("hunter2") || !shown.contains("hunter2"), "the value of a variable is shown:\n{shown}");
        for problem in problems.iter() {
            if let Some(position) = problems.position(problem) {
                assert!(position.line <= text.lines().count() + 1, "{position:?} is outside of {text:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pillion.yaml");
        std::fs::write(&path, &bytes).unwrap();
        let registry = registry();
        if let Err(problems) = Loader::new(&registry, &|_| None).file(&path) {
            prop_assert!(!problems.render(true).is_empty());
        }
        check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn arbitrary_text_is_read_or_refused(text in "\\PC{0,200}") {
        check(&text);
    }

    #[test]
    fn shuffled_pieces_of_configurations_are_read_or_refused(pieces in vec(select(PIECES.as_slice()), 0..60)) {
        check(&pieces.concat());
    }

    #[test]
    fn values_of_any_shape_in_known_places_are_read_or_refused(
        key in select(["app", "limits", "listen", "security", "components", "log", "layotto"].as_slice()),
        pieces in vec(select(PIECES.as_slice()), 0..20),
    ) {
        check(&format!("{key}: {{{}}}\n", pieces.concat()));
        check(&format!("components: {{a: {{type: state.redis, url: {}}}}}\n", pieces.concat()));
    }
}
