//! How much is written to the terminal, counted in bytes; and the whole loop against a daemon in memory.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use dth_proto::{id::Epoch, watch::WatchReply};

use super::*;
use crate::{
    fake::Fake,
    glyph::{ASCII, UNICODE},
    model::{Link, sample},
    update::Change,
};

/// Counts bytes.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl Counter {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(bytes.len(), Ordering::SeqCst);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn dashboard(model: Model, counter: &Counter) -> Dashboard<Counter> {
    let mut dashboard = Dashboard::new(model, Theme::ansi(UNICODE), counter.clone(), 4).expect("dashboard");
    dashboard.draw().expect("drawn");
    dashboard
}

#[test]
fn an_idle_daemon_writes_nothing() {
    let counter = Counter::default();
    let mut model = sample::typical();
    model.mirror.epoch = Some(Epoch("6f1c".to_owned()));
    let mut dashboard = dashboard(model, &counter);
    assert!(counter.take() > 1_000, "the first frame");
    for seq in 0..200 {
        let change = Change::Reply { reply: Box::new(sample::reply(seq)), rtt_ms: seq * 7 % 90 };
        assert_eq!(dashboard.apply(Event::Link(change)).expect("applied"), []);
        dashboard.apply(Event::Wake).expect("applied");
        assert_eq!(dashboard.wake(), None, "nothing to wake for");
    }
    assert_eq!(counter.take(), 0);
}

/// What a second of four running transfers changes: every rate, every percentage, all totals, the clock.
fn second(dashboard: &mut Dashboard<Counter>, n: u64) {
    let mut answer = sample::reply(n);
    let mut summary = dashboard.model.mirror.summary.clone();
    summary.rate = 822_000_000 + n * 7_777_777 % 390_000_000;
    summary.rate_hour += n * 100_003;
    summary.objects_per_s = 288.0 + (n * 13 % 90) as f64;
    summary.counters.bytes_done += summary.rate;
    summary.counters.pending -= 290;
    summary.counters.copied += 290;
    summary.eta_s = summary.eta_s.map(|e| e - n * 37);
    answer.summary = Some(summary);
    for task in dashboard.model.mirror.tasks.values() {
        let mut task = task.clone();
        if let (Some(live), Some(run)) = (&mut task.live, &mut task.run) {
            live.rate = 100_000_000 + (live.rate + n * 31_000_003) % 700_000_000;
            live.eta_s = live.eta_s.map(|e| e - n * 41);
            run.counters.bytes_done += 3_000_000_000_000 / 10;
            answer.changed.push(task);
        }
    }
    if let Some(mut detail) = dashboard.model.detail.clone() {
        for (number, phase) in (0..).zip(&mut detail.phases) {
            phase.done += phase.total / 300;
            phase.rate += (n * number) as f64;
        }
        for object in &mut detail.in_flight {
            object.done = object.size / 200 * (n % 200);
        }
        answer.focus = Some(detail);
    }
    dashboard.apply(Event::Link(Change::Reply { reply: Box::new(answer), rtt_ms: 300 + n % 40 })).expect("applied");
    // the chart moves on by a slot each second, which is more often than it is asked for
    if let Some((_, _, history)) = &mut dashboard.model.chart.have {
        history.bytes.rotate_left(1);
    }
    dashboard.draw().expect("drawn");
}

#[test]
fn running_transfers_cost_less_than_4_kib_per_second() {
    for glyph in [UNICODE, ASCII] {
        for (name, model) in sample::every_screen(&sample::typical()).into_iter().take(3) {
            let counter = Counter::default();
            let mut dashboard = Dashboard::new(model, Theme::ansi(glyph), counter.clone(), 4).expect("dashboard");
            dashboard.draw().expect("drawn");
            counter.take();
            let seconds = 60;
            (0..seconds).for_each(|n| second(&mut dashboard, n));
            let mean = counter.take() / seconds as usize;
            assert!(mean > 50, "{name}: something must have changed");
            assert!(mean < 4 * 1024, "{name}: {mean} bytes per second");
        }
    }
}

