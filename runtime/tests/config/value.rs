//! What a configuration that is accepted says.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use pillion_proto::Reason;
use pillion_runtime::config::{Config, Host, KeyPrefix, Loader, LogFormat, LogLevel, TcpListen, UnixListen, WebOrigin};
use serde_json::json;

use crate::component::registry;

fn environment(name: &str) -> Option<OsString> {
    let value = match name {
        "APP" => "orders",
        "BATCH" => "50",
        "EMPTY" => "",
        "HOST" => "cache.example",
        "PREFIX" => "x: {y}",
        "TOKEN" => "0123456789abcdef",
        "YES" => "true",
        _ => return None,
    };
    Some(value.into())
}

fn load(text: &str) -> Config {
    let registry = registry();
    match Loader::new(&registry, &environment).text("pillion.yaml", text, "") {
        Ok(config) => config,
        Err(problems) => panic!("{text}\n{problems}"),
    }
}

#[test]
fn what_is_not_set_has_the_documented_default() {
    let config = load("app: {id: orders}");
    assert_eq!(config.listen.tcp, TcpListen::At(([127, 0, 0, 1], 34904).into()));
    assert_eq!(config.listen.unix, UnixListen::Auto);
    assert!(config.components.is_empty());
    assert_eq!(config.limits.message.get(), 4 << 20);
    assert_eq!(config.limits.answer.get(), 16 << 20);
    assert_eq!(config.limits.header_bytes.get(), 16 << 10);
    assert_eq!(config.limits.header_count, 100);
    assert_eq!(config.limits.batch, 1000);
    assert_eq!(config.limits.key.get(), 1 << 10);
    assert_eq!(config.limits.connections, 8192);
    assert_eq!(config.limits.streams, 100);
    assert_eq!(config.deadlines.call.get(), Duration::from_secs(60));
    assert_eq!(config.deadlines.first_byte.get(), Duration::from_secs(10));
    assert_eq!(config.deadlines.header.get(), Duration::from_secs(10));
    assert_eq!(config.deadlines.body.get(), Duration::from_secs(30));
    assert_eq!(config.deadlines.keep_alive.get(), Duration::from_secs(60));
    assert_eq!(config.deadlines.keep_alive_answer.get(), Duration::from_secs(20));
    assert_eq!(config.deadlines.shutdown.get(), Duration::from_secs(20));
    assert!(config.layotto.hello.is_empty());
    assert!(config.security.token.is_none());
    assert_eq!(config.log.level, LogLevel::Info);
    assert_eq!(config.log.format, LogFormat::Text);
    assert!(!config.is_exposed());
}

