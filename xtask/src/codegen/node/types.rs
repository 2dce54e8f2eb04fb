//! The types, with documentation.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Result, ensure};
use heck::ToUpperCamelCase;

use super::super::Files;
use super::super::binding::{Api, Binding, Call, Member, Oneof, Parameter, members};
use super::super::ir::{Enum, Field, Kind, Label, Message, Shape};
use super::scope::Scope;
use super::{comment, function, property, respelled, script, source};

/// Emits `sdk-node/lib/gen/{BLOCK,apis}.d.ts`.
pub fn emit(binding: &Binding<'_>, scope: &Scope<'_>) -> Result<Files> {
    let folder = Path::new("sdk-node/lib/gen");
    let mut files = Files::new();
    for file in scope.files().into_keys() {
        let mut page = Page { binding, scope, file, imports: BTreeSet::new() };
        let code = page.write()?;
        files.insert(folder.join(format!("{file}.d.ts")), source(code));
    }
    files.insert(folder.join("apis.d.ts"), source(apis(binding)?));
    Ok(files)
}

/// Which way a value goes: the types of answers have everything, those of requests what has to be given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

struct Page<'a, 'b> {
    binding: &'b Binding<'a>,
    scope: &'b Scope<'a>,
    file: &'b str,
    imports: BTreeSet<String>,
}

impl Page<'_, '_> {
    fn write(&mut self) -> Result<String> {
        let mut body = String::new();
        for found in self.scope.enums(self.file) {
            body += &enumeration(found)?;
        }
        for message in self.scope.messages(self.file) {
            if self.scope.written.contains(&message.full_name) {
                body += &self.interface(message, Way::Out)?;
            }
            if self.scope.given.contains(&message.full_name) {
                body += &self.interface(message, Way::In)?;
            }
        }
        if let Some(api) = self.binding.apis.iter().find(|api| api.service.block == self.file) {
            body += &self.api(api)?;
        }
        let imports: String = self.imports.iter().map(|import| format!("{import}\n")).collect();
        Ok(format!("{imports}{body}"))
    }

    fn import(&mut self, what: &str, from: &str) {
        self.imports.insert(format!("import type {what} from \"{from}\";"));
    }

    /// `Entry` here, `state.Entry` elsewhere.
    fn named(&mut self, full_name: &str, name: String) -> String {
        let home = self.scope.home(full_name);
        if home == self.file {
            return name;
        }
        let home = home.to_owned();
        self.import(&format!("* as {home}"), &format!("./{home}.js"));
        format!("{home}.{name}")
    }

    /// The name of a message's type. One that goes both ways has two.
    fn message(&self, message: &Message, way: Way) -> String {
        let both = way == Way::In && self.scope.written.contains(&message.full_name);
        format!("{}{}", message.joined_name(), if both { "Init" } else { "" })
    }

    fn kind(&mut self, kind: &Kind, way: Way) -> Result<String> {
        Ok(match kind {
            Kind::Bool => "boolean".into(),
            Kind::I32 | Kind::U32 | Kind::F32 | Kind::F64 => "number".into(),
            Kind::I64 | Kind::U64 if way == Way::In => "bigint | number".into(),
            Kind::I64 | Kind::U64 => "bigint".into(),
            Kind::String => "string".into(),
            Kind::Bytes if way == Way::In => "Uint8Array".into(),
            Kind::Bytes => "Buffer".into(),
            Kind::Timestamp => {
                self.import("{ Timestamp }", "../time.js");
                "Timestamp".into()
            }
            Kind::Duration => {
                self.import("{ Milliseconds }", "../time.js");
                "Milliseconds".into()
            }
            Kind::Message(name) => {
                let message = self.binding.contract.message(name)?;
                let shown = self.message(message, way);
                self.named(name, shown)
            }
            Kind::Enum(name) => {
                let shown = self.binding.enumeration(name)?.joined_name();
                self.named(name, shown)
            }
        })
    }

    fn field(&mut self, field: &Field, way: Way) -> Result<String> {
        if field.is_error() {
            self.import("{ PillionError }", "../error.js");
            return Ok("PillionError".into());
        }
        let kind = self.kind(&field.kind, way)?;
        Ok(match &field.label {
            Label::Single | Label::Optional => kind,
            Label::Repeated => {
                let readonly = if way == Way::In { "readonly " } else { "" };
                if kind.contains(' ') { format!("{readonly}({kind})[]") } else { format!("{readonly}{kind}[]") }
            }
            Label::Map(key) => {
                let key = match key {
                    Kind::I32 | Kind::U32 => "number",
                    _ => "string",
                };
                format!(
                    "{}Record<{key}, {kind}>{}",
                    if way == Way::In { "Readonly<" } else { "" },
                    if way == Way::In { ">" } else { "" }
                )
            }
        })
    }

