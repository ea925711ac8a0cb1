//! The commands for scripts: what can be typed behind each.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;
use dth_proto::{event::Level, failure::FailureClass, id::TaskName, report, spec::Store, time::Span};

/// One task by name.
#[derive(Debug, Args)]
pub struct Task {
    /// Name of the task
    pub task: TaskName,
}

/// A store to examine.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Where it is: URL with host and port; for a provider with an endpoint of its own, its name is enough
    #[arg(required_unless_present = "provider")]
    pub endpoint: Option<String>,
    /// The bucket for the scratch objects; it must exist
    #[arg(long, value_name = "B")]
    pub bucket: String,
    /// The profile to begin with
    #[arg(long, value_name = "P", default_value = "other")]
    pub provider: String,
    /// Region [default: the SDK's own, else us-east-1]
    #[arg(long, value_name = "R")]
    pub region: Option<String>,
    /// A name from dthd.toml, or anonymous [default: the SDK's default chain]
    #[arg(long, value_name = "C")]
    pub credential: Option<String>,
    /// Bucket in the path instead of in the host name [default: as the provider has it]
    #[arg(long)]
    pub path_style: bool,
}

impl From<Doctor> for Store {
    fn from(doctor: Doctor) -> Self {
        let Doctor { endpoint, bucket, provider, region, credential, path_style } = doctor;
        Self { provider, bucket, region, endpoint, credential, path_style: path_style.then_some(true) }
    }
}

/// A task that deletes, named once more.
#[derive(Debug, Args)]
pub struct Confirm {
    /// Let a task that deletes objects (delete = "mirror") run: its name once more
    #[arg(long, value_name = "NAME")]
    pub confirm: Option<TaskName>,
}

/// What can be done without the dashboard.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say whether all is well: verdict, problems, totals and rates
    #[command(after_help = "Example:\n  dth status --exit-code || notify-oncall")]
    Status {
        /// Exit with 1 when there are problems
        #[arg(long)]
        exit_code: bool,
    },
    /// List tasks
    #[command(after_help = "Filter terms, all must hold; ! before a term turns it round:
  WORD               part of the name
  state:failed       state, word shown, or last outcome; several with commas
  from:cn to:us      part of the URL or place of an end
  fail:>0            failed items of the last run: > >= < <= =
  label:team=photos  a label, or label:team for any value
  engine:s3  trigger:cron  note:stalled

