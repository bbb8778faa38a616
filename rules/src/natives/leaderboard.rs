//! `leaderboard("name")`: scores and ranks, read with the handler's own submissions applied.

mod open;

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, FLOAT, INT, ImmutableString, Map};

use self::open::Opened;
use super::options::{Options, parse_duration};
use super::table::key_part;
use crate::effect::Effect;
use crate::leaderboard::{
    BoardChange, BoardName, BoardSettings, KEEP_MAX, Kind, Number, Order, Ranked, Reset, Score,
};
use crate::state::{NativeResult, Run, charge_bytes, refuse, with_run};
use crate::topic::excerpt;

/// How many closed periods are kept where the settings do not say.
const KEEP_DEFAULT: u32 = 4;

/// A leaderboard, as scripts hold it.
#[derive(Clone)]
struct Board {
    settings: Arc<BoardSettings>,
    /// The id of a closed period, which can only be read; `None` for the one that the event falls into.
    closed: Option<Box<str>>,
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Board>("Leaderboard");
    engine.register_fn("leaderboard", |name: &str| declare(name, &Options::none("leaderboard")));
    engine.register_fn("leaderboard", |name: &str, options: Map| {
        let known = ["keep", "kind", "order", "reset", "zone"];
        declare(name, &Options::new("leaderboard", &options, &known)?)
    });
    register_writes(engine);
    register_reads(engine);
    engine.register_get("name", |board: &mut Board| board.settings.name.as_str().to_owned());
    engine.register_get("period", |board: &mut Board| {
        with_run("period", |run| Ok(Opened::new(board, run)?.id.period.to_string()))
    });
    engine.register_fn("period", |board: &mut Board, id: &str| period(board, id));
    engine.register_fn("closed", |board: &mut Board| closed(board));
}

fn register_writes(engine: &mut Engine) {
    engine.register_fn("submit", |board: &mut Board, member: Dynamic, score: Dynamic| {
        submit(board, member, &score)
    });
    // As with tables, exact types are found at the first lookup.
    engine.register_fn("submit", |board: &mut Board, member: ImmutableString, score: INT| {
        submit(board, member.into(), &score.into())
    });
    engine.register_fn("submit", |board: &mut Board, member: ImmutableString, score: FLOAT| {
        submit(board, member.into(), &score.into())
    });
    engine.register_fn("remove", |board: &mut Board, member: Dynamic| remove(board, member));
    engine.register_fn("reset", |board: &mut Board| reset(board));
}

fn register_reads(engine: &mut Engine) {
    engine.register_fn("rank", |board: &mut Board, member: Dynamic| {
        read("rank", board, member, |opened, member| {
            opened.with_view(|view| view.rank(member).map_or(Dynamic::UNIT, one_based))
        })
    });
    engine.register_fn("score", |board: &mut Board, member: Dynamic| {
        read("score", board, member, |opened, member| {
            Ok(opened.standing(member)?.map_or(Dynamic::UNIT, |standing| number(standing.score)))
        })
    });
    engine.register_fn("len", |board: &mut Board| {
        with_run("len", |run| {
            Opened::new(board, run)?.with_view(|view| i64::try_from(view.len()).unwrap_or(i64::MAX))
        })
    });
    engine.register_fn("top", |board: &mut Board, len: INT| top(board, len, 0));
    engine.register_fn("top", |board: &mut Board, len: INT, offset: INT| top(board, len, offset));
    engine.register_fn("around", |board: &mut Board, member: Dynamic, each_side: INT| {
        around(board, member, each_side)
    });
}

fn declare(name: &str, options: &Options) -> NativeResult<Board> {
    let fail = |error: &dyn std::fmt::Display| refuse(error.to_string());
    let name = BoardName::parse(name).map_err(|error| fail(&error))?;
    let kind =
        options.text("kind")?.map(|kind| Kind::parse(&kind)).transpose().map_err(|error| fail(&error))?;
    let order =
        options.text("order")?.map(|order| Order::parse(&order)).transpose().map_err(|error| fail(&error))?;
    let (reset, zone, keep) = (options.text("reset")?, options.text("zone")?, options.number("keep")?);
    if reset.is_none() && (zone.is_some() || keep.is_some()) {
        return Err(refuse("zone and keep go with a reset: say when a new period begins, or leave them out"));
    }
    let keep = keep.map_or(Ok(KEEP_DEFAULT), |keep| {
        let keep = u32::try_from(keep).ok().filter(|keep| *keep <= KEEP_MAX);
        keep.ok_or_else(|| refuse(format!("leaderboard needs 0 to {KEEP_MAX} closed periods as keep")))
    })?;
    let reset = reset.map_or_else(|| Ok(Reset::never()), |reset| parse_reset(&reset, zone.as_deref()))?;
    let (kind, order) = (kind.unwrap_or_default(), order.unwrap_or_default());
    Ok(Board { settings: Arc::new(BoardSettings { name, kind, order, reset, keep }), closed: None })
}

