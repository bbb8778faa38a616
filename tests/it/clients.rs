//! Clients that we did not write: each runs the cases of `tests/clients`, in both versions, against a server that is
//! killed and started again meanwhile.

mod mosquitto;
mod rumqttc;

use std::path::PathBuf;

use pointsman_tests::{Script, ServerProcess, repository};

const V311: u8 = 4;
const V5: u8 = 5;

/// A script of the folder of clients.
fn path(inside: &str) -> PathBuf {
    repository().join("tests/clients").join(inside)
}

fn node(script: &str) -> Script {
    Script {
        program: PathBuf::from("node"),
        arguments: vec![path(script).display().to_string()],
        install: "install Node and the packages: scripts/test packages",
    }
}

fn python(script: &str) -> Script {
    Script {
        program: path("python/.venv/bin/python"),
        arguments: vec![path(script).display().to_string()],
        install: "install the packages of Python: scripts/test packages",
    }
}

async fn run(script: Script, version: u8) {
    let mut server = ServerProcess::start(env!("CARGO_BIN_EXE_server")).await;
    script.run(&mut server, version).await;
}

#[tokio::test]
async fn mqtt_js_speaks_3_1_1() {
    run(node("js/src/main.js"), V311).await;
}

#[tokio::test]
async fn mqtt_js_speaks_5() {
    run(node("js/src/main.js"), V5).await;
}

#[tokio::test]
async fn paho_mqtt_speaks_3_1_1() {
    run(python("python/paho_cases.py"), V311).await;
}

#[tokio::test]
async fn paho_mqtt_speaks_5() {
    run(python("python/paho_cases.py"), V5).await;
}

#[tokio::test]
async fn aiomqtt_speaks_3_1_1() {
    run(python("python/aiomqtt_cases.py"), V311).await;
}

#[tokio::test]
async fn aiomqtt_speaks_5() {
    run(python("python/aiomqtt_cases.py"), V5).await;
}
