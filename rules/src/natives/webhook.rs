//! `webhook`: a request to a web server, sent after the commit until it is taken.

use std::time::Duration;

use bytes::Bytes;
use rhai::{Blob, Dynamic, Engine, ImmutableString, Map};

use super::Argument;
use super::options::Options;
use crate::effect::{Effect, Webhook};
use crate::json::{self, Raw};
use crate::state::{NativeResult, Run, refuse, with_run};
use crate::topic::excerpt;

const URL_BYTES_MAX: usize = 2_048;
const HEADERS_MAX: usize = 32;
const HEADER_BYTES_MAX: usize = 8 << 10;
const RETRIES_MAX: i64 = 1_000;
const TIMEOUT_MAX: Duration = Duration::from_mins(2);
const METHODS: [&str; 4] = ["POST", "PUT", "PATCH", "DELETE"];

/// Headers that are the server's to set, or that would change where a request ends.
const RESERVED: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "pointsman-signature",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

pub(super) fn register(engine: &mut Engine) {
    register_for::<Dynamic>(engine);
    // As with tables, exact types are found at the first lookup.
    register_for::<ImmutableString>(engine);
    register_for::<Map>(engine);
}

fn register_for<V: Argument>(engine: &mut Engine) {
    engine.register_fn("webhook", |url: &str, body: V| {
        webhook(url, &body.into_value(), &Options::none("webhook"))
    });
    engine.register_fn("webhook", |url: &str, body: V, options: Map| {
        let known = ["headers", "method", "retries", "secret", "timeout"];
        webhook(url, &body.into_value(), &Options::new("webhook", &options, &known)?)
    });
}

fn webhook(url: &str, body: &Dynamic, options: &Options) -> NativeResult<()> {
    check_url(url)?;
    let method = method(options)?;
    let mut headers = headers(options)?;
    let retries = match options.number("retries")? {
        None => None,
        Some(retries @ 0..=RETRIES_MAX) => u32::try_from(retries).ok(),
        Some(retries) => {
            return Err(refuse(format!("webhook needs 0 to {RETRIES_MAX} as retries, not {retries}")));
        }
    };
    let timeout = options.duration("timeout")?;
    if timeout.is_some_and(|timeout| timeout.is_zero() || timeout > TIMEOUT_MAX) {
        return Err(refuse(format!("webhook needs a timeout from 1ms to {}s", TIMEOUT_MAX.as_secs())));
    }
    let secret = options.text("secret")?;
    with_run("webhook", |run| {
        let (body, content_type) = content(body, run)?;
        if headers.iter().all(|(name, _)| name != "content-type") {
            headers.push(("content-type".to_owned(), content_type.to_owned()));
            headers.sort();
        }
        let header_bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        run.reserve(url.len() + header_bytes + body.len())?;
        let url = url.to_owned();
        let webhook = Webhook { url, method, headers, body, timeout, retries, secret };
        run.effects.push(Effect::Webhook(Box::new(webhook)));
        Ok(())
    })
}

/// What a URL must be so that nobody reads it in another way than we do.
fn check_url(url: &str) -> NativeResult<()> {
    let said = || excerpt(url);
    if url.len() > URL_BYTES_MAX {
        return Err(refuse(format!("webhook takes URLs of {URL_BYTES_MAX} bytes, not of {}", url.len())));
    }
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(refuse(format!(
            "webhook needs a URL that begins with https:// or http://, not {:?}",
            said()
        )));
    }
    if !url.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b'"' | b'<' | b'>'))
    {
        return Err(refuse(format!(
            "webhook cannot use the URL {:?}: write other characters than letters, digits and punctuation as %XX, \
             and leave out what begins with #",
            said()
        )));
    }
    Ok(())
}

fn method(options: &Options) -> NativeResult<&'static str> {
    let Some(asked) = options.text("method")? else { return Ok("POST") };
    METHODS.into_iter().find(|method| *method == asked).ok_or_else(|| {
        refuse(format!("webhook has no method {:?}: it has {}", excerpt(&asked), METHODS.join(", ")))
    })
}

/// A string is sent as its text, a blob as its bytes, anything else as JSON; with its content type.
fn content(body: &Dynamic, run: &Run) -> NativeResult<(Bytes, &'static str)> {
    if let Some(text) = body.read_lock::<ImmutableString>() {
        return Ok((Bytes::copy_from_slice(text.as_bytes()), "text/plain; charset=utf-8"));
    }
    if let Some(raw) = body.read_lock::<Raw>() {
        let kind = if raw.is_json { "application/json" } else { "application/octet-stream" };
        return Ok((raw.bytes.clone(), kind));
    }
    if let Some(blob) = body.read_lock::<Blob>() {
        return Ok((Bytes::copy_from_slice(&blob), "application/octet-stream"));
    }
    let json = json::write(body, run.limits.effect_bytes_max);
    let json = json.map_err(|error| refuse(format!("webhook cannot send this body: {error}")))?;
    Ok((Bytes::from(json), "application/json"))
}

/// The script's headers, in small letters and in the order of their names.
fn headers(options: &Options) -> NativeResult<Vec<(String, String)>> {
    let given = options.map("headers")?.unwrap_or_default();
    if given.len() > HEADERS_MAX {
        return Err(refuse(format!("webhook takes {HEADERS_MAX} headers, not {}", given.len())));
    }
    let mut headers: Vec<(String, String)> = Vec::with_capacity(given.len() + 1);
    let mut bytes = 0;
    for (name, value) in given {
        let Some(value) = value.read_lock::<ImmutableString>().map(|text| text.to_string()) else {
            return Err(refuse(format!("webhook needs text as header {name:?}, not {value:?}")));
        };
        let name = header_name(&name)?;
        if !value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') || value.trim() != value {
            return Err(refuse(format!("webhook takes visible ASCII alone as header {name:?}")));
        }
        bytes += name.len() + value.len();
        if headers.iter().any(|(known, _)| *known == name) {
            return Err(refuse(format!("webhook got the header {name:?} twice, in other letters")));
        }
        headers.push((name, value));
    }
    if bytes > HEADER_BYTES_MAX {
        return Err(refuse(format!("webhook takes {HEADER_BYTES_MAX} bytes of headers, not {bytes}")));
    }
    headers.sort();
    Ok(headers)
}

fn header_name(name: &str) -> NativeResult<String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(refuse(format!("webhook cannot use {:?} as the name of a header", excerpt(name))));
    }
    let lower = name.to_ascii_lowercase();
    if RESERVED.contains(&lower.as_str()) {
        return Err(refuse(format!("webhook sets the header {lower:?} itself: leave it out")));
    }
    Ok(lower)
}
