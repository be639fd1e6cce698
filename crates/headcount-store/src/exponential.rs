//! The buckets of native histograms: which one a value belongs to, and where each ends.
//!
//! As Prometheus defines them: in the *schema* s, bucket i holds what is greater than 2^((i−1)·2⁻ˢ) and not greater
//! than 2^(i·2⁻ˢ). So each bucket of a schema is two of the next finer one, and the buckets of processes that have
//! chosen different schemas can be put together, exactly: in the coarser one. Negative values have buckets of their
//! own, by their absolute values. What is not farther from 0 than a threshold is in the *zero bucket*.
//!
//! A value is always placed in the finest schema, and from there in any other by a shift.

/// How fine buckets are: 2^(2⁻ˢ) is how many times the bounds of one grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Schema(i8);

impl Schema {
    /// The coarsest one: each bound is 65,536 times the one before.
    pub const MIN: Self = Self(-4);
    /// The finest one: each bound is 0.27 % above the one before.
    pub const MAX: Self = Self(8);

    /// The schema of this number, if it is one.
    #[must_use]
    pub fn new(number: i8) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&number).then_some(Self(number))
    }

    /// The coarsest schema whose bounds grow by at most this factor, which is greater than 1; the finest, if none
    /// does.
    #[must_use]
    pub fn of_factor(factor: f64) -> Self {
        let is_fine = |schema: &Self| schema.factor() <= factor;
        (Self::MIN.0..=Self::MAX.0).map(Self).find(is_fine).unwrap_or(Self::MAX)
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> i8 {
        self.0
    }

    /// By how many times bounds grow.
    #[must_use]
    pub fn factor(self) -> f64 {
        (-f64::from(self.0)).exp2().exp2()
    }

    /// The next coarser one, if there is one.
    #[must_use]
    pub fn coarser(self) -> Option<Self> {
        Self::new(self.0 - 1)
    }

    /// By how many bits an index of the finest schema is to be shifted.
    #[inline]
    fn shift(self) -> u32 {
        Self::MAX.0.abs_diff(self.0).into()
    }

    /// The index, in this schema, of the bucket that holds bucket `index` of a finer one, or of this.
    #[inline]
    #[must_use]
    pub fn reduce(self, index: i32, finer: Self) -> i32 {
        shift_index(index, u32::from(finer.0.abs_diff(self.0)))
    }

    /// The bucket that is nearest to this one, of those that some value is in: from that of the least number to that of
    /// infinity.
    fn clamp(self, index: i32) -> i32 {
        index.clamp(shift_index(LEAST, self.shift()), shift_index(GREATEST, self.shift()))
    }

    /// Where a bucket ends: the last finite one at the greatest number, and the one beyond it at infinity.
    #[must_use]
    pub fn upper_bound(self, index: i32) -> f64 {
        let fine = i64::from(index) << self.shift();
        let (exponent, step) = (fine >> STEP_BITS, usize::from(fine.to_le_bytes()[0]));
        if (exponent, step) == (1024, 0) {
            return f64::MAX;
        }
        let mantissa = f64::from_bits(ONE | BOUNDS[step]);
        // In two steps: what is subnormal would else be rounded twice.
        let half = |exponent: i64| f64::from(i32::try_from(exponent).unwrap_or(i32::MAX)).exp2();
        mantissa * half(exponent / 2) * half(exponent - exponent / 2)
    }
}

/// Where an observation is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a bucket.
    Bucket(Key),
    /// In the zero bucket.
    Zero,
    /// In none: it is not a number.
    Nowhere,
}

/// A bucket: its index, and on which side of 0 it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Whether it holds negative values.
    pub is_negative: bool,
    /// Its index in the schema.
    pub index: i32,
}

/// In a key's cell, the bit that tells it from one that is free.
const TAKEN: u64 = 1 << 63;
const NEGATIVE: u64 = 1 << 32;

impl Key {
    /// The cell that holds this key; never 0.
    #[inline]
    #[must_use]
    pub fn encode(self) -> u64 {
        let sign = if self.is_negative { NEGATIVE } else { 0 };
        TAKEN | sign | u64::from(self.index.cast_unsigned())
    }

    /// The key in a cell of a table of this schema; `None` if it is free, or holds none. One that no value has is taken
    /// for the nearest that some value has: whatever a cell says, what was counted there is not lost.
    #[must_use]
    pub fn decode(cell: u64, schema: Schema) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is the index")]
        let key = Self { is_negative: cell & NEGATIVE != 0, index: (cell as u32).cast_signed() };
        (key.encode() == cell).then(|| Self { index: schema.clamp(key.index), ..key })
    }
}

/// What the placing of values needs to know of a histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The schema.
    pub schema: Schema,
    /// What is not farther from 0 is in the zero bucket.
    pub zero_threshold: f64,
}

impl Scale {
    /// Where a value is counted. An infinite one is in a bucket beyond the last finite one.
    #[inline]
    #[must_use]
    pub fn place(&self, value: f64) -> Place {
        let distance = value.abs();
        // Neither is true of what is not a number.
        if distance > self.zero_threshold {
            let index = shift_index(fine_index(distance), self.schema.shift());
            Place::Bucket(Key { is_negative: value < 0.0, index })
        } else if distance.is_nan() {
            Place::Nowhere
        } else {
            Place::Zero
        }
    }
}

