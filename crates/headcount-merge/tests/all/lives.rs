//! Since when series are, and which are shown of those that processes have removed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use headcount::{Buckets as Bounds, GaugeMode, Registry};
use headcount_merge::{Buckets, Exposition, Format, Merger, Otlp, SeriesValue};
use proptest::prelude::*;

use crate::host::Host;
use crate::peer_file::file_bytes;
use crate::sequences::sample_by_sample;

/// The samples of `c`, by what stands behind the name.
fn counted(host: &Host, merger: &mut Merger) -> Vec<String> {
    let merged = merger.merge(&host.directory()).unwrap();
    let text = String::from_utf8(merged.to_text(Buckets::Cumulative)).unwrap();
    assert_eq!(sample_by_sample(&merged), text);
    text.lines().filter_map(|line| line.strip_prefix("c_total").map(str::to_owned)).collect()
}

/// Since when `c` is.
fn created(host: &Host) -> Option<Duration> {
    created_by(host, &mut Merger::default().keeping_files_open())
}

fn created_by(host: &Host, merger: &mut Merger) -> Option<Duration> {
    let merged = merger.merge(&host.directory()).unwrap();
    let family = merged.families().find(|family| family.name() == "c_total").unwrap();
    family.series().next().unwrap().created()
}

/// Counts in `c`, and removes it if so.
fn count(registry: Registry, label: &str, n: u64, is_removed: bool) {
    let family = registry.counter_family("c", "", ["l"]).unwrap();
    family.with([label]).add(n);
    if is_removed {
        family.remove([label]);
    }
}

#[test]
fn a_series_is_shown_with_all_that_was_counted_until_every_living_process_has_removed_it() {
    let host = Host::new();
    let mut merger = Merger::default().keeping_files_open();
    let check = |host: &Host, merger: &mut Merger, expected: &[&str]| {
        assert_eq!(counted(host, merger), expected);
        assert_eq!(counted(host, &mut Merger::default()), expected);
    };
    let one = Registry::in_directory(host.path()).unwrap();
    let two = Registry::in_directory(host.path()).unwrap();
    host.bury(|registry| count(registry, "x", 1, false));
    host.bury(|registry| count(registry, "x", 2, true));
    count(one, "x", 4, false);
    count(two, "x", 8, false);
    check(&host, &mut merger, &["{l=\"x\"} 15"]);
    assert!(one.counter_family("c", "", ["l"]).unwrap().remove(["x"]));
    check(&host, &mut merger, &["{l=\"x\"} 15"]);
    assert!(two.counter_family("c", "", ["l"]).unwrap().remove(["x"]));
    check(&host, &mut merger, &[]);
    // The dead are folded meanwhile.
    host.fold();
    check(&host, &mut merger, &[]);
    count(one, "x", 16, false);
    check(&host, &mut merger, &["{l=\"x\"} 31"]);
}

#[test]
fn what_only_the_dead_have_is_hidden_once_all_have_removed_it_whatever_is_folded() {
    let host = Host::new();
    host.bury(|registry| count(registry, "x", 1, true));
    host.bury(|registry| count(registry, "y", 2, true));
    host.fold();
    assert_eq!(counted(&host, &mut Merger::default()), [""; 0]);
    host.bury(|registry| count(registry, "x", 4, false));
    let expected = ["{l=\"x\"} 5"];
    assert_eq!(counted(&host, &mut Merger::default()), expected);
    host.fold();
    assert_eq!(counted(&host, &mut Merger::default()), expected, "one of them had it to the last");
    host.live(|registry| count(registry, "y", 8, false));
    assert_eq!(counted(&host, &mut Merger::default()), ["{l=\"x\"} 5", "{l=\"y\"} 10"]);
}

