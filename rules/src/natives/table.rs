//! `table("name")`: rows under a hash and a sort key, read with the handler's own writes applied.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rhai::{Dynamic, Engine, ImmutableString, Map};

use super::Argument;
use super::options::Options;
use crate::effect::Effect;
use crate::json::{self, Raw};
use crate::snapshot::{Query, Snapshot};
use crate::state::{NativeResult, Run, Stop, charge_bytes, refuse, with_run};
use crate::topic::excerpt;

mod index;
mod rows;

pub(super) use index::register_declaration as register_index_declaration;

pub(crate) const TABLE_NAME_LEN_MAX: usize = 64;

/// A table, as scripts hold it.
#[derive(Clone)]
struct Table(ImmutableString);

/// A row of a query, parsed only when a script looks into it.
#[derive(Clone)]
struct RowValue {
    sort: ImmutableString,
    value: Bytes,
}

/// The key of a row.
struct Key {
    hash: ImmutableString,
    sort: ImmutableString,
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Table>("Table");
    engine.register_fn("table", open);
    register_for::<Dynamic, Dynamic>(engine);
    // The library looks for a function with exactly the types of the arguments first, and then tries every mix
    // of these and `Dynamic`: up to 16 lookups. So what nearly all scripts do has its own entry.
    register_for::<ImmutableString, Map>(engine);
    rows::register(engine);
    index::register(engine);
    engine.register_type_with_name::<RowValue>("Row");
    engine.register_get("sort", |row: &mut RowValue| row.sort.clone());
    engine.register_get("value", |row: &mut RowValue| with_run("value", |run| parse(&row.value, run)));
    engine.register_type_with_name::<Raw>("Raw");
    engine.register_get("len", |raw: &mut Raw| i64::try_from(raw.bytes.len()).unwrap_or(i64::MAX));
    engine.register_get("raw", |row: &mut RowValue| Raw { bytes: row.value.clone(), is_json: true });
}

/// Registers the methods for one type of keys and one of values.
fn register_for<K, V>(engine: &mut Engine)
where
    K: Argument,
    V: Argument,
{
    engine.register_fn("put", |table: &mut Table, hash: K, value: V| {
        put(table, key("put", hash, ImmutableString::new())?, &value.into_value(), None)
    });
    engine.register_fn("put", |table: &mut Table, hash: K, sort: K, value: V| {
        put(table, key("put", hash, sort)?, &value.into_value(), None)
    });
    engine.register_fn("put", |table: &mut Table, hash: K, sort: K, value: V, options: Map| {
        let options = Options::new("put", &options, &["if_absent", "if_equals", "if_present", "ttl"])?;
        let key = key("put", hash, sort)?;
        rows::check_condition(&table.0, &key, &options)?;
        put(table, key, &value.into_value(), options.duration("ttl")?)
    });
    engine.register_fn("get", |table: &mut Table, hash: K| {
        get(table, &key("get", hash, ImmutableString::new())?)
    });
    engine.register_fn("get", |table: &mut Table, hash: K, sort: K| get(table, &key("get", hash, sort)?));
    engine.register_fn("delete", |table: &mut Table, hash: K| {
        delete(table, &key("delete", hash, ImmutableString::new())?)
    });
    engine.register_fn("delete", |table: &mut Table, hash: K, sort: K| {
        delete(table, &key("delete", hash, sort)?)
    });
    engine.register_fn("delete", |table: &mut Table, hash: K, sort: K, options: Map| {
        let options = Options::new("delete", &options, &["if_equals", "if_present"])?;
        let key = key("delete", hash, sort)?;
        rows::check_condition(&table.0, &key, &options)?;
        delete(table, &key)
    });
    engine.register_fn("query", |table: &mut Table, hash: K| {
        query(table, &key("query", hash, ImmutableString::new())?.hash, &Options::none("query"))
    });
    engine.register_fn("query", |table: &mut Table, hash: K, options: Map| {
        let options = Options::new("query", &options, &["after", "before", "limit", "newest"])?;
        query(table, &key("query", hash, ImmutableString::new())?.hash, &options)
    });
}

