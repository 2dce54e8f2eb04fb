//! `docs/reference/configuration.md` is what `pillion schema` says, for people.
//!
//! After a change of a setting: `UPDATE_EXPECTED=1 cargo test -p pillion-cli --test reference`, then
//! read the difference.
#![allow(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

const PAGE: &str = "docs/reference/configuration.md";

#[test]
fn the_page_says_what_the_schema_says() {
    let output = Command::new(env!("CARGO_BIN_EXE_pillion")).arg("schema").output().unwrap();
    let page = page(&serde_json::from_slice(&output.stdout).unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(PAGE);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let present = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(present == page, "{PAGE} is stale: UPDATE_EXPECTED=1 cargo test -p pillion-cli --test reference");
    for known in ["## `listen`", "### `state.redis`", "`tls.ca_file`", "| `limits.message` | size | `4MiB` |"] {
        assert!(page.contains(known), "the page does not have {known}");
    }
}

fn page(schema: &Value) -> String {
    let schemas = Schemas { definitions: &schema["$defs"] };
    let mut page = "<!-- generated from `pillion schema` by the test `reference` of pillion-cli -->\n\n\
                    # Configuration reference\n\n"
        .to_owned();
    page.extend([&text(schema), "\n"]);
    for (name, section) in properties(schema) {
        page.push_str(&format!("\n## `{name}`\n\n"));
        if name == "components" {
            page.extend([&text(section), " Each has a `type`:\n"]);
            for kind in schemas.types() {
                page.push_str(&format!("\n### `{kind}`\n\n"));
                page.push_str(&schemas.chapter("", &schemas.definitions[kind]));
            }
        } else {
            page.push_str(&schemas.chapter(&format!("{name}."), schemas.whole(section)));
        }
    }
    page
}

struct Schemas<'a> {
    definitions: &'a Value,
}

impl<'a> Schemas<'a> {
    /// The component types.
    fn types(&self) -> impl Iterator<Item = &'a str> {
        let kind = &self.definitions["Component"]["properties"]["type"];
        let kinds = kind["anyOf"].as_array().and_then(|any| any.iter().find_map(|one| one["enum"].as_array()));
        kinds.expect("the types of components").iter().filter_map(Value::as_str)
    }

    /// What a reference stands for.
    fn whole(&self, schema: &'a Value) -> &'a Value {
        match reference(schema) {
            Some(name) => &self.definitions[name],
            None => schema,
        }
    }

    /// What something is for, and a table of its settings.
    fn chapter(&self, prefix: &str, schema: &'a Value) -> String {
        let mut rows = String::new();
        self.rows(prefix, schema, &mut rows);
        format!("{}\n\n| setting | form | default | meaning |\n|---|---|---|---|\n{rows}", text(schema))
    }

    fn rows(&self, prefix: &str, schema: &'a Value, rows: &mut String) {
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, setting) in properties(schema).filter(|(name, _)| *name != "type") {
            let whole = self.whole(setting);
            if properties(whole).next().is_some() {
                self.rows(&format!("{prefix}{name}."), whole, rows);
                continue;
            }
            let default = match &setting["default"] {
                _ if required.contains(&name) => "required".to_owned(),
                Value::Null => String::new(),
                Value::String(text) => format!("`{text}`"),
                other => format!("`{other}`"),
            };
            let meaning = cell(&text(setting));
            rows.push_str(&format!("| `{prefix}{name}` | {} | {default} | {meaning} |\n", self.form(setting)));
        }
    }

    /// How a value is written.
    fn form(&self, setting: &Value) -> String {
        match reference(setting) {
            Some(name) if name.ends_with("Size") => return "size".to_owned(),
            Some(name) if name.ends_with("Duration") => return "duration".to_owned(),
            _ => {}
        }
        let schema = self.whole(setting);
        // Every setting may also be text with a variable in it, which is said once.
        let kinds = schema["anyOf"].as_array().into_iter().flatten().filter(|one| reference(one) != Some("Variable"));
        let schema = kinds.into_iter().next().unwrap_or(schema);
        if let Some(words) = schema["enum"].as_array() {
            return words
                .iter()
                .filter_map(Value::as_str)
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(", ");
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
            kind => kind.as_str(),
        };
        match kind {
            Some("integer") => "whole number",
            Some("boolean") => "`true`, `false`",
            Some("array") => "list of texts",
            Some("object") => "texts by name",
            _ => "text",
        }
        .to_owned()
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    schema["properties"].as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/"))
}

fn text(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().to_owned()
}

/// A text as a cell of a table.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}
