//! What a planned copy would cost: the embedded prices of config/prices.toml, with what `[prices]` of dthd.toml says instead.

use std::{collections::BTreeMap, str::FromStr, sync::LazyLock};

use dth_proto::{
    document::{Document, Table},
    failure::Side,
    spec::{Job, Registry, Store, TaskSpec},
    view::{Cost, Counters},
};

use crate::transfer::estimate::{Class, Requests};

const FILE: &str = "prices.toml";
const TEXT: &str = include_str!("../../config/prices.toml");
/// Keys in one page of a listing (Amazon S3 `ListObjectsV2`).
const PAGE: u64 = 1_000;
/// Bytes in what providers bill as a GB.
const GB: f64 = 1e9;

/// An amount of money in USD: finite, not negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usd(pub f64);

impl FromStr for Usd {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let amount: f64 =
            text.parse().map_err(|_| format!("{text:?} is not an amount in USD: write a number in quotes, like \"0.0004\""))?;
        if amount.is_finite() && amount >= 0.0 {
            Ok(Self(amount))
        } else {
            Err(format!("{text:?} is not an amount in USD: it must be 0 or more"))
        }
    }
}

/// What one provider bills; `None`: not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Price {
    /// Per 1,000 requests that read.
    pub reads: Option<Usd>,
    /// Per 1,000 requests that write.
    pub writes: Option<Usd>,
    /// Per 1,000 pages of listings.
    pub lists: Option<Usd>,
    /// Per GB to anywhere else.
    pub out: Option<Usd>,
    /// Per GB to another region of the same provider and partition; inside of a region nothing is billed.
    pub out_to_region: Option<Usd>,
}

/// Prices by provider.
pub type Prices = BTreeMap<String, Price>;

impl Price {
    /// Reads one table of prices.
    #[must_use]
    pub fn read(t: &mut Table<'_, '_>) -> Self {
        Self {
            reads: t.parsed("reads"),
            writes: t.parsed("writes"),
            lists: t.parsed("lists"),
            out: t.parsed("out"),
            out_to_region: t.parsed("out_to_region"),
        }
    }

    /// What `other` says, where it says anything.
    fn under(self, other: Self) -> Self {
        Self {
            reads: other.reads.or(self.reads),
            writes: other.writes.or(self.writes),
            lists: other.lists.or(self.lists),
            out: other.out.or(self.out),
            out_to_region: other.out_to_region.or(self.out_to_region),
        }
    }
}

static EMBEDDED: LazyLock<Prices> = LazyLock::new(|| {
    let names: Vec<String> = TEXT.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']')).map(str::to_owned).collect();
    let read = |t: &mut Table<'_, '_>| names.iter().filter_map(|name| Some((name.clone(), t.table(name, Price::read)?))).collect();
    // the file is part of the program, and a test reads it
    Document::parse(FILE, TEXT, read).expect("the embedded prices.toml is good")
});

/// An end as it is billed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Billed {
    /// Provider and, for AWS, partition.
    name: String,
    region: Option<String>,
}

impl Billed {
    fn store(store: &Store) -> Self {
        Self::of(&store.provider, store.region.clone(), store.provider == "aws")
    }

    fn registry(registry: &Registry) -> Self {
        Self::of(&registry.registry, registry.region.clone(), registry.registry == "ecr")
    }

    fn of(name: &str, region: Option<String>, aws: bool) -> Self {
        let partition = match &region {
            Some(region) if aws && region.starts_with("cn-") => "-cn",
            Some(region) if aws && region.starts_with("us-gov-") => "-us-gov",
            _ => "",
        };
        Self { name: format!("{name}{partition}"), region }
    }

    fn price(&self, own: &Prices) -> Price {
        let embedded = EMBEDDED.get(&self.name).copied().unwrap_or_default();
        embedded.under(own.get(&self.name).copied().unwrap_or_default())
    }
}

