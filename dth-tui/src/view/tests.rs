//! Every screen as text, and every screen at every size.

use proptest::prelude::*;
use ratatui::{Terminal, backend::TestBackend, style::Modifier};

use super::*;
use crate::{
    glyph::{ASCII, UNICODE},
    model::sample,
};

fn screen(model: &Model, width: u16, height: u16, theme: &Theme) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    terminal
        .draw(|frame| {
            if let Some(at) = draw(frame, frame.area(), model, theme) {
                frame.set_cursor_position(at);
            }
        })
        .expect("drawn");
    terminal.backend().clone()
}

fn check(suffix: &str, model: &Model, size: (u16, u16), glyph: crate::glyph::GlyphSet) {
    check_all(suffix, sample::every_screen(model), size, glyph);
}

fn check_all(suffix: &str, screens: Vec<(&str, Model)>, size: (u16, u16), glyph: crate::glyph::GlyphSet) {
    for (name, mut model) in screens {
        model.size = size;
        let drawn = screen(&model, size.0, size.1, &Theme::ansi(glyph));
        insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("{name}_{suffix}"), drawn);
        });
    }
}

#[test]
fn screens_at_80x24() {
    check("80x24", &sample::typical(), (80, 24), ASCII);
}

#[test]
fn screens_at_40x10() {
    check("40x10", &sample::typical(), (40, 10), ASCII);
}

/// The screens that look different with images.
fn screens_of_images() -> Vec<(&'static str, Model)> {
    let model = sample::image();
    let mut all: Vec<_> = sample::every_screen(&model)
        .into_iter()
        .filter(|(name, _)| matches!(*name, "overview" | "transfers" | "detail" | "failures"))
        .collect();
    let filled = sample::image_review(model);
    for (step, name) in ["wizard_kind", "wizard_from", "wizard_to", "wizard_options"].into_iter().enumerate() {
        let mut model = filled.clone();
        model.wizard.go_to(step);
        all.push((name, model));
    }
    all.push(("wizard_review", filled));
    all
}

#[test]
fn images_at_every_size() {
    for size in [(120, 40), (80, 24), (40, 10)] {
        check_all(&format!("image_{}x{}", size.0, size.1), screens_of_images(), size, ASCII);
    }
}

#[test]
fn where_images_are_shown_nothing_is_called_an_object() {
    let mut model = sample::image();
    model.mirror.tasks.retain(|_, task| task.engine == "image");
    model.mirror.problems.clear();
    model.log.events.clear();
    let screens = sample::every_screen(&model).into_iter().filter(|(name, _)| !name.starts_with("wizard")).chain(screens_of_images());
    for (name, mut model) in screens {
        model.mirror.tasks.retain(|_, task| task.engine == "image");
        model.mirror.problems.clear();
        model.log.events.clear();
        let buffer = render(&model, 120, 40, &Theme::ansi(ASCII));
        let text: String = (0..40).map(|y| row_text(&buffer, y).to_lowercase() + "\n").collect();
        // the form's first step offers both
        let text = text.replace("s3 objects", "").replace("all keys", "").replace("kms key", "");
        for word in ["object", "bucket", " keys ", " key "] {
            assert!(!text.contains(word), "{word} on {name}:\n{text}");
        }
    }
}

#[test]
fn overview_at_the_breakpoints() {
    for (width, height) in [(120, 30), (100, 40), (60, 24), (59, 16), (39, 10), (80, 15)] {
        let mut model = sample::typical();
        model.size = (width, height);
        let drawn = screen(&model, width, height, &Theme::ansi(UNICODE));
        insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("overview_{width}x{height}_unicode"), drawn);
        });
    }
}

#[test]
fn before_the_first_answer_and_when_all_is_well() {
    let mut well = sample::typical();
    well.mirror.problems.clear();
    well.mirror.summary.verdict = "All 3 running tasks are moving. No failed items.".to_owned();
    for (name, model) in [("overview_connecting", sample::empty()), ("overview_well", well)] {
        let drawn = screen(&model, 80, 24, &Theme::ansi(ASCII));
        insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, drawn);
        });
    }
}

