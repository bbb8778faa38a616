//! What a command acts on: one of many, or all.

use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Which {
    /// The one of this id.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(super) id: Option<String>,
    /// All of them.
    #[arg(long)]
    pub(super) all: bool,
}