/// What a plan comes to: the lines that are billed, and what is not known, in sentences. `listings`: requests of the plan itself, which a
/// copy sends again; `own`: the prices of dthd.toml.
#[must_use]
pub fn costs(spec: &TaskSpec, counters: &Counters, requests: &Requests, own: &Prices) -> (Vec<Cost>, Vec<String>) {
    let (source, destination, objects) = match &spec.job {
        Job::S3(job) => (Billed::store(&job.source.store), Billed::store(&job.destination.store), true),
        Job::Image(job) => (Billed::registry(&job.source.registry), Billed::registry(&job.destination.registry), false),
    };
    let (from, to) = (source.price(own), destination.price(own));
    let mut costs = Vec::new();
    let mut add = |side: Side, what: &str, amount: u64, price: Option<Usd>, unit: f64| {
        if amount > 0 {
            let usd = price.map(|price| price.0 * amount as f64 / unit);
            costs.push(Cost { side, what: what.to_owned(), amount, price: price.map(|p| p.0), usd });
        }
    };
    if objects {
        let pages = counters.listed.div_ceil(PAGE).max(1).min(counters.requests);
        add(Side::Source, "lists", pages, from.lists, 1_000.0);
        add(Side::Destination, "lists", counters.requests - pages, to.lists, 1_000.0);
        add(Side::Source, "reads", requests.of(Class::Read, Side::Source), from.reads, 1_000.0);
        add(Side::Destination, "writes", requests.of(Class::Write, Side::Destination), to.writes, 1_000.0);
    }
    let out = match (&source.region, &destination.region) {
        _ if source.name != destination.name || from.out_to_region.is_none() => from.out,
        (Some(here), Some(there)) if here == there => Some(Usd(0.0)),
        (Some(_), Some(_)) => from.out_to_region,
        _ => None,
    };
    add(Side::Source, "transfer out", counters.bytes_planned, out, GB);
    let mut unknown: Vec<String> = Vec::new();
    for cost in costs.iter().filter(|cost| cost.usd.is_none()) {
        let (side, name) = (cost.side.word(), if cost.side == Side::Source { &source.name } else { &destination.name });
        unknown.push(format!("the price of {} at the {side} is not known: [prices.{name}] in dthd.toml can name it", cost.what));
    }
    if objects && requests.of(Class::Write, Side::Destination) > 0 {
        unknown
            .push("which objects have tags is not in a listing: each of them takes one more read and, in parts, no more writes".to_owned());
    }
    let restored = requests.of(Class::Retrieval, Side::Source);
    if restored > 0 {
        unknown.push(format!(
            "what {restored} objects cost that come out of an archive goes by their tier and size: see the provider's prices"
        ));
    }
    (costs, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::estimate::Operation;

    fn spec(source: &str, destination: &str) -> TaskSpec {
        let text = format!("name = 't'\nengine = 's3'\n[source]\nbucket = 'a'\n{source}\n[destination]\nbucket = 'b'\n{destination}\n");
        TaskSpec::from_toml("t.toml", &text).expect("a definition")
    }

    fn planned() -> (Counters, Requests) {
        let counters = Counters { listed: 2_500, planned: 2_000, requests: 5, bytes_planned: 50_000_000_000, ..Counters::default() };
        (counters, Requests::default().with(Operation::GetObject, 2_000).with(Operation::PutObject, 2_000))
    }

    #[test]
    fn the_embedded_prices_are_good() {
        assert_eq!(EMBEDDED["aws"].writes, Some(Usd(0.005)));
        assert!(EMBEDDED.len() >= 7, "{EMBEDDED:?}");
    }

    #[test]
    fn a_copy_between_two_regions() {
        let (counters, requests) = planned();
        let spec = spec("region = 'us-east-1'", "region = 'eu-west-1'");
        let (costs, unknown) = costs(&spec, &counters, &requests, &Prices::new());
        let lines: Vec<_> =
            costs.iter().map(|c| (c.side.word(), c.what.as_str(), c.amount, format!("{:.6}", c.usd.unwrap_or(-1.0)))).collect();
        let expected = [
            ("source", "lists", 3, "0.000015"),
            ("destination", "lists", 2, "0.000010"),
            ("source", "reads", 2_000, "0.000800"),
            ("destination", "writes", 2_000, "0.010000"),
            ("source", "transfer out", 50_000_000_000, "1.000000"),
        ];
        assert_eq!(lines, expected.map(|(side, what, amount, usd)| (side, what, amount, usd.to_owned())));
        assert_eq!(unknown.len(), 1, "{unknown:?}");
    }

    #[test]
    fn what_is_not_known_is_said() {
        let (counters, requests) = planned();
        let spec = spec("region = 'cn-north-1'", "provider = 'minio'\nendpoint = 'http://127.0.0.1:9'");
        let (found, unknown) = costs(&spec, &counters, &requests, &Prices::new());
        assert!(found.iter().all(|cost| cost.usd.is_none()), "{found:?}");
        assert!(unknown.iter().any(|line| line.contains("[prices.aws-cn]")), "{unknown:?}");
        let own = Prices::from([("aws-cn".to_owned(), Price { out: Some(Usd(0.1)), ..Price::default() })]);
        let (found, _) = costs(&spec, &counters, &requests, &own);
        assert_eq!(found.iter().find(|cost| cost.what == "transfer out").and_then(|cost| cost.usd), Some(5.0));
    }

    #[test]
    fn inside_of_a_region_bytes_cost_nothing() {
        let (counters, requests) = planned();
        for (from, to, usd) in [
            ("region = 'eu-west-1'", "region = 'eu-west-1'", Some(0.0)),
            ("region = 'eu-west-1'", "region = 'cn-north-1'", Some(4.5)),
            ("", "region = 'eu-west-1'", None),
        ] {
            let (found, _) = costs(&spec(from, to), &counters, &requests, &Prices::new());
            assert_eq!(found.iter().find(|cost| cost.what == "transfer out").and_then(|cost| cost.usd), usd, "{from} {to}");
        }
    }

    #[test]
    fn amounts_are_numbers() {
        assert_eq!("0.0004".parse(), Ok(Usd(0.0004)));
        for bad in ["", "-1", "NaN", "inf", "1 USD"] {
            assert!(bad.parse::<Usd>().is_err(), "{bad:?}");
        }
    }
}