Example:
  dth list --filter 'state:failed,incomplete from:cn' -o ndjson")]
    List {
        /// Only tasks that match
        #[arg(long, value_name = "EXPR", default_value = "", hide_default_value = true)]
        filter: String,
    },
    /// Show one task with its last run
    #[command(after_help = "Example:\n  dth show photos-cn -o json")]
    Show(Task),
    /// Create a task from a file
    #[command(after_help = "Example:\n  dth create --file photos.toml --start")]
    Create {
        /// The task file; - is standard input
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// Queue its first run at once
        #[arg(long)]
        start: bool,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Replace the definition of a task; a run that is going keeps the one it started with
    #[command(after_help = "Example:\n  dth export photos-cn > photos.toml; $EDITOR photos.toml; dth edit photos-cn --file photos.toml")]
    Edit {
        #[command(flatten)]
        task: Task,
        /// The task file; - is standard input
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Make a new task with the definition of another, not started
    #[command(after_help = "Example:\n  dth clone photos-cn photos-cn-again")]
    Clone {
        #[command(flatten)]
        task: Task,
        /// Name of the new task
        new: TaskName,
    },
    /// Print the definition of a task as a task file
    #[command(after_help = "Example:\n  dth export photos-cn > photos.toml")]
    Export(Task),
    /// Try both ends of a task: reach, list, read, write; changes nothing but one scratch object or upload
    #[command(after_help = "Example:\n  dth check --file photos.toml")]
    Check {
        /// Name of a task
        #[arg(required_unless_present = "file", conflicts_with = "file")]
        task: Option<TaskName>,
        /// A task file instead; - is standard input
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Make the source of a task with [trigger.events] send its events to the queue, beside what it sends already
    #[command(name = "setup-events", after_help = "Example:\n  dth setup-events photos-cn --policy && dth check photos-cn")]
    SetupEvents {
        #[command(flatten)]
        task: Task,
        /// Also let the source send, in the queue's policy, if it may not yet
        #[arg(long)]
        policy: bool,
    },
    /// Tell what a run would copy, skip and delete, its bytes, requests and estimated cost; changes nothing
    #[command(after_help = "A plan compares as a run does and sends no request that writes. What is not known of the cost is said.

Exit codes: 0 planned, 1 the plan could not be made or is not whole, 2 dthd cannot be reached.

Example:
  dth plan photos-cn --items 20
  dth plan --file photos.toml -o json")]
    Plan {
        /// Name of a task
        #[arg(required_unless_present = "file", conflicts_with = "file")]
        task: Option<TaskName>,
        /// A task file instead, which becomes no task; - is standard input
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Also the first N items with their reasons
        #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
        items: usize,
    },
    /// Compare both ends of a task and copy nothing
    #[command(after_help = "Exit codes with --wait: 0 equal, 1 different or not finished, 2 dthd cannot be reached.

Example:
  dth verify photos-cn --wait && echo equal")]
    Verify {
        #[command(flatten)]
        task: Task,
        /// Wait for the end, and tell what differs
        #[arg(long)]
        wait: bool,
    },
    /// Tell why one object or image was or was not copied, and what the next run would do
    #[command(after_help = "Example:\n  dth explain photos-cn raw/2026/01/0001.jpg")]
    Explain {
        #[command(flatten)]
        task: Task,
        /// Source key, or name of an image: REPOSITORY:TAG, REPOSITORY@DIGEST
        key: String,
    },
    /// Write all records of a run to a file
    #[command(
        after_help = "One record per object or image acted upon, in the order of their names. As ndjson the first line has the run's figures.

Example:
  dth report photos-cn --to photos.csv
  dth report photos-cn --run 3 --to - --format ndjson | grep failed"
    )]
    Report {
        #[command(flatten)]
        task: Task,
        /// Of this run [default: the last]
        #[arg(long, value_name = "N")]
        run: Option<u32>,
        /// The file; - is standard output
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// Its form: ndjson or csv [default: by the file's extension]
        #[arg(long, value_name = "F")]
        format: Option<report::Format>,
    },
    /// Find out what a store does, with scratch objects that are removed again; print a provider profile
    #[command(after_help = "\
One request at a time, about two hundred in all and some 10 MiB, below one random prefix.
Exit codes: 0 examined, 1 it could not be, or something is left in the bucket.

Example:
  dth doctor https://s3.example.com:9000 --bucket scratch --credential minio")]
    Doctor(Doctor),
    /// Make task files of definitions of AWS Data Transfer Hub
    #[command(after_help = "\
FILE is JSON: CloudFormation parameters of the S3 or the ECR plugin (a list of {\"ParameterKey\", \"ParameterValue\"}, an object with
\"Parameters\", or names and values), what describe-stacks answers, or tasks of the hub's API. Without --out, everything goes to
standard output. Exit code 1: a parameter is unknown.

Example:
  dth import parameters.json --out tasks/")]
    Import {
        /// The definitions; - is standard input
        file: PathBuf,
        /// An existing directory; files that are there already are not replaced
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// The SQS queue that receives the source bucket's notifications, for tasks with S3 events
        #[arg(long, value_name = "URL")]
        queue: Option<String>,
    },
    /// Queue a run now
    #[command(after_help = "Example:\n  dth start photos-cn && dth wait photos-cn")]
    Start {
        #[command(flatten)]
        task: Task,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Halt a run and keep its checkpoint
    #[command(after_help = "Example:\n  dth pause photos-cn")]
    Pause(Task),
    /// Go on with a paused run from its checkpoint
    #[command(after_help = "Example:\n  dth resume photos-cn")]
    Resume(Task),
    /// End a run; what was copied stays
    #[command(after_help = "Example:\n  dth stop photos-cn")]
    Stop(Task),
    /// Forget a task and its history; what was copied stays
    #[command(after_help = "Example:\n  dth delete photos-cn --yes")]
    Delete {
        #[command(flatten)]
        task: Task,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// List the runs of a task, newest first
    #[command(after_help = "Example:\n  dth runs photos-cn -o ndjson | head -n 1")]
    Runs(Task),
    /// Wait for the current or queued run of a task to end
    #[command(after_help = "\
Exit codes: 0 succeeded, 1 incomplete, failed or cancelled, 2 dthd cannot be reached, 3 timed out.
A restart of dthd in between does not end the wait.

Example:
  dth wait photos-cn --timeout 2h")]
    Wait {
        #[command(flatten)]
        task: Task,
        /// Give up after this long (90s, 15m, 2h); without it, wait for ever
        #[arg(long, value_name = "D")]
        timeout: Option<Span>,
    },
    /// List failed items with class and message
    #[command(after_help = "Example:\n  dth failures photos-cn --class auth")]
    Failures {
        #[command(flatten)]
        task: Task,
        /// Of this run [default: the last]
        #[arg(long, value_name = "N")]
        run: Option<u32>,
        /// Only throttled, transient, auth, changed or permanent ones
        #[arg(long, value_name = "C")]
        class: Option<FailureClass>,
    },
    /// Try the failed items of the last run again
    #[command(after_help = "Example:\n  dth retry photos-cn --class throttled && dth wait photos-cn")]
    Retry {
        #[command(flatten)]
        task: Task,
        /// Only throttled, transient, auth, changed or permanent ones
        #[arg(long, value_name = "C")]
        class: Option<FailureClass>,
    },
    /// List the record of every object or image acted upon (what is found the same leaves none)
    #[command(after_help = "Example:\n  dth items photos-cn --outcome copied --prefix raw/2026/ -o ndjson")]
    Items {
        #[command(flatten)]
        task: Task,
        /// Of this run [default: the last]
        #[arg(long, value_name = "N")]
        run: Option<u32>,
        /// Only these
        #[arg(long, value_name = "O", value_parser = ["copied", "skipped", "deleted", "failed", "planned"])]
        outcome: Option<String>,
        /// Only keys, or names of images, that begin with this
        #[arg(long, value_name = "P")]
        prefix: Option<String>,
    },
    /// Print what happened, the newest 500 events
    #[command(after_help = "Example:\n  dth log -f --task photos-cn --level warn")]
    Log {
        /// Go on with what happens from now, until interrupted
        #[arg(short, long)]
        follow: bool,
        /// Only events of this task
        #[arg(long, value_name = "T")]
        task: Option<TaskName>,
        /// Only this level and above: debug, info, warn, error
        #[arg(long, value_name = "L", default_value = "info", value_parser = level)]
        level: Level,
    },
    /// Print a line for every task that changes, until interrupted
    #[command(after_help = "Example:\n  dth watch --plain")]
    Watch {
        /// Sentences instead of columns, for screen readers and logs
        #[arg(long)]
        plain: bool,
    },
    /// Write the manual pages into a directory
    #[command(hide = true, after_help = "Example:\n  dth man /usr/local/share/man/man1")]
    Man {
        /// An existing directory
        dir: PathBuf,
    },
    /// Print the completions of a shell
    #[command(hide = true, after_help = "Example:\n  dth completions bash > /etc/bash_completion.d/dth")]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

fn level(text: &str) -> Result<Level, String> {
    [Level::Debug, Level::Info, Level::Warn, Level::Error]
        .into_iter()
        .find(|l| l.word().eq_ignore_ascii_case(text))
        .ok_or_else(|| format!("{text:?} is not a level: use debug, info, warn or error"))
}
