//! The pages, from the bytes embedded in the program.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pointsman_web::Asset;

use super::problem::Problem;

pub(super) async fn get(request: Request) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Problem {
            status: StatusCode::METHOD_NOT_ALLOWED,
            title: "Method not allowed",
            detail: format!("{} is served to GET and HEAD only", request.uri().path()),
        }
        .into_response();
    }
    match pointsman_web::get(request.uri().path()) {
        Some(asset) => serve(&asset, request.headers()),
        None => Problem {
            status: StatusCode::NOT_FOUND,
            title: "No such page",
            detail: format!("there is nothing at {}; / is the start page", request.uri().path()),
        }
        .into_response(),
    }
}

fn serve(asset: &Asset, request: &HeaderMap) -> Response {
    let known = request.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == asset.etag.as_bytes());
    let (bytes, encoding) = match (asset.brotli, asset.gzip) {
        (Some(bytes), _) if accepts(request, "br") => (bytes, Some("br")),
        (_, Some(bytes)) if accepts(request, "gzip") => (bytes, Some("gzip")),
        _ => (asset.bytes, None),
    };
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { bytes.into_response() };
    let caching = if asset.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut set =
        |name, value: &'static str| response.headers_mut().insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_TYPE, asset.content_type);
    set(header::ETAG, asset.etag);
    set(header::CACHE_CONTROL, caching);
    set(header::VARY, "accept-encoding");
    set(header::CONTENT_SECURITY_POLICY, pointsman_web::CONTENT_SECURITY_POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    if let Some(encoding) = encoding {
        set(header::CONTENT_ENCODING, encoding);
    }
    response
}

fn accepts(request: &HeaderMap, encoding: &str) -> bool {
    let offered =
        request.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    offered.split(',').any(|token| {
        let mut parts = token.split(';');
        let named = parts.next().is_some_and(|name| name.trim() == encoding);
        named && !parts.any(|parameter| parameter.trim() == "q=0")
    })
}
