//! Where a webhook may go, and where it may not.

use pointsman_config::{PrivatePlace, WebAddress};
use pointsman_tests::{Manner, QoS, TestServer, WebServer, basic};
use serde_json::json;

use super::{RULE, figure, hook, undelivered, with_hook};

#[tokio::test]
async fn nothing_leaves_that_the_configuration_does_not_name() {
    let (web, other) = (WebServer::start().await, WebServer::start().await);
    let (_server, mut client) = with_hook(&web, |config| {
        let allowed = WebAddress::parse(&web.url("/shop")).expect("a URL");
        config.rules.webhooks.allow = vec![allowed, WebAddress::parse("http://10.0.0.1/").expect("a URL")];
    })
    .await;
    for url in [
        other.url("/shop"),
        web.url("/shops"),
        web.url("/shop/../x"),
        web.url("/shop/%2e%2e/x"),
        web.url("/shop").replace("http://", "http://user@"),
        web.url("/shop").replace("http", "https"),
        "http://10.0.0.1/".to_owned(),
        "http://169.254.169.254/latest/meta-data".to_owned(),
    ] {
        hook(&mut client, &url, "never", json!({})).await;
    }
    hook(&mut client, &web.url("/shop/x"), "allowed", json!({})).await;
    assert_eq!(client.recv_on("out/done").await.text(), "allowed", "each run that failed did nothing at all");
    assert_eq!(web.receives(1).await[0].line, "POST /shop/x");
    assert_eq!(other.received().len(), 0);
}

#[tokio::test]
async fn without_a_list_nothing_leaves_and_the_message_names_it() {
    let server = TestServer::builder().without_bundled_rules().rule("hook", RULE).start().await;
    let mut client = server.mqtt("client").await;
    client.subscribe("out/#", QoS::AtLeastOnce).await;
    client.publish_json("hook", &json!({ "url": "https://example.org/", "body": "x" })).await;
    pointsman_tests::eventually("the run has failed", async || {
        let failures = server.status().await["ruleFailures"].clone();
        if failures == 1 { Ok(()) } else { Err(failures) }
    })
    .await;
    client.expect_silence().await;
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_not_followed() {
    let web = WebServer::start().await;
    let (server, mut client) = with_hook(&web, |config| {
        let named = web.url("/").replace("127.0.0.1", "localhost");
        config.rules.webhooks.allow = vec![WebAddress::parse(&named).expect("a URL")];
        config.rules.webhooks.allow_private = Vec::new();
    })
    .await;
    let named = web.url("/").replace("127.0.0.1", "localhost");
    hook(&mut client, &named, "x", json!({})).await;
    let given_up = undelivered(&server, named.trim_end_matches('/')).await;
    let why = given_up[0]["why"].as_str().unwrap_or_default();
    assert!(why.contains("localhost is at") && why.contains("rules.webhooks.allow_private"), "{why}");
    assert_eq!(web.received().len(), 0);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (web, elsewhere) = (WebServer::start().await, WebServer::start().await);
    let (server, mut client) = with_hook(&web, |_| {}).await;
    let to = format!("Location: {}\r\n", elsewhere.url("/stolen"));
    web.behave(Manner::Full(307, to, Vec::new()));
    hook(&mut client, &web.url("/"), "x", json!({})).await;
    let given_up = undelivered(&server, &web.url("")).await;
    let why = given_up[0]["why"].as_str().unwrap_or_default();
    assert!(why.contains("307") && why.contains("/stolen") && why.contains("not followed"), "{why}");
    assert_eq!(elsewhere.received().len(), 0);
}

/// The other web server is a Pointsman, whose certificate is its own authority's.
#[tokio::test]
async fn a_certificate_is_checked() {
    let other = TestServer::start().await;
    let mut listener = other.mqtt("listener").await;
    listener.subscribe("from/elsewhere", QoS::AtLeastOnce).await;
    let url = format!("https://localhost:{}/topics/from%2Felsewhere?qos=1", other.https.port());
    let options =
        json!({ "headers": { "authorization": basic("admin", other.admin_password()) }, "retries": 0 });
    for trusted in [false, true] {
        let mut builder = TestServer::builder().without_bundled_rules().rule("hook", RULE).config(|config| {
            let webhooks = &mut config.rules.webhooks;
            webhooks.allow.push(WebAddress::parse(&url).expect("a URL"));
            webhooks.allow_private.push(PrivatePlace::try_from(other.https.to_string()).expect("an address"));
        });
        if trusted {
            let authority = other.authority.clone();
            builder = builder.config(|config| config.rules.webhooks.authority = Some(authority));
        }
        let server = builder.start().await;
        let mut client = server.mqtt("client").await;
        hook(&mut client, &url, if trusted { "trusted" } else { "not trusted" }, options.clone()).await;
        if trusted {
            figure(&server, "delivered", |count| count == 1).await;
        } else {
            let name = format!("https://localhost:{}", other.https.port());
            let why = undelivered(&server, &name).await[0]["why"].to_string();
            assert!(why.contains("no TLS with") && why.contains("certificate"), "{why}");
        }
    }
    assert_eq!(listener.recv().await.text(), "trusted");
}
