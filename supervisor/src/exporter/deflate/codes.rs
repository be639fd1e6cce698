//! Which bits stand for what: one set of codes for all blocks, so that none need be counted for.

use super::stream::{Code, Stream};

/// See the module.
#[derive(Debug)]
pub(super) struct Codes {
    /// What begins a block: that it is not the last, and its codes.
    head: Vec<Code>,
    literals: [Code; 256],
    end: Code,
    /// That so many bytes are copied, with what is told beside the symbol.
    lengths: [Code; MOST + 1],
    distances: [Code; 30],
}

/// The characters of numbers: `1.5e-07`, `+Inf`, `NaN`.
const NUMBERS: &[u8] = b"0123456789.e+-NaInf";
/// How long the code of each is.
pub(super) const NUMBER_BITS: u32 = 5;
/// The least that can be copied, in bytes, and the most.
pub(super) const LEAST: usize = 3;
const MOST: usize = 258;
/// How far back what is copied may be.
pub(super) const WINDOW: usize = 32 * 1024;

/// The symbol that ends a block, and the first that says how much is copied.
const END: usize = 256;
const FIRST_LENGTH: u32 = 257;
const SYMBOLS: usize = 286;
/// How long the codes of rare symbols are.
const RARE: u32 = 14;

/// Which characters numbers consist of.
static IS_NUMBER: [bool; 256] = {
    let mut is_number = [false; 256];
    let mut at = 0;
    while at < NUMBERS.len() {
        is_number[NUMBERS[at] as usize] = true;
        at += 1;
    }
    is_number
};

/// Whether numbers have this character.
#[inline]
pub(super) fn is_number(byte: u8) -> bool {
    IS_NUMBER[usize::from(byte)]
}

impl Default for Codes {
    fn default() -> Self {
        let (symbol_bits, distance_bits) = (symbol_bits(), distance_bits());
        let (symbols, distances) = (codes(&symbol_bits), codes(&distance_bits));
        let mut lengths = [Code::default(); MOST + 1];
        for (rest, code) in (0..).zip(&mut lengths[LEAST..]) {
            let (symbol, extra) = length_symbol(rest);
            *code = symbols[symbol as usize].then(extra);
        }
        Self {
            head: head(&symbol_bits, &distance_bits),
            literals: std::array::from_fn(|byte| symbols[byte]),
            end: symbols[END],
            lengths,
            distances,
        }
    }
}

impl Codes {
    pub(super) fn begin_block(&self, stream: &mut Stream) {
        self.head.iter().for_each(|code| stream.push(*code));
    }

    #[inline]
    pub(super) fn literal(&self, byte: u8) -> Code {
        self.literals[usize::from(byte)]
    }

    /// Appends that so many bytes, not less than can be copied, are those from so far back.
    #[inline]
    pub(super) fn copy(&self, stream: &mut Stream, mut len: usize, distance: usize) {
        let (symbol, extra) = distance_symbol(distance);
        let distance = self.distances[symbol as usize].then(extra);
        while len > MOST {
            // What is left is never too little.
            let part = MOST.min(len - LEAST);
            stream.push(self.lengths[part]);
            stream.push(distance);
            len -= part;
        }
        stream.push(self.lengths[len]);
        stream.push(distance);
    }

    pub(super) fn end_block(&self, stream: &mut Stream) {
        stream.push(self.end);
    }
}

/// How long the codes of symbols are: numbers are literals most often, the rest of a line is copied.
fn symbol_bits() -> [u32; SYMBOLS] {
    let mut bits = [RARE; SYMBOLS];
    bits[usize::from(b' ')..=usize::from(b'~')].fill(11);
    bits[usize::from(b'a')..=usize::from(b'z')].fill(9);
    bits[usize::from(b'\n')] = 10;
    for byte in NUMBERS {
        bits[usize::from(*byte)] = NUMBER_BITS;
    }
    bits[END] = 11;
    // What ends a key is three bytes often, and what begins it 35 to 130. The others: up to 34 bytes, 257, and 258.
    bits[257] = 6;
    bits[258..273].fill(9);
    bits[273..281].fill(5);
    bits[281..285].fill(8);
    bits[285] = 9;
    fill_up(&mut bits, RARE);
    bits
}

