//! The tools of Mosquitto: `mosquitto_pub`, `mosquitto_sub` and `mosquitto_rr`.

use std::process::Stdio;

use pointsman_tests::{Endpoints, QoS, ServerProcess, Tool, Transport, Version, within};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Seconds after which a tool gives up by itself.
const PATIENCE: &str = "10";

/// A tool that speaks a version of the protocol with a server.
struct Mosquitto<'a> {
    server: &'a Endpoints,
    version: &'a str,
}

impl Mosquitto<'_> {
    /// The arguments that all tools take, and those of a case, which are separated by spaces.
    fn arguments(&self, way: Transport, more: &str) -> Vec<String> {
        let port = self.server.address(way).port().to_string();
        let mut arguments = ["-h", "localhost", "-p", &port, "-V", self.version].map(str::to_owned).to_vec();
        if way == Transport::Tls {
            arguments.extend(["--cafile".to_owned(), self.server.authority.display().to_string()]);
        }
        arguments.extend(more.split(' ').map(str::to_owned));
        arguments
    }

    async fn run(&self, tool: &'static str, way: Transport, more: &str) -> String {
        let arguments = self.arguments(way, more);
        Tool(tool).run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    async fn publish(&self, more: &str) {
        self.run("mosquitto_pub", Transport::Tcp, more).await;
    }

    /// What it is sent, a line each; it ends after `-C` messages.
    async fn subscribe(&self, more: &str) -> Vec<String> {
        let more = format!("-W {PATIENCE} {more}");
        let printed = self.run("mosquitto_sub", Transport::Tcp, &more).await;
        printed.lines().map(str::to_owned).collect()
    }

    /// The option with which a session is kept.
    fn keep(&self) -> &'static str {
        if self.version == "mqttv5" { "-c -x 60" } else { "-c" }
    }
}

async fn run(version: &str) {
    let mut server = ServerProcess::start(env!("CARGO_BIN_EXE_server")).await;
    let tools = Mosquitto { server: &server, version };
    every_level_over_tcp_and_tls(&tools).await;
    retained_messages_are_kept_and_cleared(&tools).await;
    a_will_follows_an_abrupt_end(&tools).await;
    a_request_is_answered(&tools).await;
    if version == "mqttv5" {
        properties_arrive_as_they_were_sent(&tools).await;
    }
    a_session_outlives_its_connection_and_the_server(&mut server, version).await;
}

#[tokio::test]
async fn the_tools_of_mosquitto_speak_3_1() {
    run("mqttv31").await;
}

#[tokio::test]
async fn the_tools_of_mosquitto_speak_3_1_1() {
    run("mqttv311").await;
}

#[tokio::test]
async fn the_tools_of_mosquitto_speak_5() {
    run("mqttv5").await;
}

async fn every_level_over_tcp_and_tls(tools: &Mosquitto<'_>) {
    for way in [Transport::Tcp, Transport::Tls] {
        let listen = format!("-i listener {} -q 2 -t levels/#", tools.keep());
        tools.run("mosquitto_sub", way, &format!("{listen} -E")).await;
        for level in 0..=2 {
            let publish = format!("-q {level} -t levels/{level} -m {way:?}");
            tools.run("mosquitto_pub", way, &publish).await;
        }
        // Whether one at QoS 0 waits for a session is the server's choice.
        let receive = format!("{listen} -W {PATIENCE} -C 2 -T levels/0 -F %t|%q|%p");
        let seen = tools.run("mosquitto_sub", way, &receive).await;
        assert_eq!(seen, format!("levels/1|1|{way:?}\nlevels/2|2|{way:?}\n"));
        tools.run("mosquitto_sub", way, "-i listener -t levels/# -E").await;
    }
}

