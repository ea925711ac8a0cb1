//! Coming from Data Transfer Hub: nothing that it can be told is missing in README.md or in the import.

use std::fs;

use dth_tests::daemon::Daemon;
use dth_tui::import::{ecr, s3};

fn readme() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap()
}

/// The words in backticks in the first column of a table, by the head of that column.
fn first_column(head: &str) -> Vec<String> {
    let readme = readme();
    let rows = readme.lines().skip_while(|line| !line.starts_with(&format!("| {head} |"))).skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.trim_start_matches("| ").split(" | ").next().unwrap_or_default().to_owned());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn every_parameter_has_its_row() {
    for (head, known) in [("parameter of the S3 plugin", &s3::PARAMETERS[..]), ("parameter of the ECR plugin", &ecr::PARAMETERS[..])] {
        let mut found = first_column(head);
        let mut names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        found.sort_unstable();
        names.sort_unstable();
        assert_eq!(found, names, "{head}: each once in README.md");
    }
    assert_eq!((s3::PARAMETERS.len(), ecr::PARAMETERS.len()), (33, 16));
}

#[test]
fn every_row_of_a_feature_says_where_it_is() {
    let readme = readme();
    let rows: Vec<&str> =
        readme.lines().skip_while(|line| !line.starts_with("| feature | here |")).skip(2).take_while(|l| l.starts_with('|')).collect();
    assert!(rows.len() > 10);
    for row in rows {
        let cells: Vec<&str> = row.trim_matches(['|', ' ']).split(" | ").collect();
        assert!(cells.len() == 2 && cells.iter().all(|cell| !cell.trim().is_empty()), "{row}");
        assert!(!row.contains("not yet"), "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_imported_is_a_task_that_the_daemon_takes() {
    let mut daemon = Daemon::prepare();
    let keys = daemon.credential("oss-reader", "k", "s");
    daemon.configure(&format!("[credentials.oss-reader]\ntype = \"file\"\npath = \"{}\"\n", keys.display()));
    daemon.restart().await;
    let definition = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/examples/data-transfer-hub.json");
    let folder = daemon.folder().display().to_string();
    let imported = daemon.dth(&["import", definition, "--out", &folder]).run().await;
    assert_eq!(imported.code, 0, "{imported:?}");
    let file = daemon.folder().join("acme-photos-to-acme-archive.toml").display().to_string();
    let created = daemon.dth(&["create", "--file", &file]).run().await;
    assert_eq!(created.code, 0, "{created:?}");
    let shown = daemon.dth(&["export", "acme-photos-to-acme-archive"]).run().await;
    for part in ["provider = \"aliyun-oss\"", "credential = \"oss-reader\"", "prefix = \"from-oss/\"", "cron = \"0 2 * * ? *\""] {
        assert!(shown.out.contains(part), "{part} in {shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_of_ones_own_are_known_at_once_and_their_mistakes_told() {
    let mut daemon = Daemon::prepare();
    let own = daemon.folder().join("own.toml");
    fs::write(&own, "[provider.cellar]\nlike = \"ceph\"\nendpoint = \"https://cellar-{region}.example.com\"\n").unwrap();
    let config = format!("[providers]\nfile = \"{}\"\n", own.display());
    daemon.configure(&config);
    daemon.restart().await;
    let task = "name = \"a\"\nengine = \"s3\"\n[source]\nprovider = \"cellar\"\nbucket = \"b\"\nregion = \"c1\"\ncredential = \"anonymous\"\n\
                [destination]\nprovider = \"cellar\"\nbucket = \"c\"\nregion = \"c1\"\ncredential = \"anonymous\"\n";
    let created = daemon.create(task, &[]).run().await;
    assert_eq!(created.code, 0, "{created:?}");
    daemon.kill();
    fs::write(&own, "[provider.cellar]\nlike = \"ceph\"\ntasg = false\n").unwrap();
    let (config, state) = (daemon.config().display().to_string(), daemon.state().display().to_string());
    let output = daemon.command(&["run", "--config", &config, "--state", &state]).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&format!("{}:3: provider.cellar.tasg is not a known key: did you mean \"tags\"?", own.display())), "{said}");
}
