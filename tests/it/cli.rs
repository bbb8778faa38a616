//! The command line: what goes wrong is one clear sentence and an exit code.

use std::path::Path;

use pointsman_tests::{Output, ServerProcess, run_server};

const SERVER: &str = env!("CARGO_BIN_EXE_server");

async fn run(arguments: &[&str], folder: &Path) -> Output {
    run_server(SERVER, arguments, folder).await
}

/// Asserts that a run failed with one line of error, which has all of these words.
fn check_failure(output: &Output, words: &[&str]) {
    assert!(!output.status.success(), "it should fail: {output:?}");
    let lines: Vec<_> = output.stderr.lines().filter(|line| line.starts_with("pointsman: ")).collect();
    assert_eq!(lines.len(), 1, "one sentence: {output:?}");
    for word in words {
        assert!(output.stderr.contains(word), "it should say {word:?}: {}", output.stderr);
    }
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
}

/// A folder with a configuration of free ports and `more`.
fn folder(more: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let listen = "[listen]\nmqtt = [\"127.0.0.1:0\"]\nmqtts = []\nhttp = []\nhttps = []\n";
    std::fs::write(folder.path().join("pointsman.toml"), format!("{listen}{more}")).expect("it is written");
    folder
}

const SERVE: [&str; 3] = ["serve", "--config", "pointsman.toml"];
const CHECK: [&str; 4] = ["config", "check", "--config", "pointsman.toml"];

#[tokio::test]
async fn help_names_every_command_and_shows_how() {
    let folder = folder("");
    let output = run(&["--help"], folder.path()).await;
    assert!(output.status.success());
    for word in ["serve", "config", "rules", "Examples:", "http://localhost:8080"] {
        assert!(output.stdout.contains(word), "{word}: {}", output.stdout);
    }
    assert!(run(&["--version"], folder.path()).await.stdout.starts_with("pointsman "));
    let wrong = run(&["sevre"], folder.path()).await;
    assert!(!wrong.status.success() && wrong.stderr.contains("serve"), "{wrong:?}");
}

#[tokio::test]
async fn a_port_that_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let config = format!("[listen]\nmqtt = [\"{address}\"]\nmqtts = []\nhttp = []\nhttps = []\n");
    std::fs::write(folder.path().join("pointsman.toml"), config).expect("it is written");
    let output = run(&SERVE, folder.path()).await;
    check_failure(&output, &[&address, "mqtt", "in use", "[listen]"]);
    assert!(!folder.path().join("pointsman-data").exists(), "nothing on disk was touched");
}

#[tokio::test]
async fn a_wrong_configuration_names_file_and_place() {
    for (more, words) in [
        ("[limits]\nconnections_max = 0\n", vec!["pointsman.toml", "limits.connections_max", "at least 1"]),
        ("[limits]\nconections_max = 5\n", vec!["pointsman.toml", "conections_max", "line 7"]),
        ("[limits]\nconnections_max = \"many\"\n", vec!["pointsman.toml", "invalid type", "line 7"]),
        ("[limits\n", vec!["pointsman.toml", "line 6"]),
        ("[nonsense]\n", vec!["pointsman.toml", "nonsense"]),
        ("[tls]\nkey = \"k\"\n", vec!["pointsman.toml", "tls", "both or neither"]),
        ("[log]\nfilter = \"loudly=please\"\n", vec!["pointsman.toml", "log.filter", "loudly=please"]),
    ] {
        let folder = folder(more);
        check_failure(&run(&CHECK, folder.path()).await, &words);
        check_failure(&run(&SERVE, folder.path()).await, &words);
    }
}

#[tokio::test]
async fn a_configuration_that_is_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    check_failure(&run(&SERVE, folder.path()).await, &["pointsman.toml", "No such file"]);
}

#[tokio::test]
async fn the_default_configuration_is_right() {
    let folder = folder("");
    let default = run(&["config", "default"], folder.path()).await;
    assert!(default.status.success());
    std::fs::write(folder.path().join("pointsman.toml"), &default.stdout).expect("it is written");
    let checked = run(&CHECK, folder.path()).await;
    assert!(checked.status.success(), "{checked:?}");
    assert!(checked.stdout.contains("pointsman.toml: right"), "{checked:?}");
}

