//! The contract as language bindings see it: what is common to all of them and part of no one
//! language.
//!
//! A binding offers every method of every service, takes the fields of a request as parameters, and
//! has a class for every message and enum that can be reached from there. The rules that decide this
//! stand here once; an emitter of a language only spells the result.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use heck::{ToSnakeCase, ToUpperCamelCase};

use super::ir::{Contract, Enum, Field, Kind, Label, Message, Method, Service};

/// The message that every binding shows as its exception, not as a class of its own.
pub const ERROR: &str = "pillion.common.v1.Error";

/// The module of what blocks share.
pub const COMMON: &str = "common";

/// The whole contract for bindings.
pub struct Binding<'a> {
    /// What the model was made of.
    pub contract: &'a Contract,
    /// In the order of the contract.
    pub apis: Vec<Api<'a>>,
    /// The types by the block that they belong to: `common` first, then in the order of the services.
    pub modules: Vec<Module<'a>>,
}

/// A service and its methods.
pub struct Api<'a> {
    /// As in the contract.
    pub service: &'a Service,
    /// In the order of the proto.
    pub methods: Vec<Call<'a>>,
}

/// A method as a function.
pub struct Call<'a> {
    /// As in the contract.
    pub method: &'a Method,
    /// The request. Where the requests are a stream, its class is part of the binding; otherwise only
    /// its [parameters](Self::parameters) are.
    pub request: &'a Message,
    /// The answer, or each one of a stream.
    pub answer: &'a Message,
    /// The request's members: positional ones first, in their order, then the others as declared.
    /// Empty where the requests are a stream.
    pub parameters: Vec<Parameter<'a>>,
}

/// A parameter of a function.
pub struct Parameter<'a> {
    /// What it sets.
    pub member: Member<'a>,
    /// Whether it may be given by place; all others only by name.
    pub positional: bool,
    /// Whether it has to be given. All others have the default of their [`Member`].
    pub required: bool,
}

/// A part of a message: a field, or a group of which one can be set.
#[derive(Clone)]
pub enum Member<'a> {
    /// A field that is in no oneof.
    Field(&'a Field),
    /// A tagged union. Its default is that none is set.
    Oneof(Oneof<'a>),
}

/// A tagged union.
#[derive(Clone)]
pub struct Oneof<'a> {
    /// `kind`, as in the proto.
    pub name: &'a str,
    /// Its variants, as declared.
    pub fields: Vec<&'a Field>,
}

/// The types of one block, or those that blocks share.
pub struct Module<'a> {
    /// `state`; `common` for what blocks share.
    pub block: &'a str,
    /// The cargo feature without which its types are not there.
    pub feature: Option<&'a str>,
    /// What can be reached from a method, in an order in which types come after those they hold, as
    /// far as the contract has no circles.
    pub messages: Vec<&'a Message>,
    /// What can be reached from a method, by name.
    pub enums: Vec<&'a Enum>,
}

impl<'a> Binding<'a> {
    /// Makes the model of a contract.
    pub fn of(contract: &'a Contract) -> Result<Self> {
        let apis = contract.services.iter().map(|service| Api::of(contract, service)).collect::<Result<Vec<_>>>()?;
        let mut reached = Reached::default();
        let mut modules = vec![Module { block: COMMON, feature: None, messages: Vec::new(), enums: Vec::new() }];
        for api in &apis {
            for call in &api.methods {
                reached.message(contract, &call.answer.full_name)?;
                if call.method.uploads() {
                    reached.message(contract, &call.request.full_name)?;
                } else {
                    reached.fields(contract, call.request)?;
                }
            }
            let (service, found) = (api.service, reached.take(contract));
            let own = |package: &str| package == service.package;
            let (messages, shared) = found.messages.into_iter().partition(|message: &&Message| own(&message.package));
            let (enums, shared_enums) = found.enums.into_iter().partition(|found: &&Enum| own(&found.package));
            modules[0].messages.extend::<Vec<_>>(shared);
            modules[0].enums.extend::<Vec<_>>(shared_enums);
            modules.push(Module { block: &service.block, feature: service.feature.as_deref(), messages, enums });
        }
        Ok(Self { contract, apis, modules })
    }

    /// The enum of this full name.
    pub fn enumeration(&self, full_name: &str) -> Result<&'a Enum> {
        self.contract.enums.get(full_name).with_context(|| format!("no enum {full_name}"))
    }

    /// The module that has the message or enum of this full name.
    pub fn module_of(&self, full_name: &str) -> Result<&Module<'a>> {
        self.modules.iter().find(|module| module.has(full_name)).with_context(|| format!("no method has {full_name}"))
    }

    /// `StateEntry`: a name that is unique in the contract, for languages with one name space. What
    /// blocks share has no prefix.
    pub fn flat_name(&self, full_name: &str) -> Result<String> {
        let module = self.module_of(full_name)?;
        let message = module.messages.iter().find(|message| message.full_name == full_name);
        let name = match message {
            Some(message) => message.joined_name(),
            None => self.enumeration(full_name)?.joined_name(),
        };
        Ok(if module.block == COMMON { name } else { module.block.to_upper_camel_case() + &name })
    }
}

impl Module<'_> {
    fn has(&self, full_name: &str) -> bool {
        self.messages.iter().any(|message| message.full_name == full_name)
            || self.enums.iter().any(|found| found.full_name == full_name)
    }
}

impl<'a> Api<'a> {
    fn of(contract: &'a Contract, service: &'a Service) -> Result<Self> {
        let methods = service.methods.iter().map(|method| Call::of(contract, method)).collect::<Result<_>>()?;
        Ok(Self { service, methods })
    }
}

