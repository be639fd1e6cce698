//! The peers' counters, looked up by labels.

use std::num::NonZeroUsize;

use foundations_metrics as foundations;
use measured::label::{FixedCardinalityLabel, LabelValue, LabelVisitor};
use measured::lasso::ThreadedRodeo;
use measured::{CounterVec, LabelGroup};
use prometheus_client::metrics::family::Family as ClientFamily;

use crate::increment::{Digit, Three};
use crate::inputs::{Names, Threads, turn};
use crate::measure::{Candidate, time};
use crate::plain::{ClientCounter, FastCounter, Local};

type FastFamily<L> = fastmetrics::metrics::family::Family<L, FastCounter>;
type LocalFamily<L> = foundations::Family<L, Local>;

impl<const OF: usize> LabelValue for Digit<OF> {
    fn visit<V: LabelVisitor>(&self, visitor: V) -> V::Output {
        visitor.write_int(self.0.try_into().unwrap())
    }
}

impl<const OF: usize> FixedCardinalityLabel for Digit<OF> {
    fn cardinality() -> usize {
        OF
    }

    fn encode(&self) -> usize {
        self.0
    }

    fn decode(value: usize) -> Self {
        Self(value)
    }
}

impl<const OF: usize> foundations::LowCardinalityLabel for Three<OF> {
    const CARDINALITY: NonZeroUsize = NonZeroUsize::new(OF * OF * OF).unwrap();

    fn index(&self) -> usize {
        headcount::Labels::index(self)
    }
}

#[derive(LabelGroup)]
#[label(set = FewSet)]
struct Few {
    method: Digit<5>,
    route: Digit<5>,
    code: Digit<5>,
}

#[derive(LabelGroup)]
#[label(set = ManySet)]
struct Many {
    method: Digit<22>,
    route: Digit<22>,
    code: Digit<22>,
}

pub(crate) fn few_enums(threads: Threads) -> Vec<Candidate<'static>> {
    let (labels, few) = (Three::all(), CounterVec::with_label_set(FewSet::default()));
    let mut candidates = enums::<5>(threads);
    candidates.push(Candidate::peer("measured", move || {
        threads.repeat(|n| {
            let Three([method, route, code]) = *turn(&labels, n);
            few.inc(Few { method, route, code });
        })
    }));
    candidates
}

pub(crate) fn many_enums(threads: Threads) -> Vec<Candidate<'static>> {
    let (labels, many) = (Three::all(), CounterVec::with_label_set(ManySet::default()));
    let mut candidates = enums::<22>(threads);
    candidates.push(Candidate::peer("measured", move || {
        threads.repeat(|n| {
            let Three([method, route, code]) = *turn(&labels, n);
            many.inc(Many { method, route, code });
        })
    }));
    candidates
}

fn enums<const OF: usize>(threads: Threads) -> Vec<Candidate<'static>> {
    let client = ClientFamily::<Three<OF>, ClientCounter>::default();
    let fast = FastFamily::<Three<OF>>::default();
    let local = foundations::LowCardinalityFamily::<Three<OF>, Local>::default();
    let [a, b, c] = std::array::from_fn(|_| Three::<OF>::all());
    vec![
        Candidate::peer("prometheus-client", move || {
            threads.repeat(|n| client.get_or_create(turn(&a, n)).inc())
        }),
        Candidate::peer("fastmetrics", move || {
            threads.repeat(|n| fast.with_or_new(turn(&b, n), |counter| counter.inc()))
        }),
        Candidate::peer("foundations-metrics", move || {
            threads.repeat(|n| local.get_or_create(turn(&c, n)).inc())
        }),
    ]
}

pub(crate) fn literals(names: &Names, threads: Threads) -> Vec<Candidate<'_>> {
    type Key = [&'static str; 3];
    let client = ClientFamily::<Key, ClientCounter>::default();
    let (fast, local) = (FastFamily::<Key>::default(), LocalFamily::<Key>::default());
    vec![
        Candidate::peer("prometheus-client", move || {
            threads.repeat(|n| client.get_or_create(&names.get(n)).inc())
        }),
        Candidate::peer("metrics", move || {
            threads.repeat(|n| {
                let [method, route, code] = names.get(n);
                metrics::counter!("l", "method" => method, "route" => route, "code" => code).increment(1);
            })
        }),
        Candidate::peer("fastmetrics", move || {
            threads.repeat(|n| fast.with_or_new(&names.get(n), |counter| counter.inc()))
        }),
        Candidate::peer("foundations-metrics", move || {
            threads.repeat(|n| local.get_or_create(&names.get(n)).inc())
        }),
    ]
}

#[derive(LabelGroup)]
#[label(set = TextsSet)]
struct Texts<'a> {
    #[label(dynamic_with = ThreadedRodeo, default)]
    method: &'a str,
    #[label(dynamic_with = ThreadedRodeo, default)]
    route: &'a str,
    #[label(dynamic_with = ThreadedRodeo, default)]
    code: &'a str,
}

/// Families whose keys are texts have to be given texts of their own.
pub(crate) fn texts(names: &Names, threads: Threads) -> Vec<Candidate<'_>> {
    type Key = [String; 3];
    let owned = |n| names.get(n).map(str::to_owned);
    let client = ClientFamily::<Key, ClientCounter>::default();
    let (fast, local) = (FastFamily::<Key>::default(), LocalFamily::<Key>::default());
    let measured = CounterVec::with_label_set(TextsSet::default());
    vec![
        Candidate::peer("prometheus-client", move || {
            threads.repeat(|n| client.get_or_create(&owned(n)).inc())
        }),
        Candidate::peer("metrics", move || {
            threads.repeat(|n| {
                let [method, route, code] = owned(n);
                metrics::counter!("t", "method" => method, "route" => route, "code" => code).increment(1);
            })
        }),
        Candidate::peer("measured", move || {
            threads.repeat(|n| {
                let [method, route, code] = names.get(n);
                measured.inc(Texts { method, route, code });
            })
        }),
        Candidate::peer("fastmetrics", move || {
            threads.repeat(|n| fast.with_or_new(&owned(n), |counter| counter.inc()))
        }),
        Candidate::peer("foundations-metrics", move || {
            threads.repeat(|n| local.get_or_create(&owned(n)).inc())
        }),
    ]
}

/// A thousand at a time.
pub(crate) fn create() -> Vec<Candidate<'static>> {
    let client = ClientFamily::<[String; 1], ClientCounter>::default();
    let mut from = 0;
    vec![Candidate::peer("prometheus-client", move || {
        let texts: Vec<_> = (from..from + 1000).map(|n| format!("/route/{n}")).collect();
        from += 1000;
        time(|| {
            for text in texts {
                client.get_or_create(&[text]).inc();
            }
        })
    })]
}
