//! The APIs: HTTP as yet.

pub mod http;
