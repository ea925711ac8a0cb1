//! Messages that are held, and the items they are about: one work at a time for an item, and only for its newest state.
//!
//! Pure: whoever owns it says what arrived and what was applied. A message is finished when everything it says was applied after it
//! arrived; events that come while an item is worked on make one more turn, however many they are.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use dth_proto::time::Timestamp;

/// What is said of an item; several become one.
pub trait Hint: Clone {
    /// What both say together; `later` came later, which does not mean that it happened later.
    fn merge(&mut self, later: &Self);
}

/// A message as it was received. `P`: what must be kept with it (memory that it may take).
#[derive(Debug)]
struct Message<P> {
    /// By which it is deleted or held longer; another one each time that it is received.
    handle: String,
    sent: Timestamp,
    /// Items that are still to be applied.
    open: usize,
    keeps: P,
}

/// A message of which everything was applied.
#[derive(Debug, PartialEq, Eq)]
pub struct Finished<P> {
    /// By which it is deleted.
    pub handle: String,
    /// What was kept with it.
    pub keeps: P,
}

#[derive(Debug)]
struct Item<H> {
    hint: H,
    /// Messages that the work under way covers.
    covered: Vec<Arc<str>>,
    /// Messages since.
    waiting: Vec<Arc<str>>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waits for its turn.
    Ready,
    /// Is worked on.
    Working,
    /// Failed, and rests until it is woken.
    Resting,
}

/// See the module.
#[derive(Debug)]
pub struct Inbox<H, P = ()> {
    messages: HashMap<Arc<str>, Message<P>>,
    items: HashMap<Arc<str>, Item<H>>,
    ready: VecDeque<Arc<str>>,
    ages: BTreeSet<(Timestamp, Arc<str>)>,
}

impl<H, P> Default for Inbox<H, P> {
    fn default() -> Self {
        Self { messages: HashMap::new(), items: HashMap::new(), ready: VecDeque::new(), ages: BTreeSet::new() }
    }
}

impl<H: Hint, P> Inbox<H, P> {
    /// Takes a message that says something of `changes`. One that is held already (the queue gives a message again when it was held too
    /// long) only gets its newer handle: `false`.
    pub fn receive(&mut self, id: &str, handle: String, sent: Timestamp, changes: Vec<(String, H)>, keeps: P) -> bool {
        if let Some(known) = self.messages.get_mut(id) {
            known.handle = handle;
            return false;
        }
        let id: Arc<str> = id.into();
        let mut open = 0;
        for (key, hint) in changes {
            open += usize::from(self.add(key, hint, &id));
        }
        self.ages.insert((sent, Arc::clone(&id)));
        self.messages.insert(id, Message { handle, sent, open, keeps });
        true
    }

    /// Whether the message must wait for this item (it may name it twice).
    fn add(&mut self, key: String, hint: H, id: &Arc<str>) -> bool {
        let key: Arc<str> = key.into();
        let Some(item) = self.items.get_mut(&key) else {
            let item = Item { hint, covered: Vec::new(), waiting: vec![Arc::clone(id)], state: State::Ready };
            self.ready.push_back(Arc::clone(&key));
            self.items.insert(key, item);
            return true;
        };
        if item.waiting.is_empty() && item.state == State::Working {
            // the work under way has its own
            item.hint = hint;
        } else {
            item.hint.merge(&hint);
        }
        let is_new = item.waiting.last() != Some(id);
        if is_new {
            item.waiting.push(Arc::clone(id));
        }
        is_new
    }

    /// The next item to work on, with everything that is said of it by now.
    pub fn take(&mut self) -> Option<(Arc<str>, H)> {
        let key = self.ready.pop_front()?;
        let item = self.items.get_mut(&key)?;
        item.state = State::Working;
        item.covered.append(&mut item.waiting);
        Some((key, item.hint.clone()))
    }

