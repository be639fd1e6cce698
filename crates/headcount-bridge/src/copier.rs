//! What a registry holds, added to what was copied from it before.
//!
//! A series that is no longer there is removed from ours, and is back when it is.

use std::collections::HashMap;

use headcount::GaugeMode;

use crate::copied::{Add, Copied};
use crate::exposed::{Exposed, Kind, Sample};
use crate::families::{Families, Labels, spelled};
use crate::matcher::Rules;
use crate::spelling::metric_name;

/// Copies into metrics of ours.
#[derive(Debug)]
pub(crate) struct Copier {
    pub(crate) families: Families,
    pub(crate) modes: Rules<GaugeMode>,
    /// Which metrics are copied.
    pub(crate) wanted: Rules<bool>,
    series: HashMap<(String, Labels), Series>,
    /// How often was copied.
    copies: u64,
}

#[derive(Debug)]
struct Series {
    copied: Copied,
    /// In which copy it was there last.
    last: u64,
}

impl Copier {
    pub(crate) fn new(families: Families, modes: Rules<GaugeMode>, wanted: Rules<bool>) -> Self {
        Self { families, modes, wanted, series: HashMap::new(), copies: 0 }
    }

    pub(crate) fn copy(&mut self, exposed: &[Exposed], add: Add) {
        self.copies += 1;
        for family in exposed {
            let name = metric_name(&family.name);
            if *self.wanted.get(&name) {
                family.samples.iter().for_each(|sample| self.copy_sample(&name, family, sample, add));
            }
        }
        self.remove_gone();
    }

    fn copy_sample(&mut self, name: &str, family: &Exposed, sample: &Sample, add: Add) {
        let reserved = match family.kind {
            Kind::Counter | Kind::Info => "",
            Kind::Gauge => "pid",
            Kind::Histogram => "le",
            Kind::Summary => "quantile",
        };
        let labels =
            spelled(sample.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())), reserved);
        let Self { families, modes, series, copies, .. } = self;
        let key = (name.to_owned(), labels);
        let series = series.entry(key).or_insert_with_key(|(name, labels)| {
            let copied = Copied::begin(families, *modes.get(name), name, labels, family, &sample.value);
            Series { copied, last: *copies }
        });
        if series.last + 1 < *copies {
            series.copied.bring_back();
        }
        series.last = *copies;
        series.copied.copy(&sample.value, add);
    }

    /// Removes what was there at the copy before and is no more. How far it was copied is kept: if it was a collector
    /// that told nothing for once, what is told again must not count twice.
    fn remove_gone(&mut self) {
        let before = self.copies - 1;
        self.series.values().filter(|series| series.last == before).for_each(|series| series.copied.remove());
    }
}

#[cfg(test)]
mod tests {
    use headcount::Registry;

    use super::*;
    use crate::exposed::Value;

    fn exposed(kind: Kind, value: Value) -> Exposed {
        let labels = vec![("a".to_owned(), "x".to_owned())];
        Exposed { name: "m".to_owned(), help: String::new(), kind, samples: vec![Sample { labels, value }] }
    }

    fn observed(buckets: [u64; 2], count: u64, sum: f64) -> Value {
        Value::Observed { buckets: vec![(1.0, buckets[0]), (2.0, buckets[1])], count, sum }
    }

    /// Copies one after the other, and looks for a sample.
    fn check(kind: Kind, values: &[(Add, Value)], expected: &[&str]) {
        let registry = Registry::private().unwrap();
        let mut copier =
            Copier::new(Families::new(registry), Rules::new(GaugeMode::LiveSum), Rules::new(true));
        for (add, value) in values {
            copier.copy(&[exposed(kind, value.clone())], *add);
        }
        let text = registry.render();
        for sample in expected {
            assert!(text.contains(&format!("{sample}\n")), "{sample}: {text}");
        }
    }

