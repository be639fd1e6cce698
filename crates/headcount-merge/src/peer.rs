//! What a file of Python's or Ruby's client contributes.
//!
//! Every distinct key is decoded once. Processes of one program write their keys in the same order, so
//! the entry that followed last time is tried first: most lookups are one comparison of bytes. An entry
//! keeps its key and its place: of a file that was read before, only the values and what has been
//! added are looked at.

use std::fs::File;
use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use headcount_store::FileError;
use headcount_store::directory::PeerType;
use headcount_store::metric::Kind;
use headcount_store::peer::{self, Client, Entry, Key, Layout, PeerFile};

use crate::index::{Index, Sums};
use crate::labels;
use crate::marks::Marks;
use crate::plan::{Plan, Target};

/// Every key that was met, by the kind of its file and its bytes.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    known: Vec<KnownKey>,
    /// Where the values of each key go.
    targets: Vec<Target>,
    table: HashTable<u32>,
    bytes: Vec<u8>,
    hasher: RandomState,
    /// Whether there is a key that no file has any more, and that nobody has asked about.
    has_lost: bool,
}

#[derive(Debug)]
struct KnownKey {
    kind: Kind,
    bytes: Range<usize>,
    hash: u64,
    client: Client,
    family: u32,
    series: u32,
    /// The key that followed this one last time.
    next: u32,
    /// Entries of known files that have it.
    entries: u32,
}

/// What is known of one file.
#[derive(Debug, Default)]
pub(crate) struct PeerContent {
    entries: Vec<KnownEntry>,
    /// The families of its entries.
    families: Vec<u32>,
    /// The series of its entries that are summed.
    series: Vec<Range<u32>>,
    /// Where the values of its entries go.
    plan: Plan,
    /// What of the file is known; `None` without entries.
    known: Option<KnownPart>,
}

/// How far a file was followed, and as what.
#[derive(Clone, Copy, Debug)]
struct KnownPart {
    client: Client,
    metrics: PeerType,
    layout: Layout,
    bytes: usize,
}

/// The entries of a file that are not known yet, and the keys among theirs that were not met before.
#[derive(Debug)]
pub(crate) struct Looked<'a> {
    file: PeerFile<'a>,
    metrics: PeerType,
    entries: Vec<KnownEntry>,
    new_keys: Vec<NewKey<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct KnownEntry {
    key: u32,
    /// Where the value stands in the file.
    offset: u32,
}

impl PeerContent {
    /// Whether it can be that of a file of such metrics.
    pub(crate) fn may_be(&self, metrics: PeerType) -> bool {
        self.known.is_none_or(|known| known.metrics == metrics)
    }

    /// Whose file it is; `None` without entries.
    pub(crate) fn client(&self) -> Option<Client> {
        self.known.map(|known| known.client)
    }

    /// Reads the values only, if nothing else is new in the file since it was followed. Tells whether so.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or ends before what was known of it.
    pub(crate) fn read_values(
        &self,
        file: &File,
        metrics: PeerType,
        buffer: &mut Vec<u8>,
        values: &mut Vec<(f64, f64)>,
    ) -> Result<bool, FileError> {
        let Some(known) = self.known.filter(|known| known.metrics == metrics) else { return Ok(false) };
        let offsets = self.entries.iter().map(|entry| entry.offset);
        peer::read_values(file, known.bytes, known.layout, offsets, buffer, values)
    }

    /// The values of a file that was resolved, in place of what `values` held.
    pub(crate) fn values_in(&self, file: PeerFile<'_>, values: &mut Vec<(f64, f64)>) {
        values.clear();
        values.extend(self.entries.iter().map(|entry| file.value_at(entry.offset as usize)));
    }

    /// Notes in which mode the file has gauges.
    pub(crate) fn note_mode(&self, metrics: PeerType, index: &mut Index) {
        if let PeerType::Gauge(mode) = metrics {
            self.families.iter().for_each(|&family| index.add_mode(family, mode));
        }
    }

    /// The series that it has a value of and that are summed.
    pub(crate) fn series(&self) -> &[Range<u32>] {
        &self.series
    }

