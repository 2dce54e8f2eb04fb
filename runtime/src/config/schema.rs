//! The JSON Schema of the configuration file, for editors and for `pillion schema`.
//!
//! It accepts what the loader accepts. So it says more than the types do: variables may stand for
//! numbers, a section may be empty, and a key never has `null` as its value.

use pillion_spi::Registry;
use pillion_spi::registry::StateType;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::model::File;
use super::value::{KeyPrefixText, NAME_PATTERN};

/// The name of the definition that stands for text with a variable in it.
const VARIABLE: &str = "Variable";

/// The schema of a whole file, with the component types of `registry`.
pub fn schema(registry: &Registry) -> Value {
    let mut root = generate::<File>();
    let types: Vec<_> = registry.state_types().map(|kind| kind.name()).collect();
    let mut cases = Vec::new();
    let mut definitions = Map::new();
    for kind in registry.state_types() {
        let mut component = component(kind);
        // Definitions of two components may have the same name.
        for (name, mut definition) in take_definitions(&mut component) {
            rename_references(&mut definition, kind.name());
            definitions.insert(definition_name(kind.name(), &name), definition);
        }
        rename_references(&mut component, kind.name());
        definitions.insert(kind.name().to_owned(), component);
        cases.push(json!({
            "if": { "properties": { "type": { "const": kind.name() } }, "required": ["type"] },
            "then": { "$ref": format!("#/$defs/{}", kind.name()) },
        }));
    }
    let mut component = json!({
        "description": "One component: its type, its key prefix and the settings of the type.",
        "type": "object",
        "required": ["type"],
        "properties": { "type": or_variable(json!({ "enum": types })) },
    });
    if !cases.is_empty() {
        component["allOf"] = cases.into();
    }
    definitions.insert("Component".to_owned(), component);
    if let Some(Value::Object(known)) = root.get_mut("$defs") {
        known.extend(definitions);
        known.insert(VARIABLE.to_owned(), variable());
    }
    let components = &mut root["properties"]["components"];
    components["type"] = json!(["object", "null"]);
    components["propertyNames"] = json!({ "pattern": NAME_PATTERN });
    components["additionalProperties"] = json!({ "$ref": "#/$defs/Component" });
    root
}

/// The schema of one component's declaration; nothing if `registry` has no such type.
pub fn component_schema(registry: &Registry, kind: &str) -> Option<Value> {
    let mut schema = component(registry.state(kind)?);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    if let Some(definitions) = ensure_object(&mut schema, "$defs") {
        definitions.insert(VARIABLE.to_owned(), variable());
    }
    Some(schema)
}

fn generate<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().with_transform(AsLoaded).into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    // An empty file is refused.
    schema["type"] = "object".into();
    schema
}

/// The settings of a type, with the keys that every component has.
fn component(kind: &StateType) -> Value {
    let mut schema = kind.schema().clone();
    AsLoaded.transform(&mut schema);
    let mut schema = schema.to_value();
    let mut prefix = generate::<KeyPrefixText>();
    if let Some(prefix) = prefix.as_object_mut() {
        prefix.retain(|key, _| !["$schema", "title", "$defs"].contains(&key.as_str()));
        prefix.insert("default".to_owned(), "none".into());
        // A reference to the definition of `or_variable` stays valid: both documents have it.
        prefix.insert("type".to_owned(), "string".into());
    }
    add_common_keys(&mut schema, kind.name(), &prefix);
    if let Some(schema) = schema.as_object_mut() {
        schema.shift_remove("$schema");
        schema.insert("title".to_owned(), kind.name().into());
    }
    schema
}

