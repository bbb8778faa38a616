//! Enhanced authentication (MQTT 5 §4.12): methods by which a client shows who it is in several steps.

use std::fmt::Debug;
use std::sync::Arc;

/// A method, as CONNECT names it.
pub trait Method: Debug + Send + Sync {
    /// Its name.
    fn name(&self) -> &str;

    /// Begins an exchange with a client. `data` is what it said first; empty where it said nothing.
    fn start(&self, client_id: &str, data: &[u8]) -> (Step, Box<dyn Exchange>);
}

/// An exchange under way.
pub trait Exchange: Debug + Send {
    /// Takes what the client answers.
    fn step(&mut self, data: &[u8]) -> Step;
}

/// What comes of what a client said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is to answer this.
    Continue(Vec<u8>),
    /// It has shown who it is.
    Done {
        /// Who it is.
        user: Arc<str>,
        /// What it is told last.
        data: Vec<u8>,
    },
    /// It has not.
    Fail,
}
