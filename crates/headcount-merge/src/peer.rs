//! What a file of Python's or Ruby's client contributes.
//!
//! Every distinct key is decoded once. Processes of one program write their keys in the same order, so a file is compared
//! with the one before as a whole; else the entry that followed last time is tried first: most lookups are one
//! comparison of bytes. Of a file that was read before, only the values and what has been added are looked at.

use std::ops::Range;
use std::sync::Arc;

use headcount_store::FileError;
use headcount_store::directory::PeerType;
use headcount_store::metric::Kind;
use headcount_store::peer::{self, Client, Layout, START, Shared, Words};
use headcount_store::read::View;

use crate::index::Index;
use crate::keys::{Keys, NEW};
use crate::new_keys::NewKeys;
use crate::plan::Plan;
use crate::sequence::{Entries, Sequence};
use crate::values::Values;

/// What is known of one file: nothing of one without entries.
#[derive(Debug, Default)]
pub(crate) struct PeerContent(Option<(PeerType, Arc<Sequence>)>);

/// What was read of a file.
#[derive(Debug)]
pub(crate) struct Read {
    values: Values,
    found: Found,
}

/// What else there is in it.
#[derive(Debug)]
enum Found {
    /// What was known before.
    NothingNew,
    /// It was not read before, and has the same entries as others.
    Sequence(Arc<Sequence>),
    /// Entries that are not known, with numbers of those keys that are, and the other keys.
    Entries(Entries, NewKeys),
}

impl PeerContent {
    /// What is known of it as a file of such metrics: by another name, it was another one.
    fn sequence_of(&self, metrics: PeerType) -> Option<&Arc<Sequence>> {
        self.0.as_ref().filter(|(known, _)| *known == metrics).map(|(_, sequence)| sequence)
    }

    fn sequence(&self) -> Option<&Arc<Sequence>> {
        self.0.as_ref().map(|(_, sequence)| sequence)
    }

    /// How much of the file is in use, in bytes.
    pub(crate) fn in_use(&self) -> u64 {
        self.sequence().map_or(0, |sequence| sequence.entries.end as u64)
    }

    /// Whose file it is; `None` without entries.
    pub(crate) fn client(&self) -> Option<Client> {
        self.sequence().map(|sequence| sequence.client)
    }

    /// Notes in which mode the file has gauges.
    pub(crate) fn note_mode(&self, index: &mut Index) {
        if let Some((PeerType::Gauge(mode), sequence)) = &self.0 {
            sequence.families.iter().for_each(|&family| index.add_mode(family, *mode));
        }
    }

    /// The series that it has a value of and that are summed.
    pub(crate) fn series(&self) -> &[Range<u32>] {
        self.sequence().map_or(&[], |sequence| &sequence.series)
    }

    /// Where the values go.
    pub(crate) fn plan(&self) -> Option<&Plan> {
        self.sequence().map(|sequence| &sequence.plan)
    }
}

impl Keys {
    /// Reads a file of which something may be [known](PeerContent): from its mapping, if it has one. `buffer` is used again
    /// for the next file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is malformed. It is taken whole or not at all.
    pub(crate) fn read(
        &self,
        view: View<'_>,
        metrics: PeerType,
        content: &PeerContent,
        buffer: &mut Vec<u8>,
    ) -> Result<Read, FileError> {
        if content.sequence_of(metrics).is_none()
            && let Some(read) = self.read_alike(view, metrics.kind(), buffer)
        {
            return Ok(read);
        }
        if let Some(shared) = Shared::of(view) {
            let read = self.look(shared, metrics, content);
            if view.is_whole(shared.used() as u64) {
                return read;
            }
        }
        self.look(peer::read(view, buffer)?, metrics, content)
    }