/// Reads `daily`, `weekly`, `monthly`, `yearly` or a duration.
fn parse_reset(text: &str, zone: Option<&str>) -> NativeResult<Reset> {
    let calendar = Reset::calendar(text, zone).map_err(|error| refuse(error.to_string()))?;
    if let Some(reset) = calendar {
        return Ok(reset);
    }
    let Some(length) = parse_duration(text) else {
        return Err(refuse(format!(
            "leaderboard has no reset {:?}: it has daily, weekly, monthly, yearly, or a duration such as \"10m\"",
            excerpt(text)
        )));
    };
    if zone.is_some() {
        return Err(refuse(
            "a zone goes with daily, weekly, monthly or yearly: durations are counted in UTC",
        ));
    }
    let length_ms = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    Reset::length(length_ms).map_err(|error| refuse(error.to_string()))
}

fn submit(board: &Board, member: Dynamic, score: &Dynamic) -> NativeResult<Map> {
    let score = score_of(score)?;
    with_run("submit", |run| {
        let member = member_of("submit", member, run)?;
        let opened = Opened::for_writing("submit", board, run)?;
        let (kind, order) = (board.settings.kind, board.settings.order);
        let old = opened.standing(&member)?;
        let new = kind.submit(order, old.as_ref(), score, run.event_id, opened.submitted());
        let new = new.map_err(|error| refuse(error.to_string()))?;
        let Some(stands) = new.or(old) else { return Ok(Map::new()) };
        let (rank, len) = opened.with_view(|view| (view.position(&stands, &member), view.len()))?;
        let members_max = run.limits.board_members_max;
        if old.is_none() && len >= members_max {
            return Err(refuse(format!(
                "leaderboard {} has board_members_max = {members_max} members: {member:?} cannot be added",
                opened.id
            )));
        }
        let changes = new.map_or_else(Vec::new, |new| opened.score(&member, Some(new)));
        push(run, changes)?;
        Ok([
            ("rank", one_based(rank)),
            ("score", number(stands.score)),
            ("previous", old.map_or(Dynamic::UNIT, |old| number(old.score))),
            (
                "improved",
                new.is_some_and(|new| old.is_none_or(|old| order.is_better(new.score, old.score))).into(),
            ),
        ]
        .map(|(name, value)| (name.into(), value))
        .into())
    })
}

fn remove(board: &Board, member: Dynamic) -> NativeResult<bool> {
    with_run("remove", |run| {
        let member = member_of("remove", member, run)?;
        let opened = Opened::for_writing("remove", board, run)?;
        let is_there = opened.standing(&member)?.is_some();
        let changes = if is_there { opened.score(&member, None) } else { Vec::new() };
        push(run, changes)?;
        Ok(is_there)
    })
}

fn reset(board: &Board) -> NativeResult<()> {
    with_run("reset", |run| {
        let changes = Opened::for_writing("reset", board, run)?.reset();
        push(run, changes.into_iter().collect())
    })
}

fn push(run: &mut Run, changes: Vec<BoardChange>) -> NativeResult<()> {
    for change in changes {
        run.reserve(change.bytes())?;
        run.effects.push(Effect::Board(change));
    }
    Ok(())
}

fn read<T>(
    function: &str,
    board: &Board,
    member: Dynamic,
    with: impl FnOnce(&Opened, &str) -> NativeResult<T>,
) -> NativeResult<T> {
    with_run(function, |run| {
        let member = member_of(function, member, run)?;
        with(&Opened::new(board, run)?, &member)
    })
}

fn top(board: &Board, len: INT, offset: INT) -> NativeResult<Array> {
    with_run("top", |run| {
        let len = count("top", "the number of members", 1, len, run)?;
        let offset = usize::try_from(offset)
            .map_err(|_| refuse(format!("top needs 0 or more as offset, not {offset}")))?;
        let (rows, bytes) =
            Opened::new(board, run)?.with_view(|view| rows(view.iter_from(offset).take(len)))?;
        run.count_read(bytes)?;
        Ok(rows)
    })
}

