//! What became of one message: which rules it sets off and what they do, who is sent it, and why others are not.
//!
//! The message is found among the samples, with what was noted when it was delivered, or in the log. What rules make of it is
//! found anew by their versions of then, on the tables of now; whom it was sent to by what was noted, or else by what there is
//! now. What the log and the dead letters say of it is as it was.

mod fate;
mod find;
mod runs;

use std::sync::Weak;
use std::time::Duration;

use pointsman_rules::{Event, EventId, EventIdError, RuleName};
use serde::Serialize;
use serde_json::Value;

use super::dead_letters::{DeadLetter, DeadLetterError};
use crate::mqtt::{Envelope, RECIPIENTS_MAX, Recipient};
use crate::pipeline::inputs::route::{message_event, spine_event};
use crate::pipeline::turns::unit::Texts;
use crate::pipeline::{Pipeline, monotonic, on_own_stack};
use crate::store::{ReadError, Seq};

use find::Subject;

pub use fate::Fate;
pub use runs::{Matched, NotMatched};

/// How long all of it may take; what is left out then is said.
const TIME_MAX: Duration = Duration::from_secs(20);
/// Characters of a topic where messages are listed.
const TOPIC_CHARS_MAX: usize = 200;

/// What became of a message.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Its id.
    pub id: String,
    /// Where it was found.
    pub found: Found,
    /// Its record in the log, if it is there.
    pub record: Option<Seq>,
    /// The message, or what it tells of, as events are written.
    pub event: Value,
    /// Rules that it went through before.
    pub hops: u8,
    /// As of when parts of this are told; each trigger says it for itself.
    pub as_of: Parts,
    /// Why no rule is given it, whatever it listens to; empty if that is not so.
    pub withheld: String,
    /// The triggers that it sets off, by rule and line.
    pub matched: Vec<Matched>,
    /// Triggers that it does not, and why.
    pub not_matched: Vec<NotMatched>,
    /// How many those are, also where not all of them are shown.
    pub not_matched_count: usize,
    /// Its other dead letters: of triggers that are no longer there, or not shown.
    pub other_dead_letters: Vec<LetterBrief>,
    /// The sessions with subscriptions that match.
    pub recipients: Vec<Recipient>,
    /// How many those are, also where not all of them are shown.
    pub recipient_count: usize,
    /// What was left out; empty if nothing was.
    pub left_out: Vec<String>,
}

/// Where a message was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Found {
    /// In the log.
    Log,
    /// Among the messages that are kept for a while.
    Sample,
}

/// As of when something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AsOf {
    /// Now, as it was not there yet when the message came.
    Later,
    /// Now, as what was there when the message came is not known any more.
    Now,
    /// When the message came.
    Then,
}

/// As of when parts of an explanation are told.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Parts {
    /// The recipients, but for how far they have come.
    pub recipients: AsOf,
    /// The tables on which triggers are run.
    pub tables: AsOf,
}

/// A dead letter in brief.
#[derive(Debug, Clone, Serialize)]
pub struct LetterBrief {
    /// Its id.
    pub id: String,
    /// The rule.
    pub rule: String,
    /// The version that failed.
    pub version: String,
    /// The function.
    pub handler: String,
    /// Why it failed last.
    pub message: String,
    /// The line, from 1; 0 if none is known.
    pub line: usize,
    /// How often it was tried.
    pub attempts: u32,
}

/// A message that is kept for a while.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// Its id.
    pub id: String,
    /// When it came, in milliseconds since 1970.
    pub time: u64,
    /// Its topic, shortened.
    pub topic: String,
    /// Who published it; empty for the server.
    pub client_id: String,
    /// Its quality of service.
    pub qos: u8,
    /// Bytes of its payload.
    pub bytes: usize,
}

/// Why a message cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The text is no id.
    #[error(
        "{id:?} is not the id of a message: {source}; scripts see it as msg.id, and dead letters begin with it"
    )]
    Id {
        /// The text, shortened.
        id: String,
        /// What is wrong with it.
        source: EventIdError,
    },
    /// The dead letters cannot be read.
    #[error(transparent)]
    Letters(#[from] DeadLetterError),
    /// The log cannot be read.
    #[error("the log cannot be read")]
    Log(#[from] ReadError),
    /// There is no rule of the name that was given.
    #[error("there is no active rule {0:?}")]
    NoRule(String),
    /// The message is nowhere.
    #[error(
        "message {0} is neither in the log nor among the samples: the log has what somebody durable wanted at QoS 1 or 2, \
         as far back as store.log_mib_max and log_hours_max go, and of all others one of rules.explain_sample is kept"
    )]
    NotFound(EventId),
    /// It was looked for as long as that may take.
    #[error("message {0} was not found within {time_max} seconds, so it may yet be in the log: try when there is less to do", time_max = TIME_MAX.as_secs())]
    TooLong(EventId),
}

