//! The dashboard's form in a real terminal: an image task is defined, started and changed by keys alone; stores and regions are completed.

use std::time::Duration;

use dth_tests::{
    daemon::Daemon,
    registry::{Image, Server},
    terminal::{Terminal, key},
    wait::eventually,
};

use crate::dashboard::USUAL;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn images_are_copied_and_their_task_is_changed_by_keys_alone() {
    let (source, destination) = (Server::start().await.unwrap(), Server::start().await.unwrap());
    for (n, name) in ["team/app", "team/tool"].into_iter().enumerate() {
        source.store().push(name, Some("v1"), &Image::new(n as u64, &[2_000]));
    }
    let daemon = Daemon::start("").await;
    let mut screen = Terminal::dth(&daemon.socket(), &[], &[], USUAL);
    screen.shows("No tasks yet").await;
    screen.press("n");
    screen.shows("What is the task called?").await;
    screen.press(&format!("by-hand{}{}{}", key::UP, key::RIGHT, key::ENTER));
    screen.shows("Where are the images now?").await;
    // registry, images, region, account, credential: anonymous
    screen.press(&format!("{}{}team/app{}{}{}", source.endpoint(), key::TAB, key::TAB.repeat(3), key::RIGHT, key::ENTER));
    screen.shows("Where shall they go?").await;
    // registry, prefix, strip prefix, region, account, credential: anonymous
    screen.press(&format!("{}{}copy/{}{}{}", destination.endpoint(), key::TAB, key::TAB.repeat(4), key::RIGHT, key::ENTER));
    screen.shows("Which ones, how fast, and when?").await;
    screen.press(key::ENTER);
    screen.shows("all passed").await;
    // without the registry typed nothing starts
    screen.press(key::ENTER);
    screen.shows("type the destination registry first").await;
    screen.press(&format!("{}{}", destination.host(), key::ENTER));
    screen.until("the task is done", |text| text.lines().any(|line| line.contains("by-hand") && line.contains("done"))).await;
    destination.store().verify("copy/team/app", "v1").unwrap();
    assert!(destination.store().tags("copy/team/tool").is_empty());
    let exported = daemon.dth(&["export", "by-hand"]).run().await.out;

    screen.press("e");
    screen.shows("> change by-hand").await;
    screen.press(key::ENTER);
    screen.shows("Where are the images now?").await;
    screen.press(&format!("{}, team/tool{}", key::TAB, key::ENTER));
    screen.shows("Where shall they go?").await;
    screen.press(key::ENTER);
    screen.shows("Which ones, how fast, and when?").await;
    screen.press(key::ENTER);
    // it goes where it went before
    screen.shows("Enter saves it").await;
    screen.press(key::ENTER);
    screen.shows("by-hand is changed").await;
    let changed = daemon.dth(&["export", "by-hand"]).run().await.out;
    assert_eq!(changed, exported.replace("\"team/app\"", "\"team/app\", \"team/tool\""), "nothing else is changed");

    screen.press("S");
    eventually("the other repository", PATIENCE, || async { destination.store().verify("copy/team/tool", "v1").ok() }).await;
    screen.press("q");
    assert_eq!(screen.ended().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_and_their_regions_are_completed() {
    let daemon = Daemon::start("").await;
    let mut screen = Terminal::dth(&daemon.socket(), &[], &[], USUAL);
    screen.shows("No tasks yet").await;
    screen.press("n");
    screen.shows("What is the task called?").await;
    screen.press(&format!("by-hand{}", key::ENTER));
    screen.shows("Where are the objects now?").await;
    // bucket, prefix, provider: what stands there is taken away
    screen.press(&format!("{}\x15backb", key::TAB.repeat(2)));
    screen.shows("Right: backblaze-b2").await;
    screen.press(key::RIGHT);
    screen.shows("[backblaze-b2 ").await;
    screen.press(&format!("{}eu-", key::TAB));
    screen.shows("Right: eu-central-003").await;
    screen.press(key::RIGHT);
    screen.shows("[eu-central-003 ").await;
    screen.press(key::ESC);
    screen.shows("leave the form?").await;
    screen.press(key::ENTER);
    screen.shows("No tasks yet").await;
    screen.press("q");
    assert_eq!(screen.ended().await, 0);
}
