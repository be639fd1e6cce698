//! What archives hold is added up once: whatever becomes of them, a merge that has done so says the same as one that
//! begins now.

use std::fs;

use headcount::{Buckets, GaugeMode, NativeBuckets, Registry};
use headcount_merge::{Exposition, Format, Merged, Merger, Report};
use headcount_store::read::Reader;

use crate::host::Host;
use crate::sequences::{difference, sample_by_sample};

/// Records something in metrics of every kind, more with each greater number, under one of two labels.
fn record(registry: Registry, n: u32) {
    count(registry, n);
    for mode in GaugeMode::EVERY {
        let gauge = registry.gauge_family(&format!("g_{mode}"), "", mode, ["l"]).unwrap();
        gauge.with([parity(n)]).set(f64::from(n));
    }
}

fn parity(n: u32) -> &'static str {
    if n.is_multiple_of(2) { "even" } else { "odd" }
}

/// The same in those that are summed.
fn count(registry: Registry, n: u32) {
    let label = [parity(n)];
    registry.counter_family("c", "", ["l"]).unwrap().with(label).add(u64::from(n));
    // Its sums are off by their last digit, if nobody takes care.
    registry.float_counter_family("f", "", ["l"]).unwrap().with(label).add(0.1 * f64::from(n) + 1e9);
    let histogram = registry.histogram_family("h", "", Buckets::new([1.0, 5.0]).unwrap(), ["l"]).unwrap();
    histogram.with(label).observe_with_exemplar(f64::from(n) * 0.7, [("n", n.to_string())]);
    let native = registry.native_histogram_family("n", "", NativeBuckets::default(), ["l"]).unwrap();
    native.with(label).observe_with_exemplar(f64::from(n) * 0.7, [("n", n.to_string())]);
    registry.summary_family("s", "", ["l"]).unwrap().with(label).observe(f64::from(n) * 0.3);
}

/// What there is to say in every format, and beside.
fn everything(merged: &Merged<'_>) -> Vec<Vec<u8>> {
    let formats = [Format::Text, Format::OpenMetrics, Format::Protobuf, Format::Json].map(Exposition::new);
    let created = Exposition { created_samples: true, ..Exposition::new(Format::OpenMetrics) };
    let mut all: Vec<_> = formats.iter().chain([&created]).map(|wanted| merged.encode(wanted)).collect();
    assert_eq!(sample_by_sample(merged).as_bytes(), all[0]);
    let Report { skipped, files, lost, .. } = merged.report();
    all.push(format!("{skipped:?} {} {} {lost:?}", files.own, files.folded).into_bytes());
    all
}

/// A merge that is repeated, and compared with one that knows nothing.
struct Warm(Merger);

impl Warm {
    fn check(&mut self, host: &Host) {
        let directory = host.directory();
        let mut cold = Merger::default();
        let expected = everything(&cold.merge(&directory).unwrap());
        // More than once: what is added by a merge is not there in the next one.
        for _ in 0..3 {
            let found = everything(&self.0.merge(&directory).unwrap());
            for (found, expected) in found.iter().zip(&expected) {
                assert!(found == expected, "{}", difference(found, expected));
            }
        }
    }
}

/// An archive of a process that has recorded this, as bytes.
fn archive(n: u32) -> Vec<u8> {
    let host = Host::new();
    host.bury(|registry| record(registry, n));
    host.fold();
    fs::read(host.path().join(&host.names()[0])).unwrap()
}

/// Puts a file there, all at once.
fn put(host: &Host, name: &str, bytes: &[u8]) {
    fs::write(host.path().join(".put"), bytes).unwrap();
    fs::rename(host.path().join(".put"), host.path().join(name)).unwrap();
}

#[test]
fn whatever_becomes_of_archives_is_seen() {
    let mergers = [Merger::default(), Merger::default().keeping_files_open()];
    for mut warm in mergers.map(Warm) {
        let host = Host::new();
        warm.check(&host);
        host.live(|registry| record(registry, 1));
        warm.check(&host);
        host.bury(|registry| record(registry, 2));
        host.fold();
        warm.check(&host);
        host.bury(|registry| record(registry, 3));
        warm.check(&host);
        host.fold();
        warm.check(&host);
        let [name] =
            <[String; 1]>::try_from(host.names().into_iter().filter(is_archive).collect::<Vec<_>>()).unwrap();
        let first = fs::read(host.path().join(&name)).unwrap();
        put(&host, &name, &archive(8));
        warm.check(&host);
        put(&host, "archive-9.hc", &archive(5));
        warm.check(&host);
        fs::remove_file(host.path().join(&name)).unwrap();
        warm.check(&host);
        put(&host, &name, &first);
        warm.check(&host);
        put(&host, &name, b"no archive");
        warm.check(&host);
        host.names().iter().for_each(|name| fs::remove_file(host.path().join(name)).unwrap());
        warm.check(&host);
        put(&host, &name, &archive(4));
        warm.check(&host);
    }
}

#[expect(clippy::ptr_arg, reason = "as a filter is asked")]
fn is_archive(name: &String) -> bool {
    name.starts_with("archive-")
}

#[test]
fn what_the_living_declare_and_remove_changes_what_is_shown_of_archives() {
    let host = Host::new();
    let mut warm = Warm(Merger::default().keeping_files_open());
    host.bury(|registry| record(registry, 2));
    host.bury(|registry| {
        let family = registry.counter_family("c", "", ["l"]).unwrap();
        family.with(["gone"]).add(7);
        family.remove(["gone"]);
        registry.gauge("g", "Help.", GaugeMode::All).unwrap().set(3.0);
    });
    host.fold();
    warm.check(&host);
    let registry = Registry::in_directory(host.path()).unwrap();
    let family = registry.counter_family("c", "A help text.", ["l"]).unwrap();
    family.with(["gone"]).add(1);
    warm.check(&host);
    family.with(["even"]).add(1);
    family.remove(["even"]);
    warm.check(&host);
    family.with(["even"]).add(1);
    warm.check(&host);
    registry.gauge("g", "Another.", GaugeMode::Max).unwrap().set(2.0);
    warm.check(&host);
    host.live(|registry| record(registry, 1));
    warm.check(&host);
}

#[test]
fn what_a_caller_adds_counts_once() {
    let host = Host::new();
    host.bury(|registry| registry.counter("c", "").unwrap().add(3));
    host.fold();
    let mut merger = Merger::default();
    let directory = host.directory();
    for _ in 0..3 {
        let mut gather = merger.gather(&directory).unwrap();
        gather.add_counter("c_total", "", 4);
        gather.add_gauge("g", "", &[], 1.5);
        let text = gather.finish().encode(&Exposition::new(Format::Text));
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("\nc_total 7\n") && text.contains("\ng 1.5\n"), "{text}");
    }
}

#[test]
fn archives_of_the_same_series_have_the_same_descriptions() {
    let host = Host::new();
    let mut first = None;
    for _ in 0..3 {
        // In whatever order a process has them: the archive has had them before.
        host.bury(|registry| [1, 2].into_iter().for_each(|n| count(registry, n)));
        host.bury(|registry| [2, 1].into_iter().for_each(|n| count(registry, n)));
        host.fold();
        let file = fs::File::open(host.path().join(&host.names()[0])).unwrap();
        let mut records = Vec::new();
        Reader::open(&file).unwrap().read_records(&mut records).unwrap();
        assert_eq!(records, *first.get_or_insert_with(|| records.clone()));
    }
}