#[test]
fn a_peer_never_removes_anything() {
    let host = Host::new();
    host.live(|registry| count(registry, "x", 1, true));
    assert_eq!(counted(&host, &mut Merger::default()), [""; 0]);
    let entry = (r#"["c", "c_total", {"l": "x"}, ""]"#, 2.0, None);
    std::fs::write(host.path().join("counter_1.db"), file_bytes([entry])).unwrap();
    assert_eq!(counted(&host, &mut Merger::default()), ["{l=\"x\"} 3"]);
    assert_eq!(created(&host), None, "since when the peer counts, it does not say");
}

#[test]
fn a_removed_gauge_takes_no_part() {
    let host = Host::new();
    let set = |registry: Registry, value: f64, is_removed: bool| {
        let family = registry.gauge_family("c_total", "", GaugeMode::Sum, ["l"]).unwrap();
        family.with(["x"]).set(value);
        if is_removed {
            family.remove(["x"]);
        }
    };
    host.live(|registry| set(registry, 1.0, false));
    host.live(|registry| set(registry, 2.0, true));
    assert_eq!(counted(&host, &mut Merger::default()), ["{l=\"x\"} 1"]);
}

#[test]
fn a_series_is_as_old_as_in_the_first_process_whatever_is_folded() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let host = Host::new();
    let millis = |time: Duration| Duration::from_millis(u64::try_from(time.as_millis()).unwrap());
    let before = millis(now());
    host.bury(|registry| count(registry, "x", 1, false));
    let between = now();
    // Otherwise the next one might be as old.
    while millis(now()) <= between {}
    host.bury(|registry| count(registry, "x", 1, false));
    host.live(|registry| count(registry, "x", 1, false));
    let since = created(&host).unwrap();
    assert!((before..=between).contains(&since), "{before:?} {since:?} {between:?}");
    for _ in 0..2 {
        host.fold();
        assert_eq!(created(&host), Some(since));
        host.bury(|registry| count(registry, "x", 1, false));
    }
}

#[test]
fn since_when_a_series_is_changes_with_the_processes_that_have_it() {
    let host = Host::new();
    let mut merger = Merger::default().keeping_files_open();
    let mut check = |host: &Host| {
        let first = created_by(host, &mut merger);
        assert_eq!(first, created(host));
        assert_eq!(first, created_by(host, &mut merger), "it is kept");
        first.unwrap()
    };
    let file = || host.path().join(host.names().into_iter().find(|name| !name.starts_with("dead")).unwrap());
    host.live(|registry| count(registry, "x", 1, false));
    let (oldest, since) = (file(), check(&host));
    while created(&host).unwrap() + Duration::from_millis(2)
        > SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
    {}
    host.live(|registry| count(registry, "x", 1, false));
    assert_eq!(check(&host), since);
    let bytes = std::fs::read(&oldest).unwrap();
    std::fs::remove_file(&oldest).unwrap();
    assert!(check(&host) > since, "the one that has been there for longest is gone");
    host.bury(|registry| count(registry, "y", 1, false));
    check(&host);
    host.fold();
    check(&host);
    std::fs::write(host.path().join("dead-1000.hc"), bytes).unwrap();
    assert_eq!(check(&host), since);
    host.fold();
    assert_eq!(check(&host), since);
}

#[test]
fn every_kind_that_is_summed_has_an_age_and_a_gauge_has_none() {
    let host = Host::new();
    host.live(|registry| {
        registry.counter("a", "").unwrap().inc();
        registry.gauge("b", "", GaugeMode::MostRecent).unwrap().set(1.0);
        registry.float_counter("d", "").unwrap().add(0.5);
        registry.histogram("e", "", Bounds::default()).unwrap().observe(1.0);
        registry.summary("f", "").unwrap().observe(1.0);
    });
    let mut merger = Merger::default().keeping_files_open();
    let merged = merger.merge(&host.directory()).unwrap();
    for series in merged.families().flat_map(|family| family.series().collect::<Vec<_>>()) {
        let is_gauge = matches!(series.value(), SeriesValue::Number(value) if value.to_f64() == 1.0)
            && series.created().is_none();
        assert!(series.created().is_some() || is_gauge, "{series:?}");
    }
}

