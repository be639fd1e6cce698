//! The peers, each used as its documentation shows it.

use std::hint::black_box;

use prometheus_client::metrics as client;

use crate::increment::Table;
use crate::inputs::{Names, repeat, repeat_in_two, turn, value};
use crate::measure::Candidate;

const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

type ClientCounter = client::counter::Counter;
type ClientFamily = client::family::Family<[&'static str; 3], ClientCounter>;
type FastCounter = fastmetrics::metrics::counter::Counter;
type FastFamily = fastmetrics::metrics::family::Family<[&'static str; 3], FastCounter>;
type Local = foundations_metrics::ThreadLocalCounter;
type LocalFamily = foundations_metrics::Family<[&'static str; 3], Local>;

pub(crate) fn candidates(table: Table, names: &Names) -> Vec<Candidate<'_>> {
    match table {
        Table::Add => {
            let (client, fast, local) = (ClientCounter::default(), FastCounter::default(), Local::default());
            let (measured, handle) = (measured::Counter::new(), metrics::counter!("theirs"));
            vec![
                Candidate::new("prometheus-client", move || {
                    repeat(|_| {
                        black_box(&client).inc();
                    })
                }),
                Candidate::new("metrics, kept handle", move || repeat(|_| black_box(&handle).increment(1))),
                Candidate::new("measured", move || repeat(|_| black_box(&measured).inc())),
                Candidate::new("fastmetrics", move || {
                    repeat(|_| {
                        black_box(&fast).inc();
                    })
                }),
                Candidate::new("foundations ThreadLocalCounter", move || repeat(|_| black_box(&local).inc())),
            ]
        }
        Table::AddInTwo => {
            let (fast, local) = (FastCounter::default(), Local::default());
            vec![
                Candidate::new("fastmetrics", move || {
                    repeat_in_two(|_| {
                        black_box(&fast).inc();
                    })
                }),
                Candidate::new("foundations ThreadLocalCounter", move || {
                    repeat_in_two(|_| black_box(&local).inc())
                }),
            ]
        }
        Table::AddInTurn => {
            let fast: Vec<_> = (0..16).map(|_| FastCounter::default()).collect();
            let local: Vec<_> = (0..16).map(|_| Local::default()).collect();
            vec![
                Candidate::new("fastmetrics", move || {
                    repeat(|n| {
                        turn(black_box(&fast), n).inc();
                    })
                }),
                Candidate::new("foundations ThreadLocalCounter", move || {
                    repeat(|n| turn(black_box(&local), n).inc())
                }),
            ]
        }
        Table::Set => {
            let client = client::gauge::Gauge::<f64, std::sync::atomic::AtomicU64>::default();
            let handle = metrics::gauge!("theirs_gauge");
            vec![
                Candidate::new("prometheus-client", move || {
                    repeat(|n| {
                        black_box(&client).set(f64::from_bits(n));
                    })
                }),
                Candidate::new("metrics, kept handle", move || {
                    repeat(|n| black_box(&handle).set(f64::from_bits(n)))
                }),
            ]
        }
        Table::Observe => {
            let client = client::histogram::Histogram::new(BOUNDS);
            let fast = fastmetrics::metrics::histogram::Histogram::new(BOUNDS);
            vec![
                Candidate::new("prometheus-client", move || repeat(|n| black_box(&client).observe(value(n)))),
                Candidate::new("fastmetrics", move || repeat(|n| black_box(&fast).observe(value(n)))),
            ]
        }
        Table::Labels => {
            let (client, fast, local) =
                (ClientFamily::default(), FastFamily::default(), LocalFamily::default());
            vec![
                Candidate::new("prometheus-client", move || {
                    repeat(|n| {
                        client.get_or_create(&names.get(n)).inc();
                    })
                }),
                Candidate::new("metrics::counter!", move || {
                    repeat(|n| {
                        let [method, route, code] = names.get(n);
                        metrics::counter!("l", "method" => method, "route" => route, "code" => code)
                            .increment(1);
                    })
                }),
                Candidate::new("fastmetrics", move || {
                    repeat(|n| {
                        fast.with_or_new(&names.get(n), |counter| counter.inc());
                    })
                }),
                Candidate::new("foundations, ThreadLocalCounter", move || {
                    repeat(|n| local.get_or_create(&names.get(n)).inc())
                }),
            ]
        }
        Table::LabelsInTwo => {
            let fast = FastFamily::default();
            vec![Candidate::new("fastmetrics", move || {
                repeat_in_two(|n| {
                    fast.with_or_new(&names.get(n), |counter| counter.inc());
                })
            })]
        }
    }
}
