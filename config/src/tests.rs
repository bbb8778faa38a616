//! The default file, and what wrong files are answered with.

use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("p.toml"))
}

#[test]
fn the_default_file_says_the_defaults() {
    assert_eq!(parse(DEFAULT_TOML).unwrap(), Config::default());
    assert_eq!(parse("").unwrap(), Config::default());
}

#[test]
fn every_key_of_the_default_file_is_a_default_and_every_section_is_there() {
    // Each line that sets a key: taken out, the rest still means the same, so the file repeats nothing by accident.
    for (number, _) in
        DEFAULT_TOML.lines().enumerate().filter(|(_, line)| line.contains(" = ") && !line.starts_with('#'))
    {
        let kept = DEFAULT_TOML.lines().enumerate().filter(|(index, _)| *index != number);
        let without = kept.map(|(_, line)| line).collect::<Vec<_>>().join("\n");
        assert_eq!(parse(&without).unwrap(), Config::default(), "line {}", number + 1);
    }
}

#[test]
fn an_error_names_file_place_and_key() {
    let cases = [
        ("[limits]\npacket_byte_max = 3\n", ["p.toml", "line 2", "packet_byte_max"]),
        ("[listen]\nmqtt = [\"localhost\"]\n", ["p.toml", "line 2", "socket address"]),
        ("[limits]\npacket_bytes_max = 3\n", ["p.toml", "limits.packet_bytes_max", "1024"]),
        ("[tls]\nkey = \"k.pem\"\n", ["p.toml", "tls", "both or neither"]),
        ("[store]\nsegment_mib = 64\nlog_mib_max = 1\n", ["p.toml", "store.log_mib_max", "segment_mib"]),
        ("[sys]\ninterval_seconds = 86401\n", ["p.toml", "sys.interval_seconds", "86400"]),
        ("[metrics]\nallow = \"all\"\n", ["p.toml", "line 2", "admin"]),
        ("[limits]\nconnections_max = 0\n", ["p.toml", "limits.connections_max", "at least 1"]),
    ];
    for (text, parts) in cases {
        let error = parse(text).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let error = format!("{error}: {cause}");
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    }
}

#[test]
fn relative_paths_follow_the_file() {
    let config =
        parse("[data]\ndirectory = \"d\"\n[tls]\ncertificate = \"/c.pem\"\nkey = \"k.pem\"\n").unwrap();
    let config = config.relative_to(Path::new("/etc/pointsman"));
    assert_eq!(config.data.directory, Path::new("/etc/pointsman/d"));
    assert_eq!(config.tls.certificate.as_deref(), Some(Path::new("/c.pem")));
    assert_eq!(config.tls.key.as_deref(), Some(Path::new("/etc/pointsman/k.pem")));
}
