//! What the dashboard sends to a terminal: nothing when nothing happens, little else, and no key as it is.

use std::time::{Duration, Instant};

use dth_tests::{
    s3::{Action, Fault, Object, Operation},
    terminal::{Terminal, key},
};

use crate::dashboard::{USUAL, World};

/// Bytes that reached each terminal, and frames among them, while `span` passed.
async fn watched(screens: &[Terminal], span: Duration) -> Vec<(usize, usize)> {
    let before: Vec<usize> = screens.iter().map(Terminal::written).collect();
    // the time is what is measured, not something that is waited for
    tokio::time::sleep(span).await;
    let frames = |bytes: &[u8]| bytes.windows(8).filter(|w| w == b"\x1b[?2026h").count();
    screens.iter().zip(before).map(|(screen, from)| (screen.written() - from, frames(&screen.bytes()[from..]))).collect()
}

/// How long terminals are listened to.
const SPAN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_dashboard_writes_nothing_and_a_busy_one_little() {
    let world = World::start().await;
    // 8 MB at 400 kB/s: goes on while it is watched
    world.fill("", 400, 20_000);
    let connection = world.daemon.connect().await;
    for n in 0..50 {
        let spec = world.spec(&format!("task-{n:02}"), "", Some(50_000));
        let id = dth_proto::id::RequestId::random();
        connection.client.create(dth_proto::wire::context(), id, spec, false, None).await.unwrap().unwrap();
    }
    let mut screens: Vec<Terminal> = (0..3).map(|_| world.dashboard(&[], USUAL)).collect();
    screens.push(Terminal::dth(&world.daemon.socket(), &[], &[("SSH_TTY", "/dev/pts/9")], USUAL));
    for screen in &screens {
        screen
            .until("50 tasks, the events and the chart", |text| {
                text.contains("task-00") && text.contains("created by") && text.contains("1h 00m")
            })
            .await;
    }
    for screen in &screens {
        quiet(screen).await;
    }
    let idle = watched(&screens, SPAN).await;
    println!("idle, 50 tasks, {SPAN:?}: (bytes, frames) per terminal {idle:?}");
    assert!(idle.iter().all(|seen| *seen == (0, 0)), "{idle:?}");

    for n in 0..8 {
        world.daemon.dth(&["start", &format!("task-{n:02}")]).ok().await;
    }
    // one of them looks at a task, one at the list
    screens[1].press(key::ENTER);
    screens[2].press("2");
    for screen in &screens {
        screen.shows("running").await;
    }
    let begin = Instant::now();
    let busy = watched(&screens, SPAN).await;
    let seconds = begin.elapsed().as_secs_f64();
    println!("8 of 50 tasks running, {seconds:.1} s: (bytes, frames) overview, detail, list, overview over ssh: {busy:?}");
    for (bytes, frames) in &busy {
        let per_s = *bytes as f64 / seconds;
        assert!(*frames > 0 && per_s < 4_096.0, "{per_s:.0} B/s: {busy:?}");
    }
    assert!(busy[3].1 as f64 <= seconds + 1.0, "at most a frame a second over ssh: {busy:?}");
}

