//! Events of the event bus: what may be put, and what subscribers get.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::event_id::EventId;

/// Entries of one call.
pub const ENTRIES_MAX: usize = 10;
/// Bytes of all entries of one call; fewer than this are allowed.
pub const CALL_BYTES_MAX: usize = 256 * 1024;
/// The bus that is meant where none is named.
pub const DEFAULT_BUS: &str = "default";
/// The longest name of a bus.
pub const BUS_NAME_LEN_MAX: usize = 256;
/// What an entry's time counts for in its size.
const TIME_BYTES: usize = 14;
/// The account of every event: there is one server.
const ACCOUNT: &str = "000000000000";
const REGION: &str = "local";

/// An event that is to be put on a bus.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// Who says it.
    pub source: Option<String>,
    /// What kind of event it is.
    pub detail_type: Option<String>,
    /// The text of a JSON object.
    pub detail: Option<String>,
    /// The bus, by its name or the end of its ARN.
    pub bus: Option<String>,
    /// When it happened, in milliseconds; otherwise when it is put.
    pub time_ms: Option<i64>,
    /// What it is about.
    pub resources: Vec<String>,
}

/// An entry on its way.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct EntryJson {
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    event_bus_name: Option<String>,
    time: Option<Value>,
    resources: Option<Vec<String>>,
    #[expect(dead_code, reason = "callers may send it")]
    trace_header: Option<String>,
}

/// Why one entry is not put. The others of its call are.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum EntryError {
    /// A member is missing, or not what it may be.
    #[error("Parameter {member} is not valid. Reason: {reason}")]
    InvalidArgument {
        /// The member.
        member: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The detail is no JSON object.
    #[error("Detail is malformed.")]
    MalformedDetail,
    /// The source is one that only the cloud may say it is.
    #[error("Not authorized for the source.")]
    NotAuthorizedForSource,
}

impl EntryError {
    /// The code that callers know it by.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidArgument { .. } => "InvalidArgument",
            Self::MalformedDetail => "MalformedDetail",
            Self::NotAuthorizedForSource => "NotAuthorizedForSourceException",
        }
    }

    fn required(member: &'static str) -> Self {
        Self::InvalidArgument { member, reason: format!("{member} is a required argument.") }
    }
}

/// An event as subscribers get it.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Envelope<'a> {
    version: &'static str,
    id: String,
    detail_type: &'a str,
    source: &'a str,
    account: &'static str,
    time: String,
    region: &'static str,
    resources: &'a [String],
    /// As it was put, with every digit of its numbers.
    detail: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

/// Why a whole call is refused.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum CallError {
    /// There are no entries, or too many.
    #[error("1 validation error detected: a call has 1 to {ENTRIES_MAX} entries, not {0}.")]
    Count(usize),
    /// The entries are too large together.
    #[error("Total size of the entries in the request is over the limit.")]
    TooLarge,
}

impl Entry {
    /// Reads an entry as `PutEvents` has it: `Source`, `DetailType`, `Detail`, `EventBusName`, `Resources`, and `Time` in
    /// seconds since 1970 or as text such as `2026-03-01T10:00:00Z`. `TraceHeader` is taken and means nothing here.
    ///
    /// # Errors
    /// Names the member that is unknown or of the wrong type.
    pub fn from_json(entry: &Value) -> Result<Self, String> {
        let wrong = |error: serde_json::Error| format!("an entry is not as PutEvents has it: {error}");
        let read: EntryJson = EntryJson::deserialize(entry).map_err(wrong)?;
        Ok(Self {
            source: read.source,
            detail_type: read.detail_type,
            detail: read.detail,
            bus: read.event_bus_name,
            time_ms: read.time.as_ref().map(time_of).transpose()?,
            resources: read.resources.unwrap_or_default(),
        })
    }

    /// What it counts for in the size of its call.
    pub fn size(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let time = if self.time_ms.is_some() { TIME_BYTES } else { 0 };
        let resources: usize = self.resources.iter().map(String::len).sum();
        time + text(&self.source) + text(&self.detail_type) + text(&self.detail) + resources
    }

    /// The bus that is meant: what stands behind the last slash of an ARN, or the name.
    pub fn bus(&self) -> &str {
        match self.bus.as_deref() {
            None | Some("") => DEFAULT_BUS,
            Some(arn) if arn.starts_with("arn:") => arn.rsplit('/').next().unwrap_or(arn),
            Some(name) => name,
        }
    }