async fn retained_messages_are_kept_and_cleared(tools: &Mosquitto<'_>) {
    for level in 0..=2 {
        tools.publish(&format!("-q {level} -t kept/{level} -m old -r")).await;
    }
    let mut kept = tools.subscribe("-q 2 -t kept/+ -C 3 -F %t|%r|%q").await;
    kept.sort();
    assert_eq!(kept, ["kept/0|1|0", "kept/1|1|1", "kept/2|1|2"]);
    for level in 0..=2 {
        tools.publish(&format!("-q {level} -t kept/{level} -n -r")).await;
    }
    tools.publish("-q 1 -t kept/new -m new -r").await;
    assert_eq!(tools.subscribe("-q 2 -t kept/+ -C 1 -F %t").await, ["kept/new"]);
}

async fn a_will_follows_an_abrupt_end(tools: &Mosquitto<'_>) {
    let mut mourner = tools.server.mqtt("mourner").await;
    mourner.subscribe("wills/#", QoS::AtLeastOnce).await;
    tools.publish("-q 1 -t hello -m hello -r").await;
    let mortal = "-i mortal --will-topic wills/mortal --will-payload gone --will-qos 1 -t hello";
    let mut mortal = Command::new("mosquitto_sub")
        .args(tools.arguments(Transport::Tcp, mortal))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the package mosquitto-clients is installed");
    let mut lines = BufReader::new(mortal.stdout.take().expect("a pipe was asked for")).lines();
    let first = within("the first message", lines.next_line()).await.expect("output of text");
    assert_eq!(first.as_deref(), Some("hello"), "it is connected");
    mortal.kill().await.expect("a child can be killed");
    assert_eq!(mourner.recv_on("wills/mortal").await.text(), "gone");
}

async fn a_request_is_answered(tools: &Mosquitto<'_>) {
    let mut responder = tools.server.client("responder").version(Version::V5).connect().await;
    responder.subscribe("requests", QoS::AtLeastOnce).await;
    let more = format!("-q 1 -t requests -e answers/rr -m question -W {PATIENCE}");
    let request = tools.run("mosquitto_rr", Transport::Tcp, &more);
    let answer = async {
        assert_eq!(responder.recv_on("requests").await.text(), "question");
        responder.publish("answers/rr", "answer").await;
    };
    let (answered, ()) = tokio::join!(request, answer);
    assert_eq!(answered, "answer\n");
}

async fn properties_arrive_as_they_were_sent(tools: &Mosquitto<'_>) {
    let listen = "-i reader -c -x 60 -q 2 -t properties -D subscribe subscription-identifier 7";
    tools.subscribe(&format!("{listen} -E")).await;
    tools
        .publish(
            "-q 2 -t properties -m text -D publish payload-format-indicator 1 -D publish content-type text/plain \
             -D publish response-topic answers/here -D publish correlation-data 17 \
             -D publish user-property city Ulm -D publish user-property city Zürich",
        )
        .await;
    let seen = tools.subscribe(&format!("{listen} -C 1 -F %F|%C|%R|%D|%S|%P")).await;
    assert_eq!(seen, ["1|text/plain|answers/here|17|7|city:Ulm city:Zürich"]);
}

async fn a_session_outlives_its_connection_and_the_server(server: &mut ServerProcess, version: &str) {
    let keep = Mosquitto { server, version }.keep();
    let listen = format!("-i sleeper {keep} -q 2 -t missed/#");
    Mosquitto { server, version }.subscribe(&format!("{listen} -E")).await;
    Mosquitto { server, version }.publish("-q 1 -t missed/1 -m before").await;
    Mosquitto { server, version }.publish("-q 2 -t missed/2 -m before").await;
    Mosquitto { server, version }.publish("-q 2 -t missed/2 -m kept -r").await;
    server.kill().await;
    server.run().await;
    let tools = Mosquitto { server, version };
    tools.publish("-q 2 -t missed/3 -m after").await;
    let seen = tools.subscribe(&format!("{listen} -C 4 -F %t|%q|%p -R")).await;
    assert_eq!(seen, ["missed/1|1|before", "missed/2|2|before", "missed/2|2|kept", "missed/3|2|after"]);
    assert_eq!(tools.subscribe("-q 2 -t missed/2 -C 1 -F %r|%p").await, ["1|kept"]);
}
