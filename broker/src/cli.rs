//! The command line.

mod answer;
mod bus;
mod client;
mod config_file;
mod dead_letters;
mod explain;
mod greeting;
mod inherited;
mod outbox;
mod rules;
mod serve;
mod systemd;
mod table;
mod which;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pointsman_config::{Config, DEFAULT_TOML};
use tracing_subscriber::EnvFilter;

use bus::BusCommand;
use dead_letters::DeadLettersCommand;
use explain::ExplainCommand;
use outbox::OutboxCommand;
use rules::RulesCommand;

/// An MQTT broker with a rules engine: chat, orders, scores and presence in one program.
#[derive(Debug, Parser)]
#[command(name = "pointsman", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "Examples:
  pointsman                                     start with the defaults, on loopback
  pointsman serve --config /etc/pointsman.toml  start with a configuration file
  pointsman config default > pointsman.toml     write a file of all settings to begin from
  pointsman config check --config pointsman.toml
  pointsman rules check config/rules            compile every rule and say what is wrong
  pointsman rules test config/rules             run the tests beside them
  pointsman rules list                          what the server that runs has, and its versions
  pointsman explain 01KAJ3M0Q00000J3QZ0000000A  what became of a message
  pointsman dead-letters list                   the events on which rules failed
  pointsman outbox undelivered                  the webhooks that were given up

Once it runs, open http://localhost:8080 in a browser.
Signals: HUP reads configuration, certificates and policies anew; TERM and INT end it in order, a second one at once.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts the server; this is what happens without a command, too.
    Serve {
        /// The configuration file; every setting has a default.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Puts events on the bus, and gives a rule again what was on it.
    Bus {
        #[command(subcommand)]
        command: BusCommand,
    },
    /// Checks a configuration file, or prints the default one.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Shows the events on which rules failed, and has them handled again.
    DeadLetters {
        #[command(subcommand)]
        command: DeadLettersCommand,
    },
    /// Says what became of a message: which rules matched and what they did, who was sent it, who was denied and why.
    Explain(ExplainCommand),
    /// Shows the requests that rules send to web servers, and sends those that were given up once more.
    Outbox {
        #[command(subcommand)]
        command: OutboxCommand,
    },
    /// Checks, tests and manages rules.
    Rules {
        #[command(subcommand)]
        command: RulesCommand,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Says whether a file is right, and if not where and why.
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Prints every setting with its default and what it means.
    Default,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command.unwrap_or(Command::Serve { config: None }) {
        Command::Serve { config } => serve::run(config.as_deref()),
        Command::Config { command: ConfigCommand::Check { config } } => check_config(&config),
        Command::Config { command: ConfigCommand::Default } => {
            print!("{DEFAULT_TOML}");
            Ok(())
        }
        Command::Bus { command } => command.run(),
        Command::DeadLetters { command } => command.run(),
        Command::Explain(command) => command.run(),
        Command::Outbox { command } => command.run(),
        Command::Rules { command } => command.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pointsman: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn load(path: Option<&Path>) -> anyhow::Result<Config> {
    let Some(path) = path else { return Ok(Config::default()) };
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    Ok(Config::load(path)?.relative_to(folder))
}

/// What to log. The file is for the message.
fn log_filter(config: &Config, path: Option<&Path>) -> anyhow::Result<EnvFilter> {
    let filter = &config.log.filter;
    // Its `Display` says its source already.
    EnvFilter::try_new(format!("{filter},rumqttd=off,sled=warn")).map_err(|error| {
        let file = path.map(|path| format!("{}: ", path.display())).unwrap_or_default();
        anyhow::anyhow!("{file}log.filter: {filter:?} is no filter: {error}")
    })
}

fn check_config(path: &Path) -> anyhow::Result<()> {
    let config = load(Some(path))?;
    log_filter(&config, Some(path))?;
    println!("{}: right", path.display());
    Ok(())
}
