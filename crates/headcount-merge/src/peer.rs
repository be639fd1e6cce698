//! What a file of Python's or Ruby's client contributes.
//!
//! Every distinct key is decoded once. Processes of one program write their keys in the same order, so
//! the entry that followed last time is tried first: most lookups are one comparison of bytes.

use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use headcount_store::FileError;
use headcount_store::directory::PeerType;
use headcount_store::metric::Kind;
use headcount_store::peer::{Client, Entry, Key, PeerFile};

use crate::gauge::Reading;
use crate::index::{Index, Sums};
use crate::labels;
use crate::totals::{Slot, Totals};

/// Every key that was met, by the kind of its file and its bytes.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    known: Vec<KnownKey>,
    table: HashTable<u32>,
    bytes: Vec<u8>,
    hasher: RandomState,
}

#[derive(Debug)]
struct KnownKey {
    kind: Kind,
    bytes: Range<usize>,
    client: Client,
    series: u32,
    target: Target,
    /// The key that followed this one last time.
    next: u32,
}

/// Where an entry's value goes.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// Added to a slot.
    Sum(Slot),
    /// Ruby's buckets are cumulated: each holds what the smaller ones hold.
    CumulatedBucket { bound: f64, slot: Slot },
    /// A reading of a gauge.
    Gauge,
    /// Nowhere: the count of a histogram is derived from its buckets.
    Nowhere,
}

/// The entries of one file, each with its target.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    entries: Vec<Value>,
    /// Whose file it is; `None` without entries.
    pub(crate) client: Option<Client>,
}

#[derive(Debug)]
struct Value {
    target: Target,
    series: u32,
    value: f64,
    time: f64,
}

impl Keys {
    /// Finds out where each entry of a file goes.
    ///
    /// # Errors
    ///
    /// When a key is malformed. A file is taken whole or not at all: the index has then learned nothing.
    pub(crate) fn resolve(
        &mut self,
        file: PeerFile<'_>,
        metrics: PeerType,
        index: &mut Index,
    ) -> Result<Resolved, FileError> {
        let kind = metrics.kind();
        let mut found = Vec::new();
        let mut expected = Some(0);
        for entry in file.entries() {
            let known = self.find(entry.key, kind, expected);
            expected = known.map(|known| self.known[known as usize].next);
            let new = if known.is_none() { Some(NewKey::decode(&entry, kind)?) } else { None };
            found.push((entry, known, new));
        }
        let mut resolved = Resolved::default();
        let mut last: Option<u32> = None;
        for (entry, known, new) in found {
            // A new key may come twice.
            let known = known.or_else(|| self.find(entry.key, kind, None));
            let known = match (known, new) {
                (Some(known), _) => known,
                (None, Some(new)) => self.add(entry.key, kind, &new, index),
                (None, None) => continue,
            };
            if let Some(last) = last.replace(known) {
                self.known[last as usize].next = known;
            }
            let KnownKey { client, series, target, .. } = self.known[known as usize];
            if let PeerType::Gauge(mode) = metrics {
                index.add_mode(index.series(series).family, mode);
            }
            resolved.client = Some(client);
            resolved.entries.push(Value { target, series, value: entry.value, time: entry.time });
        }
        Ok(resolved)
    }

    fn find(&self, key: &[u8], kind: Kind, expected: Option<u32>) -> Option<u32> {
        let is_same = |&found: &u32| {
            let known = self.known.get(found as usize);
            known.is_some_and(|known| known.kind == kind && self.bytes[known.bytes.clone()] == *key)
        };
        expected.filter(is_same).or_else(|| {
            let hash = self.hasher.hash_one((kind, key));
            self.table.find(hash, is_same).copied()
        })
    }

    fn add(&mut self, key: &[u8], kind: Kind, new: &NewKey<'_>, index: &mut Index) -> u32 {
        let (series, target) = new.intern(kind, index);
        let added = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        let start = self.bytes.len();
        self.bytes.extend(key);
        let (bytes, client) = (start..self.bytes.len(), new.key.client);
        self.known.push(KnownKey { kind, bytes, client, series, target, next: added + 1 });
        let Self { known, table, bytes, hasher } = self;
        let rehash = |&found: &u32| {
            let known = &known[found as usize];
            hasher.hash_one((known.kind, &bytes[known.bytes.clone()]))
        };
        table.insert_unique(rehash(&added), added, rehash);
        added
    }
}

