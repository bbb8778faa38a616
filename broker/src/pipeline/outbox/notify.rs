//! Notifications: one message for all who subscribe to a topic, in the shape that SNS gives them (SEMANTICS §12.1).

use bytes::Bytes;
use pointsman_config::NotifySubscriber;
use serde::Serialize;

use super::row::Delivery;

/// The topics under which MQTT clients are sent notifications begin with this.
pub(in crate::pipeline) const PREFIX: &str = "$notify/";
/// What stands before a topic where the cloud has a longer name for it.
const ARN: &str = "arn:pointsman:sns:::";

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pipeline) struct Notification<'a> {
    pub(in crate::pipeline) id: &'a str,
    pub(in crate::pipeline) topic: &'a str,
    pub(in crate::pipeline) subject: Option<&'a str>,
    pub(in crate::pipeline) message: &'a str,
    pub(in crate::pipeline) time_ms: u64,
}

/// What subscribers are sent.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    r#type: &'static str,
    message_id: &'a str,
    topic_arn: String,
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    message: &'a str,
    timestamp: String,
}

impl Notification<'_> {
    /// The document as JSON.
    pub(in crate::pipeline) fn document(&self) -> Bytes {
        let document = Document {
            r#type: "Notification",
            message_id: self.id,
            topic_arn: format!("{ARN}{}", self.topic),
            topic: self.topic,
            subject: self.subject,
            message: self.message,
            timestamp: iso8601(self.time_ms),
        };
        Bytes::from(serde_json::to_vec(&document).unwrap_or_default())
    }

    /// The request to a subscriber of the configuration. Its address needs no confirmation: the operator has named it.
    pub(super) fn request(&self, subscriber: &NotifySubscriber, rule: &str, at_ms: u64) -> Delivery {
        let arn = format!("{ARN}{}", self.topic);
        let subscription = crc32fast::hash(subscriber.url.to_string().as_bytes());
        let mut headers = vec![
            ("content-type", "text/plain; charset=UTF-8".to_owned()),
            ("x-amz-sns-message-type", "Notification".to_owned()),
            ("x-amz-sns-message-id", self.id.to_owned()),
            ("x-amz-sns-subscription-arn", format!("{arn}:{subscription:08x}")),
            ("x-amz-sns-topic-arn", arn),
        ];
        if subscriber.raw {
            headers.push(("x-amz-sns-rawdelivery", "true".to_owned()));
        }
        let raw = || Bytes::copy_from_slice(self.message.as_bytes());
        Delivery {
            at_ms,
            rule: rule.to_owned(),
            method: "POST".to_owned(),
            url: subscriber.url.to_string(),
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            timeout: None,
            retries: None,
            secret: subscriber.secret.clone(),
            body: if subscriber.raw { raw() } else { self.document() },
        }
    }
}

/// `2023-11-14T22:13:20.000Z`
fn iso8601(ms: u64) -> String {
    let (seconds, millis) = (ms / 1_000, ms % 1_000);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let (year, month, day) = civil(seconds / 86_400);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Year, month and day of a count of days since 1970, in years that begin in March, so that a leap day is the last.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let days = days + DAYS_TO_1970;
    let (era, day_of_era) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let leap_days = day_of_era / 1_460 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days + day_of_era / 36_524) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTIFICATION: Notification<'static> = Notification {
        id: "id-1",
        topic: "alarms",
        subject: Some("Hot"),
        message: "{\"t\":90}",
        time_ms: 1_700_000_000_123,
    };

    fn subscriber(raw: bool) -> NotifySubscriber {
        let url = pointsman_config::WebAddress::parse("https://a.org/x").unwrap();
        NotifySubscriber { topic: "alarms".to_owned(), url, raw, secret: Some("s".to_owned()), filter: None }
    }

    #[test]
    fn a_notification_has_the_shape_that_the_cloud_gives_it() {
        let document: serde_json::Value = serde_json::from_slice(&NOTIFICATION.document()).unwrap();
        let expected = serde_json::json!({
            "Type": "Notification", "MessageId": "id-1", "TopicArn": "arn:pointsman:sns:::alarms", "Topic": "alarms",
            "Subject": "Hot", "Message": "{\"t\":90}", "Timestamp": "2023-11-14T22:13:20.123Z",
        });
        assert_eq!(document, expected);
        let plain = Notification { subject: None, ..NOTIFICATION };
        assert!(!String::from_utf8_lossy(&plain.document()).contains("Subject"));
    }

    #[test]
    fn a_web_server_is_told_with_the_headers_of_the_cloud() {
        let request = NOTIFICATION.request(&subscriber(false), "rule", 7);
        let header = |request: &Delivery, name: &str| {
            request.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        assert_eq!(header(&request, "x-amz-sns-message-type").as_deref(), Some("Notification"));
        assert_eq!(header(&request, "x-amz-sns-topic-arn").as_deref(), Some("arn:pointsman:sns:::alarms"));
        assert_eq!(header(&request, "x-amz-sns-rawdelivery"), None);
        assert_eq!((request.body, request.secret.as_deref()), (NOTIFICATION.document(), Some("s")));
        let raw = NOTIFICATION.request(&subscriber(true), "rule", 7);
        assert_eq!(header(&raw, "x-amz-sns-rawdelivery").as_deref(), Some("true"));
        assert_eq!(raw.body, "{\"t\":90}");
    }

    #[test]
    fn times_are_written_for_people() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(iso8601(ms), text);
        }
    }
}
