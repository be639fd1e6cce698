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