fn open(name: ImmutableString) -> NativeResult<Table> {
    check_table_name(&name)?;
    Ok(Table(name))
}

/// Whether a text can name a table.
pub(crate) fn is_table_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !name.is_empty() && name.len() <= TABLE_NAME_LEN_MAX && name.bytes().all(is_allowed)
}

/// Refuses what cannot name a table.
pub(super) fn check_table_name(name: &str) -> NativeResult<()> {
    if is_table_name(name) {
        return Ok(());
    }
    let name = excerpt(name);
    Err(refuse(format!(
        "table name {name:?} is not 1 to {TABLE_NAME_LEN_MAX} characters of A-Z, a-z, 0-9, `_` and `-`"
    )))
}

fn key(function: &str, hash: impl Argument, sort: impl Argument) -> NativeResult<Key> {
    let hash = key_part(function, "hash", hash.into_value())?;
    let sort = key_part(function, "sort", sort.into_value())?;
    if hash.is_empty() {
        return Err(refuse(format!("{function} got an empty hash: name what the row belongs to")));
    }
    Ok(Key { hash, sort })
}

pub(super) fn key_part(function: &str, part: &str, value: Dynamic) -> NativeResult<ImmutableString> {
    let type_name = value.type_name();
    if value.is_int() || value.is_char() {
        return Ok(value.to_string().into());
    }
    match value.try_cast::<ImmutableString>() {
        Some(text) if text.contains('\0') => {
            Err(refuse(format!("{function} got a {part} with the null character: remove it")))
        }
        Some(text) => Ok(text),
        None => {
            Err(refuse(format!("{function} needs a string or a whole number as {part}, not {type_name}")))
        }
    }
}

fn put(table: &Table, key: Key, value: &Dynamic, ttl: Option<Duration>) -> NativeResult<()> {
    with_run("put", |run| write(run, "put", &table.0, key, value, ttl))
}

/// Writes a row and what its indexes hold of it.
fn write(
    run: &mut Run,
    function: &str,
    table: &ImmutableString,
    key: Key,
    value: &Dynamic,
    ttl: Option<Duration>,
) -> NativeResult<()> {
    check_key(&key, run)?;
    let json = json::write(value, run.limits.effect_bytes_max);
    let json = json.map_err(|error| refuse(format!("{function} cannot store this value: {error}")))?;
    index::maintain(run, table, &key, Some((value, expiry(run, ttl))))?;
    ask_put(run, table, (key.hash.into_owned(), key.sort.into_owned()), json.into(), ttl)
}

/// Asks for a row of a table without an index to be written, under a key that was checked.
pub(crate) fn ask_put(
    run: &mut Run,
    table: &str,
    (hash, sort): (String, String),
    value: Bytes,
    ttl: Option<Duration>,
) -> NativeResult<()> {
    run.reserve(table.len() + hash.len() + sort.len() + value.len())?;
    let (table, expires_at_ms) = (table.to_owned(), expiry(run, ttl));
    run.effects.push(Effect::Put { table, hash, sort, value, expires_at_ms });
    Ok(())
}

/// When a row goes that is written now.
fn expiry(run: &Run, ttl: Option<Duration>) -> Option<i64> {
    let ttl_ms = i64::try_from(ttl?.as_millis()).unwrap_or(i64::MAX);
    Some(run.time_ms.saturating_add(ttl_ms))
}

fn delete(table: &Table, key: &Key) -> NativeResult<()> {
    with_run("delete", |run| {
        check_key(key, run)?;
        run.reserve(table.0.len() + key.hash.len() + key.sort.len())?;
        index::maintain(run, &table.0, key, None)?;
        let (table, hash, sort) = (table.0.to_string(), key.hash.to_string(), key.sort.to_string());
        run.effects.push(Effect::Delete { table, hash, sort });
        Ok(())
    })
}

fn get(table: &Table, key: &Key) -> NativeResult<Dynamic> {
    with_run("get", |run| {
        check_key(key, run)?;
        read(run, &table.0, key)
    })
}