fn add_common_keys(schema: &mut Value, kind: &str, prefix: &Value) {
    for alternatives in ["oneOf", "anyOf"] {
        if let Some(Value::Array(branches)) = schema.get_mut(alternatives) {
            branches.iter_mut().for_each(|branch| add_common_keys(branch, kind, prefix));
            return;
        }
    }
    schema["type"] = "object".into();
    if let Some(properties) = ensure_object(schema, "properties") {
        properties.insert("type".to_owned(), json!({ "const": kind }));
        properties.insert("key_prefix".to_owned(), prefix.clone());
    }
    match schema.get_mut("required") {
        Some(Value::Array(required)) => required.push("type".into()),
        _ => schema["required"] = json!(["type"]),
    }
}

fn ensure_object<'a>(schema: &'a mut Value, key: &str) -> Option<&'a mut Map<String, Value>> {
    schema.as_object_mut()?.entry(key).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
}

fn take_definitions(schema: &mut Value) -> Map<String, Value> {
    match schema.as_object_mut().and_then(|schema| schema.shift_remove("$defs")) {
        Some(Value::Object(definitions)) => definitions,
        _ => Map::new(),
    }
}

fn definition_name(kind: &str, name: &str) -> String {
    format!("{kind}.{name}")
}

/// Makes references to definitions of one component point to their new names.
fn rename_references(schema: &mut Value, kind: &str) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| rename_references(item, kind)),
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(reference) if key == "$ref" => {
                        if let Some(name) = reference.strip_prefix("#/$defs/").filter(|name| *name != VARIABLE) {
                            *reference = format!("#/$defs/{}", definition_name(kind, name));
                        }
                    }
                    value => rename_references(value, kind),
                }
            }
        }
        _ => {}
    }
}

fn variable() -> Value {
    json!({ "description": "Text with an environment variable in it.", "type": "string", "pattern": r"\$\{" })
}

fn or_variable(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "$ref": format!("#/$defs/{VARIABLE}") }] })
}

/// Turns the schema of a type into that of what the loader accepts for it.
#[derive(Clone)]
struct AsLoaded;

impl Transform for AsLoaded {
    fn transform(&mut self, schema: &mut Schema) {
        remove_null(schema);
        if is_scalar(schema.as_value()) {
            if !is_free_text(schema.as_value()) {
                let Some(object) = schema.as_object_mut() else { return };
                let mut outer = Map::new();
                for annotation in ["title", "description", "default"] {
                    if let Some(value) = object.shift_remove(annotation) {
                        outer.insert(annotation.to_owned(), value);
                    }
                }
                let inner = Value::Object(std::mem::take(object));
                outer.insert("anyOf".to_owned(), or_variable(inner)["anyOf"].take());
                *object = outer;
            }
            return;
        }
        transform_subschemas(self, schema);
        if schema.get("type").is_some_and(|kind| kind == "object") {
            schema.insert("type".to_owned(), json!(["object", "null"]));
        }
    }
}

/// A key that is there has a value.
fn remove_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    for alternatives in ["anyOf", "oneOf"] {
        if let Some(Value::Array(branches)) = schema.get_mut(alternatives) {
            branches.retain(|branch| branch.get("type").is_none_or(|kind| kind != "null"));
        }
    }
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
}

/// Whether it describes one scalar, be it by alternatives.
fn is_scalar(schema: &Value) -> bool {
    if let Some(kind) = schema.get("type").and_then(Value::as_str) {
        return ["string", "integer", "number", "boolean"].contains(&kind);
    }
    if schema.get("const").is_some() || schema.get("enum").is_some() {
        return true;
    }
    ["oneOf", "anyOf"].iter().any(|key| match schema.get(key) {
        Some(Value::Array(branches)) => !branches.is_empty() && branches.iter().all(is_scalar),
        _ => false,
    })
}

/// Whether it accepts any text, and so a variable as well.
fn is_free_text(schema: &Value) -> bool {
    let Some(object) = schema.as_object() else { return false };
    let annotations = ["type", "title", "description", "default", "writeOnly", "examples"];
    object.get("type").is_some_and(|kind| kind == "string")
        && object.keys().all(|key| annotations.contains(&key.as_str()))
}
