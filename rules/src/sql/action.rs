//! The actions of a rule: what is written behind THEN and ON ERROR, and the effects it comes to.

mod text;

use super::context::Scope;
use super::error::SqlRunError;
use super::lex::Place;
use super::limits::{KEY_BYTES_MAX, LABEL_BYTES_MAX};
use super::outcome::SqlFailure;
use super::parse::{Parsed, Parser};
use super::select::Output;
use super::template::{FillError, Template};
use super::value::Value;
use crate::bus::{Entry, EntryError, PutContext, is_bus_name};
use crate::effect::Effect;
use crate::error::RunErrorKind;
use crate::natives::{SUBJECT_CHARS_MAX, TABLE_NAME_LEN_MAX, is_notify_topic, is_table_name, parse_duration};
use crate::topic::{excerpt, validate_topic};

/// One action.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    /// Where it begins.
    place: Place,
    what: What,
}

/// What an action asks for.
#[derive(Clone, Debug)]
enum What {
    /// `DELETE FROM 'table' KEY '…' [SORT '…']`
    Delete(Row),
    /// `EVENT SOURCE '…' TYPE '…' [BUS '…']`
    Event { source: Template, detail_type: Template, bus: Option<String> },
    /// `NOTIFY '…' [SUBJECT '…']`
    Notify { topic: Template, subject: Option<Template> },
    /// `REPUBLISH '…' [QOS 0|1|2] [RETAIN]`
    Republish { topic: Template, is_reserved: bool, qos: u8, retain: bool },
    /// `TABLE '…' KEY '…' [SORT '…'] [TTL '…']`
    Table { row: Row, ttl_ms: Option<i64> },
}

/// Which row is meant.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    table: String,
    key: Template,
    sort: Option<Template>,
}

/// Why an action cannot be asked for.
struct Refusal {
    message: String,
    kind: RunErrorKind,
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self { message, kind: RunErrorKind::Thrown }
    }
}

impl From<SqlRunError> for Refusal {
    fn from(error: SqlRunError) -> Self {
        Self { message: error.to_string(), kind: error.kind() }
    }
}

impl Action {
    /// Reads one action.
    pub(crate) fn parse(parser: &mut Parser<'_>) -> Parsed<Self> {
        let place = parser.place();
        Ok(Self { place, what: What::parse(parser)? })
    }

    /// What it asks for, given what was selected.
    pub(crate) fn effect<'a>(&'a self, scope: &Scope<'a>, output: &Output) -> Result<Effect, SqlFailure> {
        self.what.effect(scope, output).map_err(|refusal| self.failure(refusal))
    }

    /// Its failure where what it asks for is not taken.
    pub(crate) fn refused(&self, why: &str) -> SqlFailure {
        self.failure(why.to_owned().into())
    }

    fn failure(&self, Refusal { message, kind }: Refusal) -> SqlFailure {
        let (action, resource) = self.what.names();
        let Place { line, column } = self.place;
        SqlFailure { action, resource: resource.to_owned(), message, kind, line, column }
    }
}

impl What {
    fn parse(parser: &mut Parser<'_>) -> Parsed<Self> {
        if parser.take_word("REPUBLISH")? {
            return republish(parser);
        }
        if parser.take_word("TABLE")? {
            let row = row(parser)?;
            let ttl_ms = if parser.take_word("TTL")? { Some(ttl(parser)?) } else { None };
            return Ok(Self::Table { row, ttl_ms });
        }
        if parser.take_word("DELETE")? {
            parser.word("FROM")?;
            return row(parser).map(Self::Delete);
        }
        if parser.take_word("EVENT")? {
            parser.word("SOURCE")?;
            let source = template(parser, "the source of the event in quotes")?;
            parser.word("TYPE")?;
            let detail_type = template(parser, "the type of the event in quotes")?;
            return Ok(Self::Event { source, detail_type, bus: bus(parser)? });
        }
        if parser.take_word("NOTIFY")? {
            let topic = template(parser, "the topic of the notification in quotes")?;
            let has_subject = parser.take_word("SUBJECT")?;
            let subject = has_subject.then(|| template(parser, "the subject in quotes")).transpose()?;
            return Ok(Self::Notify { topic, subject });
        }
        parser.expected("REPUBLISH, TABLE, DELETE, EVENT or NOTIFY")
    }

