//! The option of commands that names the server's configuration, and what is found through it.

use std::path::PathBuf;

use clap::Args;
use pointsman_config::Config;

use super::client::Client;
use super::load;

/// Which server or configuration is meant.
#[derive(Debug, Args)]
pub(super) struct ConfigFile {
    /// The configuration file of the server.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    pub(super) fn load(&self) -> anyhow::Result<Config> {
        load(self.config.as_deref())
    }

    /// The server that runs with it.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        Client::of(&self.load()?)
    }
}
