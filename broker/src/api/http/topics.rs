//! `POST /topics/<topic>?qos=0|1&retain=true|false`: publishes the body, as the operator.

mod properties;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::{Extension, Json};
use pointsman_rules::topic::validate_topic;
use serde_json::{Value, json};

use super::Api;
use super::body;
use super::problem::Problem;
use super::query::{self, Query};
use crate::auth::{ADMIN, Action, Identity};
use crate::mqtt::{self, LogRefused, Publication, QoS};

pub(super) async fn post(
    State(api): State<Api>,
    Extension(operator): Extension<Arc<Identity>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let request = Request::read(&uri, &headers).map_err(bad)?;
    let topic_levels_max = api.hub.limits().topic_levels_max;
    if mqtt::levels(&request.topic) > topic_levels_max {
        let detail = format!("the topic has more levels than topic_levels_max ({topic_levels_max})");
        return Err(bad(detail));
    }
    // Nobody publishes as the server does, whatever a policy says.
    if !mqtt::is_open(&request.topic) || !operator.may(Action::Publish, &request.topic) {
        return Err(forbidden(&request.topic));
    }
    let payload = body::within(body, "packet_bytes_max", api.packet_bytes_max).await?;
    let publication = Publication {
        topic: &request.topic,
        payload: &payload,
        qos: request.qos,
        retain: request.retain,
        properties: &request.properties,
        user: Some(ADMIN),
    };
    api.hub.publish_as_server(publication).await.map_err(|refused| not_kept(&refused))?;
    Ok(Json(json!({ "message": "OK" })))
}

/// What is asked for, checked.
#[derive(Debug)]
struct Request {
    topic: String,
    qos: QoS,
    retain: bool,
    properties: Vec<u8>,
}

impl Request {
    fn read(uri: &Uri, headers: &HeaderMap) -> Result<Request, String> {
        let topic = query::path_behind(uri, "/topics/")?;
        validate_topic(&topic).map_err(|error| error.to_string())?;
        let query = Query::parse(uri, &["contentType", "messageExpiry", "qos", "responseTopic", "retain"])?;
        let qos = match query.get("qos") {
            None | Some("0") => QoS::AtMostOnce,
            Some("1") => QoS::AtLeastOnce,
            Some(other) => return Err(format!("qos is {other:?}: give 0 or 1")),
        };
        let retain = query.flag("retain")?;
        let properties = properties::read(&query, headers)?;
        Ok(Request { topic, qos, retain, properties })
    }
}

fn bad(detail: String) -> Problem {
    Problem { status: StatusCode::BAD_REQUEST, title: "Not published", detail }
}

fn forbidden(topic: &str) -> Problem {
    let detail = format!("the policy does not allow publishing to {topic:?}");
    Problem { status: StatusCode::FORBIDDEN, title: "Not published", detail }
}

fn not_kept(refused: &LogRefused) -> Problem {
    let detail = refused.detail.clone();
    Problem { status: StatusCode::INSUFFICIENT_STORAGE, title: "Not published", detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uri: &str) -> Result<Request, String> {
        Request::read(&uri.parse().unwrap(), &HeaderMap::new())
    }

    #[test]
    fn a_request_says_topic_and_how() {
        let request = read("/topics/a%2Fb/%E6%97%A5+x?qos=1&retain=true").unwrap_err();
        assert!(request.contains('+'), "a plus is a wildcard here, not a space: {request}");
        let request = read("/topics/a%2Fb/%E6%97%A5?qos=1&retain=true").unwrap();
        assert_eq!((request.topic.as_str(), request.qos, request.retain), ("a/b/日", QoS::AtLeastOnce, true));
        let request = read("/topics/a").unwrap();
        assert_eq!((request.qos, request.retain, request.properties.len()), (QoS::AtMostOnce, false, 0));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (uri, part) in [
            ("/topics/", "topic is empty"),
            ("/topics/a%23", "wildcard"),
            ("/topics/%FF", "UTF-8"),
            ("/topics/%00", "null character"),
            ("/topics/a?qos=2", "give 0 or 1"),
            ("/topics/a?retain=yes", "true or false"),
            ("/topics/a?quality=1", "\"quality\""),
            ("/topics/a?qos=0&qos=1", "twice"),
        ] {
            let error = read(uri).unwrap_err();
            assert!(error.contains(part), "{uri}: {error}");
        }
    }
}
