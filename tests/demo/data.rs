//! What the demo moves: the same objects every time, of all sizes, with keys that break careless programs.

use bytes::Bytes;
use dth_tests::s3::{Object, Store};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// One task of the demo: from one bucket to another.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Name of the task.
    pub task: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// Where from.
    pub source: &'static str,
    /// Only keys below this.
    pub source_prefix: &'static str,
    /// Where to.
    pub destination: &'static str,
    /// Put there in place of `source_prefix`.
    pub destination_prefix: &'static str,
}

/// Many small objects, into a folder of another name.
pub const PHOTOS: Route = Route {
    task: "photos-to-archive",
    description: "many small objects",
    source: "photos",
    source_prefix: "raw/",
    destination: "archive",
    destination_prefix: "photos/",
};
/// Large objects and hostile keys, as they are.
pub const VAULT: Route = Route {
    task: "vault-copy",
    description: "large objects, and keys that break careless programs",
    source: "vault",
    source_prefix: "",
    destination: "vault-copy",
    destination_prefix: "",
};
/// All tasks.
pub const ROUTES: [Route; 2] = [PHOTOS, VAULT];

/// Sizes of the objects that are large enough for a multipart upload, in bytes.
pub const LARGE: [usize; 5] = [17 << 20, (20 << 20) + 1, 24 << 20, 33 << 20, 48 << 20];
/// Size of their parts at the source.
const PART: u64 = 8 << 20;

impl Route {
    /// The key that an object must have at the destination.
    #[must_use]
    pub fn destination_key(&self, source_key: &str) -> String {
        let rest = source_key.strip_prefix(self.source_prefix).unwrap_or(source_key);
        format!("{}{rest}", self.destination_prefix)
    }
}

/// How much to make.
#[derive(Clone, Copy, Debug)]
pub struct Amount<'a> {
    /// Small objects.
    pub objects: u64,
    /// Usual size of a small object, in bytes.
    pub object_size: u64,
    /// Sizes of the large objects, in bytes.
    pub large: &'a [usize],
}

/// Puts the small objects, the large ones and those with hostile keys into their buckets; answers with the number of all objects
/// and of their bytes.
pub fn fill(store: &Store, amount: Amount<'_>) -> (u64, u64) {
    let size = amount.object_size;
    let mut random = StdRng::seed_from_u64(0x00d7_4d43);
    let longest = amount.large.iter().copied().max().unwrap_or(0).max(32 * size as usize);
    let mut noise = vec![0; longest + (1 << 16)];
    random.fill_bytes(&mut noise);
    // every object is a window on the same noise: cheap, and no two are alike
    let noise = Bytes::from(noise);
    let window = |len: usize, random: &mut StdRng| {
        let start = random.random_range(0..=noise.len() - len);
        noise.slice(start..start + len)
    };
    let mut total = (0, 0);
    let mut put = |bucket: &str, key: &str, object: Object| {
        total = (total.0 + 1, total.1 + object.data.len());
        store.put(bucket, key, object);
    };
    for n in 0..amount.objects {
        let len = small_size(n, size, &mut random);
        let object = Object::new(window(len, &mut random)).header("content-type", content_type(n)).metadata("shot", &n.to_string());
        put(PHOTOS.source, &format!("raw/{}/{:03}/IMG_{n:05}.jpg", 2020 + n % 7, n / 7 % 60), object);
    }
    for (n, len) in amount.large.iter().copied().enumerate() {
        let object = Object::multipart(window(len, &mut random), PART).header("content-type", "video/mp4").metadata("reel", &n.to_string());
        put(VAULT.source, &format!("films/reel-{n}.mp4"), object);
    }
    for key in hostile_keys() {
        let len = random.random_range(0..2_000);
        let object = Object::new(window(len, &mut random)).header("content-type", "text/plain; charset=utf-8");
        put(VAULT.source, &key, object.header("cache-control", "max-age=60").metadata("origin", "demo").tag("kind", "hostile"));
    }
    total
}

/// Empty ones, tiny ones, many around `size`, and here and there one that is much larger.
fn small_size(n: u64, size: u64, random: &mut StdRng) -> usize {
    let size = size.max(1) as usize;
    match n % 100 {
        0 => 0,
        1 => 1,
        2 | 3 => random.random_range(8 * size..=32 * size),
        _ => random.random_range(size / 4..=2 * size),
    }
}

fn content_type(n: u64) -> &'static str {
    ["image/jpeg", "image/png", "application/octet-stream", "image/heic; quality=\"high\""][(n % 4) as usize]
}

/// Keys that are legal in S3 and not in file systems, URLs, XML or terminals.
#[must_use]
pub fn hostile_keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "double//slash",
        "/leading/slash",
        "//",
        "folder/",
        "folder/inside",
        "folder",
        "../outside",
        "a/../b",
        "./here",
        "back\\slash",
        "plus+percent%and&question?hash#equals=",
        "%2Fencoded%20already%",
        "spaces  and   more ",
        " leading space",
        "quotes\"'`",
        "<xml>&amp;</xml>",
        "umlaut-äöü-ß",
        "e\u{301}-not-é",
        "日本語/中文/한국어",
        "rtl-\u{202e}gpj.exe",
        "emoji-🦀-🚀",
        "last-char-\u{10ffff}",
        "control-\u{1}\u{2}\u{1b}[31m\u{7f}",
        "tab\tnewline\nreturn\r",
        "semi;colon,comma:at@dollar$star*tilde~bang!",
        "a-b",
        "a/b",
        "a.b",
    ]
    .map(str::to_owned)
    .to_vec();
    // the longest that S3 takes: 1,024 bytes
    keys.push("k".repeat(1_024));
    keys.push(format!("{}/", "ü".repeat(511)) + "x");
    keys.push("0123456789abcde/".repeat(64));
    keys
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_objects_every_time() {
        let (one, two) = (Store::default(), Store::default());
        let amount = Amount { objects: 300, object_size: 1_000, large: &[100_000] };
        let total = fill(&one, amount);
        assert_eq!(total, fill(&two, amount));
        for route in ROUTES {
            let (one, two) = (one.all(route.source), two.all(route.source));
            assert!(one.len() > 20);
            assert!(one.iter().map(|(key, object)| (key, &object.data, &object.etag)).eq(two.iter().map(|(key, object)| (
                key,
                &object.data,
                &object.etag
            ))));
        }
        assert_eq!(total.0, 300 + (1 + hostile_keys().len()) as u64);
    }

    #[test]
    fn hostile_keys_are_legal_and_different() {
        let keys = hostile_keys();
        assert!(keys.iter().all(|key| (1..=1_024).contains(&key.len())));
        assert_eq!(keys.iter().filter(|key| key.len() == 1_024).count(), 3);
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
    }

    #[test]
    fn keys_move_between_prefixes() {
        assert_eq!(PHOTOS.destination_key("raw/2020/x"), "photos/2020/x");
        assert_eq!(VAULT.destination_key("//"), "//");
    }
}