    fn effect<'a>(&'a self, scope: &Scope<'a>, output: &Output) -> Result<Effect, Refusal> {
        match self {
            Self::Delete(row) => {
                let (table, hash, sort) = row.fill(scope)?;
                Ok(Effect::Delete { table, hash, sort })
            }
            Self::Event { source, detail_type, bus } => {
                let source = label(source, scope, "source")?;
                let detail_type = label(detail_type, scope, "type")?;
                Ok(put_event(source, detail_type, bus.clone(), scope, output)?)
            }
            Self::Notify { topic, subject } => {
                let topic = fill(topic, scope)?;
                let subject = subject.as_ref().map(|subject| fill(subject, scope)).transpose()?;
                Ok(notify(topic, subject, output)?)
            }
            Self::Republish { topic, is_reserved, qos, retain } => {
                let topic = fill(topic, scope)?;
                validate_topic(&topic).map_err(|error| error.to_string())?;
                check_republish(&topic, *is_reserved)?;
                Ok(Effect::Publish {
                    topic,
                    payload: output.bytes.clone(),
                    qos: *qos,
                    retain: *retain,
                    properties: None,
                })
            }
            Self::Table { row, ttl_ms } => {
                let (table, hash, sort) = row.fill(scope)?;
                if !output.is_json {
                    return Err("the payload is not JSON: store encode(*, 'base64')".to_owned().into());
                }
                let expires_at_ms = ttl_ms.map(|ttl| scope.evaluation.context.time_ms.saturating_add(ttl));
                Ok(Effect::Put { table, hash, sort, value: output.bytes.clone(), expires_at_ms })
            }
        }
    }

    /// What failures call it, and what it would be done to.
    fn names(&self) -> (&'static str, &str) {
        match self {
            Self::Delete(row) => ("DeleteAction", &row.table),
            Self::Event { source, .. } => ("EventAction", source.source()),
            Self::Notify { topic, .. } => ("NotifyAction", topic.source()),
            Self::Republish { topic, .. } => ("RepublishAction", topic.source()),
            Self::Table { row, .. } => ("TableAction", &row.table),
        }
    }
}

impl Row {
    /// The table, the key and the sort key.
    fn fill<'a>(&'a self, scope: &Scope<'a>) -> Result<(String, String, String), Refusal> {
        let hash = fill(&self.key, scope)?;
        let sort = self.sort.as_ref().map(|sort| fill(sort, scope)).transpose()?.unwrap_or_default();
        if hash.is_empty() {
            return Err("the key is empty: name what the row belongs to".to_owned().into());
        }
        for part in [&hash, &sort] {
            if part.len() > KEY_BYTES_MAX {
                let bytes = part.len();
                let why = format!("a key part has {bytes} bytes: at most {KEY_BYTES_MAX} are allowed");
                return Err(why.into());
            }
            if part.contains('\0') {
                return Err("a key part holds the null character: remove it".to_owned().into());
            }
        }
        Ok((self.table.clone(), hash, sort))
    }
}

fn fill<'a>(template: &'a Template, scope: &Scope<'a>) -> Result<String, Refusal> {
    template.fill(scope).map_err(|error| match error {
        FillError::Missing(expr) => format!("{expr} has no value for this message").into(),
        FillError::Run(error) => error.into(),
    })
}

/// A short text that may not be empty.
fn label<'a>(template: &'a Template, scope: &Scope<'a>, what: &str) -> Result<String, Refusal> {
    let text = fill(template, scope)?;
    if text.is_empty() || text.len() > LABEL_BYTES_MAX {
        let bytes = text.len();
        return Err(format!("the {what} has {bytes} bytes: 1 to {LABEL_BYTES_MAX} are allowed").into());
    }
    Ok(text)
}

