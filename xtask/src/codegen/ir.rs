//! The intermediate representation: the contract as every emitter needs it, free of descriptors and
//! of any one language.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use heck::{ToShoutySnakeCase, ToSnakeCase};
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind as FieldKind,
    MessageDescriptor, MethodDescriptor, ServiceDescriptor,
};
use serde::Deserialize;

/// The whole contract.
pub struct Contract {
    pub services: Vec<Service>,
    /// By full name, nested ones included.
    pub messages: BTreeMap<String, Message>,
    /// By full name, nested ones included.
    pub enums: BTreeMap<String, Enum>,
    pub categories: Vec<Category>,
    pub reasons: Vec<Reason>,
}

/// A building block's service.
pub struct Service {
    /// `pillion.state.v1`.
    pub package: String,
    /// `StateService`.
    pub name: String,
    /// `state`: the name of handles and modules.
    pub block: String,
    /// The cargo feature without which it does not exist; `None` for what every runtime serves.
    pub feature: Option<String>,
    /// On no socket: handed out by a runtime in the same process only.
    pub in_process: bool,
    pub doc: String,
    pub methods: Vec<Method>,
}

/// A method of a service.
pub struct Method {
    /// `GetMany`.
    pub name: String,
    /// `/pillion.state.v1.StateService/GetMany`.
    pub path: String,
    /// Full name of the request message.
    pub input: String,
    /// Full name of the response message.
    pub output: String,
    pub shape: Shape,
    pub rules: MethodRules,
    pub doc: String,
    /// Its place among all methods of the contract.
    pub index: usize,
}

/// Which sides are streams.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Unary,
    ServerStream,
    ClientStream,
    Duplex,
}

/// A message.
pub struct Message {
    /// `pillion.testing.v1.ActRequest`.
    pub full_name: String,
    pub package: String,
    /// Messages it is nested in, outermost first.
    pub parents: Vec<String>,
    /// `ActRequest`.
    pub name: String,
    pub doc: String,
    pub fields: Vec<Field>,
}

/// A field of a message.
pub struct Field {
    /// `content_type`.
    pub name: String,
    /// `contentType`, as in proto3 JSON.
    pub json_name: String,
    pub kind: Kind,
    pub label: Label,
    /// The oneof it belongs to.
    pub oneof: Option<String>,
    pub rules: FieldRules,
    pub doc: String,
}

/// What a field holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Kind {
    Bool,
    I32,
    I64,
    U32,
    U64,
    F32,
    F64,
    String,
    Bytes,
    Timestamp,
    Duration,
    /// Full name.
    Message(String),
    /// Full name.
    Enum(String),
}

/// How often a field holds it.
#[derive(Clone, PartialEq, Eq)]
pub enum Label {
    /// Once; the zero value stands for absent.
    Single,
    /// Once or not at all.
    Optional,
    Repeated,
    /// Keyed by the kind given here.
    Map(Kind),
}

/// An enum.
pub struct Enum {
    pub full_name: String,
    pub package: String,
    pub parents: Vec<String>,
    pub name: String,
    pub doc: String,
    pub values: Vec<EnumValue>,
}

/// A value of an enum.
pub struct EnumValue {
    /// `CONSISTENCY_STRONG`.
    pub name: String,
    /// `STRONG`.
    pub short: String,
    pub number: i32,
    pub doc: String,
}

/// A category of errors.
pub struct Category {
    /// `NOT_FOUND`.
    pub name: String,
    pub rules: CategoryRules,
    pub doc: String,
}

/// A reason of errors, with the category's codes where it has none of its own.
pub struct Reason {
    /// `STATE_ETAG_MISMATCH`.
    pub constant: String,
    /// `state.etag_mismatch`.
    pub name: String,
    pub category: String,
    pub grpc: i32,
    pub http: i32,
    pub retryable: bool,
    pub advice: String,
    pub doc: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceRules {
    pub block: String,
    pub feature: String,
    pub in_process: bool,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default, rename_all = "camelCase")]