#[test]
fn every_setting_is_read() {
    let config = load(
        "
app: {id: orders}
listen: {tcp: '[::]:8080', unix: ./run/pillion.sock}
components:
  two: {type: state.memory, key_prefix: name}
  one: {type: state.local, dir: data, key_prefix: appid}
  three: {type: state.redis, url: redis://host, key_prefix: shop}
limits: {message: 64MiB, answer: 64MiB, header_bytes: 1MiB, header_count: 1000, batch: 10000, key: 64KiB, connections: 1, streams: 1}
deadlines: {call: 1h, first_byte: 1ms, header: 2s, body: 3s, keep_alive: 4s, keep_alive_answer: 5s, shutdown: 0s}
layotto: {hello: {helloworld: greeting, other: hi}}
security:
  token: 0123456789abcdef
  allowed_hosts: [Pillion.Internal, 'other:8080']
  allowed_origins: ['https://App.example', 'http://localhost:3000']
log: {level: trace, format: json}
",
    );
    assert_eq!(config.app.id.as_deref(), Some("orders"));
    assert_eq!(config.listen.tcp, TcpListen::At("[::]:8080".parse().unwrap()));
    assert_eq!(config.listen.unix, UnixListen::At("./run/pillion.sock".into()));
    assert!(config.is_exposed());
    let components: Vec<_> =
        config.components.iter().map(|c| (c.name.as_str(), c.kind.name(), c.key_prefix.clone())).collect();
    assert_eq!(
        components,
        [
            ("two", "state.memory", KeyPrefix::Name),
            ("one", "state.local", KeyPrefix::AppId),
            ("three", "state.redis", KeyPrefix::Literal("shop".to_owned())),
        ],
        "the order is that of the file"
    );
    assert!(config.component("one").is_some());
    assert!(config.component("four").is_none());
    assert_eq!(config.limits.message.get(), 64 << 20);
    assert_eq!(config.limits.connections, 1);
    assert_eq!(config.deadlines.call.get(), Duration::from_secs(3600));
    assert_eq!(config.deadlines.first_byte.get(), Duration::from_millis(1));
    assert_eq!(config.deadlines.shutdown.get(), Duration::ZERO);
    assert_eq!(config.layotto.hello["helloworld"], "greeting");
    assert_eq!(config.security.token.as_ref().map(|token| token.expose().as_str()), Some("0123456789abcdef"));
    assert_eq!(config.security.allowed_hosts, [Host("pillion.internal".into()), Host("other:8080".into())]);
    assert_eq!(
        config.security.allowed_origins,
        [WebOrigin("https://app.example".into()), WebOrigin("http://localhost:3000".into())]
    );
    assert_eq!(config.log.level, LogLevel::Trace);
    assert_eq!(config.log.format, LogFormat::Json);
    assert!(!format!("{config:?}").contains("0123456789abcdef"), "{config:?}");
}

#[test]
fn sections_whose_entries_are_commented_out_are_as_if_not_there() {
    let config = load("app:\nlisten: ~\ncomponents:\n  # state: {type: state.memory}\nlimits: {}\n");
    assert!(config.components.is_empty());
    assert_eq!(config.limits.batch, 1000);
}

#[test]
fn a_quoted_key_is_only_text() {
    let config = load("layotto: {hello: {'<<': a, 'true': b, '$': c}}");
    assert_eq!(config.layotto.hello.keys().collect::<Vec<_>>(), ["$", "<<", "true"]);
}

#[test]
fn json_is_read_as_well() {
    let config = load(r#"{"app": {"id": "orders"}, "limits": {"batch": 5}, "listen": {"unix": "off"}}"#);
    assert_eq!(config.app.id.as_deref(), Some("orders"));
    assert_eq!(config.limits.batch, 5);
    assert_eq!(config.listen.unix, UnixListen::Off);
}

#[test]
fn variables_are_expanded_and_never_parsed_again() {
    let hello = |text: &str| {
        let config = load(&format!("layotto:\n  hello:\n    a: {text}\n"));
        config.layotto.hello["a"].clone()
    };
    assert_eq!(hello("${APP}"), "orders");
    assert_eq!(hello("\"<${APP}-${HOST}>\""), "<orders-cache.example>");
    assert_eq!(hello("${PREFIX}"), "x: {y}", "what looks like YAML stays text");
    assert_eq!(hello("${BATCH}"), "50", "what looks like a number stays text where text belongs");
    assert_eq!(hello("\"${EMPTY}\""), "");
    assert_eq!(hello("${EMPTY:-else}"), "else", "an empty variable has no value where a default is given");
    assert_eq!(hello("${UNSET:-else}"), "else");
    assert_eq!(hello("\"${UNSET:-}\""), "");
    assert_eq!(hello("${UNSET:-a:-b c}"), "a:-b c");
    assert_eq!(hello("${APP:-else}"), "orders");
    assert_eq!(hello("${APP:?must be set}"), "orders");
    assert_eq!(hello("$${APP}"), "${APP}");
    assert_eq!(hello("$$${APP}"), "$${APP}");
    assert_eq!(hello("a $5 bill$"), "a $5 bill$");
    assert_eq!(hello("|\n      ${APP}\n      two"), "orders\ntwo\n");
}

#[test]
fn a_variable_takes_the_type_of_the_setting() {
    let config = load("limits: {batch: \"${BATCH}\"}");
    assert_eq!(config.limits.batch, 50);
    let config = load("limits:\n  batch: ${BATCH}\n  message: ${SIZE:-8MiB}\nlog:\n  level: ${LEVEL:-debug}\n");
    assert_eq!((config.limits.batch, config.limits.message.get()), (50, 8 << 20));
    assert_eq!(config.log.level, LogLevel::Debug);
    load("components: {a: {type: state.redis, url: 'redis://${HOST}', db: '${DB:-3}', tls: {insecure: '${YES}'}}}");
    let config = load("components: {a: {type: '${TYPE:-state.memory}', key_prefix: '${APP}'}}");
    assert_eq!(config.components[0].key_prefix, KeyPrefix::Literal("orders".to_owned()));
}

#[test]
fn listening_on_other_addresses_needs_a_token() {
    for exposed in ["0.0.0.0:1", "[::]:1", "192.168.1.1:1"] {
        let text = format!("listen: {{tcp: '{exposed}'}}\n");
        let registry = registry();
        let problems = Loader::new(&registry, &environment).text("pillion.yaml", &text, "").unwrap_err();
        assert_eq!(problems.iter().map(|p| p.reason()).collect::<Vec<_>>(), [Reason::ConfigTokenRequired], "{exposed}");
        assert!(load(&format!("{text}security: {{token: \"${{TOKEN}}\"}}")).is_exposed());
        assert!(load(&format!("{text}security: {{token_file: token}}")).is_exposed());
    }
    for own in ["127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "off"] {
        assert!(!load(&format!("listen: {{tcp: '{own}'}}")).is_exposed(), "{own}");
    }
}

#[test]
fn without_a_file_there_is_a_store_in_memory_or_in_a_folder() {
    let registry = registry();
    let config = Config::dev(&registry).unwrap();
    assert_eq!(config.component("state").unwrap().kind.name(), "state.memory");
    assert_eq!(config.layotto.hello["helloworld"], "greeting");
    let config = Config::dev_persistent(&registry, Path::new("/data/it's ${HOME}\n")).unwrap();
    assert_eq!(config.component("state").unwrap().kind.name(), "state.local");
    let problems = Config::dev(&pillion_spi::Registry::default()).unwrap_err();
    assert_eq!(problems.iter().next().unwrap().reason(), Reason::ConfigUnknownType);
}

#[test]
fn a_program_can_declare_components() {
    let registry = registry();
    let config = Config::default()
        .with(&registry, "cache", json!({"type": "state.redis", "url": "redis://host", "key_prefix": "name"}))
        .unwrap()
        .with(&registry, "state", json!({"type": "state.memory"}))
        .unwrap()
        .with(&registry, "cache", json!({"type": "state.memory"}))
        .unwrap();
    let names: Vec<_> = config.components.iter().map(|c| (c.name.as_str(), c.kind.name())).collect();
    assert_eq!(names, [("state", "state.memory"), ("cache", "state.memory")]);

    let problems = config.with(&registry, "cache", json!({"type": "state.redis", "ulr": "redis://host"})).unwrap_err();
    let reasons: Vec<_> = problems.iter().map(|problem| problem.reason()).collect();
    assert_eq!(reasons, [Reason::ConfigMissingKey, Reason::ConfigUnknownKey], "{problems}");
}

#[test]
fn problems_are_told_to_programs_with_their_place() {
    let registry = registry();
    let text = "app: {id: a}\nlimits:\n  bätch: 5\n  batch: ten\n";
    let problems = Loader::new(&registry, &environment).text("pillion.yaml", text, "").unwrap_err();
    assert_eq!(
        problems.to_json(),
        json!({"errors": [
            {
                "reason": "config.unknown_key",
                "message": "unknown key `bätch`",
                "file": "pillion.yaml",
                "line": 3,
                "column": 3,
                "end": {"line": 3, "column": 8},
                "label": "did you mean `batch`?",
            },
            {
                "reason": "config.wrong_type",
                "message": "expected a whole number from 1 to 10000, found text",
                "file": "pillion.yaml",
                "line": 4,
                "column": 10,
                "end": {"line": 4, "column": 13},
            },
        ]})
    );
}
