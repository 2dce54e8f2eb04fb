//! One entry, one call.

use anyhow::{Result, ensure};
use bytes::Bytes;
use pillion_spi::state::{Consistency, Key, ReadOptions};

use crate::env::{Env, equal};
use crate::op::{self, OpExt as _};
use crate::suite::cases;

cases! {
    a_missing_key_reads_as_none [];
    a_value_comes_back_as_it_was_written [];
    an_empty_value_is_not_a_missing_one [];
    any_byte_comes_back [];
    a_mebibyte_comes_back [];
    text_that_looks_like_a_number_stays_text [];
    the_later_of_two_writes_wins [];
    a_longer_value_gives_way_to_a_shorter [];
    a_content_type_comes_back [ContentType];
    a_write_without_content_type_removes_it [ContentType];
    a_content_type_may_have_parameters [ContentType];
    keys_may_be_any_text [];
    keys_that_differ_in_case_or_normal_form_differ [];
    a_key_is_not_its_prefix [];
    versions_begin_at_one_and_grow_by_one [];
    a_read_tells_the_version_of_the_write [];
    a_created_again_entry_begins_at_one_with_another_generation [];
    a_write_tells_whether_there_was_an_entry [];
    a_delete_removes_the_entry [];
    deleting_what_is_not_there_succeeds [];
    many_keys_are_read_in_the_order_asked [];
    one_key_asked_twice_is_answered_twice [];
    reading_no_keys_reads_nothing [];
    a_strong_read_sees_the_write_before_it [StrongReads];
    an_entry_without_expiry_says_so [];
}

async fn a_missing_key_reads_as_none(env: &Env) -> Result<()> {
    equal("the entry", env.store().get(&env.key("k")).await?, None)
}

async fn a_value_comes_back_as_it_was_written(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let version = store.put(&key, "value").await?;
    let entry = store.entry(&key).await?;
    equal("the value", entry.value, Bytes::from("value"))?;
    equal("the content type", entry.content_type, None)?;
    equal("the version", entry.version, version)
}

async fn an_empty_value_is_not_a_missing_one(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.put(&key, "").await?;
    equal("the value", store.value(&key).await?, Some(Bytes::new()))
}

async fn any_byte_comes_back(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let value: Bytes = (0..=u8::MAX).chain((0..=u8::MAX).rev()).chain(*b"\0\0\r\n\xff\xfe").collect();
    store.put(&key, value.clone()).await?;
    equal("the value", store.value(&key).await?, Some(value))
}

async fn a_mebibyte_comes_back(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let mut random = crate::seed::Seeded::new(1);
    let value: Bytes = std::iter::repeat_with(|| random.number().to_le_bytes()).take((1 << 20) / 8).flatten().collect();
    ensure!(value.len() <= env.caps().max_value, "a store must take a mebibyte");
    store.put(&key, value.clone()).await?;
    equal("the value", store.value(&key).await?, Some(value))
}

async fn text_that_looks_like_a_number_stays_text(env: &Env) -> Result<()> {
    let store = env.store();
    for text in ["007", "1e3", "-0", "18446744073709551616", "nil", "null", "true", "\"quoted\"", " "] {
        let key = env.key(text);
        store.put(&key, text).await?;
        equal("the value", store.value(&key).await?, Some(Bytes::from(text)))?;
    }
    Ok(())
}

async fn the_later_of_two_writes_wins(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.put(&key, "first").await?;
    store.put(&key, "second").await?;
    equal("the value", store.value(&key).await?, Some("second".into()))
}

async fn a_longer_value_gives_way_to_a_shorter(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.put(&key, vec![b'x'; 100_000]).await?;
    store.put(&key, "short").await?;
    equal("the value", store.value(&key).await?, Some("short".into()))
}

async fn a_content_type_comes_back(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.write(op::put(&key, "{}").typed("application/json")).await?;
    equal("the content type", store.entry(&key).await?.content_type.as_deref(), Some("application/json"))
}

async fn a_write_without_content_type_removes_it(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.write(op::put(&key, "{}").typed("application/json")).await?;
    store.put(&key, "plain").await?;
    equal("the content type", store.entry(&key).await?.content_type, None)
}

async fn a_content_type_may_have_parameters(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let wanted = r#"multipart/mixed; boundary="a;b=\"c\""; charset=utf-8"#;
    store.write(op::put(&key, "x").typed(wanted)).await?;
    equal("the content type", store.entry(&key).await?.content_type.as_deref(), Some(wanted))
}

const AWKWARD_KEYS: &[&str] = &[
    "grüße",
    "鍵",
    "🗝️",
    "مفتاح",
    "with space",
    "tab\tand\nnewline",
    "quote'\"`",
    "back\\slash",
    "per%cent%00",
    "under_score",
    "glob*?[a-z]{x,y}^!",
    "../../etc/passwd",
    "a/b//c/",
    "semi;colon--",
    "$dollar${HOME}",
    "\u{1}\u{7f}\u{fffd}\u{10ffff}",
];

async fn keys_may_be_any_text(env: &Env) -> Result<()> {
    let store = env.store();
    for name in AWKWARD_KEYS {
        store.put(&env.key(name), *name).await?;
    }
    for name in AWKWARD_KEYS {
        equal(name, store.value(&env.key(name)).await?, Some(Bytes::from(*name)))?;
    }
    for name in AWKWARD_KEYS {
        equal(name, store.delete(&env.key(name)).await?, true)?;
        equal(name, store.value(&env.key(name)).await?, None)?;
    }
    Ok(())
}