/// The event as subscribers get it.
fn put_event(
    source: String,
    detail_type: String,
    bus: Option<String>,
    scope: &Scope<'_>,
    output: &Output,
) -> Result<Effect, String> {
    let detail = String::from_utf8(output.bytes.to_vec()).ok().filter(|_| output.is_json);
    let entry = Entry {
        source: Some(source),
        detail_type: Some(detail_type),
        detail: Some(detail.unwrap_or_default()),
        bus,
        ..Entry::default()
    };
    let context = scope.evaluation.context;
    let place = PutContext {
        time_ms: context.time_ms,
        seed: context.event_id,
        rule: context.rule,
        number: scope.evaluation.draw(),
        cause: Some(context.event_id),
    };
    match entry.event(&place) {
        Ok(event) => Ok(Effect::PutEvent { bus: entry.bus().to_owned(), event }),
        Err(EntryError::MalformedDetail | EntryError::InvalidArgument { member: "Detail", .. }) => {
            Err("the detail of an event must be a JSON object: select members".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn notify(topic: String, subject: Option<String>, output: &Output) -> Result<Effect, String> {
    if !is_notify_topic(&topic) {
        return Err(format!("{:?} is no topic of notifications", excerpt(&topic)));
    }
    let is_line = |subject: &String| {
        subject.chars().count() <= SUBJECT_CHARS_MAX && !subject.chars().any(char::is_control)
    };
    if !subject.as_ref().is_none_or(is_line) {
        return Err(format!("a subject is one line of at most {SUBJECT_CHARS_MAX} characters"));
    }
    let text = std::str::from_utf8(&output.bytes).map_err(|_| "the message is not UTF-8".to_owned())?;
    // A selected text is sent as itself, anything else as JSON.
    let message = match Value::from_json(text.trim_ascii()) {
        Value::Text(message) if output.is_json => message.into_owned(),
        _ => text.to_owned(),
    };
    Ok(Effect::Notify { topic, subject, message })
}

/// `BUS '…'`, if it is next.
fn bus(parser: &mut Parser<'_>) -> Parsed<Option<String>> {
    if !parser.take_word("BUS")? {
        return Ok(None);
    }
    let (name, place) = parser.text("the name of a bus in quotes")?;
    if !is_bus_name(&name) {
        let name = excerpt(&name);
        return Err(place.error(format!(
            "bus name {name:?} is not 1 to 256 characters of A-Z, a-z, 0-9, `.`, `-` and `_`"
        )));
    }
    Ok(Some(name))
}

fn template(parser: &mut Parser<'_>, what: &str) -> Parsed<Template> {
    let (text, place) = parser.text(what)?;
    if text.is_empty() {
        return Err(place.error(format!("{what} was expected, and here is an empty text")));
    }
    Template::parse(&text, place, parser)
}

/// Whether a statement may publish to a topic; `is_reserved` if its file says so with `$$`.
fn check_republish(topic: &str, is_reserved: bool) -> Result<(), String> {
    if !topic.starts_with('$') {
        return Ok(());
    }
    let shown = excerpt(topic);
    if !is_reserved {
        let why = "which only `$$` in the file may ask for";
        return Err(format!("topic {shown:?} starts with `$`, {why}"));
    }
    if !topic.starts_with("$aws/") || topic.starts_with("$aws/events/") {
        let what = "`$$` can ask for `$aws/`, and not for `$aws/events/`";
        return Err(format!("topic {shown:?} is for the server alone: {what}"));
    }
    Ok(())
}

fn republish(parser: &mut Parser<'_>) -> Parsed<What> {
    let (text, place) = parser.text("the topic in quotes")?;
    let (text, is_reserved) = match text.strip_prefix("$$") {
        Some(rest) => (format!("${rest}"), true),
        None => (text, false),
    };
    let start = Place { column: place.column + usize::from(is_reserved), ..place };
    let topic = Template::parse(&text, start, parser)?;
    let fixed = topic.fixed_start();
    if fixed.starts_with('$') && !is_reserved {
        return Err(place.error("topics that start with `$` are reserved: write `$$` to mean one"));
    }
    let checked = if topic.fixed().is_some() || fixed.contains(['+', '#', '\0']) {
        validate_topic(fixed)
    } else {
        Ok(())
    };
    checked.map_err(|error| place.error(error.to_string()))?;
    let mut qos = 0;
    if parser.take_word("QOS")? {
        let place = parser.place();
        qos = match parser.whole("0, 1 or 2")? {
            level @ 0..=2 => u8::try_from(level).unwrap_or(0),
            level => return Err(place.error(format!("QOS is 0, 1 or 2, not {level}"))),
        };
    }
    let retain = parser.take_word("RETAIN")?;
    Ok(What::Republish { topic, is_reserved, qos, retain })
}

fn row(parser: &mut Parser<'_>) -> Parsed<Row> {
    let (table, place) = parser.text("the name of the table in quotes")?;
    check_table(&table, place)?;
    parser.word("KEY")?;
    let key = template(parser, "the key in quotes")?;
    let has_sort = parser.take_word("SORT")?;
    let sort = has_sort.then(|| template(parser, "the sort key in quotes")).transpose()?;
    Ok(Row { table, key, sort })
}

fn check_table(name: &str, place: Place) -> Parsed<()> {
    if !is_table_name(name) {
        let name = excerpt(name);
        return Err(place.error(format!(
            "table name {name:?} is not 1 to {TABLE_NAME_LEN_MAX} characters of A-Z, a-z, 0-9, `_` and `-`"
        )));
    }
    if name.starts_with('_') {
        return Err(
            place.error(format!("table {name:?} is the server's own: take a name without `_` in front"))
        );
    }
    Ok(())
}

/// A duration in milliseconds.
fn ttl(parser: &mut Parser<'_>) -> Parsed<i64> {
    let (text, place) = parser.text("a duration in quotes, such as '7d'")?;
    let ms = parse_duration(&text).and_then(|duration| i64::try_from(duration.as_millis()).ok());
    ms.filter(|&ms| ms > 0).ok_or_else(|| {
        place.error(format!("{:?} is no duration such as '10s', '5m', '2h' or '7d'", excerpt(&text)))
    })
}
