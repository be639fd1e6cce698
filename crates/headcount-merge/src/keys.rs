//! Every key that was met in peers' files, and every sequence of them that some file has.
//!
//! A key is decoded once, whatever file it is met in. It is kept as the words with which an entry begins: comparing these
//! compares its length as well.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use headcount_store::metric::Kind;
use headcount_store::peer::{Client, Key};

use crate::index::Index;
use crate::marks::Marks;
use crate::new_keys::{Last, NewKey, NewKeys};
use crate::plan::{Plan, Target};
use crate::sequence::{Entries, Sequence};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    known: Vec<KnownKey>,
    /// Where the values of each key go.
    targets: Vec<Target>,
    table: HashTable<u32>,
    /// What stands before the values of entries: the length of the key, the key, and spaces. One behind the other, and
    /// where each ends.
    heads: Vec<u8>,
    ends: Vec<usize>,
    hasher: RandomState,
    sequences: Vec<Arc<Sequence>>,
}

#[derive(Debug)]
struct KnownKey {
    kind: Kind,
    client: Client,
    hash: u64,
    family: u32,
    series: u32,
    /// The key that followed this one last time.
    next: u32,
    /// Entries of known sequences that have it.
    entries: u32,
}

/// Stands for the number of a key that is not known yet.
pub(crate) const NEW: u32 = u32::MAX;

impl Keys {
    /// What stands before the value of an entry that has a key.
    #[inline]
    pub(crate) fn head(&self, key: u32) -> &[u8] {
        let key = key as usize;
        let start = key.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.heads[start..self.ends[key]]
    }

    /// The key that followed one last time, if it is of this kind.
    #[inline]
    pub(crate) fn follower(&self, key: u32, kind: Kind) -> Option<u32> {
        let next = self.known.get(key as usize)?.next;
        self.known.get(next as usize).filter(|next| next.kind == kind).map(|_| next)
    }

    /// Finds a key; the error is its hash.
    pub(crate) fn find(&self, key: &[u8], kind: Kind) -> Result<u32, u64> {
        let hash = self.hasher.hash_one((kind, key));
        self.look_up(hash, key, kind).ok_or(hash)
    }

    fn look_up(&self, hash: u64, key: &[u8], kind: Kind) -> Option<u32> {
        let is_it = |&found: &u32| self.known[found as usize].kind == kind && self.key(found) == key;
        self.table.find(hash, is_it).copied()
    }

    fn key(&self, key: u32) -> &[u8] {
        let (len, rest) = self.head(key).split_first_chunk().unwrap_or((&[0; 4], &[]));
        &rest[..u32::from_le_bytes(*len) as usize]
    }

    /// The sequence that was learned last of those that have this kind and end there.
    pub(crate) fn last_sequence(&self, kind: Kind, end: usize) -> Option<&Arc<Sequence>> {
        self.sequences.iter().rev().find(|known| known.kind == kind && known.entries.end == end)
    }

    /// The first key of the sequence of this kind that was learned last.
    pub(crate) fn first_key(&self, kind: Kind) -> Option<u32> {
        let last = self.sequences.iter().rev().find(|known| known.kind == kind);
        last.and_then(|last| last.entries.keys.first().copied())
    }

    /// Adds keys that are new, now that all are known to be well-formed: those of which entries have no number yet.
    pub(crate) fn learn(&mut self, new: &NewKeys, kind: Kind, index: &mut Index, entries: &mut Entries) {
        let mut last = Last::default();
        let (bytes, count) = (new.bytes().len(), new.keys().len());
        // With their lengths and spaces.
        self.heads.reserve(bytes + 12 * count);
        self.known.reserve(count);
        self.targets.reserve(count);
        self.ends.reserve(count);
        let known = &self.known;
        self.table.reserve(count, |&found| known[found as usize].hash);
        let unknown = entries.keys.iter_mut().filter(|key| **key == NEW);
        for (number, key) in unknown.zip(new.keys()) {
            let bytes = &new.bytes()[key.bytes.clone()];
            // A new key may come twice, or have been learned of another file meanwhile.
            *number = self.look_up(key.hash, bytes, kind).unwrap_or_else(|| {
                let (series, target) = new.intern(key, kind, index, &mut last);
                self.add(kind, key, bytes, (index.series(series).family, series), target)
            });
        }
    }