#[tokio::test]
async fn data_that_another_server_has() {
    let running = ServerProcess::start(SERVER).await;
    let data = running.directory().join("data");
    let folder = folder(&format!("[data]\ndirectory = {:?}\n", data.display().to_string()));
    check_failure(&run(&SERVE, folder.path()).await, &["data", "in use by another process"]);
    running.mqtt("unharmed").await.publish("a", "b").await;
}

#[tokio::test]
async fn data_that_is_a_file() {
    let folder = folder("[data]\ndirectory = \"file\"\n");
    std::fs::write(folder.path().join("file"), "").expect("it is written");
    check_failure(&run(&SERVE, folder.path()).await, &["file", "not a directory"]);
}

#[tokio::test]
async fn data_that_cannot_be_written() {
    // The root user may write everywhere but here.
    let folder = folder("[data]\ndirectory = \"/proc/pointsman\"\n");
    check_failure(
        &run(&SERVE, folder.path()).await,
        &["/proc/pointsman", "directory that this user may write"],
    );
}

#[tokio::test]
async fn a_guest_policy_that_is_none() {
    let folder = folder("[auth]\nguest_policy = \"guest.json\"\n");
    check_failure(&run(&SERVE, folder.path()).await, &["guest.json", "No such file"]);
    std::fs::write(folder.path().join("guest.json"), r#"{ "Statement": [ { "Effect": "Maybe" } ] }"#)
        .expect("written");
    check_failure(&run(&SERVE, folder.path()).await, &["guest.json", "Maybe", "line 1"]);
}

#[tokio::test]
async fn certificates_that_are_none() {
    let folder = folder("[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n");
    std::fs::write(folder.path().join("c.pem"), "no certificate").expect("written");
    std::fs::write(folder.path().join("k.pem"), "no key").expect("written");
    check_failure(&run(&SERVE, folder.path()).await, &["c.pem", "certificate"]);
}

#[tokio::test]
async fn rules_are_checked_without_a_server() {
    let folder = folder("");
    let rules = folder.path().join("rules");
    std::fs::create_dir(&rules).expect("made");
    let good = "on_message(\"a\", \"relay\");\nfn relay(msg) { publish(\"b\", msg.text()); }\n";
    std::fs::write(rules.join("good.rhai"), good).expect("written");
    let output = run(&["rules", "check", "rules"], folder.path()).await;
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.contains("good.rhai: right"), "{output:?}");
    let relay = "  on_message(\"a\"): relay, without the interpreter\n";
    assert!(output.stdout.contains(relay), "{output:?}");
    std::fs::write(
        rules.join("wrong.rhai"),
        "on_message(\"a\", \"relay\");\nfn relay(msg) {\n    let x = ;\n}\n",
    )
    .expect("written");
    let output = run(&["rules", "check", "rules"], folder.path()).await;
    check_failure(&output, &["rules/wrong.rhai:3:", "let x = ;", "1 of the rules"]);
    assert!(output.stdout.contains("good.rhai: right"), "the others are checked too: {output:?}");
    let missing = run(&["rules", "check", "nowhere"], folder.path()).await;
    check_failure(&missing, &["nowhere"]);
}

#[tokio::test]
async fn a_start_says_what_listens_and_the_password_once() {
    let mut server = ServerProcess::start(SERVER).await;
    let said = server.stdout();
    for transport in pointsman_tests::Transport::ALL {
        let port = server.address(transport).port().to_string();
        assert!(said.contains(&port), "{transport:?} {port}: {said}");
    }
    let password = said.split("user admin, password ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let password = password.expect("the first start says the password").to_owned();
    server.client("boss").login("admin", &password).connect().await.disconnect().await;
    server.restart().await;
    assert!(!server.stdout().contains("password"), "{}", server.stdout());
    server.client("boss").login("admin", &password).connect().await.disconnect().await;
}

#[tokio::test]
async fn a_rule_that_is_broken_keeps_no_server_from_starting_and_is_told_at_once() {
    let mut server = ServerProcess::start(SERVER).await;
    let text = "on_message(\"a\", \"relay\");\nfn relay(msg) {\n    let x = ;\n}\n";
    std::fs::write(server.rule_file("wrong"), text).expect("written");
    server.restart().await;
    let said = server.stdout();
    for words in ["a rule is not active", "wrong.rhai:3:", "let x = ;"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    server.mqtt("unharmed").await.publish("a", "b").await;
}
