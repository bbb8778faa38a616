//! `on_message("filter", "handler")` and its kin, for the top level of a script.

use std::time::Duration;

use rhai::{Dynamic, Engine, Map, NativeCallContext};

use super::options::{Options, parse_duration};
use super::table::check_table_name;
use crate::basic_ingest;
use crate::bus::{DEFAULT_BUS, is_bus_name};
use crate::json;
use crate::pattern::{PATTERN_BYTES_MAX, Pattern};
use crate::schedule::{Missed, Schedule, ScheduleError};
use crate::state::{self, NativeResult, Registration, refuse};
use crate::topic::LevelFilter;
use crate::trigger::{BatchLimits, BusPattern, Handling, On, OrderBy, Start};

/// The functions that register triggers.
pub(crate) const NAMES: [&str; 11] = [
    "cron",
    "every",
    "index",
    "on_batch",
    "on_change",
    "on_connect",
    "on_disconnect",
    "on_event",
    "on_message",
    "on_subscribe",
    "on_unsubscribe",
];

/// What a batch may have at most, and has where the script does not say.
const BATCH_MESSAGES_MAX: i64 = 1_000;
const BATCH_BYTES_MAX: i64 = 1 << 20;
const BATCH_DELAY_MAX: Duration = Duration::from_mins(1);
const BATCH_DELAY: Duration = Duration::from_secs(1);

pub(super) fn register(engine: &mut Engine) {
    register_messages(engine);
    register_times(engine);
    engine.register_fn("on_change", |context: NativeCallContext, table: &str, handler: &str| {
        on_change(&context, table, &Options::none("on_change"), handler)
    });
    engine.register_fn(
        "on_change",
        |context: NativeCallContext, table: &str, options: Map, handler: &str| {
            on_change(&context, table, &Options::new("on_change", &options, &["order_by"])?, handler)
        },
    );
    engine.register_fn("on_event", |context: NativeCallContext, pattern: Map, handler: &str| {
        on_event(&context, pattern, &Options::none("on_event"), handler)
    });
    engine.register_fn(
        "on_event",
        |context: NativeCallContext, pattern: Map, options: Map, handler: &str| {
            let options = Options::new("on_event", &options, &["bus", "durable", "order_by", "start"])?;
            on_event(&context, pattern, &options, handler)
        },
    );
    let mut lifecycle = |name: &str, on: On| {
        let register = move |context: NativeCallContext, handler: &str| {
            file(&context, on.clone(), Handling { durable: false, ..Handling::default() }, handler)
        };
        engine.register_fn(name, register);
    };
    lifecycle("on_connect", On::Connect);
    lifecycle("on_disconnect", On::Disconnect);
    lifecycle("on_subscribe", On::Subscribe);
    lifecycle("on_unsubscribe", On::Unsubscribe);
}

fn register_messages(engine: &mut Engine) {
    engine.register_fn("on_message", |context: NativeCallContext, filter: &str, handler: &str| {
        let filter = listened(filter)?;
        file(&context, On::Message(filter), Handling::default(), handler)
    });
    engine.register_fn(
        "on_message",
        |context: NativeCallContext, filter: &str, options: Map, handler: &str| {
            let filter = listened(filter)?;
            let options = Options::new("on_message", &options, &["durable", "order_by", "qos", "start"])?;
            let handling = handling(&options, Some(&filter))?;
            file(&context, On::Message(filter), handling, handler)
        },
    );
    engine.register_fn("on_batch", |context: NativeCallContext, filter: &str, handler: &str| {
        on_batch(&context, filter, &Options::none("on_batch"), handler)
    });
    engine.register_fn(
        "on_batch",
        |context: NativeCallContext, filter: &str, options: Map, handler: &str| {
            let known = ["durable", "max_bytes", "max_delay", "max_messages", "order_by", "qos", "start"];
            on_batch(&context, filter, &Options::new("on_batch", &options, &known)?, handler)
        },
    );
}

fn register_times(engine: &mut Engine) {
    engine.register_fn("every", |context: NativeCallContext, period: &str, handler: &str| {
        every(&context, period, &Options::none("every"), handler)
    });
    engine.register_fn("every", |context: NativeCallContext, period: &str, options: Map, handler: &str| {
        every(&context, period, &Options::new("every", &options, &["missed"])?, handler)
    });
    engine.register_fn("cron", |context: NativeCallContext, text: &str, handler: &str| {
        cron(&context, text, &Options::none("cron"), handler)
    });
    engine.register_fn("cron", |context: NativeCallContext, text: &str, options: Map, handler: &str| {
        cron(&context, text, &Options::new("cron", &options, &["missed", "zone"])?, handler)
    });
}

fn listened(filter: &str) -> NativeResult<LevelFilter> {
    let filter = LevelFilter::parse(filter).map_err(|error| refuse(error.to_string()))?;
    basic_ingest::check_filter(filter.as_str()).map_err(refuse)?;
    Ok(filter)
}

