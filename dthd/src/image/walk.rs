//! Everything that belongs to an image: manifests below it, what refers to it, their blobs; and in which order manifests may be stored.

mod fallback;
mod read;

use std::collections::{HashMap, HashSet};

use dth_proto::failure::{FailureClass, Side};

pub(super) use self::{
    fallback::{entry, merged},
    read::{Sought, Walk, is_gone},
};
use super::{
    digest::Digest,
    manifest::{Content, Descriptor, Manifest},
};
use crate::transfer::TransferError;

/// Most bytes of manifests that are kept for one image: an index of a hundred platforms with attestations has less than one megabyte.
const LARGEST: usize = 64 << 20;

/// A manifest that is to be stored.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// As the source has it.
    pub(super) manifest: Manifest,
    /// What it names.
    pub(super) content: Content,
    /// The tag under which it is stored; `None`: by its digest.
    pub(super) tag: Option<String>,
    /// The destination has it already: only the tag may be missing.
    pub(super) stored: bool,
    /// What it belongs to, where that is not named by its own manifest.
    after: Vec<Digest>,
}

/// One manifest to store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Put {
    /// Which.
    pub(super) node: usize,
    /// Under its tag; else by its digest.
    pub(super) tagged: bool,
}

/// See the module. The first node is the image itself.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    places: HashMap<Digest, usize>,
    /// What the source has under the fallback tags of those that something refers to.
    pub(super) fallbacks: HashMap<Digest, Manifest>,
    bytes: usize,
}

impl Graph {
    /// An image under its tag, or by its digest; `stored`: the destination has its manifest.
    pub(super) fn new(manifest: Manifest, content: Content, tag: Option<String>, stored: bool) -> Self {
        let places = HashMap::from([(manifest.digest.clone(), 0)]);
        let bytes = manifest.bytes.len();
        let root = Node { manifest, content, tag, stored, after: Vec::new() };
        Self { nodes: vec![root], places, fallbacks: HashMap::new(), bytes }
    }

    /// Adds a manifest that belongs to `after` unless it names that itself; `true`: it was not known.
    ///
    /// # Errors
    /// When all together are too large.
    pub(super) fn add(&mut self, node: (Manifest, Content), tag: Option<String>, after: Option<Digest>) -> Result<bool, TransferError> {
        let (manifest, content) = node;
        if let Some(known) = self.places.get(&manifest.digest) {
            let known = &mut self.nodes[*known];
            known.after.extend(after);
            if known.tag.is_none() {
                known.tag = tag;
            }
            return Ok(false);
        }
        self.bytes += manifest.bytes.len();
        if self.bytes > LARGEST {
            let message = format!("the manifests that belong to {} have more than {LARGEST} bytes", self.root().manifest.digest);
            return Err(TransferError::new(FailureClass::Permanent, Side::Source, "GetManifest", "SIZE_INVALID", message));
        }
        self.places.insert(manifest.digest.clone(), self.nodes.len());
        self.nodes.push(Node { manifest, content, tag, stored: false, after: after.into_iter().collect() });
        Ok(true)
    }

    /// The image itself.
    pub(super) fn root(&self) -> &Node {
        &self.nodes[0]
    }

    /// A node of a [`Put`].
    pub(super) fn node(&self, at: usize) -> &Node {
        &self.nodes[at]
    }