#[test]
fn frames_are_limited_and_keys_are_not() {
    let counter = Counter::default();
    let mut dashboard = dashboard(sample::typical(), &counter);
    dashboard.interval = Duration::from_secs(3_600);
    counter.take();
    let change = |n| Event::Link(Change::Reply { reply: Box::new(WatchReply { full: true, ..sample::reply(n) }), rtt_ms: 1 });
    dashboard.apply(change(1)).expect("applied");
    assert_eq!(counter.take(), 0, "too early for a frame");
    let wake = dashboard.wake().expect("a frame is due later");
    assert!(wake > Instant::now() && wake <= Instant::now() + dashboard.interval);
    dashboard.apply(Event::Key(Key::Char('?'))).expect("applied");
    assert!(counter.take() > 0, "a key draws at once");
    assert_eq!(dashboard.wake(), None, "what came before is drawn with it");
    dashboard.apply(Event::Key(Key::Esc)).expect("applied");
    dashboard.apply(change(2)).expect("applied");
    counter.take();
    dashboard.interval = Duration::ZERO;
    dashboard.apply(Event::Wake).expect("applied");
    assert_eq!(dashboard.wake(), None, "drawn: nothing more to wake for");
}

#[test]
fn a_resize_draws_all_and_no_size_is_survived() {
    let counter = Counter::default();
    let mut dashboard = dashboard(sample::typical(), &counter);
    for size in [(0, 0), (40, 10), (200, 60), (80, 0), (80, 24)] {
        counter.take();
        dashboard.apply(Event::Resize(size.0, size.1)).expect("applied");
        assert_eq!(counter.take() > 0, size.0 > 0 && size.1 > 0, "{size:?}");
    }
}

/// Link, hands and dashboard together, as [`run`] joins them, without a terminal.
#[tokio::test]
async fn the_whole_loop_goes_quiet_with_the_daemon() {
    let fake = Fake::new(Duration::from_millis(3));
    let (sender, mut events) = mpsc::channel(QUEUE);
    let on = fake.clone();
    let link = link::start_with(
        move || {
            let on = on.clone();
            async move { on.connect().await }
        },
        sender.clone(),
    );
    let hands = Hands::new(link.client.clone(), sender);
    let counter = Counter::default();
    let mut dashboard = dashboard(sample::empty(), &counter);
    let quiet_after = |watches: u32| fake.watches.load(Ordering::SeqCst) >= watches;
    let mut settled = None;
    while settled.is_none_or(|at: u32| !quiet_after(at + 100)) {
        let wake = dashboard.wake();
        let event = tokio::select! {
            event = events.recv() => event.expect("the link runs"),
            () = sleep_until(wake.unwrap_or_else(far)), if wake.is_some() => Event::Wake,
        };
        for effect in dashboard.apply(event).expect("applied") {
            if let Effect::Ask(ask) = effect {
                hands.ask(ask);
            }
        }
        let chart = dashboard.model.chart.have.is_some();
        if settled.is_none() && chart && dashboard.wake().is_none() {
            settled = Some(fake.watches.load(Ordering::SeqCst));
            assert!(counter.take() > 1_000, "the screen was drawn");
        }
    }
    assert!(dashboard.model.link.is_up() && dashboard.model.mirror.tasks.len() == 6);
    assert_eq!(counter.take(), 0, "a hundred watches without a change");
}

#[test]
fn the_summary_says_that_transfers_go_on() {
    assert_eq!(summary(&sample::empty()).len(), 1);
    let mut model = sample::typical();
    let lines = summary(&model);
    assert_eq!(
        lines,
        [
            "3 running at 822 MB/s, 1 waiting, 1 paused, 1,204 failed, ETA 3d 11h",
            "2 problems, first: 1,204 objects failed, AccessDenied on GetObject",
            "transfers go on at unix:/run/dth/dthd.sock",
        ]
    );
    model.link = Link::Connecting;
    assert!(summary(&model)[2].contains("link was down"));
    assert!(summary(&sample::hostile()).iter().all(|l| !l.chars().any(char::is_control)));
}
