//! Summaries: observations counted, and their sum. Quantiles over several processes cannot be computed
//! from quantiles of each: use a histogram for those.

use headcount_store::write::SumCells;

use crate::error::RegisterError;
use crate::family::Family;
use crate::labelled::Labelled;
use crate::labels::Labels;
use crate::registry::Registry;
use crate::summed::Summed;

/// Observations counted, and their sum. A small handle that may be copied and used by any thread.
///
/// ```
/// use headcount::{OrNoop, Summary};
///
/// let bytes = Summary::new("answer_bytes", "Bytes of answers.").or_noop();
/// bytes.observe(512.0);
/// bytes.observe(256.0);
/// let text = headcount::render();
/// assert!(text.contains("answer_bytes_count 2\n") && text.contains("answer_bytes_sum 768\n"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Summary(SumCells);

/// The cell of the count; cell 0 is the sum.
const COUNT: u32 = 1;

impl Summary {
    /// A summary without labels, in the default registry.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn new(name: &str, help: &str) -> Result<Self, RegisterError> {
        Registry::global()?.summary(name, help)
    }

    /// Summaries with labels, in the default registry.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn family<const N: usize>(
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> Result<Family<Self, N>, RegisterError> {
        Registry::global()?.summary_family(name, help, labels)
    }

    /// Summaries with labels of a type, in the default registry; see [`Labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled<L: Labels>(name: &str, help: &str) -> Result<Labelled<Self, L>, RegisterError> {
        Registry::global()?.labelled_summary(name, help)
    }

    /// Counts `value` and adds it to the sum.
    #[inline]
    pub fn observe(&self, value: f64) {
        self.add_count(1, value);
    }

    /// Adds what something else has observed: how often, and the sum. For bridges from other clients.
    #[inline]
    pub fn add_count(&self, count: u64, sum: f64) {
        self.0.observe(COUNT, count, sum);
    }
}

impl Summed for Summary {
    const CELLS: u32 = 2;

    fn of(cells: SumCells) -> Self {
        Self(cells)
    }

    fn cells(self) -> SumCells {
        self.0
    }
}