    /// Whether a manifest is part of it.
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.places.contains_key(digest)
    }

    /// All blobs of what is not stored yet, each once. `foreign`: also layers that are only linked to.
    pub(super) fn blobs(&self, foreign: bool) -> Vec<&Descriptor> {
        let mut seen = HashSet::new();
        let missing = self.nodes.iter().filter(|node| !node.stored);
        let blobs = missing.flat_map(|node| node.content.config.iter().chain(&node.content.layers));
        blobs.filter(|blob| (foreign || !is_foreign(blob)) && seen.insert(&blob.digest)).collect()
    }

    /// Bytes of all its blobs, as far as the manifests tell.
    pub(super) fn size(&self, foreign: bool) -> u64 {
        self.blobs(foreign).iter().map(|blob| blob.size).sum()
    }

    /// What to store, wave by wave: a registry may refuse what comes before the manifests it names. The image's tag comes last and
    /// alone when anything refers to the image: who finds the tag in place finds everything else in place as well.
    pub(super) fn waves(&self) -> Vec<Vec<Put>> {
        let mut ranks: Vec<Option<usize>> = vec![None; self.nodes.len()];
        for at in 0..self.nodes.len() {
            self.rank(at, &mut ranks);
        }
        let alone = self.nodes.iter().any(|node| !node.after.is_empty());
        let deepest = ranks.iter().flatten().max().map_or(0, |rank| rank + 1);
        let mut waves = vec![Vec::new(); deepest];
        for (at, rank) in ranks.iter().enumerate() {
            let (node, root) = (&self.nodes[at], at == 0);
            let tagged = node.tag.is_some() && !(root && alone);
            if let Some(rank) = rank
                && (tagged || !node.stored)
            {
                waves[*rank].push(Put { node: at, tagged });
            }
        }
        if alone && self.nodes[0].tag.is_some() {
            waves.push(vec![Put { node: 0, tagged: true }]);
        }
        waves.retain(|wave| !wave.is_empty());
        waves
    }

    /// Digests name what exists, so that nothing can name itself in a circle; where a registry lies about that, the circle is cut.
    fn rank(&self, at: usize, ranks: &mut [Option<usize>]) -> usize {
        // an explicit stack: the depth is the source's choice
        let mut stack = vec![(at, false)];
        let mut open = HashSet::new();
        while let Some((node, seen)) = stack.pop() {
            if ranks[node].is_some() {
                continue;
            }
            let before: Vec<usize> = self.before(node).collect();
            if seen {
                ranks[node] = Some(before.iter().filter_map(|one| ranks[*one]).map(|rank| rank + 1).max().unwrap_or(0));
            } else if open.insert(node) {
                stack.push((node, true));
                stack.extend(before.into_iter().map(|one| (one, false)));
            }
        }
        ranks[at].unwrap_or(0)
    }

    /// Nodes that must be stored before this one.
    fn before(&self, at: usize) -> impl Iterator<Item = usize> {
        let node = &self.nodes[at];
        let named = node.content.children.iter().map(|child| &child.digest);
        named.chain(&node.after).filter_map(|digest| self.places.get(digest).copied()).filter(move |before| *before != at)
    }
}