pub struct MethodRules {
    pub access: String,
    pub idempotent: bool,
    pub http: Vec<HttpRule>,
    pub positional: Vec<String>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpRule {
    pub verb: String,
    pub path: String,
    pub json_body: String,
    pub raw_body: String,
    pub query: Vec<Binding>,
    pub headers: Vec<Binding>,
    pub raw_response: String,
    pub response_headers: Vec<Binding>,
    pub required_response: String,
    pub missing_reason: String,
}

impl HttpRule {
    /// The fields in the path, in order.
    pub fn path_fields(&self) -> Vec<String> {
        self.path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
            .map(|field| field.trim_start_matches('*').to_owned())
            .collect()
    }
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub struct Binding {
    pub name: String,
    pub field: String,
    pub form: String,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub struct FieldRules {
    pub component: bool,
    pub resource: bool,
    pub required: bool,
    pub sensitive: bool,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub struct CategoryRules {
    pub grpc: i32,
    pub http: i32,
    pub retryable: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ReasonRules {
    name: String,
    category: String,
    grpc: i32,
    http: i32,
    retryable: Option<bool>,
    advice: String,
}

const OPTIONS: &str = "pillion.options.v1";

impl Contract {
    /// Reads the contract out of compiled protos.
    pub fn read(pool: &DescriptorPool) -> Result<Self> {
        let mut contract = Self {
            services: Vec::new(),
            messages: BTreeMap::new(),
            enums: BTreeMap::new(),
            categories: Vec::new(),
            reasons: Vec::new(),
        };
        let ours = |file: FileDescriptor| file.package_name().starts_with("pillion.") && file.package_name() != OPTIONS;
        for message in pool.all_messages().filter(|message| ours(message.parent_file()) && !message.is_map_entry()) {
            let message = Message::read(pool, &message)?;
            contract.messages.insert(message.full_name.clone(), message);
        }
        for descriptor in pool.all_enums().filter(|descriptor| ours(descriptor.parent_file())) {
            contract.enums.insert(descriptor.full_name().to_owned(), Enum::read(&descriptor));
        }
        for service in pool.services().filter(|service| ours(service.parent_file())) {
            contract.services.push(Service::read(pool, &service)?);
        }
        // Those that some builds lack come last, so that the places of the others never change.
        contract.services.sort_by_key(|service| (service.in_process, service.feature.is_some()));
        let methods = contract.services.iter_mut().flat_map(|service| &mut service.methods);
        methods.enumerate().for_each(|(index, method)| method.index = index);
        contract.read_errors(pool)?;
        Ok(contract)
    }

    fn read_errors(&mut self, pool: &DescriptorPool) -> Result<()> {
        let categories = pool.get_enum_by_name("pillion.common.v1.Category").context("no Category")?;
        for value in categories.values() {
            self.categories.push(Category {
                name: value.name().trim_start_matches("CATEGORY_").to_owned(),
                rules: rules(pool, "category", &value.options())?,
                doc: comment(&value.parent_file(), value.path()),
            });
        }
        let reasons = pool.get_enum_by_name("pillion.common.v1.Reason").context("no Reason")?;
        for value in reasons.values() {
            let rules: ReasonRules = rules(pool, "reason", &value.options())?;
            let category = self
                .categories
                .iter()
                .find(|category| category.name == rules.category)
                .with_context(|| format!("{}: unknown category `{}`", value.name(), rules.category))?;
            let or = |own: i32, inherited: i32| if own == 0 { inherited } else { own };
            self.reasons.push(Reason {
                constant: value.name().trim_start_matches("REASON_").to_owned(),
                name: rules.name,
                category: category.name.clone(),
                grpc: or(rules.grpc, category.rules.grpc),
                http: or(rules.http, category.rules.http),
                retryable: rules.retryable.unwrap_or(category.rules.retryable),
                advice: rules.advice,
                doc: comment(&value.parent_file(), value.path()),
            });
        }
        Ok(())
    }

    /// What no compiler checks: every method says who may call it and what it does, every rule
    /// names fields and reasons that exist.
    pub fn check(&self) -> Result<()> {
        let mut problems = Vec::new();
        for service in &self.services {
            if service.block.is_empty() {
                problems.push(format!("{}: no block", service.name));
            }
            if service.in_process && service.feature.is_none() {
                problems.push(format!("{}: on no socket, and yet in every build", service.name));
            }
            for method in &service.methods {
                let mut problem = |text: String| problems.push(format!("{}: {text}", method.path));
                if method.doc.is_empty() {
                    problem("no documentation".into());
                }
                if matches!(method.rules.access.as_str(), "" | "ACCESS_UNSPECIFIED") {
                    problem("no access".into());
                }
                for rule in &method.rules.http {
                    let inputs = rule.query.iter().chain(&rule.headers).map(|binding| &binding.field);
                    let paths = rule.path_fields();
                    for field in
                        inputs.chain(&paths).chain([&rule.raw_body].into_iter().filter(|field| !field.is_empty()))
                    {
                        if let Err(error) = self.resolve(&method.input, field) {
                            problem(error.to_string());
                        }
                    }
                    let outputs = rule.response_headers.iter().map(|binding| &binding.field);
                    let single = [&rule.raw_response, &rule.required_response];
                    for field in outputs.chain(single.into_iter().filter(|field| !field.is_empty())) {
                        if let Err(error) = self.resolve(&method.output, field) {
                            problem(error.to_string());
                        }
                    }
                    let known = self.reasons.iter().any(|reason| reason.name == rule.missing_reason);
                    if !rule.required_response.is_empty() && !known {
                        problem(format!("unknown reason `{}`", rule.missing_reason));
                    }
                }
            }
        }
        for reason in &self.reasons {
            if reason.doc.is_empty() || reason.advice.is_empty() {
                problems.push(format!("reason {}: no comment or no advice", reason.name));
            }
        }
        if !problems.is_empty() {
            bail!("the contract has holes:\n  {}", problems.join("\n  "));
        }
        Ok(())
    }

    /// The fields along a path such as `value.content_type`.
    pub fn resolve(&self, message: &str, path: &str) -> Result<Vec<&Field>> {
        let mut message = self.message(message)?;
        let mut fields = Vec::new();
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            let field = message.field(name).with_context(|| format!("{} has no field `{name}`", message.full_name))?;
            fields.push(field);
            if names.peek().is_some() {
                match &field.kind {
                    Kind::Message(inner) => message = self.message(inner)?,
                    _ => bail!("`{name}` of {} is not a message", message.full_name),
                }
            }
        }
        Ok(fields)
    }

    /// The cargo features that bring the messages of a package, any of them; `None` if they are always
    /// there.
    pub fn features(&self, package: &str) -> Option<Vec<&str>> {
        let services: Vec<_> = self.services.iter().filter(|service| service.package == package).collect();
        if services.is_empty() {
            return None;
        }
        services.into_iter().map(|service| service.feature.as_deref()).collect()
    }

    /// The services that sockets serve.
    pub fn served(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|service| !service.in_process)
    }

    /// The services that users meet, and the pages therefore describe.
    pub fn documented(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|service| service.in_process || service.feature.is_none())
    }

    /// The message of this full name.
    pub fn message(&self, full_name: &str) -> Result<&Message> {
        self.messages.get(full_name).with_context(|| format!("no message {full_name}"))
    }
}

impl Service {
    fn read(pool: &DescriptorPool, service: &ServiceDescriptor) -> Result<Self> {
        let rules: ServiceRules = rules(pool, "service", &service.options())?;
        Ok(Self {
            package: service.package_name().to_owned(),
            name: service.name().to_owned(),
            block: rules.block,
            feature: Some(rules.feature).filter(|feature| !feature.is_empty()),
            in_process: rules.in_process,
            doc: comment(&service.parent_file(), service.path()),
            methods: service.methods().map(|method| Method::read(pool, service, &method)).collect::<Result<_>>()?,
        })
    }