/// A key that was not met before, and is well-formed.
struct NewKey<'a> {
    key: Key<'a>,
    part: Part,
}

/// What an entry is to its series.
#[derive(Clone, Copy)]
enum Part {
    Value,
    Bucket(f64),
    Sum,
    Count,
}

impl<'a> NewKey<'a> {
    fn decode(entry: &Entry<'a>, kind: Kind) -> Result<Self, FileError> {
        let offset = entry.offset;
        let key = Key::decode(entry.key, offset)?;
        if key.family.is_empty() || key.labels.iter().any(|(label, _)| label.is_empty()) {
            return Err(FileError::WrongElements { offset });
        }
        let foreign = || FileError::ForeignSample { offset };
        let suffix = key.sample.strip_prefix(&*key.family).ok_or_else(foreign)?;
        let part = match (kind, suffix) {
            (Kind::Counter | Kind::Gauge, "") | (Kind::Counter, "_total") => Part::Value,
            (Kind::Histogram, "_bucket") => Part::Bucket(bucket_bound(&key, offset)?),
            (Kind::Histogram | Kind::Summary, "_sum") => Part::Sum,
            (Kind::Histogram | Kind::Summary, "_count") => Part::Count,
            _ => return Err(foreign()),
        };
        Ok(Self { key, part })
    }

    fn intern(&self, kind: Kind, index: &mut Index) -> (u32, Target) {
        let key = &self.key;
        // Python's counters are called after the family with `_total`; Ruby's as they please.
        let name = if kind == Kind::Counter { &key.sample } else { &key.family };
        let family = index.intern_family(name, kind);
        index.add_help(family, key.help.as_deref().unwrap_or_default());
        // What the exposition and the merge say themselves.
        let said = match kind {
            Kind::Histogram => "le",
            Kind::Summary => "quantile",
            Kind::Gauge => "pid",
            Kind::Counter => "",
        };
        let mut encoded = Vec::new();
        for (name, value) in key.labels.iter().filter(|(name, _)| name != said) {
            labels::encode(name, &mut encoded);
            labels::encode(value, &mut encoded);
        }
        let series = index.intern_series(family, &encoded);
        let target = match (&index.series(series).sums, self.part) {
            (Sums::None, Part::Value) => Target::Gauge,
            (&Sums::One(slot), Part::Value) => Target::Sum(slot),
            (&Sums::Summary { sum, .. } | &Sums::Histogram { sum, .. }, Part::Sum) => Target::Sum(sum),
            (&Sums::Summary { count, .. }, Part::Count) => Target::Sum(count),
            (Sums::Histogram { .. }, Part::Bucket(bound)) => {
                let slot = index.intern_bucket(series, bound);
                match key.client {
                    Client::Python => Target::Sum(slot),
                    Client::Ruby => Target::CumulatedBucket { bound, slot },
                }
            }
            _ => Target::Nowhere,
        };
        (series, target)
    }
}

fn bucket_bound(key: &Key<'_>, offset: u64) -> Result<f64, FileError> {
    let le = key.labels.iter().find(|(name, _)| name == "le");
    let bound = le.and_then(|(_, value)| value.trim().parse().ok()).filter(|bound: &f64| !bound.is_nan());
    bound.ok_or(FileError::BadBucketBound { offset })
}

impl Resolved {
    /// Adds the values to the totals, and the gauges to the readings.
    pub(crate) fn apply(&self, process: u32, totals: &mut Totals, readings: &mut Vec<Reading>) {
        let mut cumulated = Vec::new();
        for &Value { target, series, value, time } in &self.entries {
            match target {
                Target::Sum(slot) => totals.add_float(slot, value),
                Target::CumulatedBucket { bound, slot } => cumulated.push((series, bound, slot, value)),
                Target::Gauge => readings.push(Reading { series, process, value, time }),
                Target::Nowhere => {}
            }
        }
        cumulated.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let mut smaller = None;
        for (series, _, slot, value) in cumulated {
            let below = smaller.filter(|&(same, _)| same == series).map_or(0.0, |(_, value)| value);
            totals.add_float(slot, value - below);
            smaller = Some((series, value));
        }
    }
}