/// The end of the time that there is.
#[derive(Debug, Clone, Copy)]
struct Deadline(Duration);

impl Deadline {
    fn is_over(self) -> bool {
        monotonic() > self.0
    }
}

impl Pipeline {
    /// Says what became of the message with this id; of one rule only, if one is named.
    pub fn explain(&self, id: &str, only: Option<&RuleName>) -> Result<Explanation, ExplainError> {
        let parsed = id.parse();
        let id = parsed.map_err(|source| ExplainError::Id { id: id.chars().take(40).collect(), source })?;
        on_own_stack(|| self.explain_here(id, only))
    }

    fn explain_here(&self, id: EventId, only: Option<&RuleName>) -> Result<Explanation, ExplainError> {
        let deadline = Deadline(monotonic() + TIME_MAX);
        let subject = self.find(id, deadline)?;
        let envelope = &subject.envelope;
        let (event, withheld) = event_of(envelope);
        let mut explanation = Explanation {
            id: id.to_string(),
            found: subject.found(),
            record: envelope.log_seq(),
            event: event.to_json(),
            hops: envelope.hops(),
            as_of: Parts { recipients: AsOf::Now, tables: AsOf::Now },
            withheld,
            matched: Vec::new(),
            not_matched: Vec::new(),
            not_matched_count: 0,
            other_dead_letters: Vec::new(),
            recipients: Vec::new(),
            recipient_count: 0,
            left_out: Vec::new(),
        };
        self.explain_rules(&mut explanation, envelope, &event, only, deadline)?;
        self.explain_recipients(&mut explanation, &subject);
        Ok(explanation)
    }

    fn explain_recipients(&self, explanation: &mut Explanation, subject: &Subject) {
        let Some(hub) = self.hub.get().and_then(Weak::upgrade) else { return };
        (explanation.recipients, explanation.recipient_count) = match &subject.sampled {
            Some(sampled) => {
                explanation.as_of.recipients = AsOf::Then;
                hub.recipients_then(sampled)
            }
            None => hub.recipients(&subject.envelope),
        };
        if explanation.recipient_count > RECIPIENTS_MAX {
            explanation.left_out.push(format!("recipients beyond {RECIPIENTS_MAX} of them"));
        }
    }

    /// The messages that were kept last, the newest first.
    pub fn samples(&self, count_max: usize) -> Vec<Sample> {
        let hub = self.hub.get().and_then(Weak::upgrade);
        let kept = hub.map(|hub| hub.samples(count_max)).unwrap_or_default();
        kept.iter().map(sample).collect()
    }
}

fn sample(envelope: &Envelope) -> Sample {
    let (message, id) = (envelope.message(0), envelope.id(0));
    Sample {
        id: id.to_string(),
        time: id.time_ms(),
        topic: message.topic().chars().take(TOPIC_CHARS_MAX).collect(),
        client_id: envelope.client_id().to_owned(),
        qos: message.marks().qos as u8,
        bytes: message.payload().len(),
    }
}

/// The event that a message is for rules; and why they are not given it, if that is so.
fn event_of(envelope: &Envelope) -> (Event, String) {
    let topic = envelope.message(0).topic();
    if let Some(event) = spine_event(envelope, 0, &mut Texts::default()) {
        (event, String::new())
    } else {
        let as_message = message_event(envelope, 0, &mut Texts::default());
        (as_message, format!("rules are not given what the server publishes to {topic}"))
    }
}

impl LetterBrief {
    fn of(letter: &DeadLetter) -> LetterBrief {
        LetterBrief {
            id: letter.id.clone(),
            rule: letter.rule.clone(),
            version: letter.version.clone(),
            handler: letter.handler.clone(),
            message: letter.message.clone(),
            line: letter.line,
            attempts: letter.attempts,
        }
    }
}
