//! Another configuration for a server that runs: all of it that can change takes effect at once, or none of it.

use std::sync::PoisonError;

use pointsman_config::Config;

use super::settings::{gate_settings, session_limits};
use super::{App, StartError, certificates, guest_policy};
use crate::aside::aside;

impl App {
    /// Goes by another configuration, certificates and policies read anew, without ending a connection. Gives the
    /// settings that differ from those the server was started with and take a restart to apply. On an error all is as
    /// before.
    pub async fn reload(&self, config: &Config) -> Result<Vec<&'static str>, StartError> {
        let (policy, shown) = {
            let config = config.clone();
            let read = move || Ok::<_, StartError>((guest_policy(&config)?, certificates::load(&config)?));
            aside(read).await?
        };
        // Nothing below can fail.
        let mut current = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = current.needs_restart_for(config);
        current.take_live(config);
        self.gate.set(gate_settings(&current));
        self.hub.set_limits(session_limits(&current));
        self.certificates.set(shown);
        self.auth.set_guests(current.auth.guests);
        self.auth.set_guest_policy(policy);
        self.hub.policy_changed();
        Ok(waiting)
    }
}
