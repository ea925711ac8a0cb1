//! The preservation matrix: each thing that can belong to an object, by each way to copy one, over servers that differ in what they can.
//!
//! Objects are made, and looked at afterwards, by boto3. What a server cannot keep stands in its table, with the reason: a cell that is
//! expected to be lost and is kept fails the test as well.

mod things;

use std::collections::{BTreeMap, BTreeSet};

use dth_tests::{
    boto::{self, About, Asked, NewBucket, NewObject},
    daemon::Daemon,
    moto::{self, Moto},
    s3::{ACCESS_KEY, SECRET_KEY, Server},
    task::{Task, ended_well},
    weed::{self, Weed},
};

use self::things::{GROUPS, Group, SEAL};
use crate::doctor::{Found, examined};

/// Ways to copy an object, with its size. Objects up to 16 MiB are relayed by one PutObject.
const WAYS: [(&str, u64); 4] =
    [("single PUT", 3_000), ("multipart", (17 << 20) + 5), ("server-side", 3_001), ("server-side, parts", (17 << 20) + 7)];
/// By UploadPartCopy, at a store that copies no more than [`SMALL_COPIES`] says in one request.
const PARTS_BY_STORE: &str = WAYS[3].0;
/// A store's dialect, but with this limit: no test can wait for 5 GiB.
const SMALL_COPIES: &str = "max_part = \"6MiB\"";
/// Every way.
const ANY: &str = "";

/// A thing and a way that a server cannot do, why, and what `dth doctor` says no to there.
type Lost = (&'static str, &'static str, &'static str, &'static str);

const MOTO: &[Lost] = &[
    ("Object Lock legal hold", "multipart", "no lock is kept that comes with CreateMultipartUpload", "Object Lock with parts"),
    ("Object Lock legal hold", "server-side", "CopyObject does not take a lock: the object is relayed", "Object Lock with a copy"),
    ("Object Lock legal hold", PARTS_BY_STORE, "no lock is kept that comes with CreateMultipartUpload", "Object Lock with parts"),
    ("Object Lock retention", "multipart", "no lock is kept that comes with CreateMultipartUpload", "Object Lock with parts"),
    ("Object Lock retention", "server-side", "CopyObject does not take a lock: the object is relayed", "Object Lock with a copy"),
    ("Object Lock retention", PARTS_BY_STORE, "no lock is kept that comes with CreateMultipartUpload", "Object Lock with parts"),
    ("SSE-C at the destination", ANY, "it knows no SSE-C", "encryption SSE-C"),
    ("SSE-C at the source", ANY, "it knows no SSE-C", "encryption SSE-C"),
    ("SSE-KMS bucket key", "multipart", "no bucket key is kept that comes with CreateMultipartUpload", "the same with parts"),
    ("SSE-KMS bucket key", PARTS_BY_STORE, "no bucket key is kept that comes with CreateMultipartUpload", "the same with parts"),
    (CHECKSUM, "single PUT", "a checksum is kept only behind x-amz-sdk-checksum-algorithm", "checksums given back"),
];

const SEAWEEDFS: &[Lost] = &[
    ("SSE-C at the source", PARTS_BY_STORE, "UploadPartCopy reads no such object: it is relayed", "copy of parts with SSE-C"),
    ("SSE-KMS", ANY, "it has no KMS here", "encryption SSE-KMS"),
    ("SSE-KMS bucket key", ANY, "it has no KMS here", "bucket key of SSE-KMS"),
    ("SSE-S3", ANY, "it has no KMS here", "encryption SSE-S3"),
    ("canned ACL", ANY, "objects have no ACL", "ACL"),
    (CHECKSUM, "server-side", "CopyObject keeps no checksum", "checksum of a copy"),
    ("expires that is no date", ANY, "an Expires that is no date is refused", "Expires that is no date"),
    ("website redirect", ANY, "it is taken, and not kept", "website redirect"),
];

/// Every checksum.
const CHECKSUM: &str = "checksum ";

struct Stand {
    name: &'static str,
    provider: &'static str,
    endpoint: String,
    keys: (&'static str, &'static str),
    lost: &'static [Lost],
    // ends when dropped
    _server: Box<dyn std::any::Any + Send>,
}

