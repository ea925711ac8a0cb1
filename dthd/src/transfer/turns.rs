//! One at a time by name: who works on something keeps others from doing the same beside it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::OwnedMutexGuard;

/// Names that are kept before those that nobody uses are looked for.
const FEW: usize = 64;

/// See the module. A name that nobody works on costs nothing.
#[derive(Default)]
pub struct Turns(Mutex<Names>);

#[derive(Default)]
struct Names {
    all: HashMap<Box<str>, Weak<tokio::sync::Mutex<()>>>,
    /// So many are looked through when they are reached; doubles, so that looking is cheap per name.
    full: usize,
}

/// The right to work on something; the next one's turn begins when it is dropped.
#[must_use = "the next one's turn begins when this is dropped"]
pub struct Turn {
    _inside: OwnedMutexGuard<()>,
}

impl Turns {
    /// Waits for the turn, in the order of those who wait.
    pub async fn take(&self, name: &str) -> Turn {
        let lock = self.lock_of(name);
        Turn { _inside: lock.lock_owned().await }
    }

    fn lock_of(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = names.all.get(name).and_then(Weak::upgrade) {
            return lock;
        }
        if names.all.len() >= names.full.max(FEW) {
            names.all.retain(|_, lock| lock.strong_count() > 0);
            names.full = names.all.len() * 2;
        }
        let lock = Arc::default();
        names.all.insert(name.into(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use futures::future::join_all;
    use proptest::prelude::*;

    use super::*;

    #[tokio::test]
    async fn names_are_forgotten() {
        let turns = Turns::default();
        let kept = turns.take("kept").await;
        for n in 0..10_000 {
            drop(turns.take(&n.to_string()).await);
        }
        let known = turns.0.lock().expect("not poisoned").all.len();
        assert!(known <= 2 * FEW, "{known}");
        assert!(turns.lock_of("kept").try_lock().is_err(), "one that is in use is not");
        drop(kept);
    }

    proptest! {
        #[test]
        fn nobody_works_beside_another_on_the_same_name(names in prop::collection::vec(0..4_usize, 1..40), given_up in any::<u64>()) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let (turns, inside, done) = (Turns::default(), [(); 4].map(|()| AtomicU32::new(0)), AtomicU32::new(0));
            let (turns, inside, done) = (&turns, &inside, &done);
            let work = names.iter().enumerate().map(|(n, name)| async move {
                let mut turn = Box::pin(turns.take(["a", "b", "c", "d"][*name]));
                if given_up >> (n % 64) & 1 == 1 {
                    // asked for, and gone again while it waits
                    let _ = futures::poll!(turn.as_mut());
                    return;
                }
                let turn = turn.await;
                assert_eq!(inside[*name].fetch_add(1, SeqCst), 0, "alone");
                tokio::task::yield_now().await;
                inside[*name].fetch_sub(1, SeqCst);
                done.fetch_add(1, SeqCst);
                drop(turn);
            });
            runtime.block_on(join_all(work));
            let gave_up = (0..names.len()).filter(|n| given_up >> (n % 64) & 1 == 1).count();
            prop_assert_eq!(done.load(SeqCst) as usize, names.len() - gave_up);
        }
    }
}
