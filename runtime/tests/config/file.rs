//! What a file must not be, and what a file may say.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use pillion_proto::Reason;
use pillion_runtime::config::{Config, Diagnostics, Loader, MAX_FILE_BYTES};

use crate::component::registry;

fn load(path: &Path) -> Result<Config, Diagnostics> {
    Loader::new(&registry(), &|_| None::<OsString>).file(path)
}

/// The reason and sentence of the only problem, with the folder taken out of it.
fn refusal(path: &Path) -> (Reason, String) {
    let problems = load(path).expect_err("the file was accepted");
    let all: Vec<_> = problems.iter().collect();
    assert_eq!(all.len(), 1, "{problems}");
    let folder = format!("{}/", path.parent().unwrap().display());
    (all[0].reason(), problems.render(false).replace(&folder, ""))
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (reason, text) = refusal(&folder.path().join("prod.yaml"));
    assert_eq!(reason, Reason::ConfigNotFound);
    assert_eq!(text, "error[config.not_found]: there is no file `prod.yaml`");
}

#[test]
fn a_directory_is_refused_and_the_file_in_it_is_suggested() {
    let folder = tempfile::tempdir().unwrap();
    let prod = folder.path().join("prod");
    fs::create_dir(&prod).unwrap();
    assert_eq!(
        refusal(&prod),
        (Reason::ConfigUnreadable, "error[config.unreadable]: `prod` is a directory, not a file".to_owned())
    );

    fs::write(prod.join("pillion.yaml"), "app: {id: orders}").unwrap();
    let (_, text) = refusal(&prod);
    assert!(text.ends_with("= help: did you mean `prod/pillion.yaml`?"), "{text}");
}

#[test]
fn pipes_sockets_and_devices_are_refused_without_waiting_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let device = folder.path().join("device");
    symlink("/dev/zero", &device).unwrap();
    for path in [&pipe, &socket, &device] {
        let (reason, text) = refusal(path);
        assert_eq!(reason, Reason::ConfigUnreadable);
        assert!(text.ends_with("is not a regular file"), "{text}");
    }
}

#[test]
fn what_is_larger_than_the_limit_is_refused_unread() {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.yaml");
    File::create(&large).unwrap().set_len(100 << 20).unwrap();
    assert_eq!(
        refusal(&large),
        (Reason::ConfigTooLarge, "error[config.too_large]: `large.yaml` is larger than 1MiB".to_owned())
    );

    let text = |length: usize| "app: {id: orders}".to_owned() + &" ".repeat(length - "app: {id: orders}".len());
    let limit = usize::try_from(MAX_FILE_BYTES).unwrap();
    fs::write(&large, text(limit)).unwrap();
    assert_eq!(load(&large).unwrap().app.id.as_deref(), Some("orders"));
    fs::write(&large, text(limit + 1)).unwrap();
    assert_eq!(refusal(&large).0, Reason::ConfigTooLarge);
}

#[test]
fn bytes_that_are_not_text_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pillion.yaml");
    for (bytes, position) in [
        (b"app: \xff\xfe".as_slice(), 5),
        (b"\x7fELF\x02\x01\x01\0\0\0", 7),
        (b"app: {id: a\0b}", 11),
        // UTF-16 with a byte order mark.
        (b"\xff\xfea\0p\0p\0:\0", 0),
    ] {
        fs::write(&path, bytes).unwrap();
        let expected =
            format!("error[config.not_text]: `pillion.yaml` is not UTF-8 text: byte {position} cannot be part of any");
        assert_eq!(refusal(&path), (Reason::ConfigNotText, expected), "{bytes:?}");
    }
}

#[test]
fn toml_is_named_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pillion.toml");
    fs::write(&path, "[app]\nid = \"orders\"\n").unwrap();
    let (reason, text) = refusal(&path);
    assert_eq!(reason, Reason::ConfigUnsupportedFormat);
    assert!(text.starts_with("error[config.unsupported_format]: `pillion.toml` is TOML, which is not read"), "{text}");
}

#[test]
fn a_byte_order_mark_is_no_problem() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pillion.yaml");
    fs::write(&path, "\u{feff}app: {id: orders}\n").unwrap();
    assert_eq!(load(&path).unwrap().app.id.as_deref(), Some("orders"));
}

#[test]
fn relative_paths_belong_to_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pillion.yaml");
    fs::write(&path, "app: {id: orders}").unwrap();
    let config = load(&path).unwrap();
    assert_eq!(config.base_dir, folder.path());
    for path in ["data", "./data", "././data"] {
        assert_eq!(config.resolve(Path::new(path)).as_os_str(), folder.path().join("data"));
    }
    assert_eq!(config.resolve(Path::new("/data")), Path::new("/data"));
}

#[test]
fn nesting_without_end_is_refused_at_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep.yaml");
    let mut deep = String::new();
    for level in 0..1000 {
        deep += &format!("{:level$}a:\n", "");
    }
    for text in ["[".repeat(500_000), "{a: ".repeat(200_000), "- ".repeat(500_000), deep] {
        fs::write(&path, &text).unwrap();
        assert_eq!(refusal(&path).0, Reason::ConfigTooDeep, "{:.20}", text);
    }
}

#[test]
fn aliases_are_refused_however_many_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.yaml");
    let mut file = File::create(&path).unwrap();
    writeln!(file, "a0: &a0 x").unwrap();
    for level in 1..5000 {
        let before = level - 1;
        writeln!(file, "a{level}: &a{level} [*a{before}, *a{before}, *a{before}, *a{before}, *a{before}, *a{before}]")
            .unwrap();
    }
    drop(file);
    let problems = load(&path).unwrap_err();
    let reasons: Vec<_> = problems.iter().map(|problem| problem.reason()).collect();
    let refusals = reasons.iter().filter(|reason| **reason == Reason::ConfigUnsupportedYaml).count();
    assert_eq!(refusals, 1, "one says it for all: {problems}");
    assert!(reasons.len() <= 50, "the number of problems is bounded");
}

#[test]
fn variables_cannot_fill_the_memory() {
    let long = "x".repeat(100_000);
    let environment = |_: &str| Some(OsString::from(&long));
    let text = format!("layotto: {{hello: {{a: \"{}\"}}}}", "${LONG}".repeat(100_000));
    let registry = registry();
    let problems = Loader::new(&registry, &environment).text("pillion.yaml", &text, "").unwrap_err();
    assert!(problems.iter().any(|problem| problem.reason() == Reason::ConfigTooLarge));
    assert!(problems.render(false).len() < 10_000);
}