    /// What it is about: its comment, or its name where it has none.
    pub fn description(&self) -> String {
        if self.doc.is_empty() { format!("The building block `{}`.", self.block) } else { self.doc.clone() }
    }

    /// `State`: the stem of generated type names.
    pub fn stem(&self) -> &str {
        self.name.trim_end_matches("Service")
    }
}

impl Method {
    fn read(pool: &DescriptorPool, service: &ServiceDescriptor, method: &MethodDescriptor) -> Result<Self> {
        Ok(Self {
            name: method.name().to_owned(),
            path: format!("/{}/{}", service.full_name(), method.name()),
            input: method.input().full_name().to_owned(),
            output: method.output().full_name().to_owned(),
            shape: match (method.is_client_streaming(), method.is_server_streaming()) {
                (false, false) => Shape::Unary,
                (false, true) => Shape::ServerStream,
                (true, false) => Shape::ClientStream,
                (true, true) => Shape::Duplex,
            },
            rules: rules(pool, "method", &method.options())?,
            doc: comment(&method.parent_file(), method.path()),
            index: 0,
        })
    }

    /// `get_many`.
    pub fn snake(&self) -> String {
        self.name.to_snake_case()
    }

    /// `GET_MANY`.
    pub fn shouty(&self) -> String {
        self.name.to_shouty_snake_case()
    }

    /// Whether the requests are a stream.
    pub fn uploads(&self) -> bool {
        matches!(self.shape, Shape::ClientStream | Shape::Duplex)
    }

