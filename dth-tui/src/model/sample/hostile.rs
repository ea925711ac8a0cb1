//! The model that hurts careless screens.

use std::collections::BTreeMap;

use dth_proto::{
    failure::FailureItem,
    spec::Job,
    time::Timestamp,
    view::{Counters, History, Live, Summary, TaskState},
};

use super::{NASTY, item, name, typical};
use crate::model::{Input, Model, wizard::Kind};

fn nasty(text: &mut String) {
    *text = NASTY.repeat(500 / NASTY.chars().count() + 1);
}

/// The typical model with every text nasty and every number at its limit.
pub(crate) fn hostile() -> Model {
    let mut m = typical();
    let all = Counters {
        listed: u64::MAX,
        same: u64::MAX,
        copied: u64::MAX,
        skipped: u64::MAX,
        deleted: u64::MAX,
        failed: u64::MAX,
        planned: u64::MAX,
        to_delete: u64::MAX,
        pending: u64::MAX,
        bytes_listed: u64::MAX,
        bytes_done: u64::MAX,
        bytes_copied: u64::MAX,
        bytes_planned: u64::MAX,
        requests: u64::MAX,
        retries: u64::MAX,
    };
    nasty(&mut m.address);
    for t in m.mirror.tasks.values_mut() {
        for text in
            [&mut t.engine, &mut t.from, &mut t.to, &mut t.from_where, &mut t.to_where, &mut t.trigger, &mut t.note, &mut t.created_by]
        {
            nasty(text);
        }
        if t.state != TaskState::Running {
            nasty(&mut t.word);
        }
        t.created = Timestamp(u64::MAX);
        t.next_run = Some(Timestamp(u64::MAX));
        if let Some(run) = &mut t.run {
            run.counters = all;
            run.started = Some(Timestamp(u64::MAX));
            run.run = u32::MAX;
            run.duration_s = f64::NAN;
            run.error = Some(NASTY.to_owned());
            nasty(&mut run.cause);
        }
        t.live = Some(Live {
            rate: u64::MAX,
            rate_hour: u64::MAX,
            objects_per_s: f64::INFINITY,
            eta_s: Some(u64::MAX),
            stalled_s: Some(u64::MAX),
        });
    }
    let long = name(&"x".repeat(64));
    let mut more = m.mirror.tasks.values().next().cloned().expect("a task");
    more.name = long.clone();
    m.mirror.tasks.insert(long, more);
    m.mirror.summary = Summary {
        verdict: NASTY.to_owned(),
        counters: all,
        rate: u64::MAX,
        rate_hour: 1,
        objects_per_s: f64::NAN,
        cap: Some(u64::MAX),
        eta_s: Some(u64::MAX),
        ..m.mirror.summary
    };
    m.mirror.problems.iter_mut().for_each(|p| {
        nasty(&mut p.text);
        p.since = Timestamp(u64::MAX);
    });
    if let Some(d) = &mut m.detail {
        d.view = m.mirror.tasks[&d.view.name].clone();
        d.phases.iter_mut().for_each(|p| {
            nasty(&mut p.name);
            nasty(&mut p.unit);
            (p.done, p.total, p.rate) = (u64::MAX, 0, f64::NEG_INFINITY);
        });
        d.in_flight.iter_mut().for_each(|f| {
            nasty(&mut f.key);
            (f.size, f.done, f.parts) = (0, u64::MAX, Some((u32::MAX, 0)));
        });
        d.sizes.iter_mut().for_each(|(class, count)| {
            nasty(class);
            *count = u64::MAX;
        });
        d.memory = (u64::MAX, 0);
        d.skipped = BTreeMap::from([(NASTY.to_owned(), u64::MAX)]);
        if let Job::S3(job) = &mut d.spec.job {
            nasty(&mut job.source.store.bucket);
            nasty(&mut job.source.prefix);
        }
    }
    let wild = vec![Some(u64::MAX), None, Some(0), Some(1)];
    m.chart.have = Some((
        None,
        u32::MAX,
        History {
            until: Timestamp(u64::MAX),
            slot_s: f64::NAN,
            bytes: wild.into_iter().cycle().take(500).collect(),
            objects: Vec::new(),
            failed: Vec::new(),
        },
    ));
    m.failures.groups.iter_mut().for_each(|g| {
        for text in [&mut g.code, &mut g.operation, &mut g.prefix, &mut g.message] {
            nasty(text);
        }
        g.hint = Some(NASTY.repeat(9));
        g.count = u64::MAX;
    });
    let first = m.failures.groups[0].clone();
    m.failures.items = (0..50).map(|n| FailureItem { key: NASTY.repeat(20), tries: u32::MAX, size: u64::MAX, ..item(n, &first) }).collect();
    m.log.events.iter_mut().for_each(|e| nasty(&mut e.message));
    m.wizard.fields.iter_mut().flatten().for_each(|f| {
        if let Kind::Text(input) = &mut f.kind {
            *input = Input::new(NASTY.repeat(12));
        }
    });
    m
}
