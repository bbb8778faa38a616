//! `GET /ca.crt`: the local authority's certificate, for users to trust.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Api;
use super::problem::Problem;

pub(super) async fn get(State(api): State<Api>) -> Response {
    match api.certificates.authority_pem() {
        Some(pem) => {
            let headers = [
                (header::CONTENT_TYPE, "application/x-x509-ca-cert"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"pointsman-ca.crt\""),
            ];
            (headers, pem.to_string()).into_response()
        }
        None => Problem {
            status: StatusCode::NOT_FOUND,
            title: "No local authority",
            detail: "this server has a certificate of its operator's own; there is nothing to trust by hand"
                .to_owned(),
        }
        .into_response(),
    }
}
