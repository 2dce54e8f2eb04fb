//! The wire contracts of other runtimes, for the doors.
//!
//! A door gets its messages, tonic's service code and the descriptors. Where tonic would answer a
//! method that the door does not implement with one fixed text, it gets a text that names the
//! method, so that a client sees *what* is missing.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use heck::ToSnakeCase;
use prost::Message;
use prost_reflect::ServiceDescriptor;
use syn::{Block, File, Item, TraitItem};

use super::{Compiled, Files, format};

/// A contract that a door serves.
struct Door {
    /// Where its protos are.
    protos: &'static str,
    /// The crate that serves it.
    krate: &'static str,
    /// The service it serves.
    service: &'static str,
}

const DOORS: [Door; 1] = [Door {
    protos: "proto/compat/layotto",
    krate: "runtime/compat-layotto",
    service: "spec.proto.runtime.v1.Runtime",
}];

/// Emits `<crate>/src/gen/{mod.rs, <package>.rs, descriptor.bin}` of each door.
pub fn emit(root: &Path) -> Result<Files> {
    let mut files = Files::new();
    for door in &DOORS {
        let compiled = Compiled::of(&root.join(door.protos))?;
        let service = compiled.pool.get_service_by_name(door.service).context("the door's service is in no proto")?;
        let folder = PathBuf::from(door.krate).join("src/gen");
        let mut source = syn::parse_file(&rust_of(&compiled, service.package_name())?)?;
        name_unserved(&mut source, &service)?;
        files.insert(folder.join(format!("{}.rs", service.package_name())), format(&prettyplease::unparse(&source))?);
        files.insert(folder.join("mod.rs"), module(&service)?);
        files.insert(folder.join("descriptor.bin"), compiled.bytes.clone());
    }
    Ok(files)
}

/// Messages and service code of one package, as prost and tonic write them.
fn rust_of(compiled: &Compiled, package: &str) -> Result<String> {
    let output = tempfile::tempdir()?;
    tonic_prost_build::configure()
        .bytes(".")
        .build_client(false)
        .build_transport(false)
        .generate_default_stubs(true)
        .codec_path("crate::wire::Codec")
        .out_dir(output.path())
        .compile_fds(prost_types::FileDescriptorSet::decode(compiled.bytes.as_slice())?)?;
    let path = output.path().join(format!("{package}.rs"));
    std::fs::read_to_string(&path).with_context(|| format!("nothing was generated for {package}"))
}

/// Makes every default method of the service's trait answer with a text that names it.
fn name_unserved(source: &mut File, service: &ServiceDescriptor) -> Result<()> {
    let mut names: BTreeMap<_, _> =
        service.methods().map(|method| (method.name().to_snake_case(), method.name().to_owned())).collect();
    let server = format!("{}_server", service.name().to_snake_case());
    let methods = source
        .items
        .iter_mut()
        .filter_map(|item| match item {
            Item::Mod(module) if module.ident == server => module.content.as_mut(),
            _ => None,
        })
        .flat_map(|(_, items)| items)
        .filter_map(|item| match item {
            Item::Trait(definition) if definition.ident == service.name() => Some(&mut definition.items),
            _ => None,
        })
        .flatten();
    for item in methods {
        let TraitItem::Fn(method) = item else { continue };
        let Some(name) = names.remove(&method.sig.ident.to_string()) else { continue };
        method.default = Some(syn::parse_str::<Block>(&format!("{{ Err(crate::wire::unserved({name:?})) }}"))?);
    }
    if !names.is_empty() {
        bail!("tonic generated no default for {names:?} of {}", service.full_name());
    }
    Ok(())
}

fn module(service: &ServiceDescriptor) -> Result<Vec<u8>> {
    let names: Vec<_> = service.methods().map(|method| method.name().to_owned()).collect();
    let mut code =
        String::from("#![allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub, rustdoc::all)]\n");
    writeln!(
        code,
        "include!(\"{package}.rs\");
        /// The service's full name.
        pub const SERVICE: &str = {service:?};
        /// The names of its methods.
        pub const METHODS: [&str; {count}] = {names:?};
        /// The compiled protos, as a serialised `FileDescriptorSet`.
        pub const DESCRIPTORS: &[u8] = include_bytes!(\"descriptor.bin\");",
        package = service.package_name(),
        service = service.full_name(),
        count = names.len(),
    )?;
    format(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_a_door_has_a_default_answer_that_names_it() -> Result<()> {
        let root = crate::codegen::repository()?;
        let files = emit(&root)?;
        for door in &DOORS {
            let compiled = Compiled::of(&root.join(door.protos))?;
            let service = compiled.pool.get_service_by_name(door.service).context("no service")?;
            let path = PathBuf::from(door.krate).join(format!("src/gen/{}.rs", service.package_name()));
            let source = std::str::from_utf8(&files[&path])?;
            assert!(!source.contains("Not yet implemented"), "tonic's own text is left in {}", path.display());
            for method in service.methods() {
                let answer = format!("unserved(\"{}\")", method.name());
                assert_eq!(source.matches(&answer).count(), 1, "{answer}");
            }
        }
        Ok(())
    }
}
