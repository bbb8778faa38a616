//! `notify`: tells all who subscribe to a topic of notifications.

use rhai::{Blob, Dynamic, Engine, ImmutableString};

use crate::effect::Effect;
use crate::json;
use crate::state::{NativeResult, Run, refuse, with_run};
use crate::topic::excerpt;

const TOPIC_LEN_MAX: usize = 256;
pub(crate) const SUBJECT_CHARS_MAX: usize = 100;
const MESSAGE_BYTES_MAX: usize = 256 << 10;

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("notify", |topic: &str, message: Dynamic| notify(topic, None, &message));
    engine.register_fn("notify", |topic: &str, subject: &str, message: Dynamic| {
        notify(topic, Some(subject), &message)
    });
}

/// Whether `text` can name a topic of notifications: 1 to 256 letters, digits, `_`, `-` and `.`, in levels that `/` parts.
pub fn is_notify_topic(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let is_level = |level: &str| !level.is_empty() && level.bytes().all(is_allowed);
    text.len() <= TOPIC_LEN_MAX && text.split('/').all(is_level)
}

fn notify(topic: &str, subject: Option<&str>, message: &Dynamic) -> NativeResult<()> {
    if !is_notify_topic(topic) {
        let topic = excerpt(topic);
        return Err(refuse(format!(
            "notify cannot use {topic:?} as topic: use 1 to {TOPIC_LEN_MAX} of A-Z, a-z, 0-9, `_`, `-`, `.`, with `/` \
             between levels"
        )));
    }
    if let Some(subject) = subject
        && (subject.chars().count() > SUBJECT_CHARS_MAX || subject.chars().any(char::is_control))
    {
        return Err(refuse(format!(
            "notify takes a subject of one line and at most {SUBJECT_CHARS_MAX} characters"
        )));
    }
    with_run("notify", |run| {
        let message = text_of(message, run)?;
        run.reserve(topic.len() + subject.map_or(0, str::len) + message.len())?;
        let (topic, subject) = (topic.to_owned(), subject.map(str::to_owned));
        run.effects.push(Effect::Notify { topic, subject, message });
        Ok(())
    })
}

/// Text as it is, anything else as JSON.
fn text_of(message: &Dynamic, run: &Run) -> NativeResult<String> {
    let bytes_max = MESSAGE_BYTES_MAX.min(run.limits.effect_bytes_max);
    let text = if let Some(text) = message.read_lock::<ImmutableString>() {
        text.to_string()
    } else if message.is::<Blob>() {
        return Err(refuse("notify needs text or what has a JSON form as message, not a blob"));
    } else {
        let json = json::write(message, bytes_max);
        let json = json.map_err(|error| refuse(format!("notify cannot send this message: {error}")))?;
        String::from_utf8(json).map_err(|error| refuse(error.to_string()))?
    };
    if text.len() > bytes_max {
        let bytes = text.len();
        return Err(refuse(format!("notify takes a message of at most {bytes_max} bytes, not {bytes}")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_of_notifications_are_plain_words() {
        for right in ["alarms", "a/b.c/d_e-f", "A1"] {
            assert!(is_notify_topic(right), "{right}");
        }
        for wrong in ["", "/", "a/", "/a", "a//b", "a+b", "#", "$x", "a b", "é", &"x".repeat(257)] {
            assert!(!is_notify_topic(wrong), "{wrong}");
        }
    }
}
