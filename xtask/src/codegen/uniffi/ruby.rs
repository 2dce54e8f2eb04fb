//! Ruby: the classes that programs call, the exceptions, and the driver's table of methods.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use heck::{ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};

use super::{Reach, enum_name, marked, record, record_of, variant};
use crate::codegen::Files;
use crate::codegen::binding::{Api, Binding, Call, Member, Parameter, members};
use crate::codegen::ir::{Contract, Field, Kind, Label, Service, Shape};

const LIBRARY: &str = "sdk-ffi/ruby/lib/pillion/gen";
const TESTS: &str = "sdk-ffi/ruby/test/gen";

/// As UniFFI has them: it puts an underscore before these.
const RESERVED: &[&str] = &[
    "alias", "and", "begin", "break", "case", "class", "def", "do", "else", "elsif", "end", "ensure", "false", "for",
    "if", "module", "next", "nil", "not", "or", "redo", "rescue", "retry", "return", "self", "super", "then", "true",
    "undef", "unless", "until", "when", "while", "yield",
];

/// Emits the generated part of the gem and of its tests.
pub fn emit(binding: &Binding<'_>) -> Result<Files> {
    let (library, tests) = (Path::new(LIBRARY), Path::new(TESTS));
    let public = Part::of(binding, &[], |service| service.feature.is_none())?;
    let kit = Part::of(binding, &[&public], |service| service.feature.is_some() && service.in_process)?;
    let hidden = Part::of(binding, &[&public, &kit], |service| service.feature.is_some() && !service.in_process)?;
    Ok(Files::from([
        (library.join("apis.rb"), marked("#", &public.apis()?)),
        (library.join("types.rb"), marked("#", &public.types()?)),
        (library.join("errors.rb"), marked("#", &errors(binding.contract)?)),
        (library.join("testing.rb"), marked("#", &kit.all()?)),
        (tests.join("apis.rb"), marked("#", &hidden.all()?)),
        (tests.join("methods.rb"), marked("#", &methods(binding)?)),
    ]))
}

/// The services of one file and the types that they bring.
struct Part<'a> {
    contract: &'a Contract,
    apis: Vec<&'a Api<'a>>,
    reach: Reach<'a>,
}

