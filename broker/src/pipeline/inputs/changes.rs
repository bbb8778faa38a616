//! Changes of rows: what a commit does to a table that rules watch, as messages of the same commit.

use bytes::Bytes;
use pointsman_rules::{Change, EventId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tracing::warn;

use super::route::HOPS_MAX;
use super::wanted::CHANGES_PREFIX;
use crate::mqtt::{Marks, QoS};
use crate::pipeline::Pipeline;
use crate::pipeline::turns::act::Commit;
use crate::pipeline::turns::snapshot::{Before, TurnSnapshot};
use crate::pipeline::turns::unit::Job;
use crate::report::chain;
use crate::store::Write;

/// A change as it travels.
#[derive(Debug, Serialize, Deserialize)]
struct Told<'a> {
    kind: &'a str,
    hash: String,
    sort: String,
    #[serde(borrow)]
    before: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    #[serde(default)]
    expired: bool,
}

/// Reads what travelled.
pub(in crate::pipeline) fn read(
    topic: &str,
    payload: &[u8],
    time_ms: i64,
    id: EventId,
) -> Result<Change, String> {
    let table = topic.strip_prefix(CHANGES_PREFIX).unwrap_or(topic);
    let told: Told<'_> = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
    let image = |value: Option<&RawValue>| value.map(|value| Bytes::copy_from_slice(value.get().as_bytes()));
    Ok(Change {
        table: table.to_owned(),
        old: image(told.before),
        new: image(told.after),
        hash: told.hash,
        sort: told.sort,
        expired: told.expired,
        time_ms,
        id,
    })
}

/// The message that tells of a change; `None` if nothing has changed.
pub(in crate::pipeline) fn tell(
    hash: &str,
    sort: &str,
    before: Option<&Bytes>,
    after: Option<&Bytes>,
    expired: bool,
) -> Option<Vec<u8>> {
    if before == after {
        return None;
    }
    let raw = |value: Option<&Bytes>| -> Option<Box<RawValue>> {
        let text = String::from_utf8(value?.to_vec()).ok()?;
        RawValue::from_string(text).ok()
    };
    let (old, new) = (raw(before), raw(after));
    let kind = match (before, after) {
        (None, _) => "INSERT",
        (Some(_), Some(_)) => "MODIFY",
        (Some(_), None) => "REMOVE",
    };
    let told = Told {
        kind,
        hash: hash.to_owned(),
        sort: sort.to_owned(),
        before: old.as_deref(),
        after: new.as_deref(),
        expired,
    };
    serde_json::to_vec(&told).ok()
}

impl Pipeline {
    /// Adds to the commit what a write changes, if rules watch the table. `since` is where the writes of the run begin.
    pub(in crate::pipeline) fn note_change(
        &self,
        job: &Job<'_>,
        write: &Write,
        since: usize,
        tables: &TurnSnapshot,
        commit: &mut Commit,
    ) -> Result<(), String> {
        let (table, hash, sort) = write.row();
        let active = self.active.load();
        if active.set.change_triggers(table).is_empty() {
            return Ok(());
        }
        if job.hops >= HOPS_MAX {
            let rule = &job.rule.rule.name;
            warn!(%rule, table, "no rule is told of a change: it went through {HOPS_MAX} rules already");
            return Ok(());
        }
        let own = commit.writes[since..].iter().rev().find(|own| own.row() == write.row());
        let mut before = match own {
            Some(own) => own.value().cloned().map(|value| Before { value, is_over: false }),
            None => tables.before(table, hash, sort).map_err(|error| chain(&error))?,
        };
        // Whoever looks for what is over finds only what is written now.
        let over = before.take_if(|before| before.is_over);
        let told_over = over.and_then(|over| tell(hash, sort, Some(&over.value), None, true));
        let told = tell(hash, sort, before.as_ref().map(|before| &before.value), write.value(), false);
        let topic = format!("{CHANGES_PREFIX}{table}");
        let marks = Marks { qos: QoS::AtLeastOnce, retain: false, interest: active.interest(&topic) };
        for told in told_over.into_iter().chain(told) {
            commit.publishes.push(&topic, &told, &[], marks);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_arrives_as_it_was_told() {
        let value = |text: &'static str| Bytes::from_static(text.as_bytes());
        let (one, two) = (value("{\"n\": 1}"), value("[2]"));
        for (before, after, kind) in
            [(None, Some(&one), "INSERT"), (Some(&one), Some(&two), "MODIFY"), (Some(&two), None, "REMOVE")]
        {
            let told = tell("h", "s", before, after, kind == "REMOVE").unwrap();
            let change = read("$changes/t", &told, 5, EventId::from_u128(6)).unwrap();
            assert_eq!((change.kind().to_string().as_str(), change.table.as_str()), (kind, "t"));
            assert_eq!((change.old.as_ref(), change.new.as_ref()), (before, after));
            assert_eq!(change.expired, kind == "REMOVE");
            assert_eq!((change.hash.as_str(), change.sort.as_str(), change.time_ms), ("h", "s", 5));
        }
        assert_eq!(
            tell("h", "s", Some(&one), Some(&one), false),
            None,
            "a write that changes nothing is no change"
        );
        assert_eq!(tell("h", "s", None, None, false), None);
    }
}