#[inline]
fn shift_index(index: i32, bits: u32) -> i32 {
    ((index - 1) >> bits) + 1
}

/// Buckets of the finest schema between a power of two and the next.
const STEPS: usize = 1 << STEP_BITS;
const STEP_BITS: u32 = 8;
/// The indexes of the least number, 2^−1074, and of infinity.
const LEAST: i32 = -1074 << STEP_BITS;
const GREATEST: i32 = (1024 << STEP_BITS) + 1;
const MANTISSA_BITS: u32 = 52;
const MANTISSA: u64 = (1 << MANTISSA_BITS) - 1;
/// The bits of 1.
const ONE: u64 = 1.0_f64.to_bits();
const INFINITY: u64 = f64::INFINITY.to_bits();

/// The 52 bits behind the point of 2^(k/256), rounded down: what is greater than them is greater than that.
const BOUNDS: [u64; STEPS] = bounds();

/// Between 1 and 2, cells so narrow that no two bounds are in one.
const CELLS: usize = 2 * STEPS;
const CELL_BITS: u32 = MANTISSA_BITS - CELLS.trailing_zeros();
/// How many bounds are below each cell.
const BELOW: [i32; CELLS] = below();
/// The bound in each cell, or one that nothing there is greater than.
const WITHIN: [u64; CELLS] = within();

/// The index of a positive value in the finest schema.
#[inline]
fn fine_index(value: f64) -> i32 {
    let bits = value.to_bits();
    if bits.wrapping_sub(1 << MANTISSA_BITS) >= INFINITY - (1 << MANTISSA_BITS) {
        return fine_index_of_odd(value);
    }
    index_of_bits(bits)
}

#[inline]
fn index_of_bits(bits: u64) -> i32 {
    let mantissa = bits & MANTISSA;
    let cell = (mantissa >> CELL_BITS) as usize;
    let exponent = (bits >> MANTISSA_BITS) as i32 - 1023;
    (exponent << STEP_BITS) + BELOW[cell] + i32::from(mantissa > WITHIN[cell])
}

/// Of values that are infinite, or so small that their exponent is elsewhere.
#[cold]
fn fine_index_of_odd(value: f64) -> i32 {
    if value.is_infinite() {
        return index_of_bits(f64::MAX.to_bits()) + 1;
    }
    index_of_bits((value * 64.0_f64.exp2()).to_bits()) - (64 << STEP_BITS)
}

/// The upper half of a product, of numbers that are fractions of 2^128.
const fn multiply(a: u128, b: u128) -> u128 {
    const LOW: u128 = u64::MAX as u128;
    let (a1, a0, b1, b0) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let middle = ((a0 * b0) >> 64) + ((a1 * b0) & LOW) + ((a0 * b1) & LOW);
    a1 * b1 + ((a1 * b0) >> 64) + ((a0 * b1) >> 64) + (middle >> 64)
}

const fn bounds() -> [u64; STEPS] {
    // As fractions of 2^127, less than 2, so that a product has them as fractions of 2^126.
    let mut root: u128 = u128::MAX;
    let mut halvings = 0;
    while halvings < STEP_BITS {
        // The square root, bit by bit.
        let (square, mut found, mut bit) = (root >> 1, 0, 1 << 127);
        while bit > 0 {
            let tried: u128 = found | bit;
            if multiply(tried, tried) <= square {
                found = tried;
            }
            bit >>= 1;
        }
        root = found;
        halvings += 1;
    }
    let mut bounds = [0; STEPS];
    let (mut power, mut step) = (1_u128 << 127, 0);
    while step < STEPS {
        bounds[step] = (power >> (127 - MANTISSA_BITS)) as u64 & MANTISSA;
        power = multiply(power, root) << 1;
        step += 1;
    }
    bounds
}

const fn below() -> [i32; CELLS] {
    let mut below = [0; CELLS];
    let mut cell = 0;
    while cell < CELLS {
        let mut step = 0;
        while step < STEPS && BOUNDS[step] < (cell as u64) << CELL_BITS {
            below[cell] += 1;
            step += 1;
        }
        cell += 1;
    }
    below
}