async fn keys_that_differ_in_case_or_normal_form_differ(env: &Env) -> Result<()> {
    let store = env.store();
    // `é` as one character and as two, which look the same.
    let names = ["key", "KEY", "Key", "key ", " key", "caf\u{e9}", "cafe\u{301}"];
    for name in names {
        store.put(&env.key(name), name).await?;
    }
    for name in names {
        equal(name, store.value(&env.key(name)).await?, Some(Bytes::from(name)))?;
    }
    Ok(())
}

async fn a_key_is_not_its_prefix(env: &Env) -> Result<()> {
    let store = env.store();
    store.put(&env.key("key:1"), "long").await?;
    equal("the shorter key", store.value(&env.key("key")).await?, None)?;
    store.delete(&env.key("key")).await?;
    equal("the longer key", store.value(&env.key("key:1")).await?, Some("long".into()))
}

async fn versions_begin_at_one_and_grow_by_one(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let first = store.put(&key, "same").await?;
    for counter in 1..=5 {
        let version = if counter == 1 { first } else { store.put(&key, "same").await? };
        equal("the counter", version.counter, counter)?;
        equal("the generation", version.generation, first.generation)?;
    }
    Ok(())
}

async fn a_read_tells_the_version_of_the_write(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    for value in ["a", "b", "c"] {
        let written = store.put(&key, value).await?;
        equal("the version", store.entry(&key).await?.version, written)?;
    }
    Ok(())
}

async fn a_created_again_entry_begins_at_one_with_another_generation(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let first = store.put(&key, "a").await?;
    store.delete(&key).await?;
    let second = store.put(&key, "a").await?;
    equal("the counter", second.counter, 1)?;
    ensure!(first.generation.is_some() && second.generation.is_some(), "an entry of ours has a generation");
    ensure!(first.generation != second.generation, "two lives of a key have one generation: {second}");
    Ok(())
}

async fn a_write_tells_whether_there_was_an_entry(env: &Env) -> Result<()> {
    use pillion_spi::state::OpOutcome::Applied;
    let (store, key) = (env.store(), env.key("k"));
    for (op, wanted) in [
        (op::put(&key, "a"), false),
        (op::put(&key, "b"), true),
        (op::delete(&key), true),
        (op::delete(&key), false),
        (op::put(&key, "c"), false),
    ] {
        match store.one(op.clone()).await? {
            Applied { existed, .. } => equal(&format!("whether {op:?} found an entry"), existed, wanted)?,
            other => anyhow::bail!("{op:?}: {other:?}"),
        }
    }
    Ok(())
}

async fn a_delete_removes_the_entry(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.put(&key, "a").await?;
    equal("whether there was one", store.delete(&key).await?, true)?;
    equal("the entry", store.get(&key).await?, None)
}

async fn deleting_what_is_not_there_succeeds(env: &Env) -> Result<()> {
    equal("whether there was one", env.store().delete(&env.key("k")).await?, false)
}

async fn many_keys_are_read_in_the_order_asked(env: &Env) -> Result<()> {
    let store = env.store();
    let keys: Vec<Key> = (0..200).map(|number| env.key(&format!("{:03}", (number * 7) % 200))).collect();
    for (index, key) in keys.iter().enumerate().filter(|(index, _)| index % 3 != 0) {
        store.put(key, index.to_string()).await?;
    }
    let found = store.raw().read(&keys, ReadOptions::default()).await?;
    equal("the number of results", found.len(), keys.len())?;
    for (index, (key, result)) in keys.iter().zip(found).enumerate() {
        let wanted = (index % 3 != 0).then(|| (key.clone(), Bytes::from(index.to_string())));
        equal("one of many", result?.map(|entry| (entry.key, entry.value)), wanted)?;
    }
    Ok(())
}

async fn one_key_asked_twice_is_answered_twice(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.put(&key, "a").await?;
    let found = store.raw().read(&[key.clone(), env.key("none"), key.clone()], ReadOptions::default()).await?;
    let mut values = Vec::new();
    for result in found {
        values.push(result?.map(|entry| entry.value));
    }
    equal("the values", values, vec![Some("a".into()), None, Some("a".into())])
}

async fn reading_no_keys_reads_nothing(env: &Env) -> Result<()> {
    equal("the number of results", env.store().raw().read(&[], ReadOptions::default()).await?.len(), 0)?;
    equal("the number of outcomes", env.store().apply(Vec::new(), false).await?.len(), 0)
}

async fn a_strong_read_sees_the_write_before_it(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    let mut options = ReadOptions::default();
    options.consistency = Consistency::Strong;
    for round in 0..50 {
        let value = Bytes::from(round.to_string());
        store.put(&key, value.clone()).await?;
        let found = store.raw().read(std::slice::from_ref(&key), options.clone()).await?.remove(0)?;
        equal("the value", found.map(|entry| entry.value), Some(value))?;
    }
    Ok(())
}

async fn an_entry_without_expiry_says_so(env: &Env) -> Result<()> {
    let (store, key) = (env.store(), env.key("k"));
    store.put(&key, "a").await?;
    equal("the remaining time", store.entry(&key).await?.expires_in, None)
}
