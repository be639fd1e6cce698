//! A stream of samples is brought up to date: what has not changed stays where it is, or is copied as it is.

use std::sync::Arc;

use headcount_merge::{Compressed, Outdated, Place};

use super::codes::{NUMBER_BITS, is_number};
use super::samples::{LONGEST, SampleDeflater};
use super::stream::{Stream, overwrite};

/// So many characters of a number are exchanged at once.
const AT_ONCE: usize = (56 / NUMBER_BITS) as usize;

/// A stream that is written anew, since values have become longer or shorter.
struct Anew {
    stream: Stream,
    /// So many bits of the old one are in it.
    copied: usize,
}

/// How much further places are than they were; if less far, around zero.
#[derive(Clone, Copy, Default)]
struct Further {
    at: u32,
    bit: u32,
}

impl SampleDeflater {
    /// The stream of lines in which values have changed: the same as if all were compressed again, but for the checksum,
    /// which is still the old one. `None` if it cannot be done.
    #[expect(clippy::cast_possible_truncation, reason = "there are not more lines")]
    pub(in super::super) fn exchange(&self, outdated: Outdated, lines: &[u8]) -> Option<Compressed> {
        let Outdated { compressed: Compressed { mut bytes, mut places, checksum }, changes } = outdated;
        if lines.len() > LONGEST {
            return None;
        }
        let changed = changes.as_ref().map_or(places.len(), Vec::len);
        let values_end = places.last().map(|last| (last.bit + last.len * NUMBER_BITS) as usize)?;
        // Where somebody still sends it, a copy.
        let old = Arc::make_mut(&mut bytes);
        let (mut anew, mut next, mut further) = (None, 0, Further::default());
        for nth in 0..changed {
            let index = match &changes {
                Some(changes) => next + find(&places[next..], changes[nth])?,
                None => nth,
            };
            further.shift(&mut places[next..index]);
            next = index + 1;
            let was = places[index];
            let at = was.at.wrapping_add(further.at) as usize;
            let value = value_at(lines, at)?;
            if value.len() == was.len as usize {
                self.overwrite_value(old, was.bit as usize, value);
                further.shift(&mut places[index..next]);
                continue;
            }
            let Anew { stream, copied } = anew.get_or_insert_with(|| Anew::beside(old));
            stream.copy(old, *copied..was.bit as usize);
            places[index] = Place { at: at as u32, len: value.len() as u32, bit: stream.len() as u32 };
            self.push_value(stream, value);
            *copied = values_end;
            if let Some(following) = places.get(next) {
                // Its key is as far from this one as the value is long.
                let (found, _) = self.push_keys(stream, lines, at + value.len(), key_start(lines, at)..at);
                *copied = following.bit as usize;
                let longer = (value.len() as u32).wrapping_sub(was.len);
                let bit = (stream.len() as u32).wrapping_sub(following.bit);
                further = Further { at: further.at.wrapping_add(longer), bit };
                if found.start as u32 != following.at.wrapping_add(further.at) {
                    return None;
                }
            }
        }
        further.shift(&mut places[next..]);
        if let Some(Anew { mut stream, copied }) = anew {
            stream.copy(old, copied..values_end);
            let Place { at, len, .. } = *places.last()?;
            let (at, len) = (at as usize, len as usize);
            let (none, _) = self.push_keys(&mut stream, lines, at + len, key_start(lines, at)..at);
            if !none.is_empty() {
                return None;
            }
            bytes = self.end(stream).into();
        }
        Some(Compressed { bytes, places, checksum })
    }

    /// Writes a value over another one that is as long.
    fn overwrite_value(&self, stream: &mut [u8], mut bit: usize, value: &[u8]) {
        for part in value.chunks(AT_ONCE) {
            let (mut bits, mut len) = (0, 0);
            for byte in part {
                bits |= u64::from(self.codes.literal(*byte).0) << len;
                len += NUMBER_BITS;
            }
            overwrite(stream, bit, (bits, len));
            bit += len as usize;
        }
    }
}

impl Anew {
    /// None of it yet.
    fn beside(old: &[u8]) -> Self {
        Self { stream: Stream::with_capacity(old.len() + old.len() / 16 + 64), copied: 0 }
    }
}

impl Further {
    fn shift(self, places: &mut [Place]) {
        if self.at | self.bit == 0 {
            return;
        }
        for place in places {
            place.at = place.at.wrapping_add(self.at);
            place.bit = place.bit.wrapping_add(self.bit);
        }
    }
}

/// Which of these places begins there, if one does.
fn find(places: &[Place], at: u32) -> Option<usize> {
    let is_before = |place: &Place| place.at < at;
    // Most often it is one of the first.
    let mut reach = 1;
    while places.get(reach).is_some_and(is_before) {
        reach *= 2;
    }
    let near = &places[reach / 2..places.len().min(reach + 1)];
    let index = reach / 2 + near.partition_point(is_before);
    places.get(index).filter(|place| place.at == at).map(|_| index)
}

/// The number that stands here up to the line's end, if one does.
fn value_at(lines: &[u8], at: usize) -> Option<&[u8]> {
    let rest = lines.get(at..)?;
    let len = rest.iter().take_while(|byte| is_number(**byte)).count();
    let (value, rest) = rest.split_at(len);
    (!value.is_empty() && matches!(rest, [] | [b'\n', ..])).then_some(value)
}

/// Where the key begins that ends here: with what ended the line before.
fn key_start(lines: &[u8], end: usize) -> usize {
    lines[..end].iter().rposition(|byte| *byte == b'\n').unwrap_or(0)
}