    /// Where the values go.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// Stands for the number of a key that is not known yet.
const NEW: u32 = u32::MAX;

impl Keys {
    /// Finds the key of each entry of a file, of which `content` may be known, and adds it to that.
    ///
    /// # Errors
    ///
    /// When the file is malformed. It is taken whole or not at all: the index has then learned nothing, and
    /// the content is as it was.
    pub(crate) fn resolve<'a>(
        &mut self,
        bytes: &'a [u8],
        metrics: PeerType,
        index: &mut Index,
        content: &mut PeerContent,
    ) -> Result<PeerFile<'a>, FileError> {
        let looked = self.look(bytes, metrics, content)?;
        Ok(self.accept(looked, index, content))
    }

    /// Finds the key of each entry of a file that is not [known](PeerContent) yet: of a whole file, or of what has been
    /// added to one.
    ///
    /// # Errors
    ///
    /// When the file is malformed.
    pub(crate) fn look<'a>(
        &self,
        bytes: &'a [u8],
        metrics: PeerType,
        content: &PeerContent,
    ) -> Result<Looked<'a>, FileError> {
        let kind = metrics.kind();
        let (file, start) = match content.known {
            Some(known) => (PeerFile::grown(bytes, known.layout, known.bytes)?, known.bytes),
            None => (PeerFile::new(bytes)?, 0),
        };
        let (mut entries, mut new_keys) = (Vec::new(), Vec::new());
        let follower = |key: u32| self.known.get(key as usize).map(|known| known.next);
        let mut expected = content.entries.last().map_or(Some(0), |last| follower(last.key));
        for entry in file.entries_from(start) {
            let found = self.find(entry.key, kind, expected);
            let known = found.ok();
            expected = known.and_then(follower);
            if let Err(hash) = found {
                new_keys.push(NewKey::decode(&entry, kind, hash)?);
            }
            // The length of what is in use is a u32.
            let offset = u32::try_from(entry.offset).unwrap_or(u32::MAX);
            entries.push(KnownEntry { key: known.unwrap_or(NEW), offset });
        }
        Ok(Looked { file, metrics, entries, new_keys })
    }

    /// Learns what was found, and adds it to what is known of the file.
    pub(crate) fn accept<'a>(
        &mut self,
        looked: Looked<'a>,
        index: &mut Index,
        content: &mut PeerContent,
    ) -> PeerFile<'a> {
        let Looked { file, metrics, mut entries, new_keys } = looked;
        self.learn(new_keys, metrics.kind(), index, &mut entries);
        if !entries.is_empty() {
            self.append(&entries, content);
            content.plan = Plan::new(content.entries.iter().map(|entry| self.targets[entry.key as usize]));
        }
        content.known = content.entries.first().map(|first| {
            let client = self.known[first.key as usize].client;
            KnownPart { client, metrics, layout: file.layout(), bytes: file.used() }
        });
        file
    }

    /// Adds the keys that are new, now that all are known to be well-formed.
    fn learn(
        &mut self,
        new_keys: Vec<NewKey<'_>>,
        kind: Kind,
        index: &mut Index,
        entries: &mut [KnownEntry],
    ) {
        let unknown = entries.iter_mut().filter(|entry| entry.key == NEW);
        for (entry, new) in unknown.zip(new_keys) {
            // A new key may come twice.
            entry.key =
                self.look_up(new.hash, new.bytes, kind).unwrap_or_else(|| self.add(kind, &new, index));
        }
    }

    /// Appends entries whose keys are known, and notes what follows what.
    fn append(&mut self, entries: &[KnownEntry], content: &mut PeerContent) {
        let mut last = content.entries.last().map(|last| last.key);
        for entry in entries {
            if let Some(last) = last.replace(entry.key) {
                self.known[last as usize].next = entry.key;
            }
            let key = &mut self.known[entry.key as usize];
            if content.families.last() != Some(&key.family) {
                content.families.push(key.family);
            }
            if key.kind != Kind::Gauge {
                match content.series.last_mut().filter(|last| (last.end - 1..=last.end).contains(&key.series))
                {
                    Some(last) => last.end = key.series + 1,
                    None => content.series.push(key.series..key.series + 1),
                }
            }
            key.entries += 1;
        }
        content.entries.extend(entries);
    }

    /// Forgets a file.
    pub(crate) fn release(&mut self, content: &mut PeerContent) {
        for entry in std::mem::take(content).entries {
            let key = &mut self.known[entry.key as usize];
            key.entries -= 1;
            self.has_lost |= key.entries == 0;
        }
    }

    /// Whether there are keys that no file has any more since this was asked the last time.
    pub(crate) fn take_lost(&mut self) -> bool {
        std::mem::take(&mut self.has_lost)
    }

    /// Marks what some file describes.
    pub(crate) fn mark(&self, marks: &mut Marks<'_>) {
        for (known, &target) in self.known.iter().zip(&self.targets).filter(|(known, _)| known.entries > 0) {
            match target {
                Target::Sum(slot) | Target::CumulatedBucket { slot, .. } => marks.slots(slot..slot + 1),
                Target::Gauge { slot, .. } => marks.gauges(slot..slot + 1),
                Target::Nowhere => {}
            }
            if !marks.has_family(known.family) {
                let help = Key::decode(&self.bytes[known.bytes.clone()], 0).ok().and_then(|key| key.help);
                marks.family(known.family, help.as_deref().unwrap_or_default());
            }
        }
    }

    /// Finds a key: the expected one, if it is that; else by its hash, which is returned if it is not there.
    fn find(&self, key: &[u8], kind: Kind, expected: Option<u32>) -> Result<u32, u64> {
        match expected.filter(|&expected| self.is(expected, key, kind)) {
            Some(expected) => Ok(expected),
            None => {
                let hash = self.hasher.hash_one((kind, key));
                self.look_up(hash, key, kind).ok_or(hash)
            }
        }
    }

    fn look_up(&self, hash: u64, key: &[u8], kind: Kind) -> Option<u32> {
        self.table.find(hash, |&found| self.is(found, key, kind)).copied()
    }

    fn is(&self, known: u32, key: &[u8], kind: Kind) -> bool {
        let known = self.known.get(known as usize);
        known.is_some_and(|known| known.kind == kind && self.bytes[known.bytes.clone()] == *key)
    }

    fn add(&mut self, kind: Kind, new: &NewKey<'_>, index: &mut Index) -> u32 {
        let (series, target) = new.intern(kind, index);
        let added = u32::try_from(self.known.len()).unwrap_or(NEW);
        let start = self.bytes.len();
        self.bytes.extend(new.bytes);
        self.known.push(KnownKey {
            kind,
            bytes: start..self.bytes.len(),
            hash: new.hash,
            client: new.key.client,
            family: index.series(series).family,
            series,
            next: added + 1,
            entries: 0,
        });
        self.targets.push(target);
        let known = &self.known;
        self.table.insert_unique(new.hash, added, |&found| known[found as usize].hash);
        added
    }
}

