//! The configuration that is shipped as an example says what it claims to say.

use std::path::PathBuf;

use pillion_runtime::config::{Config, Loader, TcpListen};

use crate::component::registry;

fn path() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/example/pillion.yaml"))
}

#[test]
fn its_values_are_the_defaults() {
    let config = Loader::new(&registry(), &|_| None).file(&path()).unwrap();
    let defaults = Config::default();
    assert_eq!(config.listen, defaults.listen);
    assert_eq!(config.listen.tcp, TcpListen::At(([127, 0, 0, 1], 34904).into()));
    assert_eq!(config.limits, defaults.limits);
    assert_eq!(config.deadlines, defaults.deadlines);
    assert_eq!(config.log, defaults.log);
    let components: Vec<_> = config.components.iter().map(|c| (c.name.as_str(), c.kind.name())).collect();
    assert_eq!(components, [("state", "state.local"), ("cache", "state.redis")]);
}

#[cfg(all(feature = "local", feature = "redis"))]
#[test]
fn the_components_of_this_build_accept_it() {
    let config = Loader::new(&pillion_runtime::registry(), &|_| None).file(&path()).unwrap();
    assert_eq!(config.components.len(), 2);
}

#[cfg(all(feature = "memory", feature = "local"))]
#[test]
fn the_components_of_this_build_do_without_a_file() {
    let registry = pillion_runtime::registry();
    assert!(Config::dev(&registry).is_ok());
    assert!(Config::dev_persistent(&registry, "data".as_ref()).is_ok());
}