    fn add(
        &mut self,
        kind: Kind,
        key: &NewKey,
        bytes: &[u8],
        (family, series): (u32, u32),
        target: Target,
    ) -> u32 {
        let added = u32::try_from(self.known.len()).unwrap_or(NEW);
        let (hash, client) = (key.hash, key.client);
        self.known.push(KnownKey { kind, client, hash, family, series, next: added + 1, entries: 0 });
        self.targets.push(target);
        self.heads.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.heads.extend(bytes);
        let spaces = 8 - self.heads.len() % 8;
        self.heads.extend(&b"        "[..spaces]);
        self.ends.push(self.heads.len());
        let known = &self.known;
        self.table.insert_unique(hash, added, |&found| known[found as usize].hash);
        added
    }

    /// Finds or learns the sequence of entries whose keys are known.
    pub(crate) fn sequence(&mut self, kind: Kind, entries: Entries) -> Option<Arc<Sequence>> {
        let client = self.known[*entries.keys.first()? as usize].client;
        let is_it = |known: &&Arc<Sequence>| known.kind == kind && known.entries == entries;
        if let Some(known) = self.sequences.iter().rev().find(is_it) {
            return Some(Arc::clone(known));
        }
        for pair in entries.keys.windows(2) {
            self.known[pair[0] as usize].next = pair[1];
        }
        let (mut families, mut series) = (Vec::new(), Vec::new());
        for &key in &entries.keys {
            let key = &mut self.known[key as usize];
            key.entries += 1;
            if families.last() != Some(&key.family) {
                families.push(key.family);
            }
            if key.kind != Kind::Gauge {
                add_to_ranges(&mut series, key.series);
            }
        }
        let plan = Plan::new(entries.keys.iter().map(|&key| self.targets[key as usize]));
        let learned = Arc::new(Sequence { kind, client, entries, families, series, plan });
        self.sequences.push(Arc::clone(&learned));
        Some(learned)
    }

    /// Forgets the sequences that no file has any more, and tells whether there are keys then that no file has.
    pub(crate) fn forget_unused(&mut self) -> bool {
        let Self { sequences, known, .. } = self;
        let mut has_lost = false;
        for unused in sequences.extract_if(.., |known| Arc::strong_count(known) == 1) {
            for &key in &unused.entries.keys {
                let key = &mut known[key as usize];
                key.entries -= 1;
                has_lost |= key.entries == 0;
            }
        }
        has_lost
    }

    /// Marks what some file describes.
    pub(crate) fn mark(&self, marks: &mut Marks<'_>) {
        for (number, (known, &target)) in (0..).zip(self.known.iter().zip(&self.targets)) {
            if known.entries == 0 {
                continue;
            }
            match target {
                Target::Sum(slot) | Target::CumulatedBucket { slot, .. } => marks.slots(slot..slot + 1),
                Target::Gauge { slot, .. } => marks.gauges(slot..slot + 1),
                Target::Nowhere => {}
            }
            if !marks.has_family(known.family) {
                let help = Key::decode(self.key(number), 0).ok().and_then(|key| key.help);
                marks.family(known.family, help.as_deref().unwrap_or_default());
            }
        }
    }
}

/// Adds a number to the last range, if it is in it or behind it.
fn add_to_ranges(ranges: &mut Vec<std::ops::Range<u32>>, number: u32) {
    match ranges.last_mut().filter(|last| (last.end - 1..=last.end).contains(&number)) {
        Some(last) => last.end = number + 1,
        None => ranges.push(number..number + 1),
    }
}
