//! From text to a [`Config`]: every step reports what it finds, and the rest is checked all the same.

use std::collections::{BTreeMap, btree_map};
use std::path::{Component as PathComponent, Path, PathBuf};

use pillion_core::KeyPrefix;
use pillion_proto::Reason;
use pillion_spi::Registry;
use pillion_spi::registry::{Settings, StateType};

use super::de::{self, Visit};
use super::diagnostic::{Diagnostic, Diagnostics, Span};
use super::expand::{self, Environment};
use super::foreign;
use super::model::{Component, Config, File};
use super::report::Report;
use super::source::Source;
use super::suggest::nearest;
use super::tree::{self, Entry, Node, Value, shown};
use super::value::{KeyPrefixText, NAME, is_name};

/// Keys of a component that are not settings of its type.
pub(super) const COMPONENT_KEYS: [&str; 2] = ["type", "key_prefix"];

/// Reads configurations.
#[derive(Clone, Copy)]
pub struct Loader<'a> {
    registry: &'a Registry,
    environment: &'a Environment<'a>,
}

impl std::fmt::Debug for Loader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader").field("registry", self.registry).finish_non_exhaustive()
    }
}

impl<'a> Loader<'a> {
    /// A loader that knows the component types of `registry` and takes variables from
    /// `environment`, which a program makes from [`std::env::var_os`].
    pub fn new(registry: &'a Registry, environment: &'a Environment<'a>) -> Self {
        Self { registry, environment }
    }

    /// Reads a file. Relative paths in it are resolved against its folder.
    ///
    /// # Errors
    /// Everything that is wrong with it, up to fifty problems.
    pub fn file(&self, path: &Path) -> Result<Config, Diagnostics> {
        let source = Source::read(path).map_err(|problem| Diagnostics::new(None, vec![problem]))?;
        self.source(source, Source::folder(path))
    }

    /// Reads text that is shown as `name` in messages. Relative paths in it are resolved against
    /// `base_dir`.
    ///
    /// # Errors
    /// Everything that is wrong with it, up to fifty problems.
    pub fn text(&self, name: &str, text: &str, base_dir: impl Into<PathBuf>) -> Result<Config, Diagnostics> {
        let source = Source::text(name, text).map_err(|problem| Diagnostics::new(None, vec![problem]))?;
        self.source(source, base_dir.into())
    }

    /// Checks one component that a program declares; nothing in it is expanded.
    pub(super) fn component_from_json(
        &self,
        name: &str,
        declaration: serde_json::Value,
    ) -> Result<Component, Diagnostics> {
        let mut file = serde_json::Map::new();
        file.insert(name.to_owned(), declaration);
        let source = Source::text("declaration", &serde_json::Value::Object(file).to_string())
            .map_err(|problem| Diagnostics::new(None, vec![problem]))?;
        let mut report = Report::default();
        let root = tree::parse(&source, &mut report);
        let entries = match root.as_ref().map(|root| &root.value) {
            Some(Value::Map(entries)) => entries.as_slice(),
            _ => &[],
        };
        match entries.first().and_then(|entry| self.component(entry, &mut report)) {
            Some(component) if report.is_empty() => Ok(component),
            _ => Err(Diagnostics::new(Some(source), report.into_items())),
        }
    }

    fn source(&self, source: Source, base_dir: PathBuf) -> Result<Config, Diagnostics> {
        let mut report = Report::default();
        let config = self.check(&source, base_dir, &mut report);
        match config {
            Some(config) if report.is_empty() => Ok(config),
            _ => Err(Diagnostics::new(Some(source), report.into_items())),
        }
    }

    fn check(&self, source: &Source, base_dir: PathBuf, report: &mut Report) -> Option<Config> {
        if let Some(format) = foreign::recognize(&source.text) {
            report.add(foreign::refuse(&source.name, format));
            return None;
        }
        let mut root = tree::parse(source, report)?;
        expand::expand(source, &mut root, self.environment, report);
        let components = self.components(&root, report);
        let place = match root.value {
            Value::Scalar(_) => root.span,
            _ => Span::at(root.span.start),
        };
        let file: File = de::read(&root, place, report)?;
        check_folders(&components, &base_dir, &root, report);
        check_security(&root, &file, report);
        let File { app, listen, components: _, limits, deadlines, layotto, security, log } = file;
        Some(Config { app, listen, components, limits, deadlines, layotto, security, log, base_dir })
    }

    fn components(&self, root: &Node, report: &mut Report) -> Vec<Component> {
        let Some(components) = root.entry("components") else { return Vec::new() };
        if components.node.is_null() {
            return Vec::new();
        }
        let Value::Map(entries) = &components.node.value else {
            let message = format!("expected a mapping of names to components, found {}", components.node.kind());
            report.add(Diagnostic::new(Reason::ConfigWrongType, message).at(components.key_span));
            return Vec::new();
        };
        let mut checked = Vec::new();
        for entry in entries.iter().filter(|entry| entry.node.is_open()) {
            if report.is_full() {
                break;
            }
            checked.extend(self.component(entry, report));
        }
        checked
    }

