//! What is summed over all processes, by slot.
//!
//! A slot adds up integers and floats apart, so that what only our own workers count stays exact. Of each
//! sum of floats what it is off by is kept, too, so that the sum does not depend on the order of adding:
//! a counter that fell by its last digit when a file is buried or folded would look like a restart.

use headcount_store::text::Value;

/// The number of a sum.
pub(crate) type Slot = u32;

/// The sums.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    integers: Vec<u64>,
    floats: Vec<Float>,
    /// What they begin with: those of the first slots.
    kept: (Vec<u64>, Vec<Float>),
}

/// A sum of floats, and what it is off by.
#[derive(Clone, Copy, Debug, Default)]
struct Float {
    sum: f64,
    rest: f64,
}

impl Totals {
    /// Begins again with what is [kept](Self::keep), in the same space.
    pub(crate) fn clear(&mut self) {
        self.integers.clone_from(&self.kept.0);
        self.floats.clone_from(&self.kept.1);
    }

    /// Keeps what there is now, to begin with.
    pub(crate) fn keep(&mut self) {
        self.kept = (self.integers.clone(), self.floats.clone());
    }

    /// Makes room for slots below `end`.
    pub(crate) fn grow(&mut self, end: Slot) {
        let len = self.integers.len().max(end as usize);
        self.integers.resize(len, 0);
        self.floats.resize(len, Float::default());
    }

    /// Adds integers to consecutive slots. A counter wraps around, as one process's does.
    pub(crate) fn add_integers(&mut self, first: Slot, values: impl IntoIterator<Item = u64>) {
        let sums = self.integers[first as usize..].iter_mut();
        sums.zip(values).for_each(|(sum, value)| *sum = sum.wrapping_add(value));
    }

    /// Adds floats to consecutive slots.
    pub(crate) fn add_floats(&mut self, first: Slot, values: impl IntoIterator<Item = f64>) {
        let sums = self.floats[first as usize..].iter_mut();
        sums.zip(values).for_each(|(sum, value)| sum.add(value));
    }

    /// Makes of integers that were just added, to slots that are so far apart, the floats whose bits they are. What was
    /// wrapped around on the way there is so on the way back.
    pub(crate) fn turn_into_floats(
        &mut self,
        (first, step): (Slot, usize),
        values: impl Iterator<Item = u64>,
    ) {
        let (integers, floats) = (&mut self.integers[first as usize..], &mut self.floats[first as usize..]);
        for ((integer, float), value) in integers.chunks_mut(step).zip(floats.chunks_mut(step)).zip(values) {
            integer[0] = integer[0].wrapping_sub(value);
            float[0].add(f64::from_bits(value));
        }
    }

    /// Adds to one slot.
    pub(crate) fn add_float(&mut self, slot: Slot, value: f64) {
        self.floats[slot as usize].add(value);
    }

    /// The sum, exact if no float took part.
    pub(crate) fn get(&self, slot: Slot) -> Value {
        self.parts(slot).value()
    }

    /// The sum, to be added to others.
    pub(crate) fn parts(&self, slot: Slot) -> Sum {
        Sum { integer: self.integer(slot), float: self.floats[slot as usize].nearest() }
    }

    /// The sum, if it is known without looking further that no float took part.
    #[inline]
    pub(crate) fn only_integer(&self, slot: Slot) -> Option<u64> {
        let Float { sum, rest } = self.floats[slot as usize];
        (sum.to_bits() | rest.to_bits() == 0).then(|| self.integer(slot))
    }

    /// The sum of the integers.
    pub(crate) fn integer(&self, slot: Slot) -> u64 {
        self.integers[slot as usize]
    }

    /// The float that is nearest to the sum of the floats, and the rest.
    pub(crate) fn float(&self, slot: Slot) -> (f64, f64) {
        self.floats[slot as usize].apart()
    }
}