    #[test]
    fn what_was_counted_since_the_last_copy_is_added() {
        let number = |n| (Add::Yes, Value::Number(n));
        check(Kind::Counter, &[number(1.5), number(4.0)], &["m_total{a=\"x\"} 4"]);
        check(Kind::Gauge, &[number(1.5), number(-4.0)], &["m{a=\"x\"} -4"]);
        let values = [(Add::Yes, observed([1, 2], 4, 9.0)), (Add::Yes, observed([1, 3], 6, 12.0))];
        let buckets = ["m_bucket{a=\"x\",le=\"1.0\"} 1", "m_bucket{a=\"x\",le=\"2.0\"} 3"];
        check(Kind::Histogram, &values, &[buckets[0], buckets[1], "m_count{a=\"x\"} 6", "m_sum{a=\"x\"} 12"]);
        check(Kind::Summary, &values, &["m_count{a=\"x\"} 6", "m_sum{a=\"x\"} 12"]);
        check(Kind::Info, &[number(1.0), number(1.0)], &["m_info{a=\"x\"} 1"]);
    }

    #[test]
    fn what_the_parent_had_counted_is_not_the_childs() {
        let values = [(Add::No, Value::Number(5.0)), (Add::Yes, Value::Number(8.0))];
        check(Kind::Counter, &values, &["m_total{a=\"x\"} 3"]);
        let values = [(Add::No, observed([1, 2], 4, 9.0)), (Add::Yes, observed([1, 3], 6, 12.0))];
        check(Kind::Histogram, &values, &["m_count{a=\"x\"} 2", "m_sum{a=\"x\"} 3"]);
        check(Kind::Summary, &values, &["m_count{a=\"x\"} 2", "m_sum{a=\"x\"} 3"]);
    }

    #[test]
    fn a_series_that_is_gone_is_removed_until_it_is_there_again() {
        let registry = Registry::private().unwrap();
        let mut copier =
            Copier::new(Families::new(registry), Rules::new(GaugeMode::LiveSum), Rules::new(true));
        let all = |n: f64, count: u64| {
            let named = |name: &str, kind, value| Exposed { name: name.to_owned(), ..exposed(kind, value) };
            [
                named("c", Kind::Counter, Value::Number(n)),
                named("g", Kind::Gauge, Value::Number(n)),
                named("h", Kind::Histogram, observed([0, count], count, n)),
                named("s", Kind::Summary, observed([0, 0], count, n)),
                named("i", Kind::Info, Value::Number(1.0)),
            ]
        };
        copier.copy(&all(5.0, 2), Add::Yes);
        copier.copy(&[], Add::Yes);
        assert!(!registry.render().contains("a=\"x\""), "{}", registry.render());
        copier.copy(&[], Add::Yes);
        // A collector that told nothing for once goes on, and one that begins again counts beside what was.
        for (told, sum, count) in [(all(6.0, 3), 6.0, 3), (all(1.0, 1), 7.0, 4)] {
            copier.copy(&told, Add::Yes);
            let text = registry.render();
            let gauge = told[1].samples[0].value.clone();
            let Value::Number(gauge) = gauge else { panic!("{gauge:?}") };
            let expected = [
                format!("c_total{{a=\"x\"}} {sum}"),
                format!("g{{a=\"x\"}} {gauge}"),
                format!("h_bucket{{a=\"x\",le=\"2.0\"}} {count}"),
                format!("h_sum{{a=\"x\"}} {sum}"),
                format!("s_count{{a=\"x\"}} {count}"),
                "i_info{a=\"x\"} 1".to_owned(),
            ];
            for sample in expected {
                assert!(text.contains(&format!("{sample}\n")), "{sample}: {text}");
            }
            copier.copy(&[], Add::Yes);
        }
        assert!(!registry.render().contains("a=\"x\""), "{}", registry.render());
    }

    #[test]
    fn what_was_reset_counts_anew() {
        let values = [(Add::Yes, observed([1, 2], 4, 9.0)), (Add::Yes, observed([0, 1], 1, 1.5))];
        check(Kind::Histogram, &values, &["m_count{a=\"x\"} 5", "m_sum{a=\"x\"} 10.5"]);
        check(Kind::Summary, &values, &["m_count{a=\"x\"} 5", "m_sum{a=\"x\"} 10.5"]);
    }
}
