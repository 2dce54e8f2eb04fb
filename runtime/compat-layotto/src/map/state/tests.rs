use pillion_proto::common::v1::Error;
use pillion_proto::state::v1::condition::Kind;

use super::*;

fn item(etag: Option<&str>, concurrency: StateConcurrency, ttl: Option<&str>) -> StateItem {
    StateItem {
        key: "k".to_owned(),
        value: "v".into(),
        etag: etag.map(|value| Etag { value: value.to_owned() }),
        metadata: ttl.map(|ttl| (TTL.to_owned(), ttl.to_owned())).into_iter().collect(),
        options: Some(StateOptions { concurrency: concurrency.into(), ..StateOptions::default() }),
    }
}

fn saved(etag: Option<&str>, concurrency: StateConcurrency) -> Result<Option<Kind>, Malformed> {
    let request = save::to_native("store", &item(etag, concurrency, None))?;
    Ok(request.condition.and_then(|condition| condition.kind))
}

fn first(etag: Option<&str>) -> Option<Kind> {
    Some(Kind::FirstWrite(FirstWrite { etag: etag.map(str::to_owned) }))
}

fn or_absent(etag: &str) -> Option<Kind> {
    Some(Kind::IfMatchOrAbsent(etag.to_owned()))
}

const UNSPECIFIED: StateConcurrency = StateConcurrency::ConcurrencyUnspecified;
const FIRST: StateConcurrency = StateConcurrency::ConcurrencyFirstWrite;
const LAST: StateConcurrency = StateConcurrency::ConcurrencyLastWrite;

#[test]
fn a_save_without_a_meaningful_etag_is_unconditional_and_a_wrong_one_is_fine_on_a_new_key() {
    for etag in [None, Some(""), Some("0"), Some("-0")] {
        assert_eq!(saved(etag, UNSPECIFIED), Ok(None), "{etag:?}");
        assert_eq!(saved(etag, FIRST), Ok(first(None)), "{etag:?}");
    }
    for (etag, version) in [("7", "7"), ("007", "7"), ("+7", "7"), ("-7", NO_VERSION)] {
        assert_eq!(saved(Some(etag), UNSPECIFIED), Ok(or_absent(version)), "{etag}");
        assert_eq!(saved(Some(etag), FIRST), Ok(first(Some(version))), "{etag}");
    }
}

#[test]
fn the_last_write_does_not_even_read_its_etag() {
    for etag in [None, Some(""), Some("7"), Some("abc")] {
        assert_eq!(saved(etag, LAST), Ok(None), "{etag:?}");
    }
}

#[test]
fn the_last_write_falls_back_to_its_etag_on_a_protected_entry() {
    let fallback = |etag, concurrency| save::protected(&item(etag, concurrency, None)).and_then(|when| when.kind);
    assert_eq!(fallback(Some("7"), LAST), or_absent("7"));
    for etag in [None, Some(""), Some("0"), Some("abc")] {
        assert_eq!(fallback(etag, LAST), None, "{etag:?}");
    }
    assert_eq!(fallback(Some("7"), UNSPECIFIED), None, "it had the condition from the start");
}