impl Float {
    /// Adds a float, and to the rest what that loses: Knuth's `TwoSum`.
    fn add(&mut self, value: f64) {
        let new = self.sum + value;
        let added = new - self.sum;
        self.rest += (self.sum - (new - added)) + (value - added);
        self.sum = new;
    }

    fn nearest(self) -> f64 {
        // Most often no float has taken part.
        if self.sum.to_bits() | self.rest.to_bits() == 0 {
            return 0.0;
        }
        self.apart().0
    }

    /// The float that is nearest, and the rest.
    fn apart(self) -> (f64, f64) {
        let Self { sum, rest } = self;
        let nearest = sum + rest;
        // Of what is infinite or no number nothing is known to be off.
        if nearest.is_finite() { (nearest, (sum - nearest) + rest) } else { (sum, 0.0) }
    }
}

/// A sum of integers and one of floats.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    integer: u64,
    float: f64,
}

impl From<f64> for Sum {
    fn from(float: f64) -> Self {
        Self { integer: 0, float }
    }
}

impl Sum {
    pub(crate) fn add(&mut self, other: Self) {
        self.integer = self.integer.wrapping_add(other.integer);
        self.float += other.float;
    }

    /// Adds an integer, if no float takes part; returns what the sum was before, and what it is.
    #[inline]
    pub(crate) fn add_integer(&mut self, integer: u64) -> Option<(u64, u64)> {
        if self.float != 0.0 {
            return None;
        }
        let before = self.integer;
        self.integer = before.wrapping_add(integer);
        Some((before, self.integer))
    }

    pub(crate) fn value(self) -> Value {
        if self.float == 0.0 {
            return Value::Integer(self.integer);
        }
        Value::Float(Value::Integer(self.integer).to_f64() + self.float)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_stay_exact_until_a_float_takes_part() {
        let mut totals = Totals::default();
        totals.grow(3);
        totals.add_integers(1, [(1 << 60) + 1]);
        totals.add_integers(1, [1]);
        assert_eq!(totals.get(1), Value::Integer((1 << 60) + 2));
        totals.add_float(1, 0.5);
        assert_eq!(totals.get(1), Value::Float((1_u64 << 60) as f64));
        totals.add_floats(0, [f64::NAN, 0.25]);
        assert!(totals.get(0).to_f64().is_nan());
        assert_eq!(totals.get(2), Value::Integer(0));
    }

    #[test]
    fn a_sum_of_floats_does_not_depend_on_the_order_nor_on_what_was_added_up_before() {
        let values: Vec<f64> = (1..2000).map(|n| f64::from(n) * 0.1 + 1e9 / f64::from(n)).collect();
        let sum = |values: &mut dyn Iterator<Item = f64>| {
            let mut totals = Totals::default();
            totals.grow(1);
            values.for_each(|value| totals.add_float(0, value));
            totals.float(0)
        };
        let forward = sum(&mut values.iter().copied());
        assert_eq!(sum(&mut values.iter().rev().copied()).0, forward.0);
        let (dead, living) = values.split_at(700);
        let (folded, rest) = sum(&mut dead.iter().copied());
        assert_eq!(sum(&mut [rest].into_iter().chain(living.iter().copied()).chain([folded])).0, forward.0);
        // Plainly added, it does.
        assert_ne!(values.iter().sum::<f64>(), values.iter().rev().sum::<f64>());
    }

    #[test]
    fn what_is_infinite_or_no_number_stays_so() {
        for (values, expected) in [
            ([f64::INFINITY, 1.0, 2.0], f64::INFINITY),
            ([1.0, f64::NEG_INFINITY, 2.0], f64::NEG_INFINITY),
            ([f64::INFINITY, f64::NEG_INFINITY, 2.0], f64::NAN),
            ([1.0, f64::NAN, 2.0], f64::NAN),
        ] {
            let mut totals = Totals::default();
            totals.grow(1);
            values.into_iter().for_each(|value| totals.add_float(0, value));
            assert_eq!(totals.float(0).0.to_bits() << 1, expected.to_bits() << 1, "{values:?}");
        }
    }
}
