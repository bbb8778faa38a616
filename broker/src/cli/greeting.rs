//! What a start prints.

use pointsman_config::Config;

use crate::app::Started;

/// What a start prints: what to open, and what else there is to know.
pub(super) fn greeting(started: &Started, config: &Config) -> String {
    use std::fmt::Write;
    let mut text = format!("\nPointsman {} is ready.\n\n", env!("CARGO_PKG_VERSION"));
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<12} {value}");
    };
    for listener in started.listeners().iter().filter(|listener| !listener.url.contains("://[")) {
        match listener.kind {
            "http" => {
                row("open", &listener.url);
                row("", &format!("{}/chat", listener.url));
                row("WebSocket", &format!("{}/mqtt", listener.url.replacen("http", "ws", 1)));
            }
            "https" => {
                row("secure", &format!("{}/chat", listener.url));
                row("WebSocket", &format!("{}/mqtt", listener.url.replacen("http", "ws", 1)));
            }
            "mqtts" => row("MQTT, TLS", &listener.url),
            "mqtt+unix" => row("MQTT, unix", &listener.url),
            _ => row("MQTT", &listener.url),
        }
    }
    row("rules", &format!("{} (saved changes take effect at once)", started.rules_directory.display()));
    row("data", &config.data.directory.display().to_string());
    if let Some(authority) = &started.authority {
        row("trust", &format!("{} makes browsers trust the secure addresses", authority.display()));
    }
    if !started.pages {
        row("pages", "not built: install Node 20 or later and build again");
    }
    if let Some(password) = &started.admin_password {
        let _ = writeln!(text, "\n  user admin, password {password}   (shown this once; note it down)");
    }
    for error in &started.broken_rules {
        let _ = writeln!(text, "\n  a rule is not active:\n{error}");
    }
    let exposed = started.mqtt.iter().chain(&started.mqtts).chain(&started.http).chain(&started.https);
    if config.auth.guests && exposed.into_iter().any(|address| !address.ip().is_loopback()) {
        let _ = writeln!(
            text,
            "\n  Beware: clients without a password can connect from other machines (auth.guests)."
        );
    }
    let _ = writeln!(text, "\n  Ctrl-C stops it.\n");
    text
}
