//! What families count, from one merge to the next: rates.

use std::collections::HashMap;

use headcount_merge::{Family, Merged, SeriesValue};
use headcount_store::metric::Kind;

/// The supervisor's own families begin so.
const OWN: &str = "headcount_";
/// The counter that most servers have.
const USUAL: &str = "http_requests_total";

/// How much each family has counted: a counter's increments, the observations of a histogram or summary.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(HashMap<String, f64>);

impl Counts {
    pub(super) fn of(merged: &Merged<'_>) -> Self {
        let counts = merged.families().filter(|family| family.kind() != Kind::Gauge);
        Self(counts.map(|family| (family.name().to_owned(), sum(&family))).collect())
    }

    /// Families and what they have counted a second since `before`, `seconds` ago, the busiest first. Those that
    /// have counted nothing are left out.
    pub(super) fn busiest(&self, before: &Self, seconds: f64) -> Vec<(&str, f64)> {
        let rates = self.0.keys().map(|name| (name.as_str(), self.rate(before, name, seconds)));
        let mut rates: Vec<_> = rates.filter(|&(_, rate)| rate > 0.0).collect();
        rates.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        rates
    }

    /// What a family has counted a second.
    pub(super) fn rate(&self, before: &Self, name: &str, seconds: f64) -> f64 {
        let count = |counts: &Self| counts.0.get(name).copied().unwrap_or(0.0);
        rate(count(before), count(self), seconds)
    }
}

/// The difference over time. A directory that was wiped in between begins again.
pub(super) fn rate(before: f64, now: f64, seconds: f64) -> f64 {
    let grown = if now >= before { now - before } else { now };
    if seconds > 0.0 { grown / seconds } else { 0.0 }
}

/// The counter that counts requests: the usual one, or the first that is called like one.
pub(super) fn requests(merged: &Merged<'_>) -> Option<String> {
    let counters = merged.families().filter(|family| family.kind() == Kind::Counter);
    let names = counters.map(|family| family.name()).filter(|name| !name.starts_with(OWN));
    let names: Vec<_> = names.filter(|name| name.ends_with("requests_total")).collect();
    let usual = names.iter().find(|name| **name == USUAL);
    usual.or(names.first()).map(|name| (*name).to_owned())
}

fn sum(family: &Family<'_>) -> f64 {
    let counted = |value| match value {
        SeriesValue::Number(value) => value.to_f64(),
        SeriesValue::Summary { count, .. } => count.to_f64(),
        SeriesValue::Histogram(histogram) => histogram.count().to_f64(),
    };
    family.series().map(|series| counted(series.value())).filter(|count| count.is_finite()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, f64)]) -> Counts {
        Counts(pairs.iter().map(|&(name, count)| (name.to_owned(), count)).collect())
    }

    #[test]
    fn the_busiest_come_first_and_the_idle_not_at_all() {
        let before = counts(&[("a", 10.0), ("b", 0.0), ("idle", 7.0), ("wiped", 100.0)]);
        let after = counts(&[("a", 12.0), ("b", 30.0), ("idle", 7.0), ("new", 4.0), ("wiped", 6.0)]);
        let busiest = after.busiest(&before, 2.0);
        assert_eq!(busiest, [("b", 15.0), ("wiped", 3.0), ("new", 2.0), ("a", 1.0)]);
        assert_eq!(after.rate(&before, "nothing", 2.0), 0.0);
        assert_eq!(after.rate(&before, "a", 0.0), 0.0);
    }

    #[test]
    fn the_counter_of_requests_is_the_usual_one_or_the_first_that_is_called_so() {
        let check = |names: &[&str], expected: Option<&str>| {
            let directory = tempfile::tempdir().unwrap();
            let registry = headcount::Registry::in_directory(directory.path()).unwrap();
            for name in names {
                registry.counter(name, "").unwrap().inc();
            }
            let opened = headcount_store::directory::Directory::open(directory.path()).unwrap();
            let mut merger = headcount_merge::Merger::default();
            assert_eq!(requests(&merger.merge(&opened).unwrap()).as_deref(), expected);
        };
        check(&["z_requests", "http_requests", "a_requests"], Some("http_requests_total"));
        check(&["z_requests", "a_requests", "headcount_requests"], Some("a_requests_total"));
        check(&["headcount_requests", "errors"], None);
    }
}
