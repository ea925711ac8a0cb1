//! Which action is possible when, and what it leads to. Pure: the supervisor carries it out.

use dth_proto::view::{Action, TaskState};

use crate::store::TaskPhase;

/// What the supervisor has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Queue a new run.
    Queue,
    /// Let the events give way to a full compare.
    Compare,
    /// Put the paused run back into the queue.
    Requeue,
    /// Ask the run to stop and keep its checkpoint.
    Suspend,
    /// Take the run out of the queue, keep it paused.
    Unqueue,
    /// Hold the trigger.
    Hold,
    /// Let the trigger fire again.
    Release,
    /// Ask the run to end.
    Cancel,
    /// End a run that is not going: queued or paused.
    Discard,
    /// Remove the task.
    Remove,
    /// It is already so.
    Nothing,
}

/// Why an action is not possible, and the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Ends the sentence "task NAME …".
    pub why: &'static str,
    /// What to do instead.
    pub hint: &'static str,
}

/// A task as far as actions depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    /// What it is doing.
    pub phase: TaskPhase,
    /// Its run has been asked to end.
    pub stopping: bool,
    /// It has a trigger that will fire again.
    pub triggered: bool,
    /// Its run is one of events, which lasts until the next full compare.
    pub events: bool,
}

impl Situation {
    /// The state that clients see.
    #[must_use]
    pub fn state(self) -> TaskState {
        match self.phase {
            TaskPhase::Running if self.stopping => TaskState::Stopping,
            TaskPhase::Running => TaskState::Running,
            TaskPhase::Queued => TaskState::Queued,
            TaskPhase::Paused | TaskPhase::Held => TaskState::Paused,
            TaskPhase::Rest if self.triggered => TaskState::Waiting,
            TaskPhase::Rest => TaskState::Idle,
        }
    }
}

/// What `action` means in this situation.
///
/// # Errors
/// [`Refusal`] when it is not possible.
pub fn step(now: Situation, action: Action) -> Result<Step, Refusal> {
    use TaskPhase::{Held, Paused, Queued, Rest, Running};
    let refuse = |why, hint| Err(Refusal { why, hint });
    if now.stopping && now.phase == Running && action != Action::Stop {
        return refuse("is stopping", "wait for the end of the run: dth wait TASK");
    }
    match (action, now.phase) {
        (Action::Start, Rest | Held) => Ok(Step::Queue),
        (Action::Start, Running) if now.events => Ok(Step::Compare),
        (Action::Start, Queued | Running) => refuse("already has a run", "dth wait TASK waits for its end"),
        (Action::Start, Paused) => refuse("has a paused run", "dth resume TASK continues it, dth stop TASK ends it"),
        (Action::Pause, Running) => Ok(Step::Suspend),
        (Action::Pause, Queued) => Ok(Step::Unqueue),
        (Action::Pause, Rest) if now.triggered => Ok(Step::Hold),
        (Action::Pause, Rest) => refuse("is not running", "only a run or a trigger can be paused"),
        (Action::Pause, Paused | Held) | (Action::Resume, Queued | Running) => Ok(Step::Nothing),
        (Action::Resume, Paused) => Ok(Step::Requeue),
        (Action::Resume, Held) => Ok(Step::Release),
        (Action::Resume, Rest) => refuse("is not paused", "dth start TASK begins a run"),
        (Action::Stop, Running) if now.stopping => Ok(Step::Nothing),
        (Action::Stop, Running) => Ok(Step::Cancel),
        (Action::Stop, Queued | Paused) => Ok(Step::Discard),
        (Action::Stop, Rest | Held) => refuse("is not running", "there is nothing to stop"),
        (Action::Delete, Rest | Held) => Ok(Step::Remove),
        (Action::Delete, Queued | Running | Paused) => refuse("has a run that is not over", "dth stop TASK first"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(phase: TaskPhase) -> Situation {
        Situation { phase, stopping: false, triggered: false, events: false }
    }

    #[test]
    fn every_action_has_an_answer_in_every_situation() {
        use Action::{Delete, Pause, Resume, Start, Stop};
        use TaskPhase::{Held, Paused, Queued, Rest, Running};
        let table = [
            (Rest, Start, Some(Step::Queue)),
            (Rest, Pause, None),
            (Rest, Resume, None),
            (Rest, Stop, None),
            (Rest, Delete, Some(Step::Remove)),
            (Held, Start, Some(Step::Queue)),
            (Held, Pause, Some(Step::Nothing)),
            (Held, Resume, Some(Step::Release)),
            (Held, Stop, None),
            (Held, Delete, Some(Step::Remove)),
            (Queued, Start, None),
            (Queued, Pause, Some(Step::Unqueue)),
            (Queued, Resume, Some(Step::Nothing)),
            (Queued, Stop, Some(Step::Discard)),
            (Queued, Delete, None),
            (Running, Start, None),
            (Running, Pause, Some(Step::Suspend)),
            (Running, Resume, Some(Step::Nothing)),
            (Running, Stop, Some(Step::Cancel)),
            (Running, Delete, None),
            (Paused, Start, None),
            (Paused, Pause, Some(Step::Nothing)),
            (Paused, Resume, Some(Step::Requeue)),
            (Paused, Stop, Some(Step::Discard)),
            (Paused, Delete, None),
        ];
        for (phase, action, expected) in table {
            assert_eq!(step(at(phase), action).ok(), expected, "{action:?} in {phase:?}");
        }
    }

    #[test]
    fn a_trigger_can_be_held() {
        let waiting = Situation { triggered: true, ..at(TaskPhase::Rest) };
        assert_eq!(waiting.state(), TaskState::Waiting);
        assert_eq!(step(waiting, Action::Pause), Ok(Step::Hold));
    }

    #[test]
    fn a_start_makes_events_give_way_to_a_full_compare() {
        let events = Situation { events: true, ..at(TaskPhase::Running) };
        assert_eq!(step(events, Action::Start), Ok(Step::Compare));
        assert_eq!((step(events, Action::Pause), step(events, Action::Stop)), (Ok(Step::Suspend), Ok(Step::Cancel)));
        assert!(step(Situation { stopping: true, ..events }, Action::Start).is_err());
    }

    #[test]
    fn a_stopping_run_takes_no_other_action() {
        let stopping = Situation { stopping: true, ..at(TaskPhase::Running) };
        assert_eq!(stopping.state(), TaskState::Stopping);
        assert_eq!(step(stopping, Action::Stop), Ok(Step::Nothing));
        assert!(step(stopping, Action::Pause).is_err());
    }
}
