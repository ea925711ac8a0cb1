//! Whether keys come in the order that merging relies on.

/// Two neighbours of a listing that are not in strict byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutOfOrder {
    /// The key that came first.
    pub before: String,
    /// The key that came next and is equal or smaller.
    pub after: String,
}

/// Checks that every key is greater, byte by byte, than the one before it.
///
/// `ListObjectsV2` promises UTF-8 binary order for general purpose buckets; directory buckets and some gateways do not
/// keep it, and a merge over such a listing would miss pairs without a word.
#[derive(Clone, Debug, Default)]
pub struct OrderCheck {
    last: Option<String>,
}

impl OrderCheck {
    /// Takes the next key.
    ///
    /// # Errors
    /// [`OutOfOrder`] when it is equal to or smaller than the one before; the check then still stands at the earlier key.
    pub fn pass(&mut self, key: &str) -> Result<(), OutOfOrder> {
        match &mut self.last {
            Some(last) if last.as_str() >= key => Err(OutOfOrder { before: last.clone(), after: key.to_owned() }),
            // one buffer for the whole listing: keys are checked by the hundred million
            Some(last) => {
                last.clear();
                last.push_str(key);
                Ok(())
            }
            None => {
                self.last = Some(key.to_owned());
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
            assert_eq!(check.pass(before), Ok(()));
            assert_eq!(check.pass(after).is_ok(), good, "{before:?} {after:?}");
        }
    }

    proptest! {
        #[test]
        fn passes_exactly_the_strictly_sorted(keys in prop::collection::vec("[a-c/é]{0,3}", 0..8)) {
            let mut check = OrderCheck::default();
            let passed = keys.iter().all(|key| check.pass(key).is_ok());
            prop_assert_eq!(passed, keys.windows(2).all(|w| w[0].as_bytes() < w[1].as_bytes()));
        }
    }
}
