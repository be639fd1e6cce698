//! Exemplars: labels, most often a trace's, that are kept with an observation and shown beside it.

use headcount_store::format::exemplar::ExemplarLabels;
use headcount_store::process::now_nanos;
use headcount_store::write::SumCells;

pub use headcount_store::format::exemplar::ExemplarError;
pub use headcount_store::write::EXEMPLAR_LIMIT;

use crate::error::report_refused;

/// The labels of an exemplar, which lead from a count to something that was counted: to its trace, most often.
///
/// Names are those that labels may have. With their values they have at most 128 characters (a rule of OpenMetrics),
/// and at most 216 bytes, each with one more. A value that may be copied; nothing is allocated.
///
/// ```
/// use headcount::{Buckets, Counter, Exemplar, Histogram, OrNoop};
///
/// let orders = Counter::new("orders", "Orders taken.").or_noop();
/// let seconds = Histogram::new("order_seconds", "How long orders take.", Buckets::default()).or_noop();
///
/// let trace = Exemplar::of_trace(0x4bf92f3577b34da6a3ce929d0e0e4736, 0x00f067aa0ba902b7);
/// orders.inc_with_exemplar(trace);
/// seconds.observe_with_exemplar(0.3, trace);
/// orders.inc_with_exemplar([("order", "4711")]);
/// assert!(headcount::render().contains("orders_total 2\n"));
/// ```
///
/// Of each counter and of each bucket, a process keeps the last one, of those in one millisecond the first; of a native
/// histogram without bounds at most eight. And it keeps those of [`EXEMPLAR_LIMIT`] counters and buckets. What a scrape shows of several processes' is the newest.
/// Plain updates cost nothing for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar(ExemplarLabels);

impl Exemplar {
    /// An exemplar with these labels.
    ///
    /// ```
    /// use headcount::{Exemplar, exemplar::ExemplarError};
    ///
    /// assert!(Exemplar::new(&[("order", "4711")]).is_ok());
    /// let refused = Exemplar::new(&[("query", &"x".repeat(200))]);
    /// assert_eq!(refused, Err(ExemplarError::Characters { found: 205 }));
    /// ```
    ///
    /// # Errors
    ///
    /// When the labels break a rule.
    pub fn new(labels: &[(&str, &str)]) -> Result<Self, ExemplarError> {
        ExemplarLabels::new(labels).map(Self)
    }

    /// The labels `trace_id` and `span_id`, by which Grafana and others find a span.
    #[must_use]
    pub fn of_trace(trace_id: u128, span_id: u64) -> Self {
        let (mut trace, mut span) = ([0; 32], [0; 16]);
        let trace = hex(&trace_id.to_be_bytes(), &mut trace);
        let span = hex(&span_id.to_be_bytes(), &mut span);
        // They are of the right length and names.
        Self(ExemplarLabels::new(&[("trace_id", trace), ("span_id", span)]).unwrap_or(ExemplarLabels::NONE))
    }

    /// The trace of the header `traceparent`, by the W3C's Trace Context; `None` if it is malformed, or the trace is
    /// not sampled and cannot be found anywhere.
    ///
    /// ```
    /// use headcount::Exemplar;
    ///
    /// let sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    /// let trace = Exemplar::of_trace(0x4bf92f3577b34da6a3ce929d0e0e4736, 0x00f067aa0ba902b7);
    /// assert_eq!(Exemplar::of_traceparent(sampled), Some(trace));
    /// assert_eq!(Exemplar::of_traceparent(&sampled.replace("-01", "-00")), None);
    /// ```
    #[must_use]
    pub fn of_traceparent(header: &str) -> Option<Self> {
        let mut fields = header.split('-');
        let version = number(fields.next()?, 2)?;
        let (trace, span) = (number(fields.next()?, 32)?, number(fields.next()?, 16)?);
        let flags = number(fields.next()?, 2)?;
        // Later versions may have more fields.
        let is_whole = version != 0 || fields.next().is_none();
        let is_sampled = flags & 1 == 1;
        let is_known = version != 0xff && is_whole && trace != 0 && span != 0;
        (is_known && is_sampled).then(|| Self::of_trace(trace, u64::try_from(span).unwrap_or(0)))
    }

