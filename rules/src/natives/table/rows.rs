//! Changes of a part of a row, and conditions on what it is before.

use rhai::{Dynamic, Engine, ImmutableString, Map};

use super::{Key, Table, key, read, write};
use crate::json;
use crate::natives::options::Options;
use crate::state::{NativeResult, Run, refuse, with_run};

/// What the last argument of `update` may hold.
const SETTINGS: [&str; 4] = ["if_absent", "if_equals", "if_present", "ttl"];

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("update", |table: &mut Table, hash: Dynamic, sort: Dynamic, members: Map| {
        update(table, key("update", hash, sort)?, members, &Options::none("update"))
    });
    engine.register_fn(
        "update",
        |table: &mut Table, hash: Dynamic, sort: Dynamic, members: Map, options: Map| {
            update(table, key("update", hash, sort)?, members, &Options::new("update", &options, &SETTINGS)?)
        },
    );
    engine.register_fn(
        "add",
        |table: &mut Table, hash: Dynamic, sort: Dynamic, member: ImmutableString, amount: Dynamic| {
            add(table, key("add", hash, sort)?, &member, &amount)
        },
    );
}

/// Refuses a write whose condition does not hold. Scripts may catch it.
pub(super) fn check_condition(table: &str, key: &Key, options: &Options) -> NativeResult<()> {
    let (absent, present) = (options.truth("if_absent")?, options.truth("if_present")?);
    let equals = options.map("if_equals")?;
    if absent.is_none() && present.is_none() && equals.is_none() {
        return Ok(());
    }
    with_run("a condition", |run| {
        let row = read(run, table, key)?;
        let failed = |condition: &str, is: &str| {
            let (hash, sort) = (&key.hash, &key.sort);
            Err(refuse(format!(
                "{condition} does not hold for row {hash:?}, {sort:?} of table {table:?}: {is}"
            )))
        };
        match (absent, present) {
            (Some(true), _) if !row.is_unit() => return failed("if_absent", "it is there"),
            (_, Some(true)) if row.is_unit() => return failed("if_present", "it is not there"),
            _ => {}
        }
        let Some(equals) = equals else { return Ok(()) };
        let members = row.read_lock::<Map>();
        for (name, wanted) in &equals {
            let is = members.as_ref().and_then(|members| members.get(name)).unwrap_or(&Dynamic::UNIT);
            if text(is, run)? != text(wanted, run)? {
                let is = text(is, run)?;
                return failed("if_equals", &format!("its member {name:?} is {is}"));
            }
        }
        Ok(())
    })
}

/// A value as JSON, by which two are compared.
fn text(value: &Dynamic, run: &Run) -> NativeResult<String> {
    let json = json::write(value, run.limits.effect_bytes_max).map_err(refuse)?;
    Ok(String::from_utf8_lossy(&json).into_owned())
}

/// Sets members of a row that is a map, or is not there; `()` takes a member away. Gives the row as it is then.
fn update(table: &Table, key: Key, members: Map, options: &Options) -> NativeResult<Dynamic> {
    check_condition(&table.0, &key, options)?;
    let ttl = options.duration("ttl")?;
    with_run("update", |run| {
        let mut row = map_of(read(run, &table.0, &key)?, "update", &key)?;
        for (name, value) in members {
            if value.is_unit() {
                row.remove(&name);
            } else {
                row.insert(name, value);
            }
        }
        let row = Dynamic::from_map(row);
        write(run, "update", &table.0, key, &row, ttl)?;
        Ok(row)
    })
}

/// Adds to a number in a row that is a map, or is not there. Gives the sum.
fn add(table: &Table, key: Key, member: &str, amount: &Dynamic) -> NativeResult<Dynamic> {
    with_run("add", |run| {
        let mut row = map_of(read(run, &table.0, &key)?, "add", &key)?;
        let before = row.get(member).cloned().unwrap_or(Dynamic::from_int(0));
        let sum = sum(&before, amount).ok_or_else(|| {
            refuse(format!(
                "add needs numbers within range: member {member:?} is {before:?}, and {amount:?} is added"
            ))
        })?;
        row.insert(member.into(), sum.clone());
        write(run, "add", &table.0, key, &Dynamic::from_map(row), None)?;
        Ok(sum)
    })
}

fn sum(one: &Dynamic, other: &Dynamic) -> Option<Dynamic> {
    if let (Ok(one), Ok(other)) = (one.as_int(), other.as_int()) {
        return one.checked_add(other).map(Dynamic::from_int);
    }
    #[expect(clippy::cast_precision_loss, reason = "a sum with a fraction is one of binary64")]
    let float = |value: &Dynamic| value.as_float().ok().or_else(|| Some(value.as_int().ok()? as f64));
    let sum = float(one)? + float(other)?;
    sum.is_finite().then(|| Dynamic::from_float(sum))
}

fn map_of(row: Dynamic, function: &str, key: &Key) -> NativeResult<Map> {
    if row.is_unit() {
        return Ok(Map::new());
    }
    let is = row.type_name();
    row.try_cast::<Map>().ok_or_else(|| {
        refuse(format!("{function} needs a row that is a map: {:?}, {:?} is {is}", key.hash, key.sort))
    })
}