impl<'a> Part<'a> {
    /// Those services that `wanted` takes; types that the parts `before` bring are theirs.
    fn of(binding: &'a Binding<'a>, before: &[&Part<'_>], wanted: impl Fn(&Service) -> bool) -> Result<Self> {
        let apis: Vec<_> = binding.apis.iter().filter(|api| wanted(api.service)).collect();
        let mut reach = Reach::of(binding.contract, apis.iter().map(|api| api.service))?;
        for Part { reach: known, .. } in before {
            reach.messages.retain(|found| !known.messages.iter().any(|known| known.full_name == found.full_name));
            reach.enums.retain(|found| !known.enums.iter().any(|known| known.full_name == found.full_name));
        }
        Ok(Self { contract: binding.contract, apis, reach })
    }

    fn all(&self) -> Result<String> {
        Ok(self.apis()? + "\n" + &self.types()?)
    }

    fn apis(&self) -> Result<String> {
        let mut code = String::from("module Pillion\n  class Apis\n");
        for api in &self.apis {
            let (block, stem) = (&api.service.block, api.service.stem());
            writeln!(code, "    # @return [{stem}Api]\n    def {block}\n      {stem}Api.new(@ffi.{block})\n    end\n")?;
        }
        writeln!(code, "  end")?;
        for api in &self.apis {
            let service = api.service;
            let text = service.description();
            write!(code, "\n{}  class {}Api < Api\n", comment(2, &text), service.stem())?;
            for call in &api.methods {
                method(self.contract, service, call, &mut code)?;
            }
            writeln!(code, "  end")?;
        }
        writeln!(code, "end")?;
        Ok(code)
    }

    /// What there is to say about UniFFI's classes, and what they lack.
    fn types(&self) -> Result<String> {
        let mut code = String::from("module Pillion\n");
        for found in &self.reach.enums {
            write!(
                code,
                "{}  class {}\n    extend OpenEnum\n    include OpenEnum::Value\n\n    NAMES = {{\n",
                comment(2, &found.doc),
                enum_name(found)
            )?;
            for value in &found.values {
                let short = value.short.to_snake_case();
                writeln!(code, "      {short}: {},", variant(value).to_shouty_snake_case())?;
            }
            writeln!(code, "    }}.freeze\n  end\n")?;
        }
        for message in &self.reach.messages {
            let mut docs = comment(2, &message.doc);
            for member in members(message) {
                let shown = match &member {
                    Member::Field(field) => yard(self.contract, field)?,
                    Member::Oneof(oneof) => format!("{}, nil", super::union_name(message, oneof.name)),
                };
                let text = member.doc().replace('\n', "\n  ");
                let name = name(member.name());
                docs.push_str(&comment(2, format!("@!attribute [r] {name}\n  @return [{shown}] {text}").trim_end()));
            }
            writeln!(code, "{docs}  class {}\n    prepend Record\n  end\n", record(message))?;
        }
        writeln!(code, "end")?;
        Ok(code)
    }
}

fn name(name: &str) -> String {
    let name = name.to_snake_case();
    if RESERVED.contains(&name.as_str()) { format!("_{name}") } else { name }
}

/// A comment, `indent` spaces deep.
fn comment(indent: usize, text: &str) -> String {
    text.lines().map(|line| format!("{:indent$}# {line}", "").trim_end().to_owned() + "\n").collect()
}

/// A type as YARD writes it.
fn yard(contract: &Contract, field: &Field) -> Result<String> {
    let plain = |kind: &Kind| {
        Ok::<_, anyhow::Error>(match kind {
            Kind::Bool => "Boolean".into(),
            Kind::I32 | Kind::I64 | Kind::U32 | Kind::U64 => "Integer".into(),
            Kind::F32 | Kind::F64 => "Float".into(),
            Kind::String | Kind::Bytes => "String".into(),
            Kind::Timestamp => "Time".into(),
            Kind::Duration => "Numeric".into(),
            Kind::Message(name) => record_of(contract, name)?,
            Kind::Enum(name) => format!("{}, Symbol", enum_name(&contract.enums[name])),
        })
    };
    Ok(match &field.label {
        Label::Single => plain(&field.kind)?,
        Label::Optional => format!("{}, nil", plain(&field.kind)?),
        Label::Repeated => format!("Array<{}>", plain(&field.kind)?),
        Label::Map(key) => format!("Hash{{{} => {}}}", plain(key)?, plain(&field.kind)?),
    })
}

fn default(parameter: &Parameter<'_>) -> &'static str {
    let Member::Field(field) = &parameter.member else { return "nil" };
    match (&field.label, &field.kind) {
        (Label::Optional, _) => "nil",
        (Label::Repeated, _) => "[]",
        (Label::Map(_), _) => "{}",
        (Label::Single, Kind::String | Kind::Bytes) => "\"\"",
        (Label::Single, Kind::Bool) => "false",
        (Label::Single, Kind::F32 | Kind::F64) => "0.0",
        (Label::Single, Kind::Enum(_)) => ":unspecified",
        (Label::Single, _) => "0",
    }
}

/// What a parameter becomes in the record: enums may be given as symbols.
fn given(contract: &Contract, parameter: &Parameter<'_>) -> String {
    let name = name(parameter.member.name());
    match &parameter.member {
        Member::Field(Field { kind: Kind::Enum(found), label: Label::Single | Label::Optional, .. }) => {
            format!("{}.of({name})", enum_name(&contract.enums[found]))
        }
        _ => name,
    }
}

fn method(contract: &Contract, service: &Service, call: &Call<'_>, code: &mut String) -> Result<()> {
    let snake = call.method.snake();
    let answer = record(call.answer);
    let mut heads = Vec::new();
    let mut docs = String::new();
    for parameter in &call.parameters {
        let name = name(parameter.member.name());
        heads.push(match (parameter.positional, parameter.required) {
            (true, true) => name.clone(),
            (true, false) => format!("{name} = {}", default(parameter)),
            (false, _) => format!("{name}: {}", default(parameter)),
        });
        let shown = match &parameter.member {
            Member::Field(field) => yard(contract, field)?,
            Member::Oneof(oneof) => format!("{}, nil", super::union_name(call.request, oneof.name)),
        };
        let text = parameter.member.doc().replace('\n', "\n  ");
        docs.push_str(&comment(4, format!("@param {name} [{shown}] {text}").trim_end()));
    }
    heads.push("**call".into());
    let example: Vec<_> = call.positional().map(|p| name(p.member.name())).collect();
    let fields: Vec<_> =
        call.parameters.iter().map(|p| format!("{}: {}", name(p.member.name()), given(contract, p))).collect();
    let request = format!("{}.new({})", record(call.request), fields.join(", "));
    let (returned, body) = match call.method.shape {
        Shape::Unary => (
            answer.clone(),
            format!("      request = {request}\n      answer(call) {{ |options| @ffi.{snake}(request, options) }}\n"),
        ),
        Shape::ServerStream => (
            format!("Stream<{answer}>"),
            format!(
                "      request = {request}\n      Stream.over(perform(call) {{ |options| @ffi.{snake}(request, options) }}, &block)\n"
            ),
        ),
        Shape::ClientStream => (
            format!("Upload<{answer}>"),
            format!("      Upload.new(perform(call) {{ |options| @ffi.{snake}(options) }})\n"),
        ),
        Shape::Duplex => (
            format!("Conversation<{answer}>"),
            format!("      Conversation.new(perform(call) {{ |options| @ffi.{snake}(options) }})\n"),
        ),
    };
    if call.method.shape == Shape::ServerStream {
        heads.push("&block".into());
    }
    write!(
        code,
        "{}    #\n    # @example\n    #   p.apis.{}.{snake}({})\n{docs}    # @param call how this call differs: see {{Api#perform}}\n    # @return [{returned}]\n    # @raise [Error]\n    def {snake}({})\n{body}    end\n\n",
        comment(4, &call.method.doc),
        service.block,
        example.join(", "),
        heads.join(", "),
    )?;
    Ok(())
}

fn errors(contract: &Contract) -> Result<String> {
    let mut code = String::from("module Pillion\n");
    for category in contract.categories.iter().filter(|category| category.name != "UNSPECIFIED") {
        writeln!(code, "{}  class {} < Error; end\n", comment(2, &category.doc), category.name.to_upper_camel_case())?;
    }
    writeln!(code, "  # The class of each category.\n  ERRORS = {{")?;
    for category in contract.categories.iter().filter(|category| category.name != "UNSPECIFIED") {
        writeln!(code, "    {}: {},", category.name.to_snake_case(), category.name.to_upper_camel_case())?;
    }
    writeln!(code, "  }}.freeze\nend")?;
    Ok(code)
}

/// The driver's table: from JSON to a call of the classes above, and back.
fn methods(binding: &Binding<'_>) -> Result<String> {
    let mut code = String::from("METHODS = {\n");
    for api in &binding.apis {
        for call in &api.methods {
            let (block, snake) = (&api.service.block, call.method.snake());
            let (request, answer) = (record(call.request).to_snake_case(), record(call.answer).to_snake_case());
            let arguments: Vec<_> = call
                .parameters
                .iter()
                .map(|parameter| {
                    let name = name(parameter.member.name());
                    if parameter.positional { format!("r.{name}") } else { format!("{name}: r.{name}") }
                })
                .chain(["**call".into()])
                .collect();
            let shape = match call.method.shape {
                Shape::Unary => "unary",
                Shape::ServerStream => "download",
                Shape::ClientStream => "upload",
                Shape::Duplex => "conversation",
            };
            let read = match (call.method.uploads(), call.parameters.is_empty()) {
                (true, _) => String::new(),
                (false, true) => format!("Pillion.{request}_from_json(args); "),
                (false, false) => format!("r = Pillion.{request}_from_json(args); "),
            };
            writeln!(
                code,
                "  \"{block}.{}\" => Row.new(\n    :{shape},\n    ->(p, args, call) {{ {read}p.apis.{block}.{snake}({}) }},\n    ->(text) {{ Pillion.{request}_from_json(text) }},\n    ->(message) {{ Pillion.{answer}_to_json(message) }}\n  ),",
                call.method.snake(),
                arguments.join(", "),
            )?;
        }
    }
    writeln!(code, "}}.freeze")?;
    Ok(code)
}
