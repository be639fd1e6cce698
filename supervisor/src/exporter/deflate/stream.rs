//! Bits, one after the other.

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
    // The last ones are among the last eight bytes, wherever in them.
    let from = (bit / 8).min(stream.len().saturating_sub(8));
    let Some(place) = stream[from..].first_chunk_mut::<8>() else { return };
    let shift = bit - from * 8;
    let mask = ((1 << len) - 1) << shift;
    *place = (u64::from_le_bytes(*place) & !mask | bits << shift).to_le_bytes();
}