    /// Whether the answers are a stream.
    pub fn streams(&self) -> bool {
        matches!(self.shape, Shape::ServerStream | Shape::Duplex)
    }
}

impl Message {
    fn read(pool: &DescriptorPool, message: &MessageDescriptor) -> Result<Self> {
        Ok(Self {
            full_name: message.full_name().to_owned(),
            package: message.package_name().to_owned(),
            parents: parents(message.package_name(), message.full_name()),
            name: message.name().to_owned(),
            doc: comment(&message.parent_file(), message.path()),
            fields: message.fields().map(|field| Field::read(pool, &field)).collect::<Result<_>>()?,
        })
    }

    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Field {
    fn read(pool: &DescriptorPool, field: &FieldDescriptor) -> Result<Self> {
        let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic()).map(|oneof| oneof.name().to_owned());
        let (kind, label) = if field.is_map() {
            let FieldKind::Message(entry) = field.kind() else { bail!("{}: a map without entries", field.full_name()) };
            (kind(&entry.map_entry_value_field().kind())?, Label::Map(kind(&entry.map_entry_key_field().kind())?))
        } else {
            let kind = kind(&field.kind())?;
            let nested = matches!(kind, Kind::Message(_) | Kind::Timestamp | Kind::Duration);
            let label = match field.cardinality() {
                Cardinality::Repeated => Label::Repeated,
                _ if oneof.is_none() && (nested || field.supports_presence()) => Label::Optional,
                _ => Label::Single,
            };
            (kind, label)
        };
        Ok(Self {
            name: field.name().to_owned(),
            json_name: field.json_name().to_owned(),
            kind,
            label,
            oneof,
            rules: rules(pool, "field", &field.options())?,
            doc: comment(&field.parent_message().parent_file(), field.path()),
        })
    }
}

impl Enum {
    fn read(descriptor: &EnumDescriptor) -> Self {
        let prefix = format!("{}_", descriptor.name().to_shouty_snake_case());
        Self {
            full_name: descriptor.full_name().to_owned(),
            package: descriptor.package_name().to_owned(),
            parents: parents(descriptor.package_name(), descriptor.full_name()),
            name: descriptor.name().to_owned(),
            doc: comment(&descriptor.parent_file(), descriptor.path()),
            values: descriptor
                .values()
                .map(|value| EnumValue {
                    name: value.name().to_owned(),
                    short: value.name().trim_start_matches(&prefix).to_owned(),
                    number: value.number(),
                    doc: comment(&value.parent_file(), value.path()),
                })
                .collect(),
        }
    }
}

fn kind(kind: &FieldKind) -> Result<Kind> {
    Ok(match kind {
        FieldKind::Bool => Kind::Bool,
        FieldKind::Int32 | FieldKind::Sint32 | FieldKind::Sfixed32 => Kind::I32,
        FieldKind::Int64 | FieldKind::Sint64 | FieldKind::Sfixed64 => Kind::I64,
        FieldKind::Uint32 | FieldKind::Fixed32 => Kind::U32,
        FieldKind::Uint64 | FieldKind::Fixed64 => Kind::U64,
        FieldKind::Float => Kind::F32,
        FieldKind::Double => Kind::F64,
        FieldKind::String => Kind::String,
        FieldKind::Bytes => Kind::Bytes,
        FieldKind::Enum(descriptor) => Kind::Enum(descriptor.full_name().to_owned()),
        FieldKind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => Kind::Timestamp,
            "google.protobuf.Duration" => Kind::Duration,
            name if name.starts_with("pillion.") => Kind::Message(name.to_owned()),
            name => bail!("fields of type {name} are not part of the contract's vocabulary"),
        },
    })
}

fn parents(package: &str, full_name: &str) -> Vec<String> {
    let mut names: Vec<_> = full_name[package.len() + 1..].split('.').map(str::to_owned).collect();
    names.pop();
    names
}

fn rules<T: for<'de> Deserialize<'de> + Default>(
    pool: &DescriptorPool,
    extension: &str,
    options: &DynamicMessage,
) -> Result<T> {
    let extension = pool
        .get_extension_by_name(&format!("{OPTIONS}.{extension}"))
        .with_context(|| format!("no option `{extension}`"))?;
    if !options.has_extension(&extension) {
        return Ok(T::default());
    }
    let value = options.get_extension(&extension);
    let message = value.as_message().context("an option that is no message")?;
    Ok(serde_json::from_value(serde_json::to_value(message)?)?)
}

/// The comment in front of an element, as plain text.
fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    file.file_descriptor_proto()
        .source_code_info
        .iter()
        .flat_map(|info| &info.location)
        .find(|location| location.path == path)
        .and_then(|location| location.leading_comments.as_deref())
        .map(|comment| {
            comment.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect::<Vec<_>>().join("\n")
        })
        .unwrap_or_default()
        .trim()
        .to_owned()
}
