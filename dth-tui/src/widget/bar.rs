//! How much of something is done, as a bar.

use crate::glyph::GlyphSet;

/// `[####......]` in exactly `width` columns, or nothing when there is no room for one. A part is never shown as all, and
/// something is never shown as nothing.
#[must_use]
pub fn bar(done: u64, total: u64, width: usize, glyph: &GlyphSet) -> String {
    let Some(inner) = width.checked_sub(2).filter(|w| *w > 0) else {
        return String::new();
    };
    let full = match (done.min(total), total) {
        (_, 0) | (0, _) => 0,
        (d, t) if d == t => inner,
        (d, t) => ((d as f64 / t as f64 * inner as f64) as usize).clamp(1.min(inner - 1), inner - 1),
    };
    format!("[{}{}]", glyph.full.repeat(full), glyph.empty.repeat(inner - full))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glyph::ASCII;

    #[test]
    fn ends_are_honest() {
        let bar = |done, total| bar(done, total, 12, &ASCII);
        assert_eq!(bar(0, 0), "[..........]");
        assert_eq!(bar(1, u64::MAX), "[#.........]");
        assert_eq!(bar(u64::MAX - 1, u64::MAX), "[#########.]");
        assert_eq!(bar(7, 7), "[##########]");
        assert_eq!(bar(9, 7), "[##########]");
        for width in 0..40 {
            let text = super::bar(1, 3, width, &ASCII);
            assert!(text.len() == width || text.is_empty());
        }
    }
}
