//! The HTTP interface as an OpenAPI 3.1 document: the RPC-style path of every method and its
//! REST-shaped bindings.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::ir::{Binding, Contract, Field, HttpRule, Kind, Label, Method, Service};
use super::{Compiled, Files};

/// Emits `proto/src/gen/openapi.json`.
pub fn emit(contract: &Contract, _: &Compiled) -> Result<Files> {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    schemas.insert("Problem".into(), problem());
    for service in contract.served().filter(|service| service.feature.is_none()) {
        for method in &service.methods {
            for rule in &method.rules.http {
                let path = rule.path.replace("{*", "{");
                insert(&mut paths, &path, &rule.verb, rest(contract, service, method, rule)?);
            }
            insert(&mut paths, &method.path, "POST", rpc(contract, service, method)?);
            reference(contract, &method.input, &mut schemas)?;
            reference(contract, &method.output, &mut schemas)?;
        }
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Pillion",
            "version": "v1",
            "description": "Every method answers at `POST /package.Service/Method` with proto3 JSON; some also at the paths below. Errors are RFC 9457 problems.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {"Problem": {
                "description": "An error",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }},
        },
    });
    let text = format!("{}\n", serde_json::to_string_pretty(&document)?);
    Ok(Files::from([("proto/src/gen/openapi.json".into(), text.into_bytes())]))
}

fn insert(paths: &mut Map<String, Value>, path: &str, verb: &str, operation: Value) {
    let item = paths.entry(path).or_insert_with(|| json!({}));
    if let Value::Object(item) = item {
        item.insert(verb.to_lowercase(), operation);
    }
}

fn operation(service: &Service, method: &Method, id: &str) -> Map<String, Value> {
    let mut operation = Map::new();
    operation.insert("operationId".into(), format!("{}.{}{id}", service.block, method.snake()).into());
    operation.insert("tags".into(), json!([service.block]));
    operation.insert("summary".into(), method.doc.split(". ").next().unwrap_or_default().replace('\n', " ").into());
    operation.insert("description".into(), method.doc.clone().into());
    let security = if method.rules.access == "ACCESS_PUBLIC" { json!([]) } else { json!([{"token": []}, {}]) };
    operation.insert("security".into(), security);
    operation
}

fn rpc(contract: &Contract, service: &Service, method: &Method) -> Result<Value> {
    let input = contract.message(&method.input)?;
    let output = contract.message(&method.output)?;
    let mut operation = operation(service, method, "");
    let request_type = if method.uploads() { "application/jsonl" } else { "application/json" };
    operation.insert(
        "requestBody".into(),
        json!({"required": true, "content": {request_type: {"schema": schema_reference(&input.full_name)}}}),
    );
    operation.insert("responses".into(), responses(method, &schema_reference(&output.full_name)));
    Ok(operation.into())
}

fn rest(contract: &Contract, service: &Service, method: &Method, rule: &HttpRule) -> Result<Value> {
    let mut operation = operation(service, method, ".rest");
    let mut parameters = Vec::new();
    for name in rule.path_fields() {
        let field = &contract.resolve(&method.input, &name)?;
        parameters.push(parameter(contract, &name, "path", field[field.len() - 1], true));
    }
    for (place, bindings) in [("query", &rule.query), ("header", &rule.headers)] {
        for binding in bindings.iter().filter(|binding| binding.name != "content-type") {
            let field = contract.resolve(&method.input, &binding.field)?;
            parameters.push(parameter(contract, &binding.name, place, field[field.len() - 1], false));
        }
    }
    operation.insert("parameters".into(), parameters.into());
    if !rule.raw_body.is_empty() {
        operation.insert("requestBody".into(), json!({"required": true, "content": {"*/*": {"schema": {}}}}));
    } else if !rule.json_body.is_empty() {
        operation.insert("requestBody".into(), json!({"content": {"application/json": {"schema": {}}}}));
    }
    let mut answers = if rule.raw_response.is_empty() {
        responses(method, &schema_reference(&method.output))
    } else {
        responses_of("*/*", &json!({}))
    };
    if let Some(ok) = answers.get_mut("200").and_then(Value::as_object_mut)
        && !rule.response_headers.is_empty()
    {
        ok.insert("headers".into(), headers(&rule.response_headers));
    }
    operation.insert("responses".into(), answers);
    Ok(operation.into())
}

