//! Counters that are looked up by three labels, and added to.

use std::sync::atomic::AtomicU64;

use headcount::labels::{LabelValue, Labels, Value, product};

use super::plain::plain_add;
use super::row::Target::{AtMost, OfBestPeer, OfFloor};
use super::{Bench, Work};
use crate::inputs::{Names, Threads, order, repeat, turn};
use crate::measure::Candidate;

const LABELS: [&str; 3] = ["method", "route", "code"];

pub(crate) fn run(bench: &mut Bench<'_>) {
    enums::<5>(bench, Work::FewEnums);
    enums::<22>(bench, Work::ManyEnums);
    for (series, target) in [(100, AtMost(13.0)), (10_000, OfBestPeer(0.6))] {
        let names = &Names::new(series);
        let ours = bench.registry.counter_family(&format!("literals_{series}"), "", LABELS).unwrap();
        let ours = ours.limited_to(u32::MAX);
        for (threads, of_two) in BOTH {
            let add = move || threads.repeat(|n| ours.with_literals(names.get(n)).inc());
            let mut candidates = vec![Candidate::ours("headcount::Family, literals", add)];
            candidates.extend(bench.reader.beside(add));
            let target = if of_two.is_empty() { target } else { OfBestPeer(0.6) };
            let title = format!("three `&'static str` looked up, {series} series{of_two}");
            bench.row(&title, Work::Literals(names, threads), &[target], candidates);
        }
    }
    for (series, part) in [(100, 0.5), (10_000, 0.6)] {
        let names = &Names::new(series);
        let ours = bench.registry.counter_family(&format!("texts_{series}"), "", LABELS).unwrap();
        let ours = ours.limited_to(u32::MAX);
        let opts = prometheus::Opts::new("theirs", "theirs");
        let theirs = &prometheus::IntCounterVec::new(opts, &LABELS).unwrap();
        for (threads, of_two) in BOTH {
            let add = move || threads.repeat(|n| ours.with(names.get(n)).inc());
            let mut candidates = vec![
                Candidate::ours("headcount::Family, &str", add),
                Candidate::peer("prometheus", move || {
                    threads.repeat(|n| theirs.with_label_values(&names.get(n)).inc())
                }),
            ];
            candidates.extend(bench.reader.beside(add));
            let part = if of_two.is_empty() { part } else { 0.6 };
            let title = format!("three `&str` looked up, {series} series{of_two}");
            bench.row(&title, Work::Texts(names, threads), &[OfBestPeer(part)], candidates);
        }
    }
}

const BOTH: [(Threads, &str); 2] = [(Threads::One, ""), (Threads::Two, ", 2 threads")];

/// One of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Digit<const OF: usize>(pub(crate) usize);

const TEXTS: [&str; 22] = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u",
    "v",
];

impl<const OF: usize> LabelValue for Digit<OF> {
    const COUNT: Option<usize> = Some(OF);

    #[inline]
    fn index(&self) -> usize {
        self.0
    }

    #[inline]
    fn value(&self) -> Value<'_> {
        Value::Variant(self.0, TEXTS[self.0])
    }
}

/// Three labels, as the derive macro would make them one set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Three<const OF: usize>(pub(crate) [Digit<OF>; 3]);

impl<const OF: usize> Labels for Three<OF> {
    const COUNT: Option<usize> = product(&[Some(OF), Some(OF), Some(OF)]);

    fn names(prefix: &str, names: &mut Vec<String>) {
        names.extend(LABELS.map(|name| format!("{prefix}{name}")));
    }

    #[inline]
    fn index(&self) -> usize {
        self.0.iter().fold(0, |number, value| number * OF + value.0)
    }

    #[inline]
    fn visit<'a>(&'a self, visit: &mut impl FnMut(Value<'a>)) {
        self.0.iter().for_each(|value| visit(value.value()));
    }
}

impl<const OF: usize> Three<OF> {
    /// All of them, in a random order.
    pub(crate) fn all() -> Box<[Self; 1 << 14]> {
        let of = |n: usize| Self([n / OF / OF, n / OF % OF, n % OF].map(Digit));
        let all: Box<[Self]> = order(OF * OF * OF).iter().map(|&n| of(n)).collect();
        all.try_into().unwrap()
    }
}

fn enums<const OF: usize>(bench: &mut Bench<'_>, work: fn(Threads) -> Work<'static>) {
    let series = OF * OF * OF;
    let labels = &Three::<OF>::all();
    let ours = bench.registry.labelled_counter::<Three<OF>>(&format!("enums_{series}"), "").unwrap();
    let ours = &ours.limited_to(u32::MAX);
    let floors: Box<[AtomicU64]> = (0..series).map(|_| AtomicU64::new(0)).collect();
    for (threads, of_two) in BOTH {
        let add = move || threads.repeat(|n| ours.get(turn(labels, n)).inc());
        let mut candidates = vec![Candidate::ours("headcount::Labelled", add)];
        if matches!(threads, Threads::One) {
            candidates.push(Candidate::floor("floor: number, then plain load, add, store", || {
                repeat(|n| plain_add(&floors[turn(labels, n).index()]))
            }));
        }
        candidates.extend(bench.reader.beside(add));
        let title = format!("three enums looked up, {series} series{of_two}");
        let target = if of_two.is_empty() && OF == 5 { OfFloor(2.0) } else { OfBestPeer(0.6) };
        bench.row(&title, work(threads), &[target], candidates);
    }
}
