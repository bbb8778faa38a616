//! The statements of both standards that concern a server, each with the case that proves it.

mod case;
mod connack;
mod connect;
mod data;
mod ending;
mod flows;
mod header;
mod publish;
mod retain;
mod session;
mod shared;
mod subscribe;
mod table;
mod topics;
mod websocket;
mod will;