/// Whether a layer is not meant to be in registries: it is only linked to (OCI image specification, "Non-Distributable Layers").
fn is_foreign(blob: &Descriptor) -> bool {
    !blob.urls.is_empty() || blob.media_type.contains(".foreign.") || blob.media_type.contains(".nondistributable.")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::image::manifest::OCI_MANIFEST;

    pub(super) fn manifest(name: &str) -> Manifest {
        let bytes = Bytes::from(name.to_owned());
        Manifest { digest: Digest::sha256(&bytes), bytes, media_type: OCI_MANIFEST.to_owned() }
    }

    fn digest(name: &str) -> Digest {
        manifest(name).digest
    }

    fn descriptor(name: &str, size: u64) -> Descriptor {
        let media_type = OCI_MANIFEST.to_owned();
        Descriptor { media_type, digest: digest(name), size, platform: None, artifact_type: None, urls: Vec::new() }
    }

    fn node(name: &str, children: &[&str], layers: &[(&str, u64)]) -> (Manifest, Content) {
        let children = children.iter().map(|name| descriptor(name, 0)).collect();
        let layers = layers.iter().map(|(name, size)| descriptor(name, *size)).collect();
        (manifest(name), Content { children, layers, ..Content::default() })
    }

    fn graph(root: (Manifest, Content), stored: bool) -> Graph {
        Graph::new(root.0, root.1, Some("v1".to_owned()), stored)
    }

    fn names(graph: &Graph) -> Vec<Vec<String>> {
        let name = |put: &Put| {
            let node = graph.node(put.node);
            let name = String::from_utf8_lossy(&node.manifest.bytes).into_owned();
            if put.tagged { format!("{name}:{}", node.tag.as_deref().unwrap_or("?")) } else { name }
        };
        graph.waves().iter().map(|wave| wave.iter().map(name).collect()).collect()
    }

    #[test]
    fn children_come_first_and_the_tag_last() {
        let mut graph = graph(node("index", &["amd", "arm", "nested"], &[]), false);
        for one in [node("amd", &[], &[]), node("nested", &["deep"], &[]), node("arm", &[], &[]), node("deep", &[], &[])] {
            assert!(graph.add(one, None, None).expect("small"));
        }
        assert!(!graph.add(node("amd", &[], &[]), None, None).expect("small"), "known");
        assert_eq!(names(&graph), [vec!["amd", "arm", "deep"], vec!["nested"], vec!["index:v1"]]);
    }

    #[test]
    fn what_refers_to_it_is_there_before_the_tag() {
        let mut graph = graph(node("index", &["amd"], &[]), false);
        graph.add(node("amd", &[], &[]), None, None).expect("small");
        graph.add(node("signature", &[], &[]), None, Some(digest("index"))).expect("small");
        graph.add(node("of-signature", &[], &[]), None, Some(digest("signature"))).expect("small");
        graph.add(node("cosign", &[], &[]), Some("sha256-x.sig".to_owned()), Some(digest("index"))).expect("small");
        assert_eq!(
            names(&graph),
            [vec!["amd"], vec!["index"], vec!["signature", "cosign:sha256-x.sig"], vec!["of-signature"], vec!["index:v1"]]
        );
    }

    #[test]
    fn what_is_stored_only_gets_its_tag() {
        let (mut graph, root) = (graph(node("image", &[], &[("layer", 5)]), true), digest("image"));
        assert_eq!((names(&graph), graph.size(false)), (vec![vec!["image:v1".to_owned()]], 0));
        graph.add(node("signature", &[], &[("text", 2)]), None, Some(root)).expect("small");
        assert_eq!((names(&graph), graph.size(false)), (vec![vec!["signature".to_owned()], vec!["image:v1".to_owned()]], 2));
        let (manifest, content) = node("image", &[], &[]);
        assert_eq!(Graph::new(manifest, content, None, true).waves(), [[]; 0], "nothing to do");
    }

    #[test]
    fn blobs_count_once_and_foreign_ones_on_request() {
        let mut linked = descriptor("linked", 100);
        linked.urls.push("https://example.com/layer".to_owned());
        let mut old = descriptor("old", 1000);
        old.media_type = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".to_owned();
        let mut root = node("index", &["a", "b"], &[]);
        root.1.config = Some(descriptor("config", 1));
        root.1.layers = vec![linked, old];
        let mut graph = graph(root, false);
        graph.add(node("a", &[], &[("base", 10), ("top", 20)]), None, None).expect("small");
        graph.add(node("b", &[], &[("base", 10)]), None, None).expect("small");
        assert_eq!((graph.size(false), graph.size(true)), (31, 1131));
        assert_eq!(graph.blobs(false).len(), 3);
    }

    #[test]
    fn memory_is_bounded() {
        let mut graph = graph(node("index", &[], &[]), false);
        let large = |n: usize| {
            let bytes = Bytes::from(vec![u8::try_from(n).expect("small"); 4 << 20]);
            (Manifest { digest: Digest::sha256(&bytes), bytes, media_type: String::new() }, Content::default())
        };
        let full = (0..17).map(|n| graph.add(large(n), None, None)).find_map(Result::err).expect("more than 64 MiB");
        assert_eq!((full.code.as_str(), full.class), ("SIZE_INVALID", FailureClass::Permanent));
    }

    proptest! {
        /// Graphs in which each node names some of those behind it, and may refer to one before it.
        #[test]
        fn nothing_is_stored_before_what_it_needs(
            edges in prop::collection::vec((prop::collection::vec(1..8_usize, 0..3), prop::option::of(0..8_usize), any::<bool>()), 1..12),
            stored in any::<bool>(),
        ) {
            let name = |n: usize| format!("node {n}");
            let children = |n: usize| -> Vec<String> { edges[n].0.iter().map(|by| n + by).filter(|at| *at < edges.len()).map(name).collect() };
            let make = |n: usize| { let of = children(n); node(&name(n), &of.iter().map(String::as_str).collect::<Vec<_>>(), &[]) };
            let mut graph = graph(make(0), stored);
            let named: HashSet<String> = (0..edges.len()).flat_map(children).collect();
            let mut after = HashMap::new();
            for (n, (_, refers, tagged)) in edges.iter().enumerate().skip(1) {
                // what is a child of something refers to nothing: digests allow no circles
                let refers = refers.filter(|_| !named.contains(&name(n))).map(|to| to % n);
                let tag = tagged.then(|| format!("tag-{n}"));
                graph.add(make(n), tag, refers.map(|to| digest(&name(to)))).expect("small");
                after.extend(refers.map(|to| (n, to)));
            }
            let waves = graph.waves();
            let wave_of = |n: usize| waves.iter().position(|wave| wave.iter().any(|put| put.node == n));
            for n in 0..edges.len() {
                let puts = waves.iter().flatten().filter(|put| put.node == n).count();
                if n > 0 {
                    prop_assert_eq!(puts, 1, "each once");
                } else {
                    prop_assert_eq!(puts, if after.is_empty() || stored { 1 } else { 2 });
                }
                let needs = graph.before(n).collect::<Vec<_>>();
                for need in needs {
                    if need == 0 && stored { continue }
                    prop_assert!(wave_of(need) < wave_of(n), "{} needs {}", n, need);
                }
            }
            let last = waves.last().expect("at least the tag");
            let tag = vec![Put { node: 0, tagged: true }];
            if !after.is_empty() {
                prop_assert_eq!(last, &tag);
            }
        }
    }
}