/// A key that was not met before, and is well-formed.
#[derive(Debug)]
struct NewKey<'a> {
    bytes: &'a [u8],
    hash: u64,
    key: Key<'a>,
    part: Part,
}

/// What an entry is to its series.
#[derive(Clone, Copy, Debug)]
enum Part {
    Value,
    Bucket(f64),
    Sum,
    Count,
}

impl<'a> NewKey<'a> {
    fn decode(entry: &Entry<'a>, kind: Kind, hash: u64) -> Result<Self, FileError> {
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
        Ok(Self { bytes: entry.key, hash, key, part })
    }

    fn intern(&self, kind: Kind, index: &mut Index) -> (u32, Target) {
        let key = &self.key;
        // Python's counters are called after the family with `_total`; Ruby's as they please.
        let name = if kind == Kind::Counter { &key.sample } else { &key.family };
        let family = index.intern_family(name, kind);
        index.add_help(family, key.help.as_deref().unwrap_or_default());
        // What the exposition and the merge say themselves.
        let said = kind.own_label();
        let mut encoded = Vec::new();
        for (name, value) in key.labels.iter().filter(|(name, _)| name != said) {
            labels::encode(name, &mut encoded);
            labels::encode(value, &mut encoded);
        }
        let series = index.intern_series(family, &encoded);
        let target = match (&index.series(series).sums, self.part) {
            (&Sums::Gauge(slot), Part::Value) => Target::Gauge { family, slot },
            (&Sums::One(slot), Part::Value) => Target::Sum(slot),
            (&Sums::Summary { sum, .. } | &Sums::Histogram { sum, .. }, Part::Sum) => Target::Sum(sum),
            (&Sums::Summary { count, .. }, Part::Count) => Target::Sum(count),
            (Sums::Histogram { .. }, Part::Bucket(bound)) => {
                let slot = index.intern_bucket(series, bound);
                match key.client {
                    Client::Python => Target::Sum(slot),
                    Client::Ruby => Target::CumulatedBucket { series, bound, slot },
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
