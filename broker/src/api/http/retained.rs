//! `GET /retainedMessage/<topic>` and `GET /retainedMessage`: the retained messages, for the operator.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde::Serialize;

use super::Api;
use super::problem::Problem;
use super::query::{self, Query};
use crate::mqtt::Envelope;

/// Topics on a page at most, and if nothing is said.
const PAGE_MAX: usize = 200;

/// A retained message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Retained {
    topic: String,
    /// Base64.
    payload: String,
    qos: u8,
    last_modified_time: u64,
}

/// A page of topics that have a retained message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    retained_topics: Vec<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    topic: String,
    payload_size: usize,
    qos: u8,
    last_modified_time: u64,
}

/// The message of one topic.
pub(super) async fn get(State(api): State<Api>, uri: Uri) -> Result<Json<impl Serialize>, Problem> {
    let topic = query::path_behind(&uri, "/retainedMessage/").map_err(Problem::bad)?;
    let Some(envelope) = api.hub.retained_message(&topic) else {
        let (status, title) = (StatusCode::NOT_FOUND, "No retained message");
        return Err(Problem { status, title, detail: format!("nothing is retained on {topic:?}") });
    };
    let message = envelope.message(0);
    Ok(Json(Retained {
        topic,
        payload: BASE64.encode(message.payload()),
        qos: message.marks().qos as u8,
        last_modified_time: envelope.id(0).time_ms(),
    }))
}

/// A page of the topics.
pub(super) async fn list(State(api): State<Api>, uri: Uri) -> Result<Json<impl Serialize>, Problem> {
    let (after, max) = place(&uri).map_err(Problem::bad)?;
    let (envelopes, more) = api.hub.retained_page(after.as_deref(), max);
    let retained_topics: Vec<Summary> = envelopes.iter().map(summary).collect();
    let last = retained_topics.last().filter(|_| more);
    let next_token = last.map(|last| BASE64URL_NOPAD.encode(last.topic.as_bytes()));
    Ok(Json(Page { retained_topics, next_token }))
}

/// Behind which topic the page begins, and how many it has at most.
fn place(uri: &Uri) -> Result<(Option<String>, usize), String> {
    let query = Query::parse(uri, &["maxResults", "nextToken"])?;
    let max = query.limit("maxResults", PAGE_MAX, PAGE_MAX)?;
    let decode = |token: &str| String::from_utf8(BASE64URL_NOPAD.decode(token.as_bytes()).ok()?).ok();
    let after = query.get("nextToken").map(|token| {
        decode(token).ok_or_else(|| "nextToken is not one that a page gave: begin anew".to_owned())
    });
    Ok((after.transpose()?, max))
}

fn summary(envelope: &Envelope) -> Summary {
    let message = envelope.message(0);
    Summary {
        topic: message.topic().to_owned(),
        payload_size: message.payload().len(),
        qos: message.marks().qos as u8,
        last_modified_time: envelope.id(0).time_ms(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_where_the_last_ended() {
        let place = |uri: &str| place(&uri.parse().unwrap());
        assert_eq!(place("/retainedMessage"), Ok((None, PAGE_MAX)));
        let token = BASE64URL_NOPAD.encode("日/x".as_bytes());
        let next = format!("/retainedMessage?maxResults=7&nextToken={token}");
        assert_eq!(place(&next), Ok((Some("日/x".to_owned()), 7)));
        for wrong in ["maxResults=0", "maxResults=201", "maxResults=x", "nextToken=%21", "nextToken=_w"] {
            assert!(place(&format!("/retainedMessage?{wrong}")).is_err(), "{wrong}");
        }
    }
}