impl Stand {
    async fn daemon(&self) -> Daemon {
        let mut daemon = Daemon::prepare();
        let keys = daemon.credential("stand", self.keys.0, self.keys.1);
        let seal = daemon.secret("seal", SEAL);
        // what a profile refuses is tried here all the same
        let own = |name: &str, more: &str| format!("[provider.{name}]\nlike = \"{}\"\nacls = true\n{more}\n", self.provider);
        let own = daemon.secret("own.toml", &[own("usual", ""), own("small-copies", SMALL_COPIES)].concat());
        daemon.configure(&format!(
            "[providers]\nfile = \"{}\"\n[credentials.stand]\ntype = \"file\"\npath = \"{}\"\n[credentials.seal]\ntype = \"sse-c\"\npath = \"{}\"\n",
            own.display(),
            keys.display(),
            seal.display()
        ));
        daemon.restart().await;
        daemon
    }

    fn task(&self, group: &Group, (way, _): (&str, u64)) -> Task {
        let end = |name: &str| if group.locked { format!("{name}-locked") } else { name.to_owned() };
        let name = format!("{}-{way}", group.name).replace([' ', ':', ','], "-");
        let task = Task::new(&name, (&self.endpoint, &end("from")), (&self.endpoint, &end("arrived")))
            .at_both_ends("provider", if way == PARTS_BY_STORE { "small-copies" } else { "usual" })
            .at_both_ends("credential", "stand")
            .with("source.prefix", key(group, way))
            .with("options.server_side_copy", is_by_store(way));
        let sealed =
            |task: Task, end: &str| task.with(&format!("{end}.encryption.type"), "SSE-C").with(&format!("{end}.encryption.key"), "seal");
        let task = if group.sealed.0 { sealed(task, "source") } else { task };
        let task = if group.sealed.1 { sealed(task, "destination") } else { task };
        group.task.iter().fold(task, |task, (path, value)| match *value {
            "true" => task.with(path, true),
            text => task.with(path, text),
        })
    }