fn on_batch(context: &NativeCallContext, filter: &str, options: &Options, handler: &str) -> NativeResult<()> {
    let filter = listened(filter)?;
    let count = |name: &str, max: i64| match options.number(name)? {
        None => Ok(usize::try_from(max).unwrap_or(usize::MAX)),
        Some(given) if (1..=max).contains(&given) => Ok(usize::try_from(given).unwrap_or(1)),
        Some(given) => Err(refuse(format!("on_batch needs 1 to {max} as {name}, not {given}"))),
    };
    let delay_max = options.duration("max_delay")?.unwrap_or(BATCH_DELAY);
    if delay_max > BATCH_DELAY_MAX {
        return Err(refuse(format!(
            "on_batch needs at most {BATCH_DELAY_MAX:?} as max_delay, not {delay_max:?}"
        )));
    }
    let limits = BatchLimits {
        messages_max: count("max_messages", BATCH_MESSAGES_MAX)?,
        bytes_max: count("max_bytes", BATCH_BYTES_MAX)?,
        delay_max,
    };
    // A batch brings together what came from everywhere, so that is what has one order.
    let order_by = match options.text("order_by")? {
        None => OrderBy::All,
        Some(text) => OrderBy::parse(&text).map_err(refuse)?,
    };
    let handling = Handling { order_by, ..handling(options, Some(&filter))? };
    file(context, On::Batch(filter, limits), handling, handler)
}

fn on_change(context: &NativeCallContext, table: &str, options: &Options, handler: &str) -> NativeResult<()> {
    check_table_name(table)?;
    let handling = handling(options, None)?;
    file(context, On::Change(table.into()), handling, handler)
}

fn on_event(context: &NativeCallContext, pattern: Map, options: &Options, handler: &str) -> NativeResult<()> {
    let json = json::write(&Dynamic::from_map(pattern), PATTERN_BYTES_MAX);
    let json = json.map_err(|error| refuse(format!("on_event cannot read this pattern: {error}")))?;
    let pattern = Pattern::compile(&String::from_utf8_lossy(&json));
    let pattern = pattern.map_err(|error| refuse(format!("on_event: {error}")))?;
    let bus = options.text("bus")?.unwrap_or_else(|| DEFAULT_BUS.to_owned());
    if !is_bus_name(&bus) {
        return Err(refuse(format!("on_event names the bus {bus:?}: use A-Z, a-z, 0-9, `.`, `-` and `_`")));
    }
    let wanted = BusPattern { bus: bus.into(), pattern: pattern.into() };
    let handling = handling(options, None)?;
    file(context, On::Event(wanted), handling, handler)
}

fn every(context: &NativeCallContext, period: &str, options: &Options, handler: &str) -> NativeResult<()> {
    let period = parse_duration(period).ok_or_else(|| {
        refuse(format!(
            "every needs a duration such as \"250ms\", \"10s\", \"5m\", \"2h\" or \"7d\", not {period:?}"
        ))
    })?;
    file_schedule(context, Schedule::every(period, missed(options)?), handler)
}

fn cron(context: &NativeCallContext, text: &str, options: &Options, handler: &str) -> NativeResult<()> {
    let zone = options.text("zone")?.unwrap_or_else(|| "UTC".to_owned());
    file_schedule(context, Schedule::cron(text, &zone, missed(options)?), handler)
}

fn file_schedule(
    context: &NativeCallContext,
    schedule: Result<Schedule, ScheduleError>,
    handler: &str,
) -> NativeResult<()> {
    let schedule = schedule.map_err(|error| refuse(error.to_string()))?;
    // Its runs come one after the other.
    file(context, On::Time(schedule), Handling { order_by: OrderBy::All, ..Handling::default() }, handler)
}

fn missed(options: &Options) -> NativeResult<Missed> {
    match options.text("missed")?.as_deref() {
        None | Some("once") => Ok(Missed::Once),
        Some("all") => Ok(Missed::All),
        Some("skip") => Ok(Missed::Skip),
        Some(other) => Err(refuse(format!("missed is \"once\", \"all\" or \"skip\", not {other:?}"))),
    }
}

fn handling(options: &Options, filter: Option<&LevelFilter>) -> NativeResult<Handling> {
    let qos = match options.number("qos")? {
        None => 2,
        Some(qos @ 0..=2) => qos,
        Some(qos) => return Err(refuse(format!("qos is 0, 1 or 2, not {qos}"))),
    };
    let order_by = match options.text("order_by")? {
        None => OrderBy::default(),
        Some(text) => OrderBy::parse(&text).map_err(refuse)?,
    };
    if let (OrderBy::Param(name), Some(filter)) = (&order_by, filter)
        && !filter.names().any(|other| other == &**name)
    {
        return Err(refuse(format!(
            "order_by names the level {name:?}, which {:?} has not",
            filter.as_str()
        )));
    }
    let start = match options.text("start")?.as_deref() {
        None | Some("now") => Start::Now,
        Some("oldest") => Start::Oldest,
        Some(time) => {
            let at = time.parse::<jiff::Timestamp>().map_err(|_| {
                refuse(format!(
                    "start is \"now\", \"oldest\" or a time such as \"2026-03-01T10:00:00Z\", not {time:?}"
                ))
            })?;
            Start::At(at.as_millisecond())
        }
    };
    // As with a subscription: at QoS 0 nothing is promised.
    let durable = options.truth("durable")?.unwrap_or(true) && qos > 0;
    Ok(Handling { durable, order_by, start })
}

fn file(context: &NativeCallContext, on: On, handling: Handling, handler: &str) -> NativeResult<()> {
    let (handler, position) = (handler.to_owned(), context.call_position());
    state::register(context.fn_name(), Registration { on, handling, handler, position })
}
