//! The statements of both standards that concern a server, each with the case that proves it.

mod case;
mod data;
mod header;
