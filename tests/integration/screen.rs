//! The terminal that the dashboard runs in: any size of it is survived, and it is given back as it was, whatever ends the program.

use dth_tests::terminal::{Terminal, key};
use nix::sys::signal::Signal;

use crate::dashboard::{USUAL, World, dth};

/// In the shell on `screen`: the terminal's modes are as they were when `B` was set, and its screen is the usual one.
async fn is_given_back(screen: &mut Terminal, after: &str) {
    screen.until("a prompt", |text| text.trim_end().ends_with('$')).await;
    assert!(!screen.is_taken(), "after {after}");
    screen.press(&format!("[ \"$(stty -g)\" = \"$B\" ] && echo back\"\"-{after}\r"));
    screen.shows(&format!("back-{after}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_is_given_back_as_it_was() {
    let world = World::start().await;
    world.fill("", 2, 10);
    world.create("small", "", None, true).await;
    world.daemon.dth(&["wait", "small"]).ok().await;
    let mut screen = Terminal::shell(&[], USUAL);
    screen.press("B=$(stty -g)\r");
    let start = format!("clear; {}\r", dth(&world, ""));

    screen.press(&start);
    screen.until("the overview", |text| text.contains("small") && text.contains(" OK ")).await;
    assert!(screen.is_taken());
    screen.press("q");
    is_given_back(&mut screen, "q").await;
    let text = screen.text();
    assert!(text.contains("0 running") && !text.contains("transfers go on"), "the summary says what is, and no more:\n{text}");

    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        screen.press(&start);
        screen.until("the overview", |text| text.contains("small") && text.contains(" OK ")).await;
        screen.signal(signal);
        is_given_back(&mut screen, signal.as_str()).await;
        assert_eq!(screen.text().contains("0 running"), signal != Signal::SIGHUP, "{signal}:\n{}", screen.text());
    }

    screen.press(&start);
    screen.until("the overview", |text| text.contains("small") && text.contains(" OK ")).await;
    screen.press("\x1a");
    is_given_back(&mut screen, "suspend").await;
    screen.press("fg\r");
    screen.until("the overview is drawn again", |text| text.contains("small") && text.contains(" OK ")).await;
    assert!(screen.is_taken());
    screen.press("2");
    screen.shows("> transfers").await;
    // stopped without a warning: the screen cannot be given back, but must be complete after SIGCONT
    screen.signal(Signal::SIGSTOP);
    screen.until("the shell again", |text| text.contains("Stopped")).await;
    // it is still raw: the newline has to come as one
    screen.press("fg\n");
    screen.until("the list is drawn again", |text| text.contains("> transfers") && !text.contains("Stopped")).await;
    screen.press("\x03");
    is_given_back(&mut screen, "ctrl-c").await;
}

/// Set in the process that panics in a terminal of its own.
const PANIC: &str = "DTH_TESTS_PANIC";

#[tokio::test]
async fn a_panic_gives_the_terminal_back_and_is_readable() {
    if std::env::var_os(PANIC).is_some() {
        let _guard = dth_tui::terminal::Guard::enter().unwrap();
        // in a task, where it would otherwise go unnoticed
        let broken = tokio::spawn(async { panic!("the frame broke\nin two lines") });
        dth_tui::terminal::lost().await;
        assert!(broken.await.is_err());
        return;
    }
    // a backtrace would push the report off the screen
    let mut screen = Terminal::shell(&[(PANIC, "1"), ("RUST_BACKTRACE", "0")], USUAL);
    screen.press("B=$(stty -g)\r");
    let this = std::env::current_exe().unwrap();
    let name = "screen::a_panic_gives_the_terminal_back_and_is_readable";
    screen.press(&format!("clear; {} {name} --exact --nocapture\r", this.display()));
    screen.shows("in two lines").await;
    is_given_back(&mut screen, "panic").await;
    let text = screen.text();
    assert!(text.contains("the frame broke\nin two lines"), "the report is not a staircase:\n{text}");
}

/// A resize and a key that arrive in one wake-up must both be heard: what the terminal's reader drops is lost until the next key.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_pressed_while_the_terminal_is_resized_is_heard() {
    let world = World::start().await;
    let mut screen = world.dashboard(&[], USUAL);
    screen.shows("rtt").await;
    for round in 0..100 {
        let size = if round % 2 == 0 { (90, 30) } else { (100, 32) };
        screen.resize(size);
        screen.press(":");
        screen.until(&format!("the palette, round {round}"), |text| text.contains("─ commands ─")).await;
        screen.resize(USUAL);
        screen.press(key::ESC);
        screen.until(&format!("no palette, round {round}"), |text| !text.contains("─ commands ─")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_size_of_the_terminal_is_survived() {
    let world = World::start().await;
    world.fill("", 4, 10);
    world.create("resized", "", None, true).await;
    world.daemon.dth(&["wait", "resized"]).ok().await;
    let mut screen = world.dashboard(&[], (120, 40));
    screen.until("the overview", |text| text.contains("resized") && text.contains(" OK ")).await;
    for open in ["1", "2", "4", ":"] {
        screen.press(open);
        for size in [(40, 10), (39, 10), (40, 9), (12, 2), (1, 1), (200, 60), (80, 24)] {
            screen.resize(size);
            // a message that the smallest sizes have, or the name of the program
            screen
                .until(&format!("a frame of {size:?}"), |text| match size {
                    (1, 1) => !text.trim().is_empty(),
                    (width, height) if width < 40 || height < 10 => text.contains("OK") && !text.contains("dth"),
                    _ => text.starts_with("dth"),
                })
                .await;
            assert!(screen.is_running(), "{size:?} on {open}");
        }
    }
    screen.press(key::ESC);
    screen.press("");
    screen.until("the palette is closed", |text| !text.contains("commands")).await;
    screen.press("\x03");
    assert_eq!(screen.ended().await, 0);
}
