//! AWS IoT SQL, against the shared vectors, by table, and with whatever bytes there are.

mod any;
mod documented;
mod functions;
mod rules;
mod statements;
mod support;
mod templates;
mod variables;
mod vectors;
