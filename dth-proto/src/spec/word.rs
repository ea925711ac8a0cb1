//! Options that are one of several words: each word stands here once, for task files, the wire and forms.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{Archived, Compare, CreateRepository, Delete, RestoreTier, Versions};

/// An option that is one of several words.
pub trait Words: Copy + Default + PartialEq + 'static {
    /// Every word and what it means, the default first.
    const WORDS: &'static [(&'static str, Self)];

    /// The word for it.
    #[must_use]
    fn word(self) -> &'static str;

    /// What a word means; `None`: it is none of [`Words::WORDS`].
    #[must_use]
    fn of_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning)
    }
}

macro_rules! words {
    ($($kind:ident { $($word:literal => $meaning:ident),+ })+) => {$(
        impl Words for $kind {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$meaning)),+];

            fn word(self) -> &'static str {
                match self {
                    $(Self::$meaning => $word),+
                }
            }
        }

        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = Cow::<'de, str>::deserialize(deserializer)?;
                Self::of_word(&word).ok_or_else(|| D::Error::unknown_variant(&word, &[$($word),+]))
            }
        }
    )+};
}

words! {
    Compare { "auto" => Auto, "size" => Size, "etag" => Etag, "checksum" => Checksum, "newer" => Newer, "always" => Always }
    Delete { "never" => Never, "mirror" => Mirror }
    Archived { "skip" => Skip, "restore" => Restore }
    RestoreTier { "standard" => Standard, "expedited" => Expedited, "bulk" => Bulk }
    Versions { "latest" => Latest, "all" => All }
    CreateRepository { "yes" => Yes, "on-push" => OnPush, "never" => Never }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    fn check<T: Words + Debug + Serialize + for<'de> Deserialize<'de>>() {
        assert_eq!(T::WORDS[0].1, T::default(), "a form shows the first word until another is chosen");
        for (word, meaning) in T::WORDS {
            assert_eq!((meaning.word(), T::of_word(word)), (*word, Some(*meaning)));
            let json = serde_json::to_string(meaning).expect("json");
            assert_eq!(json, format!("{word:?}"));
            assert_eq!(serde_json::from_str::<T>(&json).expect("json back"), *meaning);
        }
        assert_eq!(T::of_word("Auto"), None);
        let error = serde_json::from_str::<T>("\"Auto\"").expect_err("no word").to_string();
        assert!(error.contains("Auto") && error.contains(T::WORDS[1].0), "{error}");
    }

    #[test]
    fn a_word_is_the_same_everywhere() {
        check::<Compare>();
        check::<Delete>();
        check::<Archived>();
        check::<RestoreTier>();
        check::<Versions>();
        check::<CreateRepository>();
    }
}
