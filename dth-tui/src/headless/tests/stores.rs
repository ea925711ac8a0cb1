//! `doctor` and `import`.

use insta::assert_snapshot;

use super::*;

#[test]
fn doctor_shows_what_works_and_the_profile() {
    let bench = Bench::empty();
    let ended = bench.dth(&["doctor", "http://store:9000", "--bucket", "b", "--region", "r", "--path-style"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert_snapshot!(ended.out, @r"
    WHAT                              WORKS  ANSWER
    put                               yes
    tags                              no     501 NotImplemented

    3 requests; as a profile, for the file that [providers] of dthd.toml names:

    [provider.my-store]
    tags = false

    other than the profile it was examined with:
      tags: true there, false found
    ");
    let json = bench.dth(&["-o", "json", "doctor", "http://store:9000", "--bucket", "b"]);
    let reply: dth_proto::doctor::DoctorReply = serde_json::from_str(&json.out).expect("JSON");
    assert!(reply.done && reply.probes.len() == 2);
    let refused = bench.dth(&["doctor", "--provider", "aws", "--bucket", ""]);
    assert_eq!((refused.code, refused.err.as_str()), (1, "dth: store.bucket: is missing\n"));
    assert_eq!(bench.dth(&["doctor", "--bucket", "b"]).code, 64, "neither an endpoint nor a provider");
}

#[test]
fn import_writes_task_files_and_replaces_none() {
    let bench = Bench::empty();
    let file = bench.file("d.json", r#"{"srcBucket": "a", "destBucket": "b", "srcCredentials": "keys"}"#);
    let dir = bench.dir.path().display().to_string();
    let first = bench.dth(&["import", &file, "--out", &dir]);
    assert_eq!((first.code, first.err.as_str()), (0, ""), "{}", first.out);
    let written = std::fs::read_to_string(bench.dir.path().join("a-to-b.toml")).expect("written");
    TaskSpec::from_toml("a-to-b.toml", &written).expect("a task file");
    for part in ["srcBucket", "source.bucket", "[credentials.keys]", "# written to ", "TO DO: "] {
        assert!(first.out.contains(part), "{part} in {}", first.out);
    }
    let again = bench.dth(&["import", &file, "--out", &dir]);
    assert_eq!(again.code, 1);
    assert!(again.err.contains("cannot write ") && again.err.contains("a-to-b.toml"), "{}", again.err);
    // without a directory, standard output is a task file
    let printed = bench.dth(&["import", &file]);
    TaskSpec::from_toml("stdout", &printed.out).unwrap_or_else(|bad| panic!("{bad}\n{}", printed.out));
}

#[test]
fn import_tells_what_it_does_not_know() {
    let bench = Bench::empty();
    let unknown = bench.file("d.json", r#"{"srcBucket": "a", "destBucket": "b", "destClass": "X"}"#);
    let ended = bench.dth(&["import", &unknown]);
    assert_eq!(ended.code, 1);
    assert!(ended.out.contains("UNKNOWN: the template has no such parameter"), "{}", ended.out);
    let json = bench.dth(&["-o", "json", "import", &unknown]);
    let answer: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(answer["parameters"].as_array().map(Vec::len), Some(34));
    let broken = bench.file("e.json", "[\n{]");
    let ended = bench.dth(&["import", &broken]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.starts_with("dth: ") && ended.err.contains("e.json:2: this is not JSON"), "{}", ended.err);
}
