//! Which crate may know which: doors and servers cannot see the core, components cannot see the
//! contract. An allow-list, checked against what cargo says.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::step::cargo;

/// What a crate may depend on.
struct Rule {
    package: &'static str,
    /// Crates of ours, in normal dependencies.
    ours: &'static [&'static str],
    /// Foreign crates that it must never mention.
    never: &'static [&'static str],
}

const VENDORS: &[&str] = &["redis", "rusqlite"];
/// A binding gives the shape of a language to calls; how they travel is the SDK's.
const TRANSPORTS: &[&str] = &["tonic", "hyper", "h2", "axum", "redis", "rusqlite"];

const RULES: &[Rule] = &[
    Rule { package: "pillion-proto", ours: &[], never: &["axum", "hyper", "redis", "rusqlite"] },
    Rule {
        package: "pillion-spi",
        ours: &[],
        never: &["tonic", "prost", "axum", "hyper", "redis", "rusqlite", "serde-saphyr"],
    },
    Rule {
        package: "pillion-core",
        ours: &["pillion-proto", "pillion-spi"],
        never: &["tonic", "axum", "hyper", "redis", "rusqlite"],
    },
    Rule { package: "pillion-components", ours: &["pillion-spi"], never: &["tonic", "prost", "axum", "hyper"] },
    Rule { package: "pillion-server", ours: &["pillion-proto"], never: VENDORS },
    Rule { package: "pillion-compat-layotto", ours: &["pillion-proto"], never: VENDORS },
    Rule {
        package: "pillion-runtime",
        ours: &[
            "pillion-proto",
            "pillion-spi",
            "pillion-core",
            "pillion-components",
            "pillion-server",
            "pillion-compat-layotto",
        ],
        never: VENDORS,
    },
    Rule { package: "pillion", ours: &["pillion-proto", "pillion-runtime"], never: VENDORS },
    Rule {
        package: "pillion-cli",
        ours: &["pillion", "pillion-proto", "pillion-runtime", "pillion-spi"],
        never: VENDORS,
    },
    Rule { package: "pillion-python", ours: &["pillion", "pillion-cli"], never: TRANSPORTS },
    Rule { package: "pillion-node", ours: &["pillion", "pillion-cli"], never: TRANSPORTS },
    Rule { package: "pillion-ffi", ours: &["pillion"], never: TRANSPORTS },
    Rule { package: "pillion-ffi-bindgen", ours: &[], never: TRANSPORTS },
    Rule { package: "pillion-conformance", ours: &["pillion-spi", "pillion-components"], never: &["tonic", "axum"] },
    Rule { package: "pillion-bench", ours: &["pillion", "pillion-proto"], never: &[] },
    Rule { package: "xtask", ours: &[], never: &["tokio"] },
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

/// Every breach.
pub fn check() -> Result<Vec<String>> {
    let output = cargo(&["metadata", "--format-version", "1", "--no-deps"])?.output().context("cargo metadata")?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    Ok(breaches(&metadata, RULES))
}

fn breaches(metadata: &Metadata, rules: &[Rule]) -> Vec<String> {
    let rules: BTreeMap<_, _> = rules.iter().map(|rule| (rule.package, rule)).collect();
    let mut problems = Vec::new();
    let members = metadata.packages.iter().filter(|package| metadata.workspace_members.contains(&package.id));
    let mut versions = BTreeMap::new();
    for package in members {
        versions.insert(package.name.clone(), package.version.clone());
        let Some(rule) = rules.get(package.name.as_str()) else {
            problems.push(format!("crate {} has no rule in xtask/src/tidy/layer.rs", package.name));
            continue;
        };
        // What only tests need does not reach users and may cross layers.
        for dependency in package.dependencies.iter().filter(|dependency| dependency.kind.as_deref() != Some("dev")) {
            if dependency.path.is_some() && !rule.ours.contains(&dependency.name.as_str()) {
                problems.push(format!("{} must not depend on {}", package.name, dependency.name));
            }
            if rule.never.contains(&dependency.name.as_str()) {
                problems.push(format!("{} must never mention {}", package.name, dependency.name));
            }
        }
    }
    let first = versions.values().next().cloned();
    for (name, version) in versions {
        if Some(&version) != first.as_ref() && name != "xtask" {
            problems.push(format!("{name} has version {version}; all crates have one"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(dependencies: serde_json::Value) -> Metadata {
        serde_json::from_value(serde_json::json!({
            "workspace_members": ["a"],
            "packages": [{"id": "a", "name": "pillion-server", "version": "0.1.0", "dependencies": dependencies}],
        }))
        .unwrap()
    }

    #[test]
    fn a_server_that_sees_the_core_is_a_breach_and_a_test_that_does_is_not() {
        let core =
            |kind: Option<&str>| metadata(serde_json::json!([{"name": "pillion-core", "kind": kind, "path": "x"}]));
        assert_eq!(breaches(&core(None), RULES), ["pillion-server must not depend on pillion-core"]);
        assert_eq!(breaches(&core(Some("dev")), RULES), Vec::<String>::new());
        let vendor = metadata(serde_json::json!([{"name": "redis", "kind": null, "path": null}]));
        assert_eq!(breaches(&vendor, RULES), ["pillion-server must never mention redis"]);
    }

    #[test]
    fn a_binding_that_sees_a_transport_or_the_runtime_is_a_breach() {
        let mut binding = metadata(serde_json::json!([
            {"name": "pillion", "kind": null, "path": "x"},
            {"name": "pillion-runtime", "kind": null, "path": "x"},
            {"name": "tonic", "kind": null, "path": null},
        ]));
        binding.packages[0].name = "pillion-python".to_owned();
        let found = breaches(&binding, RULES);
        assert_eq!(
            found,
            ["pillion-python must not depend on pillion-runtime", "pillion-python must never mention tonic"]
        );
    }

    #[test]
    fn a_crate_without_a_rule_is_a_breach() {
        assert_eq!(breaches(&metadata(serde_json::json!([])), &[]).len(), 1);
    }
}
