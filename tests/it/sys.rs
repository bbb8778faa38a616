//! The topics under `$SYS/broker/`.

use pointsman_tests::{QoS, TestServer, eventually};

#[tokio::test]
async fn figures_are_published_as_they_change() {
    let server = TestServer::builder().config(|config| config.sys.interval_seconds = 1).start().await;
    let mut admin = server.client("boss").login("admin", server.admin_password()).connect().await;
    admin.subscribe("$SYS/broker/clients/connected", QoS::AtMostOnce).await;
    admin.subscribe("$SYS/broker/uptime", QoS::AtMostOnce).await;
    let uptime = admin.recv_where(|it| it.topic.ends_with("uptime")).await;
    assert!(uptime.text().ends_with(" seconds"), "{uptime:?}");
    let _other = server.mqtt("other").await;
    let two = admin.recv_where(|it| it.topic.ends_with("clients/connected") && it.text() == "2").await;
    assert_eq!(two.topic, "$SYS/broker/clients/connected");
}

#[tokio::test]
async fn a_new_subscriber_has_the_last_figures_at_once() {
    let server = TestServer::builder().config(|config| config.sys.interval_seconds = 86_400).start().await;
    let mut admin = server.client("boss").login("admin", server.admin_password()).connect().await;
    // They were published when the server started, and are not again today.
    eventually("the version is there", async || {
        if server.metric("pointsman_spine_envelopes_total").await > 0 { Ok(()) } else { Err("nothing yet") }
    })
    .await;
    admin.subscribe("$SYS/broker/version", QoS::AtMostOnce).await;
    let version = admin.recv_on("$SYS/broker/version").await;
    assert!(version.text().starts_with("pointsman version "), "{version:?}");
    assert!(version.retain, "{version:?}");
}

#[tokio::test]
async fn guests_hear_nothing_of_them() {
    let server = TestServer::builder().config(|config| config.sys.interval_seconds = 1).start().await;
    let mut guest = server.mqtt("guest").await;
    for filter in ["$SYS/#", "$SYS/broker/uptime", "$SYS/+/uptime"] {
        assert!(!guest.try_subscribe(filter, QoS::AtMostOnce).await, "{filter}");
    }
}
