//! `pointsman rules …`: checking and testing files, and what the running server has of them.

mod drafts;
mod files;
mod server;
mod test;

use std::path::PathBuf;

use clap::Subcommand;

use super::config_file::ConfigFile;

#[derive(Debug, Subcommand)]
pub(super) enum RulesCommand {
    /// Compiles every .rhai and .sql file of a folder, and says what it listens to, or file, line and column of what is
    /// wrong.
    Check {
        /// The folder of rules; that of the configuration if none is named.
        folder: Option<PathBuf>,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Says how two versions of a rule differ.
    Diff {
        /// The rule.
        name: String,
        /// The number or hash of the older version; the one before the newer if none is named.
        from: Option<String>,
        /// The number or hash of the newer version; the newest if none is named.
        to: Option<String>,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Lists the rules of the server, or the versions of one.
    List {
        /// The rule.
        name: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Runs a draft, and the version that is active, on the messages that the server's log holds, and says what differs.
    Replay {
        /// The draft; the file's name is the rule's.
        file: PathBuf,
        /// How far back: 30s, 5m, 1h, 7d.
        #[arg(long, default_value = "1h")]
        since: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Ends the suspension of a rule and has it handle what was put aside.
    Resume {
        /// The rule.
        name: String,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Makes an earlier version of a rule active again, and writes it to the rule's file.
    Rollback {
        /// The rule.
        name: String,
        /// The number or hash of the version.
        version: String,
        /// What to note of it.
        #[arg(long)]
        note: Option<String>,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Runs a rule on one event and prints what it would do, without doing it and without a server.
    Run {
        /// The file of the rule.
        file: PathBuf,
        /// A file with the event as JSON, such as {"kind": "message", "topic": "a/b", "payload": {"x": 1}}.
        #[arg(long, value_name = "FILE")]
        event: PathBuf,
        /// A file with what is in the tables: {"table": {"hash": {"sort": value}}}.
        #[arg(long, value_name = "FILE")]
        table: Option<PathBuf>,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Runs a draft beside the version that is active on what comes, and says what differs. Nothing of it is done.
    Shadow {
        /// The draft; the file's name is the rule's.
        file: PathBuf,
        /// How long: at most 10m.
        #[arg(long = "for", default_value = "60s", value_name = "TIME")]
        time: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Prints the text of a rule, or of an earlier version.
    Show {
        /// The rule.
        name: String,
        /// The number or hash of the version; the newest if none is named.
        version: Option<String>,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Runs the tests of a rule, or of all rules of a folder.
    Test {
        /// A rule, its file of tests, or a folder; the folder of the configuration if none is named.
        path: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigFile,
    },
}

impl RulesCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            RulesCommand::Check { folder, config } => files::check(folder, &config),
            RulesCommand::Diff { name, from, to, config } => {
                server::diff(&name, from.as_deref(), to.as_deref(), &config)
            }
            RulesCommand::List { name: None, json, config } => server::list(json, &config),
            RulesCommand::List { name: Some(name), json, config } => server::versions(&name, json, &config),
            RulesCommand::Replay { file, since, json, config } => {
                drafts::replay(&file, &since, json, &config)
            }
            RulesCommand::Resume { name, config } => server::resume(&name, &config),
            RulesCommand::Rollback { name, version, note, config } => {
                server::rollback(&name, &version, note.as_deref(), &config)
            }
            RulesCommand::Run { file, event, table, config } => {
                files::run(&file, &event, table.as_deref(), &config)
            }
            RulesCommand::Shadow { file, time, json, config } => drafts::shadow(&file, &time, json, &config),
            RulesCommand::Show { name, version, config } => server::show(&name, version.as_deref(), &config),
            RulesCommand::Test { path, json, config } => test::run(path, json, &config),
        }
    }
}