    /// Checks it, and gives the event as subscribers get it, a JSON object.
    ///
    /// # Errors
    /// Says which member is wrong.
    pub fn event(&self, context: &PutContext) -> Result<Bytes, EntryError> {
        let source = self.source.as_deref().filter(|text| !text.is_empty());
        let source = source.ok_or_else(|| EntryError::required("Source"))?;
        let detail_type = self.detail_type.as_deref().filter(|text| !text.is_empty());
        let detail_type = detail_type.ok_or_else(|| EntryError::required("DetailType"))?;
        let detail = self.detail.as_deref().filter(|text| !text.is_empty());
        let detail = detail.ok_or_else(|| EntryError::required("Detail"))?;
        if source.starts_with("aws.") {
            return Err(EntryError::NotAuthorizedForSource);
        }
        if !is_bus_name(self.bus()) {
            let reason = "EventBusName is 1 to 256 characters of A-Z, a-z, 0-9 and . - _".to_owned();
            return Err(EntryError::InvalidArgument { member: "EventBusName", reason });
        }
        let event = Envelope {
            version: "0",
            id: context.uuid(),
            detail_type,
            source,
            account: ACCOUNT,
            time: rfc3339_seconds(self.time_ms.unwrap_or(context.time_ms)),
            region: REGION,
            resources: &self.resources,
            detail: object(detail).ok_or(EntryError::MalformedDetail)?,
            cause: context.cause.map(|cause| cause.to_string()),
        };
        let event = serde_json::to_vec(&event).map_err(|_| EntryError::MalformedDetail)?;
        Ok(Bytes::from(event))
    }
}

/// A JSON object that rules can read.
fn object(text: &str) -> Option<&RawValue> {
    serde_json::from_str::<Map<String, Value>>(text).ok()?;
    serde_json::from_str(text).ok()
}

/// Where and when an entry is put.
#[derive(Clone, Copy, Debug)]
pub struct PutContext<'a> {
    /// When, in milliseconds.
    pub time_ms: i64,
    /// What the event's id is made from, together with the rule and the number: equal inputs have equal ids.
    pub seed: EventId,
    /// The rule that puts it; empty for others.
    pub rule: &'a str,
    /// Counts what was put from one seed.
    pub number: u64,
    /// The event whose handling puts it.
    pub cause: Option<EventId>,
}

impl PutContext<'_> {
    /// The event's id.
    pub fn uuid(&self) -> String {
        uuid_from(self.seed, self.rule, self.number)
    }
}

/// A version 4 UUID that is the same for the same seed, rule and number.
pub(crate) fn uuid_from(seed: EventId, rule: &str, number: u64) -> String {
    let mut bytes = drawn(seed, rule, number);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let number = u128::from_be_bytes(bytes);
    let part = |shift: u32, bits: u32| number >> shift & ((1 << bits) - 1);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        part(96, 32),
        part(80, 16),
        part(64, 16),
        part(48, 16),
        part(0, 48)
    )
}

/// Sixteen bytes that nobody can tell from random ones, the same for the same arguments.
pub(crate) fn drawn(seed: EventId, rule: &str, number: u64) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(seed.to_u128().to_le_bytes());
    hash.update(number.to_le_bytes());
    hash.update(rule.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    bytes
}

/// Whether a text can name a bus.
pub fn is_bus_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=BUS_NAME_LEN_MAX).contains(&name.len()) && name.bytes().all(is_allowed)
}

/// Checks what concerns all entries of a call together.
///
/// # Errors
/// If there are none or too many, or they are too large.
pub fn check_call(entries: &[Entry]) -> Result<(), CallError> {
    if entries.is_empty() || entries.len() > ENTRIES_MAX {
        return Err(CallError::Count(entries.len()));
    }
    if entries.iter().map(Entry::size).sum::<usize>() >= CALL_BYTES_MAX {
        return Err(CallError::TooLarge);
    }
    Ok(())
}

fn time_of(time: &Value) -> Result<i64, String> {
    /// The end of the year 9999, which later times cannot be written as.
    const SECONDS_MAX: f64 = 253_402_300_799.0;
    let text = time.as_str().and_then(|text| text.parse().ok()).map(Timestamp::as_millisecond);
    let seconds = time.as_f64().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
    #[expect(clippy::cast_possible_truncation, reason = "it is checked that it fits")]
    let milliseconds = seconds.map(|seconds| (seconds * 1000.0) as i64);
    text.or(milliseconds).ok_or_else(|| {
        format!("Time is {time}: give seconds since 1970 or a text such as \"2026-03-01T10:00:00Z\"")
    })
}

fn rfc3339_seconds(time_ms: i64) -> String {
    let seconds = Timestamp::from_second(time_ms.div_euclid(1000)).unwrap_or(Timestamp::UNIX_EPOCH);
    seconds.to_string()
}

#[cfg(test)]
mod tests;