    fn oneof(&mut self, oneof: &Oneof<'_>, way: Way, indent: &str) -> Result<String> {
        let mut code = String::new();
        for field in &oneof.fields {
            let kind = self.field(field, way)?;
            write!(code, "\n{}", comment(&field.doc, &format!("{indent}  ")))?;
            write!(code, "{indent}  | {{ case: {:?}; value: {kind} }}", field.json_name)?;
        }
        Ok(code)
    }

    /// `key: string`, and so on.
    fn member(&mut self, member: &Member<'_>, way: Way) -> Result<String> {
        let name = property(member);
        match member {
            Member::Field(field) => {
                let absent = match way {
                    Way::In => !field.rules.required,
                    Way::Out => field.label == Label::Optional,
                };
                let kind = self.field(field, way)?;
                let doc = field_doc(field);
                Ok(format!("{}  {name}{}: {kind};\n", comment(&doc, "  "), if absent { "?" } else { "" }))
            }
            Member::Oneof(oneof) => {
                let kind = self.oneof(oneof, way, "  ")?;
                Ok(format!("  {name}?:{kind};\n"))
            }
        }
    }

    fn interface(&mut self, message: &Message, way: Way) -> Result<String> {
        let name = self.message(message, way);
        let mut doc = message.doc.clone();
        if way == Way::In && self.scope.written.contains(&message.full_name) {
            doc = format!(
                "{doc}\n\nAs it is given: what is left out has its default. See {{@link {}}}.",
                message.joined_name()
            );
        }
        if message.fields.is_empty() {
            return Ok(format!("\n{}export type {name} = Record<string, never>;\n", comment(doc.trim(), "")));
        }
        let mut code = format!("\n{}export interface {name} {{\n", comment(doc.trim(), ""));
        for member in members(message) {
            code += &self.member(&member, way)?;
        }
        code += "}\n";
        Ok(code)
    }

    fn api(&mut self, api: &Api<'_>) -> Result<String> {
        self.import("{ Api, CallOptions }", "../api.js");
        let mut interfaces = String::new();
        let mut methods = Vec::new();
        for call in &api.methods {
            let options = self.options(call, &mut interfaces)?;
            methods.push(self.method(api, call, &options)?);
        }
        let doc = match api.service.doc.as_str() {
            "" => format!("The building block `{}`, as it is in the contract.", api.service.block),
            doc => doc.to_owned(),
        };
        Ok(format!(
            "{interfaces}\n{}export declare class {}Api extends Api {{\n{}}}\n",
            comment(&doc, ""),
            api.service.stem(),
            methods.join("\n")
        ))
    }

    /// The type of a method's last parameter.
    fn options(&mut self, call: &Call<'_>, interfaces: &mut String) -> Result<String> {
        let named: Vec<_> = call.parameters.iter().filter(|parameter| !parameter.positional).collect();
        if named.is_empty() {
            return Ok("CallOptions".into());
        }
        let name = format!("{}Options", call.method.name);
        let taken = self.scope.messages(self.file).iter().any(|message| message.joined_name() == name);
        ensure!(!taken, "{}: there is a message called {name}", call.method.path);
        writeln!(interfaces, "\n/** What `{}` can be given by name. */", function(call.method))?;
        writeln!(interfaces, "export interface {name} extends CallOptions {{")?;
        for parameter in named {
            *interfaces += &self.member(&parameter.member, Way::In)?;
        }
        writeln!(interfaces, "}}")?;
        Ok(name)
    }

    fn parameter(&mut self, parameter: &Parameter<'_>) -> Result<String> {
        let kind = match &parameter.member {
            Member::Field(field) => self.field(field, Way::In)?,
            Member::Oneof(oneof) => self.oneof(oneof, Way::In, "  ")?,
        };
        let optional = if parameter.required { "" } else { "?" };
        Ok(format!("{}{optional}: {kind}, ", property(&parameter.member)))
    }