    /// Reads a file of which nothing is known, if it has the same entries as the last one that ended there. It is read
    /// piece by piece, each of which is compared while the processor has it at hand: most of what this costs is memory.
    fn read_alike(&self, view: View<'_>, kind: Kind, buffer: &mut Vec<u8>) -> Option<Read> {
        /// Some 40 KiB.
        const PIECE: usize = 256;
        let known = self.last_sequence(kind, peer::used(view)?)?;
        let Entries { layout, ref keys, ref places, .. } = known.entries;
        if layout != Layout::ValueAndTime {
            // The other one has to be excluded first, for which all of the file is needed.
            return None;
        }
        let mut values = Values::default();
        let mut start = START;
        for (keys, places) in keys.chunks(PIECE).zip(places.chunks(PIECE)) {
            let end = *places.last()? as usize + layout.value_len();
            buffer.resize(buffer.len().max(end - start), 0);
            let piece = &mut buffer[..end - start];
            if view.read_up_to(piece, start as u64).ok()? < piece.len() {
                return None;
            }
            let (piece, mut rest) = (&*piece, &*piece);
            for &key in keys {
                rest = rest.strip_prefix(self.head(key))?.get(layout.value_len()..)?;
            }
            values.read_piece(piece, start, (kind, layout), places);
            start = end;
        }
        Some(Read { values, found: Found::Sequence(Arc::clone(known)) })
    }

    fn look(&self, words: impl Words, metrics: PeerType, content: &PeerContent) -> Result<Read, FileError> {
        let kind = metrics.kind();
        let mut values = Values::default();
        let Some(known) = content.sequence_of(metrics) else {
            let last = self.last_sequence(kind, words.used());
            if let Some(known) = last.filter(|known| self.is_same(words, &known.entries)) {
                values.read(words, kind, &known.entries);
                return Ok(Read { values, found: Found::Sequence(Arc::clone(known)) });
            }
            let (entries, new_keys) = self.find_entries(words, metrics, (Layout::of(words)?, START), None)?;
            values.read(words, kind, &entries);
            return Ok(Read { values, found: Found::Entries(entries, new_keys) });
        };
        let Entries { layout, end, .. } = known.entries;
        if words.used() < end {
            return Err(FileError::UsedBeyondEnd { used: end as u64, len: words.used() as u64 });
        }
        values.read(words, kind, &known.entries);
        if words.used() == end {
            return Ok(Read { values, found: Found::NothingNew });
        }
        let last = known.entries.keys.last().copied();
        let (entries, new_keys) = self.find_entries(words, metrics, (layout, end), last)?;
        values.read(words, kind, &entries);
        Ok(Read { values, found: Found::Entries(entries, new_keys) })
    }

    /// Whether a file that ends where these do has the same entries.
    fn is_same(&self, words: impl Words, entries: &Entries) -> bool {
        let mut start = START;
        entries.keys.iter().zip(&entries.places).all(|(&key, &value)| {
            let at = std::mem::replace(&mut start, value as usize + entries.layout.value_len());
            words.have(at, self.head(key))
        }) && entries.layout.is_first(words)
    }

    /// Finds the key of each entry from one on, behind one with a known key.
    fn find_entries(
        &self,
        words: impl Words,
        metrics: PeerType,
        (layout, start): (Layout, usize),
        last: Option<u32>,
    ) -> Result<(Entries, NewKeys), FileError> {
        let kind = metrics.kind();
        let len = words.used().saturating_sub(start);
        let (mut entries, mut new_keys) = (Entries::new(layout, len), NewKeys::default());
        let mut expected = last.map_or_else(|| self.first_key(kind), |last| self.follower(last, kind));
        if last.or(expected).is_none() {
            // The first file of its kind.
            new_keys.reserve(len);
        }
        let mut key = Vec::new();
        let mut at = start;
        while at < words.used() {
            let value = expected.map(|expected| (expected, self.head(expected))).filter(|(_, head)| {
                words.have(at, head) && at + head.len() + layout.value_len() <= words.used()
            });
            let (number, value) = match value {
                Some((expected, head)) => (expected, at + head.len()),
                None => {
                    let place = layout.place(words, at).ok_or(FileError::BadLength { offset: at as u64 })?;
                    words.copy(place.key, &mut key);
                    let found = self.find(&key, kind);
                    if let Err(hash) = found {
                        new_keys.push(&key, kind, hash, place.value as u64)?;
                    }
                    (found.unwrap_or(NEW), place.value)
                }
            };
            expected = self.follower(number, kind);
            entries.push(number, value);
            at = entries.end;
        }
        Ok((entries, new_keys))
    }