    /// The labels.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter()
    }
}

fn hex<'a>(bytes: &[u8], digits: &'a mut [u8]) -> &'a str {
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
    }
    std::str::from_utf8(digits).unwrap_or_default()
}

/// So many digits, none of them a capital letter.
fn number(digits: &str, len: usize) -> Option<u128> {
    let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    let is_right = digits.len() == len && digits.bytes().all(is_digit);
    is_right.then(|| u128::from_str_radix(digits, 16).ok()).flatten()
}

/// What an exemplar can be made of: names and values, an [`Exemplar`], perhaps one, or the outcome of making one.
///
/// What breaks a rule is not kept: one line on standard error says why, `headcount_lost_exemplars_total` counts it,
/// and in [strict](crate::error::strict) mode it panics.
pub trait IntoExemplar {
    /// The exemplar, if there is one.
    ///
    /// # Errors
    ///
    /// When labels break a rule.
    fn into_exemplar(self) -> Result<Option<Exemplar>, ExemplarError>;
}

impl IntoExemplar for Exemplar {
    fn into_exemplar(self) -> Result<Option<Exemplar>, ExemplarError> {
        Ok(Some(self))
    }
}

impl IntoExemplar for Option<Exemplar> {
    fn into_exemplar(self) -> Result<Option<Exemplar>, ExemplarError> {
        Ok(self)
    }
}

impl IntoExemplar for Result<Exemplar, ExemplarError> {
    fn into_exemplar(self) -> Result<Option<Exemplar>, ExemplarError> {
        self.map(Some)
    }
}

impl IntoExemplar for &[(&str, &str)] {
    fn into_exemplar(self) -> Result<Option<Exemplar>, ExemplarError> {
        Exemplar::new(self).map(Some)
    }
}

impl<N: AsRef<str>, V: AsRef<str>, const LEN: usize> IntoExemplar for [(N, V); LEN] {
    fn into_exemplar(self) -> Result<Option<Exemplar>, ExemplarError> {
        Exemplar::new(&self.each_ref().map(|(name, value)| (name.as_ref(), value.as_ref()))).map(Some)
    }
}

