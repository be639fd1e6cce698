//! Whatever names, labels, bounds and values a program hands over, nothing panics: what cannot be is an error, or is
//! counted as lost; and what is rendered afterwards are lines of the format.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::LazyLock;
use std::time::Duration;

use headcount::labels::{LabelValue, Value};
use headcount::{Buckets, Exemplar, GaugeMode, Labels, Literal, Registry};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// One for all cases: a file is never given up while its process lives.
static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry::private().unwrap());

/// What a program may hand over.
#[derive(Clone, Debug)]
struct Input {
    name: String,
    help: String,
    labels: [String; 2],
    values: [String; 2],
    bounds: Vec<f64>,
    number: f64,
    count: u64,
    limit: u32,
}

/// Names that are valid, that nearly are, and that are anything.
fn name() -> impl Strategy<Value = String> {
    let known =
        ["", "le", "quantile", "__name__", "a_total", "a_bucket", "a_sum", "a_created", "headcount_x"];
    prop_oneof![
        3 => "[a-z]{1,3}",
        1 => "[a-zA-Z_:0-9]{0,4}",
        1 => ".{0,6}",
        1 => prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => (65_000_usize..67_000).prop_map(|len| "x".repeat(len)),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => ".{0,20}", 1 => "[\"\\\\\n\0é]{0,9}", 1 => (0_usize..200_000).prop_map(|len| "é".repeat(len / 2))]
}

fn number() -> impl Strategy<Value = f64> {
    let odd =
        [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, -0.0];
    prop_oneof![any::<f64>(), -2.0..2.0, prop::sample::select(odd.to_vec())]
}

fn inputs() -> impl Strategy<Value = Input> {
    let labels = [name(), name()];
    let values = [text(), text()];
    let bounds = prop::collection::vec(number(), 0..40);
    let counts = prop_oneof![any::<u64>(), 0_u64..3];
    (name(), text(), labels, values, bounds, number(), counts, 0_u32..3).prop_map(
        |(name, help, labels, values, bounds, number, count, limit)| Input {
            name,
            help,
            labels,
            values,
            bounds,
            number,
            count,
            limit,
        },
    )
}

#[derive(Labels)]
struct Set<'a> {
    flag: bool,
    number: i64,
    literal: Literal,
    text: Option<&'a str>,
}

/// A type that does not keep the promises of its traits.
struct Wrong(usize);

impl LabelValue for Wrong {
    const COUNT: Option<usize> = Some(3);

    fn index(&self) -> usize {
        self.0
    }

    fn value(&self) -> Value<'_> {
        Value::Variant(self.0, "wrong")
    }
}

#[derive(Labels)]
struct WrongSet {
    wrong: Wrong,
}

/// Creates one of each kind, and updates whatever could be created.
fn use_everything(registry: Registry, input: &Input) {
    let Input { name, help, number: x, count: n, limit, .. } = input;
    let (x, n, name) = (*x, *n, &**name);
    let labels = input.labels.each_ref().map(String::as_str);
    let values = input.values.each_ref().map(String::as_str);
    let exemplar = [(labels[0], values[0]), (labels[1], values[1])];
    let buckets = Buckets::new(input.bounds.iter().copied()).unwrap_or_default();

    if let Ok(counter) = registry.counter(name, help) {
        counter.add(n);
        counter.add_with_exemplar(n, exemplar);
        counter.local().add(n);
    }
    if let Ok(family) = registry.counter_family(name, help, labels).map(|family| family.limited_to(*limit)) {
        family.with(values).inc();
        family.with_literals(values.map(|_| "literal")).inc();
        let _ = family.try_with([values[1], values[0]]).map(|child| child.add(n));
    }
    if let Ok(family) = registry.dynamic_counter(name, help, &labels) {
        [&values[..1], &values, &[]].into_iter().for_each(|values| family.with(values).add(n));
    }
    if let Ok(counter) = registry.float_counter(name, help) {
        counter.add(x);
        counter.add_with_exemplar(x, exemplar);
    }
    for mode in [GaugeMode::All, GaugeMode::LiveSum, GaugeMode::Min, GaugeMode::LiveMostRecent] {
        if let Ok(gauge) = registry.gauge_family(name, help, mode, labels) {
            let gauge = gauge.with(values);
            gauge.set(x);
            gauge.add(x);
            gauge.dec();
        }
        if let Ok(level) = registry.up_down(name, help, mode) {
            level.add(x);
            level.dec();
        }
    }
    if let Ok(histogram) = registry.histogram_family(name, help, buckets.clone(), labels) {
        let histogram = histogram.with(values);
        histogram.observe(x);
        histogram.observe_n(x, n);
        histogram.observe_with_exemplar(x, exemplar);
        histogram.add_counts(&[n; 3], x);
        histogram.add_counts(&[n; 70], x);
        histogram.observe_duration(Duration::from_nanos(n));
        histogram.start_timer().discard();
        let mut local = histogram.local();
        local.observe_n(x, n);
    }
    if let Ok(histogram) = registry.gauge_histogram(name, help, buckets) {
        histogram.inc(x);
        histogram.dec(x);
        histogram.set([x, x, 0.0]);
    }
    if let Ok(summary) = registry.summary(name, help) {
        summary.observe(x);
        summary.add_count(n, x);
    }
    if let Ok(states) = registry.state_set(name, help, [labels[0], labels[1], "on"]) {
        states.enable(values[0]);
        states.set("on");
        states.disable(labels[0]);
    }
    let _ = registry.info(name, help, [(labels[0], values[0]), (labels[1], values[1])]);
    if let Ok(labelled) = registry.labelled_counter::<Set<'_>>(name, help) {
        let set =
            Set { flag: n % 2 == 0, number: n.cast_signed(), literal: Literal("x"), text: Some(values[0]) };
        labelled.limited_to(*limit).get(&set).add(n);
    }
    if let Ok(labelled) = registry.labelled_summary::<WrongSet>(name, help) {
        labelled.get(&WrongSet { wrong: Wrong(usize::try_from(n).unwrap_or(usize::MAX)) }).observe(x);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_panics_whatever_a_program_hands_over(input in inputs()) {
        use_everything(*REGISTRY, &input);
        let label = (&*input.labels[0], &*input.values[0]);
        use_everything(REGISTRY.with_prefix(&input.labels[1]).with_labels([label]), &input);
        use_everything(REGISTRY.with_series_limit(input.limit), &input);
        let _ = Exemplar::new(&[(&input.name, &input.help), label]);
        let _ = Exemplar::of_traceparent(&input.help);
        let size = u16::try_from(input.count).unwrap_or(u16::MAX);
        let _ = Buckets::linear(input.number, input.number, size);
        let _ = Buckets::exponential(input.number, input.number, size);
        let _ = Registry::in_directory(&input.help);
    }
}

#[test]
fn what_is_rendered_afterwards_is_made_of_lines() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let registry = Registry::private().unwrap();
    for _ in 0..32 {
        use_everything(registry, &inputs().new_tree(&mut runner).unwrap().current());
    }
    let text = registry.render();
    let is_sample = |line: &str| line.rsplit_once(' ').is_some_and(|(_, value)| value.parse::<f64>().is_ok());
    let wrong = text.split('\n').find(|line| !line.is_empty() && !line.starts_with('#') && !is_sample(line));
    assert_eq!(wrong, None);
}