    fn method(&mut self, api: &Api<'_>, call: &Call<'_>, options: &str) -> Result<String> {
        let name = function(call.method);
        let answer = self.message(call.answer, Way::Out);
        let answer = self.named(&call.answer.full_name, answer);
        let request = self.message(call.request, Way::In);
        let request = self.named(&call.request.full_name, request);
        let positional: Vec<_> = call.positional().collect();
        let parameters = positional.iter().map(|parameter| self.parameter(parameter)).collect::<Result<String>>()?;
        if call.method.uploads() {
            self.import("{ Messages }", "../stream.js");
        }
        if call.method.streams() {
            self.import("{ MessageStream }", "../stream.js");
        }
        let signature = match call.method.shape {
            Shape::Unary => format!("{name}({parameters}options?: {options}): Promise<{answer}>;"),
            Shape::ServerStream => format!("{name}({parameters}options?: {options}): MessageStream<{answer}>;"),
            Shape::ClientStream => {
                format!("{name}(requests: Messages<{request}>, options?: {options}): Promise<{answer}>;")
            }
            Shape::Duplex => {
                format!("{name}(requests: Messages<{request}>, options?: {options}): MessageStream<{answer}>;")
            }
        };
        Ok(format!("{}  {signature}\n", comment(&method_doc(api, call), "  ")))
    }
}

fn field_doc(field: &Field) -> String {
    let unit = match (&field.kind, field.doc.is_empty()) {
        (Kind::Duration, true) => "In milliseconds.",
        (Kind::Duration, false) => " In milliseconds.",
        _ => "",
    };
    format!("{}{unit}", field.doc)
}

/// The documentation of a method, with the call as it is written.
fn method_doc(api: &Api<'_>, call: &Call<'_>) -> String {
    let mut doc = respelled(&call.method.doc);
    doc.push('\n');
    let positional: Vec<_> = call.positional().collect();
    for parameter in &positional {
        let text = match &parameter.member {
            Member::Field(field) => field_doc(field).replace('\n', " "),
            Member::Oneof(_) => parameter.member.doc(),
        };
        if !text.is_empty() {
            doc += &format!("\n@param {} - {text}", property(&parameter.member));
        }
    }
    let given: Vec<_> = positional.iter().map(|parameter| property(&parameter.member)).collect();
    let callee = format!("p.apis.{}.{}", api.service.block, function(call.method));
    let example = match call.method.shape {
        Shape::Unary => format!("const answer = await {callee}({});", given.join(", ")),
        Shape::ServerStream => {
            format!("for await (const message of {callee}({})) {{\n  console.log(message);\n}}", given.join(", "))
        }
        Shape::ClientStream => format!("const answer = await {callee}(requests);"),
        Shape::Duplex => format!("for await (const message of {callee}(requests)) {{\n  console.log(message);\n}}"),
    };
    format!("{}\n\n@example\n```js\n{example}\n```", doc.trim_end())
}

fn enumeration(found: &Enum) -> Result<String> {
    let name = found.joined_name();
    let mut code = format!("\n{}export declare const {name}: {{\n", comment(&found.doc, ""));
    for value in &found.values {
        write!(code, "{}", comment(&value.doc, "  "))?;
        writeln!(code, "  readonly {}: {:?};", value.short.to_upper_camel_case(), value.short.to_lowercase())?;
    }
    let values: Vec<_> = found.values.iter().map(|value| format!("{:?}", value.short.to_lowercase())).collect();
    write!(
        code,
        "}};\n\n{}",
        comment(&format!("{}\n\nA number is a value that this version does not know.", found.doc), "")
    )?;
    writeln!(code, "export type {name} = {} | number;", values.join(" | "))?;
    Ok(code)
}

fn apis(binding: &Binding<'_>) -> Result<String> {
    let mut code = String::new();
    for api in script::always(binding) {
        writeln!(code, "import type {{ {}Api }} from \"./{}.js\";", api.service.stem(), api.service.block)?;
    }
    writeln!(
        code,
        "\n/** Every API of a runtime, complete and as it is in the contract. */\nexport declare class Apis {{"
    )?;
    for api in script::always(binding) {
        let line = api.service.doc.lines().next().unwrap_or_default();
        write!(code, "{}", comment(line, "  "))?;
        writeln!(code, "  readonly {}: {}Api;", api.service.block, api.service.stem())?;
    }
    writeln!(code, "}}")?;
    Ok(code)
}