fn render(model: &Model, width: u16, height: u16, theme: &Theme) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    place(&mut buffer, area, model, theme);
    if !theme.glyph.unicode {
        to_ascii(&mut buffer, area);
    }
    buffer
}

fn is_harmless(buffer: &Buffer) -> bool {
    let steering =
        |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !buffer.content.iter().any(|cell| cell.symbol().chars().any(steering))
}

/// Every size from 0x0 to 100x40, every screen of one model at each; the models take turns.
fn every_size(odd: bool) {
    let models = [sample::empty(), sample::typical(), sample::hostile(), sample::image()].map(|m| sample::every_screen(&m));
    let themes = [Theme::ansi(UNICODE), Theme::mono(ASCII)];
    let sizes = (0..=100).flat_map(|width| (0..=40).map(move |height| (width, height)));
    for (number, (width, height)) in sizes.enumerate().filter(|(n, _)| (n % 2 == 1) == odd) {
        let theme = &themes[number / models.len() % 2];
        for (name, model) in &models[number % models.len()] {
            let buffer = render(model, width, height, theme);
            assert!(is_harmless(&buffer), "{name} at {width}x{height}");
        }
    }
}

// two tests, so that two cores share the work

#[test]
fn every_even_size_is_survived() {
    every_size(false);
}

#[test]
fn every_odd_size_is_survived() {
    every_size(true);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn no_size_panics(width in 0u16..=100, height in 0u16..=40, which in 0usize..4, ascii: bool, down: bool, mono: bool) {
        let mut model = match which {
            0 => sample::empty(),
            1 => sample::typical(),
            2 => sample::image_review(sample::image()),
            _ => sample::hostile(),
        };
        model.size = (width, height);
        if down {
            model = sample::every_screen(&model).pop().expect("no_link is last").1;
        }
        let glyph = if ascii { ASCII } else { UNICODE };
        let theme = if mono { Theme::mono(glyph) } else { Theme::ansi(glyph) };
        for (name, model) in sample::every_screen(&model) {
            let buffer = render(&model, width, height, &theme);
            prop_assert!(is_harmless(&buffer), "{} at {}x{}", name, width, height);
        }
    }
}

#[test]
fn trouble_is_a_word_and_a_style() {
    for theme in [Theme::ansi(ASCII), Theme::mono(ASCII)] {
        let buffer = render(&sample::typical(), 80, 24, &theme);
        let at = buffer
            .content
            .iter()
            .zip(0u16..)
            .find(|(cell, at)| cell.symbol() == "D" && row_text(&buffer, at / 80)[usize::from(at % 80)..].starts_with("DEGRADED"));
        let (cell, _) = at.expect("DEGRADED is on the overview");
        assert!(cell.modifier.contains(Modifier::BOLD));
    }
}

fn row_text(buffer: &Buffer, y: u16) -> String {
    (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect()
}

#[test]
fn a_lost_link_is_never_called_ok() {
    let mut model = sample::typical();
    model.mirror.problems.clear();
    let (_, model) = sample::every_screen(&model).pop().expect("no_link is last");
    for (width, height) in [(80, 24), (60, 16), (40, 10), (30, 5)] {
        let buffer = render(&model, width, height, &Theme::ansi(ASCII));
        let text: Vec<String> = (0..height).map(|y| row_text(&buffer, y)).collect();
        assert!(!text.iter().any(|row| row.contains("OK")), "{text:#?}");
        assert!(text.iter().any(|row| row.contains('?')), "{text:#?}");
    }
}

#[test]
fn the_footer_keeps_the_way_out_and_help() {
    for (name, model) in sample::every_screen(&sample::typical()) {
        for width in [40, 60, 80] {
            let buffer = render(&model, width, 24, &Theme::ansi(ASCII));
            let keys = row_text(&buffer, 23);
            assert!(["Esc", "q quit"].iter().any(|k| keys.contains(k)), "{name} at {width}: {keys}");
            assert!(model.overlay.is_some() || name.starts_with("wizard") || keys.contains("? help"), "{name} at {width}: {keys}");
        }
    }
}