impl<'a> Call<'a> {
    fn of(contract: &'a Contract, method: &'a Method) -> Result<Self> {
        let request = contract.message(&method.input)?;
        let answer = contract.message(&method.output)?;
        let parameters = if method.uploads() { Vec::new() } else { parameters(method, request)? };
        Ok(Self { method, request, answer, parameters })
    }

    /// The parameters that languages take without a name, in their order.
    pub fn positional(&self) -> impl Iterator<Item = &Parameter<'a>> {
        self.parameters.iter().filter(|parameter| parameter.positional)
    }
}

fn parameters<'a>(method: &Method, request: &'a Message) -> Result<Vec<Parameter<'a>>> {
    let mut members = members(request);
    let mut parameters = Vec::with_capacity(members.len());
    for name in &method.rules.positional {
        let at = members.iter().position(|member| member.name() == name);
        let member = members.remove(at.with_context(|| format!("{}: no field `{name}`", method.path))?);
        let required = member.required();
        if required && parameters.iter().any(|earlier: &Parameter<'_>| !earlier.required) {
            bail!("{}: `{name}` is required and stands behind one that is not", method.path);
        }
        parameters.push(Parameter { member, positional: true, required });
    }
    // A field that is required and has no place is still checked by the runtime, which says so better.
    parameters.extend(members.into_iter().map(|member| Parameter { member, positional: false, required: false }));
    Ok(parameters)
}

/// The members of a message, as declared; a oneof stands where its first field does.
pub fn members(message: &Message) -> Vec<Member<'_>> {
    let mut members: Vec<Member<'_>> = Vec::new();
    for field in &message.fields {
        let Some(name) = &field.oneof else {
            members.push(Member::Field(field));
            continue;
        };
        let group = members.iter_mut().find_map(|member| match member {
            Member::Oneof(oneof) if oneof.name == name => Some(oneof),
            Member::Oneof(_) | Member::Field(_) => None,
        });
        match group {
            Some(oneof) => oneof.fields.push(field),
            None => members.push(Member::Oneof(Oneof { name, fields: vec![field] })),
        }
    }
    members
}

impl<'a> Member<'a> {
    /// `content_type`, as in the proto.
    pub fn name(&self) -> &'a str {
        match self {
            Self::Field(field) => &field.name,
            Self::Oneof(oneof) => oneof.name,
        }
    }

    /// The comment in the proto; that of a oneof is made of its fields'.
    pub fn doc(&self) -> String {
        match self {
            Self::Field(field) => field.doc.clone(),
            Self::Oneof(oneof) => {
                let names: Vec<_> = oneof.fields.iter().map(|field| format!("`{}`", field.name)).collect();
                format!("One of {}, or none.", names.join(", "))
            }
        }
    }

    fn required(&self) -> bool {
        matches!(self, Self::Field(field) if field.rules.required)
    }
}

/// What methods can be given or give.
#[derive(Default)]
struct Reached {
    /// By full name, held ones before those that hold them; empty again after [`take`](Self::take).
    messages: Vec<String>,
    enums: Vec<String>,
    /// All that was ever reached.
    seen: BTreeSet<String>,
}

/// What was reached since the last time.
struct Found<'a> {
    messages: Vec<&'a Message>,
    enums: Vec<&'a Enum>,
}

impl Reached {
    fn message(&mut self, contract: &Contract, full_name: &str) -> Result<()> {
        if full_name == ERROR || !self.seen.insert(full_name.to_owned()) {
            return Ok(());
        }
        self.fields(contract, contract.message(full_name)?)?;
        self.messages.push(full_name.to_owned());
        Ok(())
    }

    fn fields(&mut self, contract: &Contract, message: &Message) -> Result<()> {
        for field in &message.fields {
            match &field.kind {
                Kind::Message(name) => self.message(contract, name)?,
                Kind::Enum(name) if self.seen.insert(name.clone()) => self.enums.push(name.clone()),
                _ => {}
            }
        }
        Ok(())
    }

    fn take<'a>(&mut self, contract: &'a Contract) -> Found<'a> {
        let mut enums = std::mem::take(&mut self.enums);
        enums.sort();
        Found {
            messages: self.messages.drain(..).filter_map(|name| contract.messages.get(&name)).collect(),
            enums: enums.iter().filter_map(|name| contract.enums.get(name)).collect(),
        }
    }
}

impl Message {
    /// `ActRequestAct`: the name with those it is nested in, unique in its module.
    pub fn joined_name(&self) -> String {
        self.parents.concat() + &self.name
    }
}

impl Enum {
    /// As [`Message::joined_name`].
    pub fn joined_name(&self) -> String {
        self.parents.concat() + &self.name
    }
}

impl Field {
    /// The message that it holds, once or more, unless that is an error.
    pub fn message(&self) -> Option<&str> {
        match &self.kind {
            Kind::Message(name) if name != ERROR => Some(name),
            _ => None,
        }
    }

    /// Whether it holds an error, which bindings show as their exception.
    pub fn is_error(&self) -> bool {
        matches!(&self.kind, Kind::Message(name) if name == ERROR)
    }

    /// Whether it may be absent outside of a oneof.
    pub fn is_optional(&self) -> bool {
        self.label == Label::Optional
    }

    /// `Chunk`: the variant that it is in its oneof.
    pub fn variant(&self) -> String {
        self.name.to_upper_camel_case()
    }

    /// As in Rust structs, where keywords are escaped.
    pub fn rust_name(&self) -> String {
        rust_name(&self.name)
    }
}

/// A name as prost spells it: `type` is `r#type`.
pub fn rust_name(name: &str) -> String {
    let name = name.to_snake_case();
    if syn::parse_str::<syn::Ident>(&name).is_ok() { name } else { format!("r#{name}") }
}
