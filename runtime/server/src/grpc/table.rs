//! Which gRPC methods there are. A path that does not stand here reaches no service.

use std::collections::HashMap;

use pillion_proto::{Access, CallInfo, DESCRIPTORS, METHODS, Shape};
use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::own;
use crate::BindError;
use crate::options::{Door, TooLarge, native_too_large};

/// What is known of a method before it is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Who judges calls of it.
    pub(crate) judge: Judge,
    /// Whether the requests are a stream.
    pub(crate) uploads: bool,
    /// Whether the answers are a stream.
    pub(crate) streams: bool,
    /// The status of a message above the limit.
    pub(crate) too_large: TooLarge,
}

/// Who judges whether a caller may call a method.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Judge {
    /// The hooks around the APIs.
    Apis(&'static CallInfo),
    /// This server, which asks the hooks itself.
    Server(&'static CallInfo),
    /// The door of this name: most of its methods become calls of the APIs.
    Door(&'static str),
}

impl Entry {
    pub(crate) fn is_door(&self) -> bool {
        matches!(self.judge, Judge::Door(_))
    }

    /// Who may call it; `None` where the door knows.
    pub(crate) fn access(&self) -> Option<Access> {
        match self.judge {
            Judge::Apis(info) | Judge::Server(info) => Some(info.access),
            Judge::Door(_) => None,
        }
    }

    fn native(info: &'static CallInfo, judge: Judge) -> Self {
        let uploads = matches!(info.shape, Shape::ClientStream | Shape::Duplex);
        let streams = matches!(info.shape, Shape::ServerStream | Shape::Duplex);
        Self { judge, uploads, streams, too_large: native_too_large }
    }
}

/// The methods by path.
#[derive(Debug, Default)]
pub(crate) struct Table {
    methods: HashMap<String, Entry>,
    /// Full names of the services, sorted.
    services: Vec<String>,
}

impl Table {
    pub(crate) fn new(doors: &[Door]) -> Result<Self, BindError> {
        let mut table = Self::default();
        let described = methods("pillion", DESCRIPTORS)?;
        for method in METHODS.iter().filter(|method| described.iter().any(|found| found.path == method.info.path)) {
            table.add(method.info.path, Entry::native(method.info, Judge::Apis(method.info)));
        }
        for info in own::METHODS {
            table.add(info.path, Entry::native(info, own::judge(info)));
        }
        for door in doors {
            for method in methods(door.name, door.descriptors)? {
                let entry = Entry {
                    judge: Judge::Door(door.name),
                    uploads: method.uploads,
                    streams: method.streams,
                    too_large: door.too_large,
                };
                table.add(&method.path, entry);
            }
        }
        table.services.sort();
        table.services.dedup();
        Ok(table)
    }

    fn add(&mut self, path: &str, entry: Entry) {
        if let Some((service, _method)) = split(path) {
            self.services.push(service.to_owned());
        }
        // The first one stays, as in the router, where a second service of one name panics.
        self.methods.entry(path.to_owned()).or_insert(entry);
    }

    pub(crate) fn find(&self, path: &str) -> Option<&Entry> {
        self.methods.get(path)
    }

    pub(crate) fn has_service(&self, name: &str) -> bool {
        self.services.binary_search_by(|service| service.as_str().cmp(name)).is_ok()
    }

    pub(crate) fn services(&self) -> &[String] {
        &self.services
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.methods.iter().map(|(path, entry)| (path.as_str(), entry))
    }
}

/// `/package.Service/Method` → `package.Service`, `Method`.
pub(crate) fn split(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.split_once('/')
}

struct Described {
    path: String,
    uploads: bool,
    streams: bool,
}

fn methods(door: &str, descriptors: &[u8]) -> Result<Vec<Described>, BindError> {
    let set = FileDescriptorSet::decode(descriptors)
        .map_err(|cause| BindError::Door { door: door.to_owned(), cause: cause.to_string() })?;
    let mut found = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let name = match file.package() {
                "" => service.name().to_owned(),
                package => format!("{package}.{}", service.name()),
            };
            found.extend(service.method.iter().map(|method| Described {
                path: format!("/{name}/{}", method.name()),
                uploads: method.client_streaming(),
                streams: method.server_streaming(),
            }));
        }
    }
    Ok(found)
}