    /// An item was applied; gives back the messages that are finished by that. They are held no longer.
    pub fn applied(&mut self, key: &str) -> Vec<Finished<P>> {
        let Some(item) = self.items.get_mut(key) else { return Vec::new() };
        let covered = std::mem::take(&mut item.covered);
        if item.waiting.is_empty() {
            self.items.remove(key);
        } else {
            item.state = State::Ready;
            self.ready.push_back(key.into());
        }
        let mut finished = Vec::new();
        for id in covered {
            let Some(message) = self.messages.get_mut(&id) else { continue };
            message.open = message.open.saturating_sub(1);
            if message.open == 0
                && let Some(message) = self.messages.remove(&id)
            {
                self.ages.remove(&(message.sent, Arc::clone(&id)));
                finished.push(Finished { handle: message.handle, keeps: message.keeps });
            }
        }
        finished
    }

    /// An item could not be applied with this hint: it rests until [`Self::wake`].
    pub fn rest(&mut self, key: &str, hint: &H) {
        let Some(item) = self.items.get_mut(key) else { return };
        let mut all = hint.clone();
        if !item.waiting.is_empty() {
            all.merge(&item.hint);
        }
        item.hint = all;
        let mut waiting = std::mem::take(&mut item.covered);
        waiting.append(&mut item.waiting);
        item.waiting = waiting;
        item.state = State::Resting;
    }

    /// An item has rested enough.
    pub fn wake(&mut self, key: &str) {
        if let Some((key, _)) = self.items.get_key_value(key).filter(|(_, item)| item.state == State::Resting) {
            let key = Arc::clone(key);
            if let Some(item) = self.items.get_mut(&key) {
                item.state = State::Ready;
            }
            self.ready.push_back(key);
        }
    }

