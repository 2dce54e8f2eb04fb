//! Where the configuration is looked for.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use pillion_proto::Reason;
use pillion_runtime::config::{Diagnostics, Located, LocatedBy, locate};
use tempfile::TempDir;

/// Folders `repo/service/src`, where `repo` is the root of a repository.
fn folders() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let repo = folder.path().join("repo");
    let working_dir = repo.join("service/src");
    fs::create_dir_all(&working_dir).unwrap();
    fs::create_dir(repo.join(".git")).unwrap();
    (folder, repo, working_dir)
}

fn search(working_dir: &Path) -> Result<Option<Located>, Diagnostics> {
    locate(None, working_dir, &|_| None::<OsString>)
}

fn found(path: PathBuf) -> Option<Located> {
    Some(Located { path, by: LocatedBy::Folder })
}

fn write(path: PathBuf, text: &str) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_argument_comes_before_the_variable_and_the_variable_before_the_folders() {
    let (_folder, _, working_dir) = folders();
    let near = write(working_dir.join("pillion.yaml"), "app: {}");
    let environment = |name: &str| (name == "PILLION_CONFIG").then(|| OsString::from("/etc/pillion.yaml"));
    let empty = |_: &str| Some(OsString::new());

    let argument = locate(Some(Path::new("prod.yaml")), &working_dir, &environment).unwrap();
    assert_eq!(argument, Some(Located { path: working_dir.join("prod.yaml"), by: LocatedBy::Argument }));
    let variable = locate(None, &working_dir, &environment).unwrap();
    assert_eq!(variable, Some(Located { path: "/etc/pillion.yaml".into(), by: LocatedBy::Variable }));
    assert_eq!(locate(None, &working_dir, &empty).unwrap(), found(near));
}

#[test]
fn folders_are_searched_up_to_the_root_of_the_repository() {
    let (folder, repo, working_dir) = folders();
    write(folder.path().join("pillion.yaml"), "app: {}");
    assert_eq!(search(&working_dir).unwrap(), None, "above the repository nothing is ours");
    let root = write(repo.join("pillion.json"), "{}");
    assert_eq!(search(&working_dir).unwrap(), found(root));
    let between = write(repo.join("service/pillion.yml"), "app: {}");
    assert_eq!(search(&working_dir).unwrap(), found(between));
    let here = write(working_dir.join("pillion.yaml"), "app: {}");
    assert_eq!(search(&working_dir).unwrap(), found(here));
}

#[test]
fn outside_of_a_repository_only_the_working_directory_counts() {
    let folder = tempfile::tempdir().unwrap();
    let working_dir = folder.path().join("service");
    fs::create_dir(&working_dir).unwrap();
    write(folder.path().join("pillion.yaml"), "app: {}");
    assert_eq!(search(&working_dir).unwrap(), None);
    let here = write(working_dir.join("pillion.yaml"), "app: {}");
    assert_eq!(search(&working_dir).unwrap(), found(here));
}

#[test]
fn a_directory_of_that_name_is_found_so_that_reading_it_says_what_is_wrong() {
    let (_folder, _, working_dir) = folders();
    fs::create_dir(working_dir.join("pillion.yaml")).unwrap();
    assert_eq!(search(&working_dir).unwrap(), found(working_dir.join("pillion.yaml")));
}

#[test]
fn two_candidates_in_one_folder_are_refused() {
    let (_folder, _, working_dir) = folders();
    write(working_dir.join("pillion.yaml"), "app: {}");
    write(working_dir.join("pillion.json"), "{}");
    let text = refusal(&working_dir, Reason::ConfigAmbiguous);
    let expected = "error[config.ambiguous]: `pillion.yaml` and `pillion.json` could each be the configuration";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn configurations_that_are_not_supported_are_named_and_refused() {
    let dapr = "# the store\napiVersion: dapr.io/v1alpha1\nkind: Component\n";
    let layotto = r#"{"servers": [{"listeners": [{"config": {"grpc_config": {}}}]}]}"#;
    for (path, text, name) in [
        ("pillion.toml", "[app]", "TOML, which is not read"),
        ("components/statestore.yaml", dapr, "a Dapr resource, which is not read yet"),
        ("components/statestore.yml", dapr, "a Dapr resource, which is not read yet"),
        ("resources/pubsub.yaml", dapr, "a Dapr resource, which is not read yet"),
        ("configs/config_redis.json", layotto, "a Layotto configuration, which is not read yet"),
        ("config.json", layotto, "a Layotto configuration, which is not read yet"),
    ] {
        let (_folder, _, working_dir) = folders();
        write(working_dir.join(path), text);
        let shown = refusal(&working_dir, Reason::ConfigUnsupportedFormat);
        let expected = format!("error[config.unsupported_format]: `{path}` is {name}");
        assert!(shown.starts_with(&expected), "{shown}");

        write(working_dir.join("pillion.yaml"), "app: {}");
        assert!(search(&working_dir).unwrap().is_some(), "{path}: a configuration of ours comes first");
    }
}

#[test]
fn files_that_only_look_so_are_passed_over() {
    let (_folder, _, working_dir) = folders();
    write(working_dir.join("components/button.yaml"), "kind: Component\n");
    write(working_dir.join("config.json"), "{\"servers\": []}");
    write(working_dir.join("configs/notes.txt"), "apiVersion: dapr.io/v1alpha1");
    fs::create_dir_all(working_dir.join("resources/folder.yaml")).unwrap();
    assert_eq!(search(&working_dir).unwrap(), None);
}

fn refusal(working_dir: &Path, reason: Reason) -> String {
    let problems = search(working_dir).expect_err("nothing was refused");
    assert_eq!(problems.iter().map(|problem| problem.reason()).collect::<Vec<_>>(), [reason]);
    problems.render(false).replace(&format!("{}/", working_dir.display()), "")
}
