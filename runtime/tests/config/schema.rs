//! The JSON Schema accepts what the loader accepts.

use std::ffi::OsString;
use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use pillion_runtime::config::{Loader, component_schema, schema};
use serde_json::Value;

use crate::component::registry;

struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    fn new(schema: Value) -> Self {
        let mut schemas = Schemas::new();
        let mut compiler = Compiler::new();
        compiler.add_resource("schema.json", schema).unwrap();
        let index = compiler.compile("schema.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    /// What is wrong with the YAML text, if anything.
    fn refuses(&self, yaml: &str) -> Option<String> {
        let value: Value = serde_saphyr::from_str(yaml).unwrap();
        self.schemas.validate(&value, self.index).err().map(|error| format!("{error:#}"))
    }
}

fn loader_refuses(yaml: &str) -> Option<String> {
    let environment = |name: &str| (name != "LEVEL").then(|| OsString::from("5"));
    let registry = registry();
    Loader::new(&registry, &environment).text("pillion.yaml", yaml, "").err().map(|problems| problems.to_string())
}

#[test]
fn the_schema_and_the_loader_accept_and_refuse_the_same() {
    let validator = Validator::new(schema(&registry()));
    for accepted in [
        "app: {id: orders}",
        "app:",
        "limits:\n",
        "limits: {message: 4MiB, batch: 5, header_count: 100}",
        "limits: {batch: \"${BATCH}\", streams: \"${STREAMS:-5}\"}",
        "deadlines: {call: 1m30s, shutdown: 0s}",
        "listen: {tcp: 'off', unix: 'off'}",
        "listen: {tcp: \"[::1]:0\", unix: ./pillion.sock}",
        "log: {level: debug, format: json}",
        "log: {level: \"${LEVEL:-info}\"}",
        "layotto: {hello: {helloworld: greeting}}",
        "security: {token: 0123456789abcdef, allowed_hosts: [a.example], allowed_origins: [https://a.example]}",
        "security: {token_file: /run/token}",
        "components:",
        "components: {state: {type: state.memory}}",
        "components: {state: {type: state.memory, max_bytes: 1GiB, key_prefix: appid}}",
        "components: {a: {type: state.local, dir: data}, b: {type: state.redis, url: redis://host, db: 3}}",
        "components: {a: {type: state.redis, url: redis://host, db: \"${DB}\", tls: {insecure: true}}}",
        "components: {a: {type: state.redis, url: redis://host, tls: {insecure: true, ca_file: ca.pem}}}",
        "components: {a: {type: state.redis, url: redis://host, mode: single}}",
        "components: {a: {type: state.redis, url: redis://host, mode: {cluster: {shards: 3}}}}",
        "components: {a: {type: state.redis, url: redis://host, sentinels: [{host: b, port: 5}], window: [1, 2]}}",
    ] {
        assert_eq!(validator.refuses(accepted), None, "{accepted}");
        assert_eq!(loader_refuses(accepted), None, "{accepted}");
    }
    for refused in [
        "lisen: {}",
        "app: {id: 5}",
        "app: {id: null}",
        "app: {id: \"a b\"}",
        "app: [orders]",
        "limits: {mesage: 4MiB}",
        "limits: {message: 4}",
        "limits: {message: \"4\"}",
        "limits: {batch: many}",
        "limits: {batch: 0}",
        "limits: {batch: 1.5}",
        "deadlines: {call: 30}",
        "deadlines: {call: \"\"}",
        "listen: {tcp: localhost}",
        "listen: {unix: atuo}",
        "log: {level: loud}",
        "security: {allowed_origins: [a.example]}",
        "security: {allowed_hosts: a.example}",
        "components: [state]",
        "components: {state: null}",
        "components: {a/b: {type: state.memory}}",
        "components: {state: {}}",
        "components: {state: {type: state.disk}}",
        "components: {state: {type: state.memory, maxbytes: 1GiB}}",
        "components: {state: {type: state.memory, key_prefix: \"a||b\"}}",
        "components: {state: {type: state.memory, key_prefix: \"\"}}",
        "components: {data: {type: state.local}}",
        "components: {a: {type: state.redis, url: redis://host, db: 300}}",
        "components: {a: {type: state.redis, url: redis://host, tls: {insecur: true}}}",
        "components: {a: {type: state.redis, url: redis://host, mode: several}}",
        "components: {a: {type: state.redis, url: redis://host, sentinels: [{host: b}]}}",
        "components: {a: {type: state.redis, url: redis://host, password: null}}",
    ] {
        assert!(validator.refuses(refused).is_some(), "the schema accepts {refused}");
        assert!(loader_refuses(refused).is_some(), "the loader accepts {refused}");
    }
}

#[test]
fn the_example_fits_the_schema_and_a_misspelt_one_does_not() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/example/pillion.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let validator = Validator::new(schema(&registry()));
    assert_eq!(validator.refuses(&text), None);
    let misspelt = text.replace("key_prefix:", "key_prefx:");
    assert_ne!(text, misspelt);
    assert!(validator.refuses(&misspelt).is_some());
}

#[test]
fn every_setting_is_described() {
    let schema = schema(&registry());
    let definitions = schema["$defs"].as_object().unwrap();
    for section in ["App", "Listen", "Limits", "Deadlines", "Layotto", "Security", "Log"] {
        for (name, setting) in definitions[section]["properties"].as_object().unwrap() {
            let description = setting["description"].as_str().unwrap_or_default();
            assert!(description.contains("Default"), "{section}.{name} does not say its default: {setting}");
        }
    }
}

#[test]
fn one_type_has_a_schema_of_its_own() {
    let validator = Validator::new(component_schema(&registry(), "state.redis").unwrap());
    assert_eq!(validator.refuses("{type: state.redis, url: redis://host, key_prefix: name}"), None);
    assert_eq!(validator.refuses("{type: state.redis, url: redis://host, db: \"${DB}\"}"), None);
    assert!(validator.refuses("{type: state.memory, url: redis://host}").is_some());
    assert!(validator.refuses("{type: state.redis, ulr: redis://host}").is_some());
    assert!(component_schema(&registry(), "state.disk").is_none());
}

#[test]
fn a_build_without_component_types_has_a_schema_too() {
    let validator = Validator::new(schema(&pillion_spi::Registry::default()));
    assert_eq!(validator.refuses("app: {id: orders}"), None);
    assert!(validator.refuses("components: {state: {type: state.memory}}").is_some());
}

#[test]
fn secrets_are_marked() {
    let schema = component_schema(&registry(), "state.redis").unwrap();
    assert_eq!(schema["properties"]["password"]["writeOnly"], true, "{schema:#}");
}
