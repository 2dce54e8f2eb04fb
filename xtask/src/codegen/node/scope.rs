//! Which types there are, what they are used for, and which file they are in.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::super::binding::{Binding, ERROR};
use super::super::ir::{Contract, Enum, Kind, Message, Service};

/// See the [module](self).
pub struct Scope<'a> {
    contract: &'a Contract,
    /// Full names of what a request can hold, requests that are given as parameters included.
    pub read: BTreeSet<String>,
    /// Full names of what an answer can hold.
    pub written: BTreeSet<String>,
    /// Full names of what a program can write down itself: what parameters and uploads hold.
    pub given: BTreeSet<String>,
    /// The file of each type, by full name.
    homes: BTreeMap<String, String>,
}

impl<'a> Scope<'a> {
    pub fn of(binding: &Binding<'a>) -> Result<Self> {
        let contract = binding.contract;
        let mut scope = Self {
            contract,
            read: BTreeSet::new(),
            written: BTreeSet::new(),
            given: BTreeSet::new(),
            homes: BTreeMap::new(),
        };
        for api in &binding.apis {
            let mut reached = BTreeSet::new();
            for call in &api.methods {
                reach(contract, &call.request.full_name, &mut scope.read)?;
                reach(contract, &call.answer.full_name, &mut scope.written)?;
                reach(contract, &call.request.full_name, &mut reached)?;
                reach(contract, &call.answer.full_name, &mut reached)?;
                let mut given = BTreeSet::new();
                reach(contract, &call.request.full_name, &mut given)?;
                if !call.method.uploads() {
                    given.remove(&call.request.full_name);
                }
                scope.given.extend(given);
            }
            for name in reached {
                let home = home(contract, api.service, &name);
                scope.homes.entry(name).or_insert(home);
            }
        }
        Ok(scope)
    }

    /// `state`: the file of a type.
    pub fn home(&self, full_name: &str) -> &str {
        self.homes.get(full_name).map_or("common", String::as_str)
    }

    /// The files, each with its service, if it has one.
    pub fn files(&self) -> BTreeMap<&str, Option<&'a Service>> {
        let homes = self.homes.values().map(|home| (home.as_str(), None));
        let services = self.contract.services.iter().map(|service| (service.block.as_str(), Some(service)));
        homes.chain(services).collect()
    }

    /// The messages in a file that are shown to programs.
    pub fn messages(&self, file: &str) -> Vec<&'a Message> {
        let shown = |message: &&Message| {
            self.homes.get(&message.full_name).is_some_and(|home| home == file)
                && message.full_name != ERROR
                && (self.written.contains(&message.full_name) || self.given.contains(&message.full_name))
        };
        self.contract.messages.values().filter(shown).collect()
    }

    /// The enums in a file.
    pub fn enums(&self, file: &str) -> Vec<&'a Enum> {
        let here = |found: &&Enum| self.homes.get(&found.full_name).is_some_and(|home| home == file);
        self.contract.enums.values().filter(here).collect()
    }

    /// The cargo features that bring a package, as a condition.
    pub fn gate(&self, package: &str) -> String {
        match self.contract.features(package) {
            None => String::new(),
            Some(features) => {
                let features: Vec<_> = features.iter().map(|feature| format!("feature = {feature:?}")).collect();
                format!("#[cfg(any({}))]\n", features.join(", "))
            }
        }
    }
}

/// A type is beside the service of its package that uses it; what no service has for itself is by package.
fn home(contract: &Contract, service: &Service, full_name: &str) -> String {
    let message = contract.messages.get(full_name).map(|message| &message.package);
    let package = message.or_else(|| contract.enums.get(full_name).map(|found| &found.package));
    match package {
        Some(package) if *package == service.package => service.block.clone(),
        Some(package) => package.split('.').nth(1).unwrap_or("common").to_owned(),
        None => "common".to_owned(),
    }
}

/// Everything that a message holds, itself included.
fn reach(contract: &Contract, full_name: &str, reached: &mut BTreeSet<String>) -> Result<()> {
    if !reached.insert(full_name.to_owned()) {
        return Ok(());
    }
    for field in &contract.message(full_name)?.fields {
        match &field.kind {
            Kind::Message(name) => reach(contract, name, reached)?,
            Kind::Enum(name) => {
                reached.insert(name.clone());
            }
            _ => {}
        }
    }
    Ok(())
}