    fn component(&self, entry: &Entry, report: &mut Report) -> Option<Component> {
        let before = report.len();
        if !is_name(&entry.key) {
            let message = format!("`{}` cannot be the name of a component", shown(&entry.key));
            report.add(
                Diagnostic::new(Reason::ConfigInvalidValue, message)
                    .at(entry.key_span)
                    .label(format!("expected {NAME}")),
            );
        }
        if !matches!(entry.node.value, Value::Map(_)) {
            let message = format!("expected a mapping with a `type`, found {}", entry.node.kind());
            report.add(Diagnostic::new(Reason::ConfigWrongType, message).at(entry.key_span));
            return None;
        }
        let key_prefix = match entry.node.entry("key_prefix") {
            None => Some(KeyPrefix::default()),
            Some(prefix) => prefix.read(report).map(|KeyPrefixText(prefix)| prefix),
        };
        let kind = self.kind(entry, report)?;
        let settings = settings(kind, entry, report).filter(|settings| check_settings(kind, settings, entry, report));
        let (key_prefix, settings) = (key_prefix?, settings?);
        let component = Component { name: entry.key.clone(), kind: kind.clone(), key_prefix, settings };
        (report.len() == before).then_some(component)
    }

    fn kind(&self, entry: &Entry, report: &mut Report) -> Option<&'a std::sync::Arc<StateType>> {
        let Some(kind) = entry.node.entry("type") else {
            let missing = Diagnostic::new(
                Reason::ConfigMissingKey,
                format!("the component `{}` has no `type`", shown(&entry.key)),
            );
            report.add(missing.at(entry.key_span).label("`type` is missing here").note(self.known_types()));
            return None;
        };
        let name: String = kind.read(report)?;
        if let Some(kind) = self.registry.state(&name) {
            return Some(kind);
        }
        let refusal = match kind.node.is_from_environment() {
            true => Diagnostic::new(Reason::ConfigUnknownType, "there is no component type of this name"),
            false => {
                let refusal = Diagnostic::new(
                    Reason::ConfigUnknownType,
                    format!("there is no component type `{}`", shown(&name)),
                );
                let known: Vec<_> = self.registry.state_types().map(|known| known.name()).collect();
                match nearest(&name, &known) {
                    Some(near) => refusal.label(format!("did you mean `{near}`?")),
                    None => refusal,
                }
            }
        };
        report.add(refusal.at(kind.place()).note(self.known_types()));
        None
    }

    fn known_types(&self) -> String {
        let known: Vec<_> = self.registry.state_types().map(|known| format!("`{}`", known.name())).collect();
        match known.is_empty() {
            true => "this build has no component types".to_owned(),
            false => format!("known types: {}", known.join(", ")),
        }
    }
}

/// Has the settings of a component checked by its type.
fn settings(kind: &StateType, entry: &Entry, report: &mut Report) -> Option<Settings> {
    for key in COMPONENT_KEYS {
        // Read already; the settings type does not know it.
        if let Some(entry) = entry.node.entry(key) {
            entry.node.take();
        }
    }
    de::read_with(&entry.node, entry.place(), &COMPONENT_KEYS, report, |visit: Visit<'_>| {
        let mut erased = <dyn erased_serde::Deserializer<'_>>::erase(visit);
        kind.parse(&mut erased)
    })
}

/// Has the settings of a component judged as a whole by its type.
fn check_settings(kind: &StateType, settings: &Settings, entry: &Entry, report: &mut Report) -> bool {
    let Err(refusal) = kind.check(settings) else { return true };
    let place = entry.node.entry(refusal.setting).map_or(entry.key_span, Entry::place);
    let diagnostic = Diagnostic::new(Reason::ConfigInvalidValue, refusal.message).at(place);
    report.add(match refusal.advice {
        Some(advice) => diagnostic.help(advice),
        None => diagnostic,
    });
    false
}

/// Refuses two components that need one folder for themselves: which of them got it would be chance.
fn check_folders(components: &[Component], base_dir: &Path, root: &Node, report: &mut Report) {
    let mut taken: BTreeMap<PathBuf, &str> = BTreeMap::new();
    for component in components {
        let Some(folder) = component.kind.folder(&component.settings) else { continue };
        match taken.entry(plain(&base_dir.join(&folder))) {
            btree_map::Entry::Vacant(free) => {
                free.insert(&component.name);
            }
            btree_map::Entry::Occupied(first) => {
                let message = format!("`{}` and `{}` would share one folder", component.name, first.get());
                let entry = root.entry("components").and_then(|components| components.node.entry(&component.name));
                let refusal = Diagnostic::new(Reason::ConfigConflict, message);
                let refusal = match entry {
                    Some(entry) => refusal.at(entry.node.entry("dir").unwrap_or(entry).place()),
                    None => refusal,
                };
                report.add(refusal.help("give each store a folder of its own"));
            }
        }
    }
}

/// The path without `.` and `..`, as far as that can be known without looking at the disk.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            PathComponent::CurDir => {}
            PathComponent::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// What several settings mean only together.
fn check_security(root: &Node, file: &File, report: &mut Report) {
    let security = |key| root.entry("security").and_then(|security| security.node.entry(key));
    if let (Some(_), Some(file)) = (security("token"), security("token_file")) {
        let conflict = Diagnostic::new(Reason::ConfigConflict, "`token` and `token_file` exclude each other");
        report.add(conflict.at(file.key_span).label("there is a `token` as well"));
    }
    let has_token = security("token").is_some() || security("token_file").is_some();
    let config = Config { listen: file.listen.clone(), ..Config::default() };
    if let Some(tcp) = root.entry("listen").and_then(|listen| listen.node.entry("tcp"))
        && config.is_exposed()
        && !has_token
    {
        let refusal =
            Diagnostic::new(Reason::ConfigTokenRequired, "other machines could use this runtime without a token");
        report.add(
            refusal
                .at(tcp.place())
                .label("not a loopback address")
                .help("set `security.token` or `security.token_file`, or listen on 127.0.0.1"),
        );
    }
}
