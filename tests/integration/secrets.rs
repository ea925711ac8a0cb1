//! Credentials out of AWS Secrets Manager (moto's): keys that sign, rotation, and what is told when there are none.

use std::time::Duration;

use dth_proto::{
    check::{CheckReply, CheckState},
    view::{RunOutcome, RunView},
};
use dth_tests::{
    daemon::Daemon,
    moto::{KEYS, Moto},
    registry::{self, Ecr, Image, made},
    s3::{ACCESS_KEY, Operation, SECRET_KEY, Server},
    task::{Task, ended_well},
    wait::eventually,
};
use serde_json::json;

use crate::{data, ecr::into_ecr, pair::stores_like};

fn keys(secret: &str) -> String {
    json!({"access_key_id": ACCESS_KEY, "secret_access_key": secret}).to_string()
}

/// A table for each secret; moto is asked with the credential `moto`.
fn tables(daemon: &Daemon, moto: &Moto, secrets: &[(&str, &str)]) -> String {
    let path = daemon.credential("moto", KEYS.0, KEYS.1);
    let table = |(name, secret): &(&str, &str)| {
        format!(
            "[credentials.{name}]\ntype = \"secret\"\nsecret = \"{secret}\"\nregion = \"us-east-1\"\nendpoint = \"{}\"\ncredential = \"moto\"\n",
            moto.endpoint()
        )
    };
    let tables: String = secrets.iter().map(table).collect();
    format!("[credentials.moto]\ntype = \"file\"\npath = \"{}\"\n{tables}", path.display())
}

async fn world(secrets: &[(&str, &str)]) -> (Moto, Server, Server, Daemon) {
    let moto = Moto::start().await;
    let (source, destination) = stores_like(|| Server::builder().anonymous(false)).await;
    data::small(source.store(), "from", "small/", 4);
    let mut daemon = Daemon::prepare();
    daemon.configure(&tables(&daemon, &moto, secrets));
    daemon.restart().await;
    (moto, source, destination, daemon)
}

fn task(name: &str, source: &Server, destination: &Server, credential: &str) -> Task {
    Task::new(name, (&source.endpoint(), "from"), (&destination.endpoint(), "to")).at_both_ends("credential", credential)
}

/// Puts the right keys into the secret `dth/keys`; the run that succeeds with them.
async fn rotated(moto: &Moto, daemon: &Daemon, task: &Task) -> RunView {
    moto.secrets("PutSecretValue", &json!({"SecretId": "dth/keys", "SecretString": keys(SECRET_KEY)})).await;
    let again = || async {
        task.tell(daemon, "start", &[]).await;
        let (code, run) = task.wait(daemon).await;
        (code == 0).then_some(run)
    };
    eventually("a run signs with what is in the secret now", Duration::from_mins(1), again).await
}

/// Both stores check signatures. What a rotation has put into the secret is read because a store refused what was there before, long
/// before the hour is over.
#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_a_secret_sign_and_are_read_again_when_they_are_refused() {
    let (moto, source, destination, daemon) = world(&[("hub-keys", "dth/keys")]).await;
    moto.secrets("CreateSecret", &json!({"Name": "dth/keys", "SecretString": keys("of-yesterday")})).await;
    let task = task("by-secret", &source, &destination, "hub-keys");
    task.start(&daemon).await;
    let (_, run) = task.wait(&daemon).await;
    assert_eq!(run.outcome, Some(RunOutcome::Failed), "{run:?}");
    assert!(run.error.as_ref().is_some_and(|error| error.contains("SignatureDoesNotMatch")), "{run:?}");
    assert_eq!(source.requests().of(Operation::GetObject), 0, "nothing is signed with them");
    let run = rotated(&moto, &daemon, &task).await;
    assert_eq!(run.counters.copied, 4, "{run:?}");
    data::identical(&source, "from", &destination, "to");
    assert!(!daemon.log().contains(SECRET_KEY) && !daemon.log().contains("of-yesterday"), "{}", daemon.log());
    ended_well(daemon).await;
}

/// The same of ECR's API, whose words are others.
#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_a_secret_are_read_again_when_ecr_refuses_them() {
    let moto = Moto::start().await;
    let source = registry::Server::start().await.unwrap();
    source.store().push("team/app", Some("v1"), &Image::of("linux/amd64", 1, &made(1, &[4_000])));
    let settings = Ecr { access_key: Some(ACCESS_KEY.to_owned()), ..Ecr::default() };
    let destination = registry::Server::builder().ecr(settings).start().await.unwrap();
    let mut daemon = Daemon::prepare();
    daemon.configure(&tables(&daemon, &moto, &[("ecr", "dth/keys")]));
    daemon.restart().await;
    let strange = json!({"access_key_id": "OFYESTERDAY", "secret_access_key": SECRET_KEY}).to_string();
    moto.secrets("CreateSecret", &json!({"Name": "dth/keys", "SecretString": strange})).await;
    let task = into_ecr(&source, &destination);
    task.start(&daemon).await;
    let (_, run) = task.wait(&daemon).await;
    assert_eq!(run.outcome, Some(RunOutcome::Incomplete), "{run:?}");
    assert_eq!(task.failures(&daemon).await[0].code, "UnrecognizedClientException");
    let run = rotated(&moto, &daemon, &task).await;
    assert_eq!((run.counters.copied, destination.store().verify("team/app", "v1").is_ok()), (1, true), "{run:?}");
    ended_well(daemon).await;
}

/// `dth check` and `dthd check --online` say which secret, what is wrong with it and the way out, and never what is in it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_secret_is_told_in_words() {
    let secrets = [("missing", "dth/nowhere"), ("text", "dth/text"), ("half", "dth/half")];
    let (moto, source, destination, daemon) = world(&secrets).await;
    for (name, content) in [("dth/text", "AKHIDDEN:SKHIDDEN"), ("dth/half", r#"{"access_key_id": "AKHIDDEN", "password": "SKHIDDEN"}"#)] {
        moto.secrets("CreateSecret", &json!({"Name": name, "SecretString": content})).await;
    }
    let expected: [(&str, &[&str]); 3] = [
        ("missing", &["secret dth/nowhere: there is none in us-east-1", "or create it"]),
        ("text", &["secret dth/text: is not JSON: line 1", "store {\"access_key_id\""]),
        ("half", &["secret dth/half: ", "\"password\" has no meaning here", "secret_access_key is missing", "store {\"access_key_id\""]),
    ];
    let mut command = daemon.command(&["check", "--online"]);
    let online = command.arg("--config").arg(daemon.config()).output().unwrap();
    let online = String::from_utf8_lossy(&online.stderr).into_owned();
    for (credential, words) in expected {
        let file = task(credential, &source, &destination, credential).file(&daemon);
        let reply: CheckReply = daemon.dth(&["check", "--file", &file]).json().await;
        let failed: Vec<&str> = reply.steps.iter().filter(|s| s.state == CheckState::Failed).map(|s| s.message.as_str()).collect();
        assert_eq!(failed.len(), 2, "both ends: {reply:?}");
        for told in failed.into_iter().chain([online.as_str()]) {
            assert!(words.iter().all(|word| told.contains(word)), "{words:?} in {told}");
            assert!(!told.contains("HIDDEN"), "{told}");
        }
    }
    assert!(!daemon.log().contains("HIDDEN"), "{}", daemon.log());
    ended_well(daemon).await;
}
