//! What is summed over all processes, by slot.
//!
//! A slot adds up integers and floats apart, so that what only our own workers count stays exact.

use headcount_store::text::Value;

/// The number of a sum.
pub(crate) type Slot = u32;

/// The sums.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    integers: Vec<u64>,
    floats: Vec<f64>,
}

impl Totals {
    /// Begins again at 0, in the same space.
    pub(crate) fn clear(&mut self) {
        self.integers.clear();
        self.floats.clear();
    }

    /// Makes room for slots below `end`.
    pub(crate) fn grow(&mut self, end: Slot) {
        let len = self.integers.len().max(end as usize);
        self.integers.resize(len, 0);
        self.floats.resize(len, 0.0);
    }

    /// Adds integers to consecutive slots. A counter wraps around, as one process's does.
    pub(crate) fn add_integers(&mut self, first: Slot, cells: &[u64]) {
        let sums = self.integers[first as usize..].iter_mut();
        sums.zip(cells).for_each(|(sum, &cell)| *sum = sum.wrapping_add(cell));
    }

    /// Adds floats, given by their bits, to consecutive slots.
    pub(crate) fn add_floats(&mut self, first: Slot, cells: &[u64]) {
        let sums = self.floats[first as usize..].iter_mut();
        sums.zip(cells).for_each(|(sum, &cell)| *sum += f64::from_bits(cell));
    }

    /// Adds to one slot.
    pub(crate) fn add_float(&mut self, slot: Slot, value: f64) {
        self.floats[slot as usize] += value;
    }

    /// The sum, exact if no float took part.
    pub(crate) fn get(&self, slot: Slot) -> Value {
        let slot = slot as usize;
        Sum { integer: self.integers[slot], float: self.floats[slot] }.value()
    }

    /// The sum, to be added to others.
    pub(crate) fn parts(&self, slot: Slot) -> Sum {
        let slot = slot as usize;
        Sum { integer: self.integers[slot], float: self.floats[slot] }
    }
}

/// A sum of integers and one of floats.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    integer: u64,
    float: f64,
}

impl Sum {
    pub(crate) fn add(&mut self, other: Self) {
        self.integer = self.integer.wrapping_add(other.integer);
        self.float += other.float;
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
        totals.add_integers(1, &[(1 << 60) + 1]);
        totals.add_integers(1, &[1]);
        assert_eq!(totals.get(1), Value::Integer((1 << 60) + 2));
        totals.add_float(1, 0.5);
        assert_eq!(totals.get(1), Value::Float((1_u64 << 60) as f64));
        totals.add_floats(0, &[f64::NAN.to_bits(), 0.25_f64.to_bits()]);
        assert!(totals.get(0).to_f64().is_nan());
        assert_eq!(totals.get(2), Value::Integer(0));
    }
}