#[test]
fn ages_and_units_are_said_in_every_format_that_has_a_place_for_them() {
    let host = Host::new();
    let record = |registry: Registry| {
        let registry = registry.with_unit("seconds");
        registry.float_counter("c", "").unwrap().add(0.5);
        registry.histogram("h_seconds", "", Bounds::new([1.0]).unwrap()).unwrap().observe(0.5);
        registry.gauge("g", "", GaugeMode::Sum).unwrap().set(1.0);
    };
    host.live(record);
    let mut merger = Merger::default().keeping_files_open();
    let check = |merger: &mut Merger| {
        let merged = merger.merge(&host.directory()).unwrap();
        let created = merged.families().next().unwrap().series().next().unwrap().created().unwrap();
        let encode = |format, created_samples| {
            let bytes = merged.encode(&Exposition { created_samples, ..Exposition::new(format) });
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let seconds = format!("{}", created.as_secs_f64());
        let text = encode(Format::OpenMetrics, true);
        assert!(text.contains(&format!("c_seconds_total 0.5\nc_seconds_created {seconds}\n")), "{text}");
        assert!(
            text.contains("\n# UNIT c_seconds seconds\n") && text.contains("\nh_seconds_created "),
            "{text}"
        );
        assert!(text.contains("# UNIT g_seconds seconds\n") && !text.contains("g_seconds_created"), "{text}");
        assert!(!encode(Format::OpenMetrics, false).contains("_created"));
        assert!(!encode(Format::Text, true).contains("_created"));
        let json = encode(Format::Json, false);
        assert!(json.contains(&format!("\"created\":\"{seconds}\"")), "{json}");
        assert_eq!(json.matches("\"unit\":\"seconds\"").count(), 3, "{json}");
        // In the binary ones, by their bytes: a time in whole seconds and the rest; nanoseconds.
        let mut time = vec![0x08];
        let mut rest = created.as_secs();
        while rest > 0x7f {
            time.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
            rest >>= 7;
        }
        time.push(u8::try_from(rest).unwrap());
        let has = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        let protobuf = merged.encode(&Exposition::new(Format::Protobuf));
        assert!(has(&protobuf, &time) && has(&protobuf, b"\x2a\x07seconds"));
        let otlp = merged.to_otlp(&Otlp { resource: &[], start: 1, time: 2 });
        let nanos = u64::try_from(created.as_nanos()).unwrap().to_le_bytes();
        assert!(has(&otlp, &nanos) && has(&otlp, b"\x1a\x07seconds"));
        created
    };
    let created = check(&mut merger);
    // What is kept of a merge knows when one that does not say it takes part.
    assert_eq!(check(&mut merger), created);
    let entry = (r#"["c_seconds", "c_seconds_total", {}, ""]"#, 0.0, None);
    std::fs::write(host.path().join("counter_1.db"), file_bytes([entry])).unwrap();
    let encode = |merger: &mut Merger| {
        merger.merge(&host.directory()).unwrap().encode(&Exposition::new(Format::Protobuf))
    };
    assert_eq!(encode(&mut merger), encode(&mut Merger::default()));
}

#[test]
fn a_unit_that_a_name_does_not_end_with_is_none_and_of_two_the_first_stays() {
    let host = Host::new();
    host.live(|registry| registry.with_unit("per_second").gauge("x", "", GaugeMode::Sum).unwrap().set(1.0));
    host.live(|registry| registry.with_unit("second").gauge("x_per", "", GaugeMode::Sum).unwrap().set(1.0));
    let mut merger = Merger::default().keeping_files_open();
    let merged = merger.merge(&host.directory()).unwrap();
    let units: Vec<_> = merged.families().map(|family| (family.name(), family.unit())).collect();
    assert_eq!(units, [("x_per_second", Some("per_second"))]);
}

/// What one process does with the series of one label.
#[derive(Clone, Copy, Debug)]
struct Deed {
    is_alive: bool,
    label: u8,
    is_removed: bool,
}

fn any_deed() -> impl Strategy<Value = Deed> {
    any::<(bool, bool, bool)>().prop_map(|(is_alive, label, is_removed)| Deed {
        is_alive,
        label: u8::from(label),
        is_removed,
    })
}

/// The obvious way.
fn oracle(deeds: &[Deed]) -> Vec<String> {
    let shown = |label: u8| {
        let own: Vec<&Deed> = deeds.iter().filter(|deed| deed.label == label).collect();
        let living: Vec<&Deed> = own.iter().copied().filter(|deed| deed.is_alive).collect();
        let judges = if living.is_empty() { &own } else { &living };
        judges.iter().any(|deed| !deed.is_removed).then(|| format!("{{l=\"{label}\"}} {}", own.len()))
    };
    (0..2).filter_map(shown).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_shown_is_what_the_oracle_says_before_and_after_a_fold(
        deeds in prop::collection::vec(any_deed(), 0..7)
    ) {
        let host = Host::new();
        for deed in &deeds {
            let record = |registry| count(registry, &deed.label.to_string(), 1, deed.is_removed);
            if deed.is_alive { host.live(record) } else { host.bury(record) }
        }
        let mut merger = Merger::default().keeping_files_open();
        prop_assert_eq!(counted(&host, &mut merger), oracle(&deeds));
        host.fold();
        prop_assert_eq!(counted(&host, &mut merger), oracle(&deeds));
        prop_assert_eq!(counted(&host, &mut Merger::default()), oracle(&deeds));
    }
}
