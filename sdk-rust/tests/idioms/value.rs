use bytes::Bytes;
use pillion::{FromValue, IntoValue, Json, Value};

fn value(content_type: &str, data: &'static [u8]) -> Value {
    Value { data: Bytes::from_static(data), content_type: content_type.to_owned() }
}

#[test]
fn the_type_gives_the_content_type() {
    let bytes = value("application/octet-stream", b"hi");
    assert_eq!(Bytes::from_static(b"hi").into_value().unwrap(), bytes);
    assert_eq!(b"hi".to_vec().into_value().unwrap(), bytes);
    assert_eq!(b"hi".as_slice().into_value().unwrap(), bytes);
    assert_eq!(b"hi".into_value().unwrap(), bytes);
    let text = value("text/plain; charset=utf-8", b"hi");
    assert_eq!("hi".into_value().unwrap(), text);
    assert_eq!("hi".to_owned().into_value().unwrap(), text);
    assert_eq!(Json("hi").into_value().unwrap(), value("application/json", b"\"hi\""));
    assert_eq!(value("image/png", b"hi").into_value().unwrap(), value("image/png", b"hi"));
}

#[test]
fn the_content_type_decides_what_a_value_can_be_read_as() {
    // Content type; whether it reads as text, as JSON.
    for (content_type, text, json) in [
        ("", true, true),
        ("text/plain", true, false),
        ("Text/Plain; Charset=UTF-8", true, false),
        ("text/html;charset=\"us-ascii\"", true, false),
        ("text/plain; charset=iso-8859-1", false, false),
        ("application/json", false, true),
        ("application/json; charset=utf-8", false, true),
        ("application/problem+json", false, true),
        ("application/octet-stream", false, false),
        ("json", false, false),
        ("+json", false, true),
        ("té", false, false),
    ] {
        let stored = || value(content_type, b"1");
        assert_eq!(Bytes::from_value(stored()).unwrap(), "1");
        assert_eq!(Vec::<u8>::from_value(stored()).unwrap(), b"1");
        assert_eq!(Value::from_value(stored()).unwrap(), stored());
        for (reads, result) in
            [(text, String::from_value(stored())), (json, Json::<u8>::from_value(stored()).map(|n| n.0.to_string()))]
        {
            match result {
                Ok(read) => assert!(reads && read == "1", "{content_type}"),
                Err(error) => {
                    assert!(!reads, "{content_type}");
                    assert_eq!(error.reason(), "value.content_type_mismatch");
                    assert_eq!(error.detail("content_type"), Some(content_type));
                }
            }
        }
    }
}

#[test]
fn bytes_that_are_not_what_they_say_are_an_error() {
    for error in [
        String::from_value(value("text/plain", b"\xff")).unwrap_err(),
        Json::<u8>::from_value(value("application/json", b"{")).unwrap_err(),
        Json::<u8>::from_value(value("application/json", b"256")).unwrap_err(),
        Json(std::collections::HashMap::from([((1, 2), 3)])).into_value().unwrap_err(),
    ] {
        assert_eq!(error.reason(), "value.malformed");
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_encoded_fails_the_call_not_the_program() {
    let p = pillion::embedded().await.unwrap();
    let unencodable = Json(std::collections::HashMap::from([((1, 2), 3)]));
    let error = p.state().set("a", unencodable.clone()).content_type("application/json").await.unwrap_err();
    assert_eq!((error.reason(), error.detail("key")), ("value.malformed", Some("a")));
    let error = p.state().transact().set("a", "1").set("b", unencodable).await.unwrap_err();
    assert_eq!((error.reason(), error.detail("key")), ("value.malformed", Some("b")));
    assert_eq!(p.state().get::<String>("a").await.unwrap(), None);
}

#[tokio::test]
async fn the_content_type_can_be_said() {
    let p = pillion::embedded().await.unwrap();
    p.state().set("a", b"<p>").content_type("text/html").await.unwrap();
    let entry = p.state().get_entry::<String>("a").await.unwrap().unwrap();
    assert_eq!((entry.value.as_str(), entry.content_type.as_str()), ("<p>", "text/html"));
}
