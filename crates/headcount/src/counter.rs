//! Counters: sums that never fall.

use headcount_store::write::SumCells;

use crate::error::RegisterError;
use crate::exemplar::{self, IntoExemplar};
use crate::family::Family;
use crate::labelled::Labelled;
use crate::labels::Labels;
use crate::local::LocalCounter;
use crate::registry::Registry;
use crate::summed::Summed;

/// A count, exact up to 2⁶⁴−1 (then it begins again at 0, which Prometheus takes for a restart).
///
/// A small handle that may be copied and used by any thread. To add is a plain load and store.
///
/// ```
/// use headcount::{Counter, OrNoop};
///
/// let jobs = Counter::new("jobs", "Jobs done.").or_noop();
/// jobs.inc();
/// jobs.add(2);
/// let mails = Counter::family("mails", "Mails sent.", ["kind"]).or_noop();
/// mails.with(["welcome"]).inc();
/// let text = headcount::render();
/// assert!(text.contains("jobs_total 3\n") && text.contains("mails_total{kind=\"welcome\"} 1\n"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Counter(SumCells);

/// A sum of fractions, such as seconds.
///
/// A small handle that may be copied and used by any thread.
///
/// ```
/// use headcount::{FloatCounter, OrNoop};
///
/// let busy = FloatCounter::new("busy_seconds", "Seconds of work.").or_noop();
/// busy.add(0.25);
/// busy.add(-1.0); // is ignored
/// assert!(headcount::render().contains("busy_seconds_total 0.25\n"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FloatCounter(SumCells);

impl Counter {
    /// A counter without labels, in the default registry. Its sample is called `<name>_total`, whether or
    /// not `name` ends so.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn new(name: &str, help: &str) -> Result<Self, RegisterError> {
        Registry::global()?.counter(name, help)
    }

    /// Counters with labels, in the default registry.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn family<const N: usize>(
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> Result<Family<Self, N>, RegisterError> {
        Registry::global()?.counter_family(name, help, labels)
    }

    /// Counters with labels of a type, in the default registry; see [`Labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled<L: Labels>(name: &str, help: &str) -> Result<Labelled<Self, L>, RegisterError> {
        Registry::global()?.labelled_counter(name, help)
    }

    /// Adds 1.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `n`.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.add(0, n);
    }

    /// Adds 1, and keeps an exemplar of it; see [`Exemplar`](crate::Exemplar).
    pub fn inc_with_exemplar(&self, exemplar: impl IntoExemplar) {
        self.add_with_exemplar(1, exemplar);
    }

    /// Adds `n`, and keeps an exemplar of it; see [`Exemplar`](crate::Exemplar).
    pub fn add_with_exemplar(&self, n: u64, exemplar: impl IntoExemplar) {
        self.add(n);
        exemplar::keep(self.0, 0, n as f64, exemplar);
    }

    /// An accumulator for a loop, which adds to this counter when it is flushed or dropped.
    #[must_use]
    pub fn local(&self) -> LocalCounter {
        LocalCounter::new(*self)
    }
}

impl FloatCounter {
    /// A counter without labels, in the default registry. Its sample is called `<name>_total`, whether or
    /// not `name` ends so.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn new(name: &str, help: &str) -> Result<Self, RegisterError> {
        Registry::global()?.float_counter(name, help)
    }

    /// Counters with labels, in the default registry.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn family<const N: usize>(
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> Result<Family<Self, N>, RegisterError> {
        Registry::global()?.float_counter_family(name, help, labels)
    }

    /// Counters with labels of a type, in the default registry; see [`Labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled<L: Labels>(name: &str, help: &str) -> Result<Labelled<Self, L>, RegisterError> {
        Registry::global()?.labelled_float_counter(name, help)
    }

    /// Adds `x`. What a counter may not do is ignored: a negative `x`, or one that is not a number.
    #[inline]
    pub fn add(&self, x: f64) {
        if x >= 0.0 {
            self.0.add_f64(0, x);
        }
    }

    /// Adds `x`, and keeps an exemplar of it, unless it is ignored; see [`Exemplar`](crate::Exemplar).
    pub fn add_with_exemplar(&self, x: f64, exemplar: impl IntoExemplar) {
        if x >= 0.0 {
            self.add(x);
            exemplar::keep(self.0, 0, x, exemplar);
        }
    }
}

impl Summed for Counter {
    const CELLS: u32 = 1;

    fn of(cells: SumCells) -> Self {
        Self(cells)
    }

    fn cells(self) -> SumCells {
        self.0
    }
}

impl Summed for FloatCounter {
    const CELLS: u32 = 1;

    fn of(cells: SumCells) -> Self {
        Self(cells)
    }

    fn cells(self) -> SumCells {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_never_falls() {
        let registry = Registry::private().unwrap();
        let seconds = registry.float_counter("busy_seconds", "").unwrap();
        for x in [0.25, -1.0, f64::NAN, 0.25] {
            seconds.add(x);
        }
        assert!(registry.render().contains("busy_seconds_total 0.5\n"));
    }
}