#[test]
fn a_malformed_etag_is_told_before_a_malformed_lifetime() {
    let error = save::to_native("store", &item(Some("abc"), UNSPECIFIED, Some("abc"))).unwrap_err();
    assert_eq!(error, Malformed::Etag(r#"strconv.Atoi: parsing "abc": invalid syntax"#.to_owned()));
    let error = save::to_native("store", &item(None, UNSPECIFIED, Some("abc"))).unwrap_err();
    assert_eq!(error, Malformed::Ttl(r#"strconv.ParseInt: parsing "abc": invalid syntax"#.to_owned()));
}

#[test]
fn a_lifetime_is_set_removed_or_left_as_it_is() {
    for (ttl, expected) in [
        (None, (None, true)),
        (Some(""), (None, true)),
        (Some("0"), (None, false)),
        (Some("-1"), (None, false)),
        (Some("60"), (Some(Duration::from_secs(60)), false)),
    ] {
        let request = save::to_native("store", &item(None, UNSPECIFIED, ttl)).unwrap();
        let lifetime = request.ttl.map(|ttl| Duration::try_from(ttl).unwrap());
        assert_eq!((lifetime, request.keep_ttl), expected, "{ttl:?}");
    }
}

#[test]
fn a_save_carries_key_value_store_and_consistency() {
    let mut item = item(None, UNSPECIFIED, None);
    item.options = Some(StateOptions { consistency: StateConsistency::ConsistencyStrong.into(), concurrency: 0 });
    let request = save::to_native("store", &item).unwrap();
    assert_eq!((request.store.as_str(), request.key.as_str()), ("store", "k"));
    assert_eq!(request.value.clone().unwrap().data, "v");
    assert_eq!(request.consistency(), Consistency::Strong);
}

#[test]
fn a_delete_looks_at_the_text_of_its_etag() {
    for (etag, expected) in [
        (None, None),
        (Some(""), None),
        (Some("0"), None),
        (Some("7"), or_absent("7")),
        (Some("abc"), or_absent(NO_VERSION)),
        (Some("007"), or_absent(NO_VERSION)),
        (Some("00"), or_absent(NO_VERSION)),
        (Some("-1"), or_absent(NO_VERSION)),
    ] {
        let etag = etag.map(|value| Etag { value: value.to_owned() });
        let request = delete::to_native("store", "k", etag.as_ref(), None);
        assert_eq!(request.condition.and_then(|condition| condition.kind), expected, "{etag:?}");
    }
}

#[test]
fn an_etag_is_shown_without_its_generation() {
    for (native, shown) in [("1-x3k9q0", "1"), ("12", "12"), ("", "")] {
        let entry = Entry {
            key: "k".to_owned(),
            value: Some(Value { data: "v".into(), ..Value::default() }),
            etag: native.to_owned(),
            ..Entry::default()
        };
        let answer = get::from_native(GetResponse { entry: Some(entry) });
        assert_eq!((&answer.data[..], answer.etag.as_str()), (&b"v"[..], shown), "{native}");
    }
}

#[test]
fn a_key_without_an_entry_is_an_empty_answer_and_a_failed_one_says_why() {
    assert_eq!(get::from_native(GetResponse::default()), GetStateResponse::default());
    let results = vec![
        GetResult { key: "missing".to_owned(), ..GetResult::default() },
        GetResult {
            key: "failed".to_owned(),
            error: Some(Error { message: "the backend is gone".to_owned(), ..Error::default() }),
            ..GetResult::default()
        },
    ];
    let answer = get_bulk::from_native(GetManyResponse { results });
    let missing = BulkStateItem { key: "missing".to_owned(), ..BulkStateItem::default() };
    let failed =
        BulkStateItem { key: "failed".to_owned(), error: "the backend is gone".to_owned(), ..BulkStateItem::default() };
    assert_eq!(answer.items, [missing, failed]);
}

fn operation(kind: &str, item: Option<StateItem>) -> TransactionalStateOperation {
    TransactionalStateOperation { operation_type: kind.to_owned(), request: item }
}

#[test]
fn a_transaction_leaves_out_operations_without_an_item_whatever_their_type() {
    let operations = [operation("frob", None), operation("upsert", Some(item(None, UNSPECIFIED, None)))];
    let request = transact::to_native("store", &operations).unwrap();
    assert_eq!(request.operations.len(), 1);
    assert!(matches!(request.operations[0].kind, Some(transact_operation::Kind::Set(_))));
    assert!(transact::to_native("store", &[]).unwrap().operations.is_empty());
}

#[test]
fn a_transaction_is_as_consistent_as_its_strictest_operation() {
    let with = |consistency: StateConsistency| {
        let options = StateOptions { consistency: consistency.into(), ..StateOptions::default() };
        operation("delete", Some(StateItem { options: Some(options), ..item(None, UNSPECIFIED, None) }))
    };
    let operations = [with(StateConsistency::ConsistencyStrong), with(StateConsistency::ConsistencyEventual)];
    assert_eq!(transact::to_native("store", &operations).unwrap().consistency(), Consistency::Strong);
}

#[test]
fn an_operation_that_is_none_and_an_item_that_is_malformed_refuse_the_transaction() {
    let good = operation("upsert", Some(item(None, UNSPECIFIED, None)));
    let unknown = [good.clone(), operation("frob", Some(item(None, UNSPECIFIED, None)))];
    assert_eq!(transact::to_native("store", &unknown), Err(transact::Refused::Operation("frob")));
    let malformed = [good, operation("upsert", Some(item(Some("abc"), UNSPECIFIED, None)))];
    assert!(matches!(transact::to_native("store", &malformed), Err(transact::Refused::Item(Malformed::Etag(_)))));
}