/// Keeps an exemplar of a cell, if it may be one.
pub(crate) fn keep(cells: SumCells, index: u32, value: f64, exemplar: impl IntoExemplar) {
    match exemplar.into_exemplar() {
        Ok(Some(Exemplar(labels))) => {
            cells.set_exemplar(index, value, now_nanos() as f64 / 1e9, &labels);
        }
        Ok(None) => {}
        Err(error) => {
            cells.refuse_exemplar();
            report_refused(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use headcount_store::format::exemplar;
    use headcount_store::write::Registration;

    use super::*;
    use crate::buckets::Buckets;
    use crate::native_buckets::NativeBuckets;
    use crate::registry::Registry;

    fn exemplars(registry: Registry) -> Vec<exemplar::Exemplar> {
        let image = Registration::begin().image(registry.store().unwrap()).unwrap();
        image.cells().exemplars().collect()
    }

    fn spelled(exemplar: &exemplar::Exemplar) -> (f64, Vec<(&str, &str)>) {
        (exemplar.value, exemplar.labels.iter().collect())
    }

    #[test]
    fn an_exemplar_is_kept_with_what_was_counted() {
        let registry = Registry::private().unwrap();
        let before = now_nanos() as f64 / 1e9;
        registry.counter("c", "").unwrap().add_with_exemplar(3, [("id", "a")]);
        registry
            .float_counter_family("f", "", ["l"])
            .unwrap()
            .with(["x"])
            .add_with_exemplar(0.5, [("id", "b")]);
        let histogram = registry.histogram("h", "", Buckets::new([1.0, 2.0]).unwrap()).unwrap();
        histogram.observe_with_exemplar(1.5, [("id", String::from("c"))]);
        histogram.observe_with_exemplar(7.0, Exemplar::new(&[]));
        histogram.observe_with_exemplar(0.5, None::<Exemplar>);
        let found = exemplars(registry);
        let found: Vec<_> =
            found.iter().inspect(|found| assert!(found.time >= before)).map(spelled).collect();
        assert_eq!(
            found,
            [(3.0, vec![("id", "a")]), (0.5, vec![("id", "b")]), (1.5, vec![("id", "c")]), (7.0, vec![])]
        );
        let text = registry.render();
        assert!(text.contains("c_total 3\n") && text.contains("h_count 3\n"), "{text}");
    }

    #[test]
    fn a_native_histogram_keeps_exemplars_of_values_that_are_far_apart_and_those_of_its_bounds() {
        let registry = Registry::private().unwrap();
        let buckets = NativeBuckets::with_schema(8).unwrap().limit(1).unwrap();
        let native = registry.native_histogram("n", "", buckets.clone()).unwrap();
        let values = [0.001, 0.05, 1.0, f64::NAN, -1.0, 1000.0];
        for value in values {
            native.observe_with_exemplar(value, [("id", value.to_string())]);
        }
        let bounds = buckets.and_classic(Buckets::new([1.0, 1.5]).unwrap());
        let both = registry.native_histogram("both", "", bounds).unwrap();
        [0.75, 1.25].into_iter().for_each(|value| both.observe_with_exemplar(value, [("id", "both")]));
        let found: Vec<_> = exemplars(registry).iter().map(|found| found.value).collect();
        assert_eq!(found, [0.001, 0.05, 1.0, -1.0, 1000.0, 0.75, 1.25]);
        let text = registry.render();
        assert!(text.contains("n_count 6\n") && text.contains("both_count 2\n"), "{text}");
    }

    #[test]
    fn what_counts_nothing_keeps_no_exemplar() {
        let registry = Registry::private().unwrap();
        let float = registry.float_counter("f", "").unwrap();
        for x in [-1.0, f64::NAN] {
            float.add_with_exemplar(x, [("id", "a")]);
        }
        registry
            .histogram("h", "", Buckets::default())
            .unwrap()
            .observe_with_exemplar(f64::NAN, [("id", "a")]);
        assert!(exemplars(registry).is_empty());
        assert!(registry.render().contains("h_count 1\n"));
    }

    #[test]
    fn labels_that_break_a_rule_are_counted_and_the_update_counts() {
        let registry = Registry::private().unwrap();
        let counter = registry.counter("c", "").unwrap();
        let header = || *Registration::begin().image(registry.store().unwrap()).unwrap().header();
        counter.inc_with_exemplar([("good", "")]);
        counter.inc_with_exemplar([("bad-name", "")]);
        counter.inc_with_exemplar([("long", "x".repeat(129))]);
        assert!(registry.render().contains("c_total 3\n"));
        assert_eq!((exemplars(registry).len(), header().lost_updates), (1, 0));
    }

    #[test]
    fn a_traceparent_is_read_as_its_specification_says() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let check = |header: &str, is_taken: bool| {
            let found = Exemplar::of_traceparent(header);
            let labels = found.as_ref().map(|found| found.labels().collect::<Vec<_>>());
            let expected = is_taken.then(|| vec![("trace_id", trace), ("span_id", span)]);
            assert_eq!(labels, expected, "{header}");
        };
        check(&format!("00-{trace}-{span}-01"), true);
        check(&format!("00-{trace}-{span}-03"), true);
        check(&format!("cc-{trace}-{span}-01-more"), true);
        check(&format!("00-{trace}-{span}-00"), false);
        check(&format!("00-{trace}-{span}-01-more"), false);
        check(&format!("ff-{trace}-{span}-01"), false);
        check(&format!("00-{}-{span}-01", "0".repeat(32)), false);
        check(&format!("00-{trace}-{}-01", "0".repeat(16)), false);
        check(&format!("00-{}-{span}-01", trace.to_uppercase()), false);
        check(&format!("00-{trace}-{span}"), false);
        check(&format!("00-+{}-{span}-01", &trace[1..]), false);
        check("", false);
    }
}