fn around(board: &Board, member: Dynamic, each_side: INT) -> NativeResult<Array> {
    with_run("around", |run| {
        let member = member_of("around", member, run)?;
        let each_side = count("around", "the number of members on each side", 0, each_side, run)?;
        let (rows, bytes) =
            Opened::new(board, run)?.with_view(|view| rows(view.around(&member, each_side)))?;
        run.count_read(bytes)?;
        Ok(rows)
    })
}

/// The ids of the closed periods that are kept and have standings, the latest first.
fn closed(board: &Board) -> NativeResult<Array> {
    with_run("closed", |run| {
        let mut ids = Array::new();
        for id in Opened::new(board, run)?.closed() {
            charge_bytes(id.len().max(1_024));
            if Opened::of_period(board, id.clone(), run)?.is_begun() {
                ids.push(id.to_string().into());
            }
        }
        Ok(ids)
    })
}

fn period(board: &Board, id: &str) -> NativeResult<Board> {
    with_run("period", |run| {
        let settings = Arc::clone(&board.settings);
        let current = Board { settings: Arc::clone(&settings), closed: None };
        let opened = Opened::new(&current, run)?;
        if *opened.id.period == *id {
            return Ok(current);
        }
        match opened.closed().find(|closed| **closed == *id) {
            Some(closed) => Ok(Board { settings, closed: Some(closed) }),
            None => Err(refuse(format!(
                "leaderboard {} keeps no period {:?}: it keeps {} closed ones before {}",
                settings.name,
                excerpt(id),
                if opened.closed().next().is_none() { 0 } else { settings.keep },
                opened.id.period
            ))),
        }
    })
}

/// Members as scripts get them, and about how many bytes they are.
fn rows<'view>(ranked: impl Iterator<Item = Ranked<'view>>) -> (Array, usize) {
    const ROW_BYTES: usize = 32;
    let mut bytes = 0;
    let rows = ranked.map(|Ranked { rank, member, standing }| {
        bytes += member.len() + ROW_BYTES;
        let at = i64::try_from(standing.since.time_ms()).unwrap_or(i64::MAX);
        let row = [
            ("rank", one_based(rank)),
            ("member", member.into()),
            ("score", number(standing.score)),
            ("at", at.into()),
        ];
        Dynamic::from_map(row.map(|(name, value)| (name.into(), value)).into())
    });
    let rows = rows.collect();
    charge_bytes(bytes);
    (rows, bytes)
}

/// Ranks begin with 1, as people count.
fn one_based(rank: usize) -> Dynamic {
    i64::try_from(rank).map_or(i64::MAX, |rank| rank.saturating_add(1)).into()
}

fn number(score: Score) -> Dynamic {
    match score.number() {
        Number::Decimal(number) => number.into(),
        Number::Whole(number) => number.into(),
    }
}

fn score_of(value: &Dynamic) -> NativeResult<Score> {
    if let Ok(number) = value.as_int() {
        return Ok(number.into());
    }
    let Ok(number) = value.as_float() else {
        return Err(refuse(format!("submit needs a number as score, not {}", value.type_name())));
    };
    Score::from_f64(number).map_err(|error| refuse(format!("submit cannot take {number}: {error}")))
}

fn member_of(function: &str, value: Dynamic, run: &Run) -> NativeResult<ImmutableString> {
    let member = key_part(function, "member", value)?;
    let max = run.limits.board_member_bytes_max;
    if member.is_empty() {
        return Err(refuse(format!("{function} got an empty member: name who it is about")));
    }
    if member.len() > max {
        let bytes = member.len();
        return Err(refuse(format!(
            "{function} got a member of {bytes} bytes: at most board_member_bytes_max = {max} are allowed"
        )));
    }
    Ok(member)
}

fn count(function: &str, what: &str, min: usize, number: INT, run: &Run) -> NativeResult<usize> {
    let max = run.limits.query_rows_max;
    let found = usize::try_from(number).ok().filter(|number| (min..=max).contains(number));
    found.ok_or_else(|| {
        refuse(format!("{function} needs {min} to query_rows_max = {max} as {what}, not {number}"))
    })
}
