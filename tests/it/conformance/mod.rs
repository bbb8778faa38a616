//! The statements of both standards that concern a server, each with the case that proves it.

mod case;
mod connack;
mod connect;
mod data;
mod header;
mod will;