/// How long the codes of distances are: most are those of a line, from 33 bytes on, and above all from 65 to 256.
fn distance_bits() -> [u32; 30] {
    let mut bits = [6; 30];
    bits[10..12].fill(4);
    bits[12..16].fill(3);
    bits
}

/// Makes some codes shorter where there is room: a set of codes in which one is left over is refused.
fn fill_up(bits: &mut [u32], longest: u32) {
    let share = |bits: u32| 1 << (longest - bits);
    let mut left = share(0) - bits.iter().map(|bits| share(*bits)).sum::<u32>();
    while left > 0 {
        for bits in bits.iter_mut().rev().filter(|bits| **bits > NUMBER_BITS + 1) {
            if left >= share(*bits) {
                left -= share(*bits);
                *bits -= 1;
            }
        }
    }
}

/// The codes of these lengths (RFC 1951, 3.2.2).
fn codes<const N: usize>(bits: &[u32; N]) -> [Code; N] {
    let mut codes = [Code::default(); N];
    let mut next: u32 = 0;
    for len in 1..=15 {
        for (code, _) in codes.iter_mut().zip(bits).filter(|(_, bits)| **bits == len) {
            *code = Code(next.reverse_bits() >> (u32::BITS - len), len);
            next += 1;
        }
        next <<= 1;
    }
    codes
}

/// What begins a block (RFC 1951, 3.2.7).
fn head(symbol_bits: &[u32], distance_bits: &[u32]) -> Vec<Code> {
    const REPEAT: usize = 16;
    // Not the last, with codes of its own: all symbols, all distances, and lengths of both in codes, too.
    let mut head = vec![Code(0, 1), Code(2, 2), Code(286 - 257, 5), Code(30 - 1, 5), Code(19 - 4, 4)];
    let mut bits = [5; 19];
    bits[4..=REPEAT].fill(4);
    let of_these = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    head.extend(of_these.map(|len: usize| Code(bits[len], 3)));
    let codes = codes(&bits);
    let (mut last, mut repeated) = (0, 0);
    let flush = |head: &mut Vec<Code>, len: u32, times: u32| {
        if times < 3 {
            head.extend((0..times).map(|_| codes[len as usize]));
        } else {
            head.extend([codes[REPEAT], Code(times - 3, 2)]);
        }
    };
    for &len in symbol_bits.iter().chain(distance_bits) {
        if len == last && repeated < 6 {
            repeated += 1;
            continue;
        }
        flush(&mut head, last, repeated);
        // The first of them; or, of more than are repeated at once, one in between.
        head.push(codes[len as usize]);
        (last, repeated) = (len, 0);
    }
    flush(&mut head, last, repeated);
    head
}

/// The symbol of a length that is by so much more than the least, and what is told beside it (RFC 1951, 3.2.5).
fn length_symbol(rest: u32) -> (u32, Code) {
    match rest {
        0..8 => (FIRST_LENGTH + rest, Code(0, 0)),
        255 => (285, Code(0, 0)),
        _ => {
            let extra = rest.ilog2() - 2;
            (FIRST_LENGTH + 4 * extra + (rest >> extra), Code(rest & ((1 << extra) - 1), extra))
        }
    }
}

/// The symbol of a distance in the window, and what is told beside it.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "it is within the window")]
fn distance_symbol(distance: usize) -> (u32, Code) {
    let rest = (distance - 1) as u32;
    if rest < 4 {
        return (rest, Code(0, 0));
    }
    let extra = rest.ilog2() - 1;
    (2 * extra + (rest >> extra), Code(rest & ((1 << extra) - 1), extra))
}
