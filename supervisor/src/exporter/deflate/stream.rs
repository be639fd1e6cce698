//! Bits, one after the other.

use std::ops::Range;

/// Bits that stand for something, the first one lowest, and how many they are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Code(pub(super) u32, pub(super) u32);

impl Code {
    /// With others behind it: together at most 32.
    pub(super) fn then(self, Self(bits, len): Self) -> Self {
        Self(self.0 | bits << self.1, self.1 + len)
    }
}

/// A stream that is being written.
#[derive(Debug, Default)]
pub(super) struct Stream {
    bytes: Vec<u8>,
    /// What does not yet fill four bytes.
    bits: u64,
    len: u32,
}

impl Stream {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::default() }
    }

    #[inline]
    pub(super) fn push(&mut self, Code(bits, len): Code) {
        self.bits |= u64::from(bits) << self.len;
        self.len += len;
        if self.len >= u32::BITS {
            self.bytes.extend_from_slice(&self.bits.to_le_bytes()[..4]);
            self.bits >>= u32::BITS;
            self.len -= u32::BITS;
        }
    }

    /// How many bits there are.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() * 8 + self.len as usize
    }

    /// Appends bits of another stream.
    pub(super) fn copy(&mut self, from: &[u8], bits: Range<usize>) {
        const WORD: usize = u32::BITS as usize;
        // First as many as fill the last word, and then whole words at once.
        let start = bits.end.min(bits.start + (WORD - self.len as usize) % WORD);
        self.copy_few(from, bits.start..start);
        let copied = self.copy_words(from, start..bits.end);
        self.copy_few(from, start + copied..bits.end);
    }

    /// Appends as many of these bits as are words of eight bytes that have another one behind them, and tells how many that
    /// is. Nothing waits to fill a word.
    fn copy_words(&mut self, from: &[u8], bits: Range<usize>) -> usize {
        const WORD: usize = u64::BITS as usize;
        let (words, _) = from.get(bits.start / 8..).unwrap_or_default().as_chunks::<8>();
        let next = words.get(1..).unwrap_or_default();
        let (shift, count) = (bits.start % 8, next.len().min(bits.len() / WORD));
        let end = self.bytes.len();
        self.bytes.resize(end + count * 8, 0);
        let (places, _) = self.bytes[end..].as_chunks_mut::<8>();
        for (place, (low, high)) in places.iter_mut().zip(words.iter().zip(next)) {
            let (low, high) = (u64::from_le_bytes(*low), u64::from_le_bytes(*high));
            // By two steps: by all of a word's bits nothing can be moved.
            *place = (low >> shift | high << 1 << (WORD - 1 - shift)).to_le_bytes();
        }
        count * WORD
    }

    fn copy_few(&mut self, from: &[u8], bits: Range<usize>) {
        for bit in bits.clone().step_by(u32::BITS as usize) {
            let (place, shift) = word_of(from, bit);
            let Some(word) = from[place..].first_chunk() else { return };
            let len = (bits.end - bit).min(u32::BITS as usize);
            let these = u64::from_le_bytes(*word) >> shift & ((1 << len) - 1);
            #[expect(clippy::cast_possible_truncation, reason = "at most 32 bits")]
            self.push(Code(these as u32, len as u32));
        }
    }

    /// The stream up to here, and an empty stored block, with which a deflate stream comes to a whole byte.
    pub(super) fn flush(mut self) -> Vec<u8> {
        self.push(Code(0, 3));
        let rest = self.len.div_ceil(8) as usize;
        self.bytes.extend_from_slice(&self.bits.to_le_bytes()[..rest]);
        self.bytes.extend_from_slice(&[0, 0, 0xff, 0xff]);
        self.bytes
    }
}

/// Writes bits, at most 56, in the place of others.
pub(super) fn overwrite(stream: &mut [u8], bit: usize, (bits, len): (u64, u32)) {
    let (place, shift) = word_of(stream, bit);
    let Some(word) = stream[place..].first_chunk_mut() else { return };
    let mask = ((1 << len) - 1) << shift;
    *word = (u64::from_le_bytes(*word) & !mask | bits << shift).to_le_bytes();
}

/// Eight bytes with this bit and those that follow it, and how far into them it is. The last bits are among the last eight
/// bytes, wherever in them.
fn word_of(stream: &[u8], bit: usize) -> (usize, usize) {
    let place = (bit / 8).min(stream.len().saturating_sub(8));
    (place, bit - place * 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bits(stream: &[u8], bits: Range<usize>) -> Vec<bool> {
        bits.map(|bit| stream[bit / 8] >> (bit % 8) & 1 == 1).collect()
    }

    proptest! {
        #[test]
        fn bits_are_copied_from_wherever_they_are_to_wherever_they_come(
            from in prop::collection::vec(any::<u8>(), 8..300),
            parts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..32_u32), 1..8),
        ) {
            let (mut stream, mut expected) = (Stream::default(), Vec::new());
            for (one, other, pushed) in parts {
                let [one, other] = [one, other].map(|place| place.index(from.len() * 8 + 1));
                let part = one.min(other)..one.max(other);
                stream.copy(&from, part.clone());
                expected.extend(bits(&from, part));
                stream.push(Code(0, pushed));
                expected.extend((0..pushed).map(|_| false));
                prop_assert_eq!(stream.len(), expected.len());
            }
            prop_assert_eq!(bits(&stream.flush(), 0..expected.len()), expected);
        }
    }
}
