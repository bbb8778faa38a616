//! Secondary indexes: rows found by a member of their value.
//!
//! An index is a table of its own whose name no script can write. Its rows lie under the text of the member, and say
//! where the row is. They are written with the row, so they are right whenever it is.

use bytes::Bytes;
use rhai::{Dynamic, Engine, ImmutableString, Map, NativeCallContext};

use super::{Key, RowValue, Table, check_table_name, read, read_rows};
use crate::effect::Effect;
use crate::natives::options::Options;
use crate::rule::Index;
use crate::snapshot::Query;
use crate::state::{self, NativeResult, Run, refuse, with_run};
use crate::topic::excerpt;

/// Between the parts of a key, which may hold anything but this.
const BETWEEN: char = '\0';

/// `index("orders", "status")`, for the top level.
pub(in crate::natives) fn register_declaration(engine: &mut Engine) {
    engine.register_fn("index", |context: NativeCallContext, table: &str, member: &str| {
        check_table_name(table)?;
        check_table_name(member).map_err(|_| {
            refuse(format!(
                "an index is named after a member of 1 to 64 letters, digits, `_` and `-`, not {:?}",
                excerpt(member)
            ))
        })?;
        state::declare_index(context.fn_name(), Index { table: table.into(), member: member.into() })
    });
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("find", |table: &mut Table, member: &str, value: Dynamic| {
        find(table, member, &value, &Options::none("find"))
    });
    engine.register_fn("find", |table: &mut Table, member: &str, value: Dynamic, options: Map| {
        find(table, member, &value, &Options::new("find", &options, &["limit"])?)
    });
}

/// Writes what the indexes of a table hold of a row. `after` is its new value and when that goes; `None` if it is deleted.
pub(super) fn maintain(
    run: &mut Run,
    table: &ImmutableString,
    key: &Key,
    after: Option<(&Dynamic, Option<i64>)>,
) -> NativeResult<()> {
    let indexes = run.indexes_of(table);
    if indexes.is_empty() {
        return Ok(());
    }
    let before = read(run, table, key)?;
    for index in indexes {
        let (old, new) = (place(&before, &index.member), after.and_then(|(it, _)| place(it, &index.member)));
        let sort = format!("{}{BETWEEN}{}", key.hash, key.sort);
        if let Some(old) = old.filter(|old| Some(old) != new.as_ref()) {
            run.reserve(old.len() + sort.len())?;
            run.effects.push(Effect::Delete { table: index.table_name(), hash: old, sort: sort.clone() });
        }
        if let (Some(hash), Some((_, expires_at_ms))) = (new, after) {
            run.reserve(hash.len() + sort.len())?;
            let value = Bytes::from_static(b"null");
            run.effects.push(Effect::Put { table: index.table_name(), hash, sort, value, expires_at_ms });
        }
    }
    Ok(())
}

/// Where in an index a row stands: the text of its member; nowhere without one.
fn place(row: &Dynamic, member: &str) -> Option<String> {
    text_of(row.read_lock::<Map>()?.get(member)?)
}

fn text_of(value: &Dynamic) -> Option<String> {
    const TEXT_BYTES_MAX: usize = 512;
    let text = match value.read_lock::<ImmutableString>() {
        Some(text) => format!("s{}", text.as_str()),
        None if value.is_int() || value.is_float() || value.is_bool() => format!("v{value}"),
        None => return None,
    };
    (text.len() <= TEXT_BYTES_MAX && !text.contains(BETWEEN)).then_some(text)
}

/// The rows whose member has this value: an array of `#{ hash, sort, value }`, by hash and sort.
fn find(table: &Table, member: &str, value: &Dynamic, options: &Options) -> NativeResult<Dynamic> {
    with_run("find", |run| {
        let indexes = run.indexes_of(&table.0);
        let index = indexes.iter().find(|index| *index.member == *member).ok_or_else(|| {
            let table = &table.0;
            refuse(format!(
                "table {table:?} has no index on {member:?}: say `index({table:?}, {member:?})` at the top level"
            ))
        })?;
        let hash = text_of(value).ok_or_else(|| {
            refuse(format!("find needs a string, a number or a truth value, not {value:?}"))
        })?;
        let limit = options.limit("find", run.limits.query_rows_max)?;
        let query = Query { limit, ..Query::default() };
        let rows = read_rows(&Table(index.table_name().into()), &hash, query, run)?;
        let mut found = rhai::Array::new();
        for RowValue { sort, .. } in rows {
            let (hash, sort) = sort.split_once(BETWEEN).unwrap_or((&sort, ""));
            let key = Key { hash: hash.into(), sort: sort.into() };
            let value = read(run, &table.0, &key)?;
            let mut row = Map::new();
            row.insert("hash".into(), key.hash.into());
            row.insert("sort".into(), key.sort.into());
            row.insert("value".into(), value);
            found.push(Dynamic::from_map(row));
        }
        Ok(Dynamic::from_array(found))
    })
}