    /// Makes everything, copies it, and compares what became of it with what this server is expected to do.
    async fn holds(self) {
        let buckets = ["from", "arrived"].map(|name| NewBucket { name, lock: false });
        let locked = ["from-locked", "arrived-locked"].map(|name| NewBucket { name, lock: true });
        let keys: Vec<(&Group, (&str, u64), String)> =
            GROUPS.iter().flat_map(|group| WAYS.map(|way| (group, way, key(group, way.0)))).collect();
        let bucket = |group: &Group, [open, locked]: [&'static str; 2]| if group.locked { locked } else { open };
        let objects: Vec<NewObject<'_>> = keys
            .iter()
            .map(|(group, (_, size), key)| NewObject {
                bucket: bucket(group, ["from", "from-locked"]),
                key,
                size: *size,
                headers: group.headers.iter().copied().collect(),
                seal: group.sealed.0.then_some(SEAL),
            })
            .collect();
        let refused = boto::make(&self.endpoint, self.keys, &[buckets, locked].concat(), &objects).await;
        let daemon = self.daemon().await;
        let mut ways = BTreeMap::new();
        for (group, way, key) in &keys {
            let task = self.task(group, *way);
            task.start(&daemon).await;
            let _ = task.wait(&daemon).await;
            let item = task.items(&daemon).await.into_iter().find(|item| item.key == *key);
            let told = item.map(|item| item.verified.or(item.message).unwrap_or_default());
            ways.insert(key.as_str(), told.unwrap_or_else(|| "not listed".to_owned()));
        }
        let asked = |sides: [&'static str; 2], sealed: fn(&Group) -> bool| -> Vec<Asked<'_>> {
            let one =
                |(group, _, key): &'_ (&Group, (&str, u64), String)| (bucket(group, sides), key.clone(), sealed(group).then_some(SEAL));
            keys.iter().map(one).map(|(bucket, key, seal)| Asked { bucket, key: Box::leak(key.into_boxed_str()), seal }).collect()
        };
        let ours = boto::about(&self.endpoint, self.keys, &asked(["from", "from-locked"], |group| group.sealed.0)).await;
        let theirs = boto::about(&self.endpoint, self.keys, &asked(["arrived", "arrived-locked"], |group| group.sealed.1)).await;
        let mut matrix = Matrix::default();
        for (((group, (way, _), key), ours), theirs) in keys.iter().zip(&ours).zip(&theirs) {
            let told = &ways[key.as_str()];
            for (thing, kept) in group.things {
                // with a key of ours nothing would tell what became of parts that the store copied: it is relayed
                let relayed = *way == PARTS_BY_STORE && group.sealed.1;
                let by_its_way = (is_by_store(way) && !relayed) == told.starts_with("server-side");
                let cell = match refused.get(key) {
                    Some(code) => Err(format!("the source refuses it: {code}")),
                    None if theirs.error.is_some() || theirs.body != ours.body => Err(format!("not copied: {told}; {:?}", theirs.error)),
                    None if !by_its_way => Err(format!("copied in another way: {told}")),
                    None if !kept(ours, theirs) => Err(format!("lost: {:?} {:?} {:?}", theirs.headers, theirs.tags, theirs.acl)),
                    None => Ok(()),
                };
                matrix.add(thing, way, cell);
            }
        }
        println!("{}\n{matrix}", self.name);
        // a bucket with a lock has all there is to try
        let doctor = examined(&daemon, (&self.endpoint, "arrived-locked"), self.provider).await.1;
        matrix.is_as(&self, &doctor);
        ended_well(daemon).await;
    }
}

fn is_by_store(way: &str) -> bool {
    way.starts_with("server-side")
}

fn key(group: &Group, way: &str) -> String {
    // none is a beginning of another
    format!("{}/{way}/object", group.name)
}

/// What became of each thing by each way; `Err` says what was seen instead.
#[derive(Default)]
struct Matrix {
    cells: BTreeMap<(&'static str, &'static str), Result<(), String>>,
    rows: Vec<&'static str>,
}

impl Matrix {
    fn add(&mut self, thing: &'static str, way: &str, cell: Result<(), String>) {
        let way = WAYS.iter().find(|(name, _)| *name == way).unwrap().0;
        if !self.rows.contains(&thing) {
            self.rows.push(thing);
        }
        self.cells.insert((thing, way), cell);
    }

    /// Every cell is as the server's table says, and what is lost `dth doctor` has shown to be.
    fn is_as(&self, stand: &Stand, doctor: &Found) {
        let mut wrong = Vec::new();
        let mut used: BTreeSet<&Lost> = BTreeSet::new();
        for ((thing, way), cell) in &self.cells {
            let is_meant = |lost: &str| lost == *thing || (lost == CHECKSUM && thing.starts_with(lost));
            let lost = stand.lost.iter().find(|(lost, by, ..)| is_meant(lost) && (*by == ANY || by == way));
            if let Some(lost) = lost {
                used.insert(lost);
            }
            match (cell, lost) {
                (Err(seen), None) => wrong.push(format!("{thing} by {way} is not kept: {seen}")),
                (Ok(()), Some((_, _, why, _))) => wrong.push(format!("{thing} by {way} is kept, but expected to be lost: {why}")),
                _ => {}
            }
        }
        wrong.extend(stand.lost.iter().filter(|lost| !used.contains(lost)).map(|lost| format!("no cell is {lost:?}")));
        for (.., probe) in stand.lost {
            match doctor.get(*probe) {
                Some((works, _)) if works == "no" => {}
                other => wrong.push(format!("dth doctor finds of {probe}: {other:?}")),
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", stand.name, wrong.join("\n"));
    }
}

impl std::fmt::Display for Matrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "| {:28} | {} |", "", WAYS.map(|(way, _)| format!("{way:18}")).join(" | "))?;
        for thing in &self.rows {
            let cell = |way: &'static str| match self.cells.get(&(*thing, way)) {
                Some(Ok(())) => "kept",
                Some(Err(_)) => "unsupported",
                None => "",
            };
            writeln!(f, "| {thing:28} | {} |", WAYS.map(|(way, _)| format!("{:18}", cell(way))).join(" | "))?;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_over_the_embedded_server() {
    let server = Server::builder().anonymous(false).aws_checksums().start().await.unwrap();
    let endpoint = server.endpoint();
    let (name, provider, keys) = ("embedded", "aws", (ACCESS_KEY, SECRET_KEY));
    Stand { name, provider, endpoint, keys, lost: &[], _server: Box::new(server) }.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_over_moto() {
    let moto = Moto::start().await;
    let endpoint = moto.endpoint();
    Stand { name: "moto", provider: "aws", endpoint, keys: moto::KEYS, lost: MOTO, _server: Box::new(moto) }.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_over_seaweedfs() {
    let weed = Weed::start().await;
    let endpoint = weed.endpoint();
    let keys = (weed::ACCESS_KEY, weed::SECRET_KEY);
    Stand { name: "seaweedfs", provider: "seaweedfs", endpoint, keys, lost: SEAWEEDFS, _server: Box::new(weed) }.holds().await;
}

/// What HEAD says of a header.
fn header<'a>(about: &'a About, name: &str) -> Option<&'a str> {
    about.headers.get(name).map(String::as_str)
}