    /// Learns what was found, and adds it to what is known of the file; gives its values.
    pub(crate) fn accept(
        &mut self,
        Read { values, found }: Read,
        metrics: PeerType,
        index: &mut Index,
        content: &mut PeerContent,
    ) -> Values {
        let sequence = match found {
            Found::NothingNew => return values,
            Found::Sequence(sequence) => Some(sequence),
            Found::Entries(mut entries, new_keys) => {
                self.learn(&new_keys, metrics.kind(), index, &mut entries);
                if let Some(known) = content.sequence_of(metrics) {
                    let mut all = known.entries.clone();
                    all.append(&entries);
                    entries = all;
                }
                self.sequence(metrics.kind(), entries)
            }
        };
        content.0 = sequence.map(|sequence| (metrics, sequence));
        values
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use headcount_store::metric::GaugeMode;

    use super::*;

    const METRICS: PeerType = PeerType::Gauge(GaugeMode::Max);

    /// A file of Python's client with a gauge for each of these labels: the first is `first`, the next one more, and each
    /// is set half a second later than at its value.
    fn file(labels: &[String], first: f64) -> File {
        let mut bytes = vec![0; START];
        for (label, value) in labels.iter().zip((0..).map(|more| first + f64::from(more))) {
            let key = format!(r#"["g", "g", {{"l": "{label}"}}, ""]"#);
            bytes.extend(u32::try_from(key.len()).unwrap().to_le_bytes());
            bytes.extend(key.as_bytes());
            bytes.resize(bytes.len() + 8 - bytes.len() % 8, b' ');
            bytes.extend([value, value + 0.5].map(f64::to_le_bytes).concat());
        }
        let used = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&used.to_le_bytes());
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        file
    }

    fn read(keys: &Keys, file: &File) -> Result<Read, FileError> {
        keys.read(file.into(), METRICS, &PeerContent::default(), &mut Vec::new())
    }

    /// Keys that are known from a file with these labels.
    fn known(labels: &[String]) -> (Keys, Index) {
        let (mut keys, mut index) = (Keys::default(), Index::default());
        let read = read(&keys, &file(labels, 1.0)).unwrap();
        keys.accept(read, METRICS, &mut index, &mut PeerContent::default());
        (keys, index)
    }

    #[test]
    fn a_file_with_the_same_keys_has_the_sequence_that_is_known_and_values_of_its_own() {
        let labels: Vec<_> = (0..1000).map(|n| format!("{}", n * n)).collect();
        let (keys, _index) = known(&labels);
        let Read { values, found } = read(&keys, &file(&labels, 7.0)).unwrap();
        assert!(matches!(found, Found::Sequence(_)), "{found:?}");
        let expected = (0..1000).map(|more| (7.0 + f64::from(more), 7.5 + f64::from(more)));
        assert!(values.with_times(0..1000).eq(expected));
    }

    #[test]
    fn a_file_with_another_key_anywhere_has_another_sequence() {
        let mut labels: Vec<_> = (0..1000).map(|n| format!("{n:04}")).collect();
        let (keys, _index) = known(&labels);
        for place in [0, 1, 255, 256, 511, 512, 998, 999] {
            let before = std::mem::replace(&mut labels[place], "else".to_owned());
            let Read { values, found } = read(&keys, &file(&labels, 7.0)).unwrap();
            let Found::Entries(entries, new) = found else { panic!("{found:?}") };
            assert_eq!((entries.keys.len(), new.keys().len()), (1000, 1));
            assert_eq!(entries.keys.iter().position(|&key| key == NEW), Some(place));
            assert_eq!(values.of(999..1000), [1006.0]);
            labels[place] = before;
        }
    }

    #[test]
    fn of_a_file_that_ends_too_early_nothing_counts() {
        let labels: Vec<_> = (0..1000).map(|n| n.to_string()).collect();
        let (keys, _index) = known(&labels);
        let file = file(&labels, 7.0);
        let len = file.metadata().unwrap().len();
        for len in [len - 1, len - 8, len / 2, 8] {
            file.set_len(len).unwrap();
            assert_eq!(read(&keys, &file).unwrap_err().reason(), "used_beyond_end", "{len}");
        }
    }
}
