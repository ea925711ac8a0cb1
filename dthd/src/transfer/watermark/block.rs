//! What was listed of a span, gathered to be entered into the books at once.

use super::{Seq, Span};
use crate::store::record::Tally;

/// Items of one span in the order of its listing. Used again and again; it allocates for items that stay open and for the runs
/// between them, never for a single finished item.
pub struct Block {
    span: Span,
    next: u64,
    steps: Vec<Step>,
    /// The last item's key, entered or not.
    last: String,
    /// Finished items behind the last step.
    run: Tally,
    /// Something was counted in `run`.
    is_run: bool,
    sum: Tally,
    open: u64,
}

pub(super) enum Step {
    /// Finished neighbours.
    Finished { place: u64, last: String, tally: Box<Tally> },
    /// An item that is not finished.
    Open { place: u64, key: String },
}

/// What a block brought into the books.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entered {
    /// Listing and outcomes of all its items.
    pub tally: Tally,
    /// Those of them that are not finished.
    pub open: u64,
}

impl Block {
    /// For a span that nothing was entered into before.
    #[must_use]
    pub fn new(span: Span) -> Self {
        Self { span, next: 0, steps: Vec::new(), last: String::new(), run: Tally::default(), is_run: false, sum: Tally::default(), open: 0 }
    }

    /// The span.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// The key of the last item, or of what was passed behind it, entered or not; empty before the first.
    #[must_use]
    pub fn last(&self) -> &str {
        &self.last
    }

    /// Items that were not entered yet and are open.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.open
    }

    /// An item of `size` bytes was listed and is not finished.
    pub fn open(&mut self, key: &str, size: u64) -> Seq {
        self.cut();
        self.sum.list(size);
        self.open += 1;
        self.set_last(key);
        let place = self.place();
        self.steps.push(Step::Open { place, key: key.to_owned() });
        Seq { span: self.span, place }
    }

    /// An item of `size` bytes was listed and is finished; `count` adds its outcome to the counts.
    pub fn finished(&mut self, key: &str, size: u64, count: impl FnOnce(&mut Tally)) {
        self.run.list(size);
        count(&mut self.run);
        self.is_run = true;
        self.set_last(key);
    }

    /// What is no item of the listing was passed at a key, which is not before the last item's; `count` adds its counts.
    pub fn passed(&mut self, key: &str, count: impl FnOnce(&mut Tally)) {
        count(&mut self.run);
        self.is_run = true;
        self.set_last(key);
    }

    /// Several items under one key were listed, of which `open` are not finished: `tally` has the listing of all, and the outcomes of the
    /// others. Together they are one place: it is done when all of them are.
    pub fn open_all(&mut self, key: &str, tally: &Tally, open: u64) -> Seq {
        self.cut();
        self.sum.add(tally);
        self.open += open;
        self.set_last(key);
        let place = self.place();
        self.steps.push(Step::Open { place, key: key.to_owned() });
        Seq { span: self.span, place }
    }

    /// Several items under one key were listed and are finished.
    pub fn finished_all(&mut self, key: &str, tally: &Tally) {
        self.run.add(tally);
        self.is_run = true;
        self.set_last(key);
    }

    /// Empties it.
    pub(super) fn take(&mut self) -> (Vec<Step>, Entered) {
        self.cut();
        let entered = Entered { tally: std::mem::take(&mut self.sum), open: std::mem::take(&mut self.open) };
        (std::mem::take(&mut self.steps), entered)
    }

    /// Closes the present run of finished items.
    fn cut(&mut self) {
        if std::mem::take(&mut self.is_run) {
            let tally = Box::new(std::mem::take(&mut self.run));
            self.sum.add(&tally);
            let place = self.place();
            self.steps.push(Step::Finished { place, last: self.last.clone(), tally });
        }
    }

    fn place(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn set_last(&mut self, key: &str) {
        self.last.clear();
        self.last.push_str(key);
    }
}
