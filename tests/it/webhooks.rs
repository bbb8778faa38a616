//! What leaves for web servers: what is sent, where it may go, and that nothing is lost on the way.

mod allowed;
mod faults;
mod notifications;

use pointsman_config::{Config, EnvironmentSecret, PrivatePlace, Secret, WebAddress};
use pointsman_tests::{Client, Manner, QoS, TestServer, WebServer, eventually, run_server};
use serde_json::{Value, json};

const SERVER: &str = env!("CARGO_BIN_EXE_server");

/// Sends what a message asks for, and says on `out/done` that it did.
const RULE: &str = r#"
    on_message("hook", "send");
    fn send(msg) {
        let asked = msg.json;
        webhook(asked.url, asked.body, asked.options ?? #{});
        publish("out/done", asked.body, #{ qos: 1 });
    }
"#;

fn allow(config: &mut Config, web: &WebServer) {
    let webhooks = &mut config.rules.webhooks;
    webhooks.allow.push(WebAddress::parse(&web.url("/")).expect("a URL"));
    webhooks.allow_private.push(PrivatePlace::try_from(web.address().to_string()).expect("an address"));
}

/// A server that may send to a web server, and a client.
async fn with_hook(web: &WebServer, change: impl FnOnce(&mut Config)) -> (TestServer, Client) {
    let builder = TestServer::builder().without_bundled_rules().rule("hook", RULE);
    let server = builder.config(|config| allow(config, web)).config(change).start().await;
    let mut client = server.mqtt("client").await;
    client.subscribe("out/#", QoS::AtLeastOnce).await;
    (server, client)
}

async fn hook(client: &mut Client, url: &str, body: &str, options: Value) {
    client.publish_json("hook", &json!({ "url": url, "body": body, "options": options })).await;
}

/// Asks the operator's API.
async fn ask(server: &TestServer, path: &str) -> Value {
    server.operator().get(path).await.json()
}

/// What was given up for a web server, once something was.
async fn undelivered(server: &TestServer, web: &str) -> Value {
    eventually("a request is given up", async || {
        let page = ask(server, &format!("/api/outbox/undelivered?server={web}")).await;
        if page["requests"].as_array().is_some_and(|list| !list.is_empty()) {
            Ok(page["requests"].clone())
        } else {
            Err(page)
        }
    })
    .await
}

/// Waits until a figure of the only web server is so.
async fn figure(server: &TestServer, name: &str, wanted: impl Fn(u64) -> bool) -> Value {
    eventually(&format!("{name} is as wanted"), async || {
        let servers = ask(server, "/api/outbox").await["servers"].clone();
        let figure = servers[0][name].as_u64().unwrap_or_default();
        if wanted(figure) { Ok(servers[0].clone()) } else { Err(servers) }
    })
    .await
}

#[tokio::test]
async fn a_webhook_arrives_signed_and_named_once() {
    let web = WebServer::start().await;
    let (server, mut client) = with_hook(&web, |config| {
        config.rules.webhooks.secrets.insert("shop".to_owned(), Secret::Text("hush".to_owned()));
    })
    .await;
    let options = json!({ "secret": "shop", "method": "PUT", "headers": { "X-Shop": "7" } });
    hook(&mut client, &web.url("/a/b?c=d"), "first", options).await;
    hook(&mut client, &web.url("/"), "second", json!({})).await;
    let received = web.receives(2).await;
    let first = &received[0];
    assert_eq!((first.line.as_str(), first.text()), ("PUT /a/b?c=d", "first"));
    assert_eq!(first.header("host"), Some(web.address().to_string().as_str()));
    assert_eq!(first.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(first.header("x-shop"), Some("7"));
    assert!(first.header("user-agent").is_some_and(|agent| agent.starts_with("Pointsman/")));
    let signature = first.header("pointsman-signature").expect("a secret was named");
    assert!(signature.starts_with("t=") && signature.contains(",v1="), "{signature}");
    assert_eq!((received[1].line.as_str(), received[1].header("pointsman-signature")), ("POST /", None));
    assert_ne!(first.id(), received[1].id());
    assert_eq!((first.connection, received[1].connection), (0, 0), "the connection is used again");
    let figures = figure(&server, "delivered", |count| count == 2).await;
    assert_eq!((&figures["waiting"], &figures["state"]), (&json!(0), &json!("ok")));
    assert_eq!(server.metric("pointsman_webhook_delivered_total").await, 2);
}

#[tokio::test]
async fn what_a_web_server_refuses_can_be_looked_at_and_sent_again() {
    let web = WebServer::start().await;
    let (server, mut client) = with_hook(&web, |_| {}).await;
    web.behave(Manner::Full(422, String::new(), b"no such shop".to_vec()));
    hook(&mut client, &web.url("/"), "wrong", json!({})).await;
    let name = web.url("");
    let given_up = undelivered(&server, &name).await[0].clone();
    assert_eq!(
        (&given_up["body"], &given_up["attempts"], &given_up["rule"]),
        (&json!("wrong"), &json!(1), &json!("hook"))
    );
    assert!(
        given_up["why"].as_str().is_some_and(|why| why.contains("422") && why.contains("no such shop")),
        "{given_up}"
    );
    web.behave(Manner::Status(204));
    let id = given_up["id"].as_str().expect("an id");
    let again = format!("/api/outbox/undelivered/retry?server={name}&id={id}");
    assert_eq!(server.operator().post(&again, "").await.json(), json!({ "requests": 1 }));
    assert_eq!(server.operator().post(&again, "").await.status, 404, "it is not there twice");
    let received = web.receives(2).await;
    assert_eq!(received[0].id(), received[1].id());
    figure(&server, "undelivered", |count| count == 0).await;
    let nobody = server.http().get("/api/outbox").await;
    assert_eq!(nobody.status, 401, "this is for the operator");
}

#[tokio::test]
async fn commands_show_what_was_given_up_and_send_it_again() {
    let web = WebServer::start().await;
    let (server, mut client) = with_hook(&web, |_| {}).await;
    let config = format!("[data]\ndirectory = {:?}\n", server.config().data.directory);
    std::fs::write(server.directory().join("commands.toml"), config).expect("written");
    let run = async |arguments: &[&str]| {
        let all = [&["outbox"], arguments, &["--config", "commands.toml"]].concat();
        run_server(SERVER, &all, server.directory()).await
    };
    web.behave(Manner::Status(422));
    for body in ["first", "second", "third"] {
        hook(&mut client, &web.url("/"), body, json!({})).await;
    }
    figure(&server, "undelivered", |count| count == 3).await;
    let (name, listed) = (web.url(""), run(&["list"]).await);
    assert!(listed.stdout.contains(&name) && listed.stdout.contains("422"), "{listed:?}");
    let shown = run(&["undelivered", "--json"]).await;
    let requests: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    let bodies: Vec<&str> =
        requests.as_array().expect("a list").iter().filter_map(|it| it["body"].as_str()).collect();
    assert_eq!(bodies, ["first", "second", "third"]);
    let id = requests[1]["id"].as_str().expect("an id");
    let shown = run(&["undelivered", "--server", &name]).await;
    assert!(shown.stdout.contains(id) && shown.stdout.lines().count() == 4, "{shown:?}");
    assert_eq!(run(&["purge", id]).await.stdout, "1 removed\n");
    let wrong = run(&["retry", id]).await;
    assert!(!wrong.status.success() && wrong.stderr.contains("no request"), "{wrong:?}");
    let wrong = run(&["purge", "--all", "--server", "http://nowhere:1"]).await;
    assert!(!wrong.status.success() && wrong.stderr.contains("no web server"), "{wrong:?}");
    web.behave(Manner::Status(204));
    let retry = async || run(&["retry", "--all"]).await.stdout;
    let both: [String; 2] = tokio::join!(retry(), retry()).into();
    let mut told = both.map(|it| it.trim().to_owned());
    told.sort();
    assert_eq!(told, ["0 sent once more", "2 sent once more"], "each is sent again by one of the two");
    let received = web.receives(5).await;
    let again: Vec<String> = received[3..].iter().map(|request| request.text().to_owned()).collect();
    assert_eq!(again, ["first", "third"]);
    figure(&server, "undelivered", |count| count == 0).await;
    let figures = figure(&server, "waiting", |count| count == 0).await;
    assert_eq!(figures["delivered"], 2, "and what waits is counted once");
}

#[tokio::test]
async fn an_answer_that_never_ends_ends_here() {
    let web = WebServer::start().await;
    let (server, mut client) = with_hook(&web, |_| {}).await;
    web.behave_once([Manner::Flood(200)]);
    hook(&mut client, &web.url("/"), "one", json!({})).await;
    hook(&mut client, &web.url("/"), "two", json!({})).await;
    let received = web.receives(2).await;
    assert_eq!(
        (received[1].text(), received[1].connection),
        ("two", 1),
        "the flooded connection was given up"
    );
    figure(&server, "delivered", |count| count == 2).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_fails_the_run() {
    let web = WebServer::start().await;
    let (_server, mut client) = with_hook(&web, |config| config.rules.webhooks.body_bytes_max = 1_000).await;
    hook(&mut client, &web.url("/"), &"x".repeat(1_001), json!({})).await;
    hook(&mut client, &web.url("/"), "small", json!({})).await;
    assert_eq!(client.recv_on("out/done").await.text(), "small", "the run that failed did nothing");
    assert_eq!(web.receives(1).await[0].text(), "small");
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_stops_the_start() {
    let secret = Secret::Environment(EnvironmentSecret { env: "POINTSMAN_NO_SUCH_SECRET".to_owned() });
    let builder = TestServer::builder().config(|config| {
        config.rules.webhooks.secrets.insert("shop".to_owned(), secret);
    });
    let error = builder.try_start().await.err().expect("it does not start").to_string();
    assert!(
        error.contains("rules.webhooks.secrets.shop") && error.contains("POINTSMAN_NO_SUCH_SECRET"),
        "{error}"
    );
}
