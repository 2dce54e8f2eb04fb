//! Which paths there are, over HTTP.

use std::collections::HashMap;

use http::Method as Verb;
use pillion_proto::codec::Method;
use pillion_proto::http::Route;
use pillion_proto::{CallInfo, METHODS, ROUTES};

use crate::grpc::own;

/// What answers a verb at a path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// `POST /package.Service/Method`.
    Method(&'static Method),
    /// A REST-shaped binding.
    Route(&'static Route),
    /// `GET /openapi.json`.
    Openapi,
}

impl Target {
    pub(crate) fn info(&self) -> &'static CallInfo {
        match self {
            Self::Method(method) => method.info,
            Self::Route(route) => route.info,
            Self::Openapi => &own::OPENAPI,
        }
    }
}

/// A path and what answers there.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) path: &'static str,
    segments: Vec<Segment>,
    targets: Vec<(Verb, Target)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(&'static str),
    Field(&'static str),
    Rest(&'static str),
}

/// The values of a path's fields, percent-encoded as they came.
pub(crate) type Fields = Vec<(&'static str, String)>;

/// The routing table: methods by path, then the REST-shaped paths in the order in which they are
/// tried.
#[derive(Debug)]
pub(crate) struct Router {
    methods: HashMap<&'static str, Resource>,
    resources: Vec<Resource>,
}

impl Router {
    pub(crate) fn new() -> Self {
        let methods = METHODS.iter().map(|method| {
            let path = method.info.path;
            (path, Resource { path, segments: Vec::new(), targets: vec![(Verb::POST, Target::Method(method))] })
        });
        let mut resources: Vec<Resource> = Vec::new();
        let routes = ROUTES.iter().map(|route| (route.verb, route.path, Target::Route(route)));
        for (verb, path, target) in routes.chain([("GET", "/openapi.json", Target::Openapi)]) {
            // A verb that is none could never be asked for.
            let Ok(verb) = Verb::from_bytes(verb.as_bytes()) else { continue };
            match resources.iter_mut().find(|resource| resource.path == path) {
                Some(resource) => resource.targets.push((verb, target)),
                None => resources.push(Resource { path, segments: segments(path), targets: vec![(verb, target)] }),
            }
        }
        // Literals before fields: what is said exactly is meant exactly.
        resources.sort_by(|a, b| a.segments.cmp(&b.segments));
        Self { methods: methods.collect(), resources }
    }

    /// What is at a path.
    pub(crate) fn find(&self, path: &str) -> Option<(&Resource, Fields)> {
        if let Some(resource) = self.methods.get(path) {
            return Some((resource, Fields::new()));
        }
        self.resources.iter().find_map(|resource| Some((resource, resource.fields(path)?)))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Verb, &Target)> {
        self.methods
            .values()
            .chain(&self.resources)
            .flat_map(|resource| resource.targets.iter().map(|(verb, target)| (resource.path, verb, target)))
    }
}

impl Resource {
    /// What answers a verb. `HEAD` is answered where `GET` is.
    pub(crate) fn target(&self, verb: &Verb) -> Option<Target> {
        let verb = if verb == Verb::HEAD { &Verb::GET } else { verb };
        self.targets.iter().find(|(known, _)| known == verb).map(|(_, target)| *target)
    }

    /// The verbs that are answered, for the `Allow` header.
    pub(crate) fn allow(&self) -> String {
        let mut verbs: Vec<&str> = Vec::new();
        for (verb, _) in &self.targets {
            verbs.push(verb.as_str());
            if verb == Verb::GET {
                verbs.push("HEAD");
            }
        }
        verbs.push("OPTIONS");
        verbs.join(", ")
    }

    fn fields(&self, path: &str) -> Option<Fields> {
        let mut fields = Fields::new();
        let mut rest = Some(path.strip_prefix('/')?);
        for segment in &self.segments {
            let here = rest?;
            let (part, after) = here.split_once('/').map_or((here, None), |(part, after)| (part, Some(after)));
            match segment {
                Segment::Literal(literal) if *literal == part => {}
                Segment::Literal(_) => return None,
                Segment::Field(name) => fields.push((name, part.to_owned())),
                Segment::Rest(name) => {
                    fields.push((name, here.to_owned()));
                    return Some(fields);
                }
            }
            rest = after;
        }
        rest.is_none().then_some(fields)
    }
}

fn segments(path: &'static str) -> Vec<Segment> {
    let segment = |part: &'static str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => name.strip_prefix('*').map_or(Segment::Field(name), Segment::Rest),
        None => Segment::Literal(part),
    };
    path.trim_start_matches('/').split('/').map(segment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(path: &str) -> Option<(&'static str, Fields)> {
        Router::new().find(path).map(|(resource, fields)| (resource.path, fields))
    }

    #[test]
    fn a_key_is_the_raw_rest_of_the_path() {
        for key in ["a", "a/b", "..", "../../etc/passwd", "/", "//a//", "a%2Fb", "%2e%2e/", ".", ""] {
            let (path, found) = fields(&format!("/v1/state/orders/{key}")).unwrap();
            assert_eq!(path, "/v1/state/{store}/{*key}");
            assert_eq!(found, [("store", "orders".to_owned()), ("key", key.to_owned())]);
        }
    }

    #[test]
    fn a_path_ends_where_it_ends() {
        assert_eq!(fields("/v1/state/orders").unwrap().0, "/v1/state/{store}");
        assert_eq!(fields("/livez").unwrap().0, "/livez");
        assert_eq!(fields("/pillion.state.v1.StateService/Get").unwrap().0, "/pillion.state.v1.StateService/Get");
        for path in ["", "/", "*", "/livez/", "//livez", "/v1", "/v1/state", "/v1/watch/state/a/b", "/LIVEZ"] {
            assert!(fields(path).is_none(), "{path:?}");
        }
    }
}