/// A row's value as this run sees it, or `()`.
fn read(run: &mut Run, table: &str, key: &Key) -> NativeResult<Dynamic> {
    let own = own_writes(&run.effects, table, &key.hash).filter(|(sort, _)| *sort == key.sort.as_str());
    let value = if let Some((_, written)) = own.last() {
        written.cloned()
    } else {
        let read = run.snapshot.get(table, &key.hash, &key.sort);
        read.map_err(|error| Stop::snapshot(&error).into_error())?
    };
    match value {
        None => Ok(Dynamic::UNIT),
        Some(value) => {
            run.count_read(value.len())?;
            parse(&value, run)
        }
    }
}

fn query(table: &Table, hash: &ImmutableString, options: &Options) -> NativeResult<Dynamic> {
    with_run("query", |run| {
        let limit = options.limit("query", run.limits.query_rows_max)?;
        let (after, before) = (options.text("after")?, options.text("before")?);
        let newest_first = options.truth("newest")?.unwrap_or(false);
        let query = Query { after, before, limit, newest_first };
        let rows = read_rows(table, hash, query, run)?;
        run.count_read(rows.iter().map(|row| row.sort.len() + row.value.len()).sum())?;
        Ok(Dynamic::from_array(rows.into_iter().map(Dynamic::from).collect()))
    })
}

/// The rows of the snapshot with the handler's own writes laid over them.
fn read_rows(table: &Table, hash: &str, mut query: Query, run: &Run) -> NativeResult<Vec<RowValue>> {
    let own: BTreeMap<&str, Option<&Bytes>> =
        own_writes(&run.effects, &table.0, hash).filter(|(sort, _)| query.includes(sort)).collect();
    let limit = query.limit;
    // Each own write can hide at most one row, so with that many more the first `limit` are right.
    query.limit += own.len();
    let snapshot: &Arc<dyn Snapshot> = &run.snapshot;
    let read = snapshot.query(&table.0, hash, &query).map_err(|error| Stop::snapshot(&error).into_error())?;
    let rows = read.into_iter().map(|row| RowValue { sort: row.sort.into(), value: row.value });
    if own.is_empty() {
        return Ok(rows.take(limit).collect());
    }
    let kept = rows.filter(|row| !own.contains_key(row.sort.as_str()));
    let written = own
        .iter()
        .filter_map(|(sort, value)| Some(RowValue { sort: (*sort).into(), value: (*value)?.clone() }));
    let mut merged: Vec<RowValue> = kept.chain(written).collect();
    merged.sort_by(|left, right| left.sort.as_str().cmp(right.sort.as_str()));
    if query.newest_first {
        merged.reverse();
    }
    merged.truncate(limit);
    Ok(merged)
}

/// What this run has written under one hash, in order: sort key, and value or `None` for deleted.
fn own_writes<'run>(
    effects: &'run [Effect],
    table: &'run str,
    hash: &'run str,
) -> impl Iterator<Item = (&'run str, Option<&'run Bytes>)> {
    effects.iter().filter_map(move |effect| match effect {
        Effect::Put { table: other, hash: under, sort, value, .. } if other == table && under == hash => {
            Some((sort.as_str(), Some(value)))
        }
        Effect::Delete { table: other, hash: under, sort } if other == table && under == hash => {
            Some((sort.as_str(), None))
        }
        _ => None,
    })
}

fn check_key(key: &Key, run: &Run) -> NativeResult<()> {
    let max = run.limits.key_bytes_max;
    match [&key.hash, &key.sort].into_iter().find(|part| part.len() > max) {
        None => Ok(()),
        Some(part) => Err(refuse(format!(
            "a key part has {} bytes: at most key_bytes_max = {max} are allowed",
            part.len()
        ))),
    }
}

fn parse(value: &Bytes, run: &Run) -> NativeResult<Dynamic> {
    charge_bytes(value.len());
    json::read(value, &run.limits)
        .map_err(|error| refuse(format!("the stored value cannot be read: {error}")))
}