const fn within() -> [u64; CELLS] {
    let mut within = [u64::MAX; CELLS];
    let mut step = 0;
    while step < STEPS {
        within[(BOUNDS[step] >> CELL_BITS) as usize] = BOUNDS[step];
        step += 1;
    }
    within
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A great number, its lowest part first.
    fn squared(number: &[u64]) -> Vec<u64> {
        let mut square = vec![0_u64; number.len() * 2];
        for (at, &a) in number.iter().enumerate() {
            let mut carry = 0;
            for (to, &b) in square[at..].iter_mut().zip(number.iter().chain(&[0])) {
                let sum = u128::from(a) * u128::from(b) + u128::from(*to) + carry;
                *to = u64::try_from(sum & u128::from(u64::MAX)).unwrap();
                carry = sum >> 64;
            }
        }
        square
    }

    /// The least i with value ≤ 2^(i·2⁻ˢ): by the definition, with numbers that are exact.
    fn index_by_definition(value: f64, schema: i8) -> i32 {
        let bits = value.to_bits();
        let (mut exponent, mut mantissa) = ((bits >> 52).cast_signed(), bits & MANTISSA);
        if exponent > 0 {
            mantissa |= 1 << 52;
            exponent -= 1;
        }
        exponent -= 1074;
        let mut power = vec![mantissa];
        for _ in 0..schema.max(0) {
            power = squared(&power);
            exponent *= 2;
        }
        let bits: u32 = power.iter().map(|part| part.count_ones()).sum();
        let top = power.iter().rposition(|&part| part > 0).unwrap();
        let floor = 64 * i64::try_from(top).unwrap() + i64::from(power[top].ilog2()) + exponent;
        let logarithm = if bits == 1 { floor } else { floor + 1 };
        let width = 1_i64 << -schema.min(0);
        i32::try_from((logarithm + width - 1).div_euclid(width)).unwrap()
    }

    fn schemas() -> impl Iterator<Item = Schema> {
        (-4..=8).map(|number| Schema::new(number).unwrap())
    }

    fn check(value: f64) {
        for schema in schemas() {
            let expected = index_by_definition(value, schema.number());
            let scale = Scale { schema, zero_threshold: 0.0 };
            let key = |is_negative| Place::Bucket(Key { is_negative, index: expected });
            assert_eq!(scale.place(value), key(false), "{value:e} in {schema:?}");
            assert_eq!(scale.place(-value), key(true), "{value:e} in {schema:?}");
            assert!(value <= schema.upper_bound(expected), "{value:e} in {schema:?}");
            // Subnormal numbers lie so far apart that a bound may be rounded to the next.
            assert!(
                !value.is_normal() || value > schema.upper_bound(expected - 1),
                "{value:e} in {schema:?}"
            );
        }
    }

    #[test]
    fn values_beside_every_bound_are_on_their_side_of_it() {
        for step in 0..=256 {
            let bound = Schema::MAX.upper_bound(step);
            [bound, bound.next_up(), bound.next_down()].into_iter().for_each(check);
        }
        for odd in [f64::MIN_POSITIVE, f64::MAX, f64::from_bits(1), f64::MIN_POSITIVE.next_down(), 1e300] {
            check(odd);
        }
    }

    proptest! {
        #[test]
        fn every_value_is_where_the_definition_says(bits in 1..f64::INFINITY.to_bits()) {
            check(f64::from_bits(bits));
        }
    }

    #[test]
    fn an_infinite_value_is_beyond_the_last_finite_one_in_every_schema() {
        for schema in schemas() {
            let scale = Scale { schema, zero_threshold: 1.0 };
            let Place::Bucket(last) = scale.place(f64::MAX) else { panic!() };
            let beyond = Key { index: last.index + 1, ..last };
            assert_eq!(scale.place(f64::INFINITY), Place::Bucket(beyond));
            assert_eq!(scale.place(f64::NEG_INFINITY), Place::Bucket(Key { is_negative: true, ..beyond }));
            assert_eq!(schema.upper_bound(beyond.index), f64::INFINITY);
            assert_eq!(scale.place(f64::NAN), Place::Nowhere);
            assert_eq!([0.0, -0.0, 1.0, -1.0, 1e-320].map(|value| scale.place(value)), [Place::Zero; 5]);
        }
    }

    #[test]
    fn a_factor_gives_the_coarsest_schema_that_is_as_fine() {
        for (factor, schema) in [(1.1, 3), (2.0, 0), (1.99, 1), (4.0, -1), (1e9, -4), (1.000_1, 8)] {
            assert_eq!(Schema::of_factor(factor).number(), schema, "{factor}");
        }
        assert_eq!((Schema::new(9), Schema::new(-5), Schema::MIN.coarser()), (None, None, None));
    }

    #[test]
    fn keys_are_read_back_from_their_cells_and_a_free_cell_has_none() {
        for schema in schemas() {
            let read_back = |key: Key| Key::decode(key.encode(), schema);
            for value in [f64::from_bits(1), 1.0, 1e-9, f64::INFINITY] {
                for value in [value, -value] {
                    let Place::Bucket(key) = (Scale { schema, zero_threshold: 0.0 }).place(value) else {
                        panic!("{value:e} is in no bucket");
                    };
                    assert_eq!(read_back(key), Some(key));
                    // Beyond the first one and the last one there is nothing.
                    let ends = if value.abs() < 1e-300 {
                        [i32::MIN, key.index - 1]
                    } else if value.is_infinite() {
                        [key.index + 1, i32::MAX]
                    } else {
                        continue;
                    };
                    assert_eq!(ends.map(|index| read_back(Key { index, ..key })), [Some(key); 2]);
                }
            }
        }
        let none = [0, 1, u64::MAX, 1 << 63 | 1 << 40].map(|cell| Key::decode(cell, Schema::MAX));
        assert_eq!(none, [None; 4]);
    }
}