fn headers(bindings: &[Binding]) -> Value {
    let headers: Map<_, _> = bindings
        .iter()
        .filter(|binding| binding.name != "content-type")
        .map(|binding| (binding.name.clone(), json!({"schema": {"type": "string"}})))
        .collect();
    headers.into()
}

fn parameter(contract: &Contract, name: &str, place: &str, field: &Field, required: bool) -> Value {
    let schema = match &field.kind {
        Kind::Message(_) => json!({"const": "*"}),
        kind => schema_of(contract, kind),
    };
    json!({"name": name, "in": place, "required": required, "description": field.doc, "schema": schema})
}

fn responses(method: &Method, schema: &Value) -> Value {
    if !method.streams() {
        return responses_of("application/json", schema);
    }
    let mut answers = responses_of("application/jsonl", schema);
    if let Some(content) = answers.pointer_mut("/200/content").and_then(Value::as_object_mut) {
        content.insert("text/event-stream".into(), json!({"schema": schema}));
    }
    answers
}

fn responses_of(kind: &str, schema: &Value) -> Value {
    json!({
        "200": {"description": "The answer", "content": {kind: {"schema": schema}}},
        "default": {"$ref": "#/components/responses/Problem"},
    })
}

fn schema_reference(full_name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{}", schema_name(full_name))})
}

fn schema_name(full_name: &str) -> String {
    full_name.trim_start_matches("pillion.").to_owned()
}

/// Adds the schema of a message and of all it refers to.
fn reference(contract: &Contract, full_name: &str, schemas: &mut Map<String, Value>) -> Result<()> {
    let name = schema_name(full_name);
    if schemas.contains_key(&name) {
        return Ok(());
    }
    let message = contract.message(full_name)?;
    schemas.insert(name.clone(), Value::Null);
    let mut properties = Map::new();
    for field in &message.fields {
        if let Kind::Message(inner) = &field.kind {
            reference(contract, inner, schemas)?;
        }
        let mut schema = schema_of(contract, &field.kind);
        match &field.label {
            Label::Repeated => schema = json!({"type": "array", "items": schema}),
            Label::Map(_) => schema = json!({"type": "object", "additionalProperties": schema}),
            Label::Single | Label::Optional => {}
        }
        if let (false, Value::Object(schema)) = (field.doc.is_empty(), &mut schema) {
            schema.insert("description".into(), field.doc.clone().into());
        }
        properties.insert(field.json_name.clone(), schema);
    }
    let required: Vec<_> =
        message.fields.iter().filter(|field| field.rules.required).map(|field| field.json_name.clone()).collect();
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if let Value::Object(fields) = &mut schema {
        if !message.doc.is_empty() {
            fields.insert("description".into(), message.doc.clone().into());
        }
        if !required.is_empty() {
            fields.insert("required".into(), required.into());
        }
    }
    schemas.insert(name, schema);
    Ok(())
}

/// The schema of a kind in proto3 JSON.
fn schema_of(contract: &Contract, kind: &Kind) -> Value {
    match kind {
        Kind::Bool => json!({"type": "boolean"}),
        Kind::I32 => json!({"type": "integer", "format": "int32"}),
        Kind::U32 => json!({"type": "integer", "format": "int32", "minimum": 0}),
        Kind::I64 => json!({"type": "string", "format": "int64"}),
        Kind::U64 => json!({"type": "string", "format": "uint64"}),
        Kind::F32 => json!({"type": "number", "format": "float"}),
        Kind::F64 => json!({"type": "number", "format": "double"}),
        Kind::String => json!({"type": "string"}),
        Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
        Kind::Timestamp => json!({"type": "string", "format": "date-time"}),
        Kind::Duration => json!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$"}),
        Kind::Message(name) => schema_reference(name),
        Kind::Enum(name) => {
            let names: Vec<_> = contract.enums[name].values.iter().map(|value| value.name.clone()).collect();
            json!({"type": "string", "enum": names})
        }
    }
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457, with the fields of pillion.common.v1.Error",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "reason": {"type": "string", "description": "The code; `pillion explain` knows each"},
            "category": {"type": "string"},
            "outcome": {"type": "string", "enum": ["rejected", "unknown"]},
            "retryable": {"type": "boolean"},
            "component": {"type": "string"},
            "advice": {"type": "string"},
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
            "retryAfter": {"type": "string"},
        },
        "required": ["type", "title", "status", "detail", "reason", "category", "outcome", "retryable"],
    })
}
