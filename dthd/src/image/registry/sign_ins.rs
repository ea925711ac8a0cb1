//! How runs sign in, kept from one to the next: whoever asks the same registry as the same user shares what was found out, and the tokens.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use dth_proto::failure::Side;

use super::{Login, Site, authorize::SignIn};
use crate::image::digest::Digest;

/// Ways to sign in that are kept; beyond it those that nobody uses are forgotten.
const KEPT: usize = 64;

/// The registry, what it is asked for, and a digest of who asks: nothing of it can be read back.
type Key = (String, Side, Digest);

/// See the module. One per daemon.
#[derive(Default)]
pub struct SignIns {
    all: Mutex<HashMap<Key, Arc<SignIn>>>,
}

impl SignIns {
    /// How to sign in to a registry. A login of which nobody can say that it is still the same one is not shared.
    #[must_use]
    pub fn of(&self, site: &Site, side: Side, login: Login) -> Arc<SignIn> {
        let Some(mark) = login.mark() else { return Arc::new(SignIn::new(login)) };
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT {
            all.retain(|_, known| Arc::strong_count(known) > 1);
        }
        let key = (site.url("/v2/").to_ascii_lowercase(), side, mark);
        Arc::clone(all.entry(key).or_insert_with(|| Arc::new(SignIn::new(login))))
    }
}

impl From<Login> for Arc<SignIn> {
    fn from(login: Login) -> Self {
        Self::new(SignIn::new(login))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Basic, *};

    fn password(text: &str) -> Login {
        Login::Password(Arc::new(Basic::new("me", text)))
    }

    #[test]
    fn only_the_same_user_at_the_same_place_shares() {
        let (all, site) = (SignIns::default(), Site::of("r.example.com"));
        let first = all.of(&site, Side::Source, password("a"));
        let is_first = |other: &Arc<SignIn>| Arc::ptr_eq(&first, other);
        assert!(is_first(&all.of(&Site::of("https://R.example.com"), Side::Source, password("a"))));
        assert!(!is_first(&all.of(&site, Side::Source, password("b"))), "the password was changed");
        assert!(!is_first(&all.of(&site, Side::Source, Login::Anonymous)));
        assert!(!is_first(&all.of(&site, Side::Destination, password("a"))), "it asks for other rights");
        assert!(!is_first(&all.of(&Site::of("http://r.example.com"), Side::Source, password("a"))), "another address");
    }

    #[test]
    fn memory_is_bounded() {
        let (all, site) = (SignIns::default(), Site::of("r.example.com"));
        let kept = all.of(&site, Side::Source, password("in use"));
        for n in 0..3 * KEPT {
            let _unused = all.of(&site, Side::Source, password(&n.to_string()));
        }
        assert!(all.all.lock().expect("not poisoned").len() <= KEPT);
        assert!(Arc::ptr_eq(&kept, &all.of(&site, Side::Source, password("in use"))));
    }
}