/// Waits until a terminal has not been written to for a second.
async fn quiet(screen: &Terminal) {
    let begin = Instant::now();
    let mut last = (screen.written(), Instant::now());
    while last.1.elapsed() < Duration::from_secs(1) {
        assert!(begin.elapsed() < Duration::from_secs(60), "never quiet:\n{}", screen.text());
        if screen.written() != last.0 {
            last = (screen.written(), Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Keys that try to steer the terminal, reverse it, or fill it.
fn hostile(folder: &str) -> Vec<String> {
    let mut keys: Vec<String> =
        ["\x1b[2J\x1b]0;owned\x07", "\u{9b}31mred", "gpj.\u{202e}exe", "写真/東京", "tab\tnew\nline\r", "a\u{200b}b\u{feff}"]
            .map(str::to_owned)
            .to_vec();
    // the longest that S3 takes: 1,024 bytes
    keys.push("k".repeat(1_024 - folder.len()));
    keys.iter().map(|key| format!("{folder}{key}")).collect()
}

/// What drawing has no need of: sequences other than `ESC [`, other control characters, and those that change the direction of
/// text or cannot be seen.
fn foreign(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let sequences = text.split('\x1b').skip(1).filter(|rest| !rest.starts_with('[')).map(|rest| format!("ESC {rest:?}"));
    let is_foreign = |c: &char| (c.is_control() && *c != '\x1b') || matches!(c, '\u{200b}' | '\u{202e}' | '\u{feff}');
    sequences.chain(text.chars().filter(is_foreign).map(|c| format!("{c:?}"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_keys_reach_no_terminal_as_they_are() {
    let world = World::start().await;
    for (folder, size) in [("bad/", 1), ("slow/", 300_000)] {
        hostile(folder).iter().for_each(|key| world.source.store().put("from", key, Object::new(vec![1; size])));
    }
    world.source.faults().add(Fault::new(Action::Deny).on([Operation::GetObject]).prefix("bad/"));
    world.create("hostile", "bad/", None, true).await;
    world.daemon.dth(&["wait", "hostile"]).run().await;
    world.create("slow", "slow/", Some(15_000), true).await;
    let arguments: [&[&str]; 2] = [&["--glyphs", "ascii", "--color", "never"], &["--glyphs", "unicode"]];
    for (arguments, size) in arguments.into_iter().zip([USUAL, (120, 40)]) {
        let mut screen = world.dashboard(arguments, size);
        screen.until("both tasks", |text| text.contains("INCOMPLETE") && text.contains("running")).await;
        screen.press(":");
        screen.shows("commands").await;
        screen.press(key::ESC);
        screen.until("no palette", |text| !text.contains("commands")).await;
        let hostile_first = screen.row(">").contains("hostile");
        screen.press(if hostile_first { "jF" } else { "F" });
        screen.shows("failures").await;
        screen.press("12");
        screen.shows("> transfers").await;
        // the order of the list does not matter: by the filter to the one, then to the other
        screen.press("/hostile\r");
        screen.shows("1 of 2 shown").await;
        screen.press("F");
        screen.until("the failed keys", |text| text.contains("kkkkk") && text.contains("AccessDenied")).await;
        screen.press("\tjjjjjy");
        screen.shows("sent to the terminal").await;
        screen.press("2/\x15slow\r");
        screen.shows("slow").await;
        screen.press(key::ENTER);
        screen.until("keys in flight", |text| text.contains("copying") && text.contains("slow/")).await;
        screen.press("?");
        screen.shows("pause/resume").await;
        screen.press("q");
        screen.press("\x03");
        assert_eq!(screen.ended().await, 0);
        let bytes = screen.bytes();
        let drawn = without_clipboard(&bytes);
        // after the dashboard the usual screen gets the summary, in lines
        let end = drawn.windows(8).rposition(|w| w == b"\x1b[?1049l").unwrap();
        assert_eq!(foreign(&drawn[..end]), Vec::<String>::new());
        let ascii = arguments.contains(&"ascii");
        assert_eq!(drawn.is_ascii(), ascii, "{:?}", String::from_utf8_lossy(&drawn));
        if ascii {
            assert!(!has_colours(&drawn), "{:?}", String::from_utf8_lossy(&drawn));
        }
    }
}

/// The bytes without what was sent to the clipboard, which is base64 between `ESC ] 52` and `ESC \`.
fn without_clipboard(bytes: &[u8]) -> Vec<u8> {
    let find = |from: usize, what: &[u8]| bytes[from..].windows(what.len()).position(|w| w == what).map(|at| from + at);
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(start) = find(at, b"\x1b]52;") {
        let end = find(start, b"\x1b\\").expect("a sequence for the clipboard has its end");
        assert!(bytes[start + 7..end].iter().all(|b| b.is_ascii_alphanumeric() || b"+/=;".contains(b)));
        out.extend_from_slice(&bytes[at..start]);
        at = end + 2;
    }
    out.extend_from_slice(&bytes[at..]);
    out
}

/// A sequence that sets attributes names a colour: 30 to 49, or 90 to 107; 39 and 49 are the terminal's own.
fn has_colours(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.split("\x1b[").skip(1).filter_map(|rest| rest.split_once('m').map(|(codes, _)| codes)).any(|codes| {
        let numbers: Option<Vec<u8>> = codes.split(';').map(|code| code.parse().ok()).collect();
        numbers.is_some_and(|n| n.iter().any(|n| matches!(n, 30..=38 | 40..=48 | 90..=107)))
    })
}
