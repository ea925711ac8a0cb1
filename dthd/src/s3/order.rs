//! Whether keys come in the order that merging relies on.

use super::page::Page;

/// Two neighbours of a listing that are not in strict byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutOfOrder {
    /// The key that came first.
    pub before: String,
    /// The key that came next and is equal or smaller.
    pub after: String,
}

/// Checks that every key is greater, byte by byte, than the one before it, from page to page.
///
/// `ListObjectsV2` promises UTF-8 binary order for general purpose buckets; directory buckets and some gateways do not
/// keep it, and a merge over such a listing would miss pairs without a word.
#[derive(Clone, Debug, Default)]
pub struct OrderCheck {
    last: Option<String>,
}

impl OrderCheck {
    /// Takes the next page.
    ///
    /// # Errors
    /// [`OutOfOrder`] at the first key that is equal to or smaller than the one before; the check then still stands at the
    /// page before.
    pub fn pass(&mut self, page: &Page) -> Result<(), OutOfOrder> {
        let mut before = self.last.as_deref();
        for key in page.keys() {
            if let Some(before) = before.filter(|before| *before >= key) {
                return Err(OutOfOrder { before: before.to_owned(), after: key.to_owned() });
            }
            before = Some(key);
        }
        if let Some(key) = page.keys().next_back() {
            // one buffer for the whole listing
            let last = self.last.get_or_insert_default();
            last.clear();
            last.push_str(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::s3::list::fake::entry;

    fn page(keys: &[impl AsRef<str>]) -> Page {
        keys.iter().map(|key| entry(key.as_ref())).collect()
    }

    #[test]
    fn order_is_of_bytes_and_strict() {
        for (before, after, good) in [
            ("a", "b", true),
            ("a", "a", false),
            ("a/", "a", false),
            // a directory-wise listing puts "a/x" before "a-b"
            ("a/x", "a-b", false),
            ("a-b", "a/x", true),
            ("Z", "a", true),
            ("z", "é", true),
            // UTF-16 order would be the other way round
            ("\u{ffff}", "\u{10000}", true),
        ] {
            let mut check = OrderCheck::default();
            assert_eq!(check.pass(&page(&[before])), Ok(()));
            let wrong = OutOfOrder { before: before.to_owned(), after: after.to_owned() };
            let wanted = if good { Ok(()) } else { Err(wrong) };
            assert_eq!(check.pass(&page(&[after])), wanted);
            assert_eq!(OrderCheck::default().pass(&page(&[before, after])), wanted);
        }
    }

    proptest! {
        #[test]
        fn passes_exactly_the_strictly_sorted(keys in prop::collection::vec("[a-c/é]{0,3}", 0..8), pages in 1usize..5) {
            let mut check = OrderCheck::default();
            let passed = keys.chunks(pages).all(|keys| check.pass(&page(keys)).is_ok());
            prop_assert_eq!(passed, keys.windows(2).all(|w| w[0].as_bytes() < w[1].as_bytes()));
        }
    }
}