    /// Messages held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.messages.len()
    }

    /// When the oldest message held was sent.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.ages.first().map(|(sent, _)| *sent)
    }

    /// The handles of all messages held.
    pub fn handles(&self) -> impl Iterator<Item = &str> {
        self.messages.values().map(|message| message.handle.as_str())
    }

    /// Whether nothing waits, works or rests.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The newest event of an item that somebody has heard of.
    #[derive(Clone, Debug, PartialEq)]
    struct Newest(usize);

    impl Hint for Newest {
        fn merge(&mut self, later: &Self) {
            self.0 = self.0.max(later.0);
        }
    }

    fn inbox() -> Inbox<Newest> {
        Inbox::default()
    }

    fn receive(inbox: &mut Inbox<Newest>, id: &str, at: u64, keys: &[(&str, usize)]) -> bool {
        let changes = keys.iter().map(|(key, n)| ((*key).to_owned(), Newest(*n))).collect();
        inbox.receive(id, id.to_owned(), Timestamp(at), changes, ())
    }

    fn finished(inbox: &mut Inbox<Newest>, key: &str) -> Vec<String> {
        inbox.applied(key).into_iter().map(|finished| finished.handle).collect()
    }

    #[test]
    fn a_burst_is_one_turn_now_and_one_later() {
        let mut inbox = inbox();
        for n in 0..10 {
            assert!(receive(&mut inbox, &format!("m{n}"), n, &[("k", usize::try_from(n).expect("small"))]));
        }
        assert_eq!(inbox.take(), Some(("k".into(), Newest(9))));
        assert_eq!(inbox.take(), None, "one at a time");
        for n in 10..13 {
            receive(&mut inbox, &format!("m{n}"), n, &[("k", usize::try_from(n).expect("small"))]);
        }
        assert_eq!(finished(&mut inbox, "k").len(), 10);
        assert_eq!((inbox.held(), inbox.oldest()), (3, Some(Timestamp(10))));
        assert_eq!(inbox.take(), Some(("k".into(), Newest(12))));
        assert_eq!(finished(&mut inbox, "k").len(), 3);
        assert!(inbox.is_empty() && inbox.held() == 0 && inbox.oldest().is_none());
    }

    #[test]
    fn a_message_of_several_items_waits_for_all_of_them() {
        let mut inbox = inbox();
        receive(&mut inbox, "m", 1, &[("a", 1), ("b", 1), ("a", 2)]);
        assert_eq!((inbox.take(), inbox.take()), (Some(("a".into(), Newest(2))), Some(("b".into(), Newest(1)))));
        assert_eq!(finished(&mut inbox, "a"), Vec::<String>::new());
        assert_eq!(finished(&mut inbox, "b"), ["m"]);
    }

    #[test]
    fn what_is_received_again_is_held_by_its_newest_handle() {
        let mut inbox = inbox();
        assert!(receive(&mut inbox, "m", 1, &[("a", 1)]));
        inbox.take();
        assert!(!inbox.receive("m", "newer".to_owned(), Timestamp(1), vec![("a".to_owned(), Newest(1))], ()));
        assert_eq!(finished(&mut inbox, "a"), ["newer"]);
        assert!(inbox.is_empty(), "and it makes no second turn");
    }

    #[test]
    fn what_failed_rests_with_everything_that_came_meanwhile() {
        let mut inbox = inbox();
        receive(&mut inbox, "m1", 1, &[("a", 1)]);
        let (key, hint) = inbox.take().expect("ready");
        receive(&mut inbox, "m2", 2, &[("a", 2)]);
        inbox.rest(&key, &hint);
        assert_eq!(inbox.take(), None);
        receive(&mut inbox, "m3", 3, &[("a", 3)]);
        assert_eq!(inbox.take(), None, "it rests");
        inbox.wake("a");
        inbox.wake("a");
        assert_eq!(inbox.take(), Some(("a".into(), Newest(3))));
        assert_eq!(inbox.take(), None);
        assert_eq!(finished(&mut inbox, "a"), ["m1", "m2", "m3"]);
        inbox.wake("a");
        assert_eq!(inbox.take(), None);
    }

    proptest! {
        /// Whatever comes in whatever order: a message is finished only when each of its items was worked on with its event after it had
        /// arrived; no item is worked on twice at a time; at the end nothing is held.
        #[test]
        fn no_message_is_finished_before_its_events(
            acts in prop::collection::vec((0..4_u8, 0..3_usize, 0..3_usize), 1..200)
        ) {
            let keys = ["a", "b", "c"];
            let mut inbox = inbox();
            let mut events = 0;
            let mut messages: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
            let mut working: BTreeMap<usize, usize> = BTreeMap::new();
            let mut resting: Vec<usize> = Vec::new();
            // the newest event that was applied
            let mut applied = [0; 3];
            let rest = (0..200).map(|n| (if n % 3 == 0 { 3 } else if n % 3 == 1 { 1 } else { 2 }, n % 3, 0));
            let rest: Vec<_> = rest.chain((0..600).map(|n| (1 + u8::try_from(n % 3).expect("small"), (n / 3) % 3, 0))).collect();
            for (act, one, other) in acts.into_iter().chain(rest) {
                match act {
                    0 => {
                        events += 1;
                        let named: Vec<_> = if one == other { vec![(one, events)] } else { vec![(one, events), (other, events)] };
                        let id = format!("m{events}");
                        let changes: Vec<_> = named.iter().map(|(key, n)| (keys[*key], *n)).collect();
                        prop_assert!(receive(&mut inbox, &id, events as u64, &changes));
                        messages.insert(id, named);
                    }
                    1 => {
                        if let Some((key, Newest(n))) = inbox.take() {
                            let key = keys.iter().position(|k| *k == &*key).expect("one of ours");
                            prop_assert!(working.insert(key, n).is_none(), "one at a time");
                        }
                    }
                    2 => {
                        if let Some(n) = working.remove(&one) {
                            applied[one] = applied[one].max(n);
                            for id in finished(&mut inbox, keys[one]) {
                                let named = messages.remove(&id).expect("finished once");
                                for (key, n) in named {
                                    prop_assert!(applied[key] >= n, "{} of {} was not applied", n, keys[key]);
                                }
                            }
                        }
                    }
                    _ => {
                        if let Some(n) = working.remove(&one) {
                            inbox.rest(keys[one], &Newest(n));
                            resting.push(one);
                        } else if let Some(key) = resting.pop() {
                            inbox.wake(keys[key]);
                        }
                    }
                }
                prop_assert_eq!(inbox.held(), messages.len());
            }
            while let Some(key) = resting.pop() {
                inbox.wake(keys[key]);
            }
            while let Some((key, _)) = inbox.take() {
                working.insert(keys.iter().position(|k| *k == &*key).expect("ours"), usize::MAX);
            }
            for _ in 0..3 {
                for (n, key) in keys.iter().enumerate() {
                    working.remove(&n);
                    inbox.applied(key);
                }
                while inbox.take().is_some() {}
            }
            prop_assert!(inbox.is_empty() && inbox.held() == 0 && inbox.oldest().is_none());
        }
    }
}
