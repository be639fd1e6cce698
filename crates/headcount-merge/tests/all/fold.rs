//! Folding: whatever dead processes have recorded, an archive of it merges to the same.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headcount::{Buckets as Bounds, GaugeMode, Registry};
use headcount_merge::{Buckets, Folded, Folder, Foreign, Merger};
use headcount_store::directory::Directory;
use proptest::prelude::*;

use crate::host::Host;
use crate::oracle::{Client, Process, any_process, write_own, write_python};

/// What a first merge comes to.
fn text_of(host: &Host) -> String {
    text(&mut Merger::default(), &host.directory())
}

fn text(merger: &mut Merger, directory: &Directory) -> String {
    let merged = merger.merge(directory).unwrap();
    assert!(merged.report().skipped.is_empty(), "{:?}", merged.report());
    String::from_utf8(merged.to_text(Buckets::Cumulative)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn an_archive_merges_to_what_its_sources_did(
        processes in prop::collection::vec((any_process(), any::<bool>()), 1..8),
    ) {
        let (folded, whole) = (Host::new(), Host::new());
        let mut merger = Merger::default().keeping_files_open();
        for (number, (process, folds)) in processes.iter().enumerate() {
            let written = tempfile::tempdir().unwrap();
            let process = Process { alive: true, ..process.clone() };
            match process.client {
                Client::Own => write_own(written.path(), number, &process, || {}),
                Client::Python => write_python(written.path(), number, &process, || {}),
            }
            folded.take(written.path());
            whole.take(written.path());
            if *folds {
                folded.fold();
                prop_assert!(folded.names().len() <= 1);
            }
            prop_assert_eq!(text(&mut merger, &folded.directory()), text_of(&whole));
            prop_assert_eq!(text_of(&folded), text_of(&whole));
        }
    }
}

#[test]
fn what_does_not_agree_is_folded_by_the_rules_of_the_merge() {
    let graves = Host::new();
    let ruby = |le: &str| format!(r#"["h","h_bucket",["le"],["{le}"]]"#);
    graves.bury_peer("counter_puma_1-0", &[(r#"["hits","hits",["code"],[200]]"#, 2.5)]);
    graves.bury_peer("histogram_puma_1-0", &[(&ruby("0.5"), 1.0), (&ruby("2"), 3.0), (&ruby("+Inf"), 4.0)]);
    let python = |le: &str| format!(r#"["h", "h_bucket", {{"le": "{le}"}}, "B help"]"#);
    graves.bury_peer("histogram_2", &[(&python("-Inf"), 1.0), (&python("1.0"), 0.5)]);
    graves.bury_peer("gauge_max_2", &[(r#"["g", "g", {"a": "x", "pid": "9"}, ""]"#, 7.0)]);
    graves.bury_peer("gauge_all_3", &[(r#"["g", "g", {"a": "x"}, ""]"#, 9.0)]);
    graves.bury_peer("gauge_all_3", &[(r#"["alone", "alone", {}, ""]"#, f64::NAN)]);
    graves.bury_peer("counter_3", &[(r#"["c", "c_total", {"l": "\u0000\n\""}, ""]"#, 0.1)]);
    graves.bury(|registry| {
        registry.counter_family("c", "", ["l"]).unwrap().with(["\0\n\""]).add(u64::MAX / 2);
        registry.counter_family("c", "", ["l", "m"]).unwrap_err();
        registry.histogram("h", "A help", Bounds::new([0.5, 3.0]).unwrap()).unwrap().observe(2.0);
        registry.gauge("g_late", "", GaugeMode::MostRecent).unwrap().set(4.0);
        registry.gauge("gone", "Its line of help stays.", GaugeMode::LiveSum).unwrap().set(4.0);
        registry.gauge("unset", "", GaugeMode::Sum).unwrap();
    });
    graves.bury(|registry| {
        registry.counter_family("c", "", ["m", "l"]).unwrap().with(["1", "2"]).add(3);
        registry.gauge("h", "Another kind.", GaugeMode::Sum).unwrap().set(1.0);
    });
    let before = text_of(&graves);
    graves.fold();
    assert_eq!(graves.names(), ["archive-9.hc"]);
    assert_eq!(text_of(&graves), before);
    // A living process may want all of it in another mode: nothing is lost.
    let late = |mode: GaugeMode, expected: f64| {
        let registry = Registry::in_directory(graves.path()).unwrap();
        registry.gauge("alone", "", mode).unwrap().set(2.0);
        let line = format!("alone {expected}");
        assert!(text_of(&graves).lines().any(|found| found == line), "{mode}: {}", text_of(&graves));
    };
    late(GaugeMode::Sum, f64::NAN);
    late(GaugeMode::Max, 2.0);
}

#[test]
fn floats_add_up_to_the_same_digit_whenever_they_are_folded() {
    let (graves, whole) = (Host::new(), Host::new());
    let key = r#"["c", "c_total", {}, ""]"#;
    for n in 0..300 {
        let value = f64::from(n) * 0.1 + 1e7 / f64::from(n + 1);
        graves.bury_peer(&format!("counter_{n}"), &[(key, value)]);
        whole.bury_peer(&format!("counter_{n}"), &[(key, value)]);
        if n % 7 == 0 {
            graves.fold();
        }
        assert_eq!(text_of(&graves), text_of(&whole));
    }
}

#[test]
fn of_gauges_that_show_each_process_the_sixteen_buried_last_are_kept() {
    let graves = Host::new();
    for n in 0..40 {
        graves.bury_peer(&format!("gauge_all_{n}"), &[(r#"["g", "g", {}, ""]"#, f64::from(n))]);
        if n % 9 == 0 {
            graves.fold();
        }
    }
    graves.fold();
    let lines: Vec<_> =
        text_of(&graves).lines().filter(|line| line.starts_with("g{")).map(str::to_owned).collect();
    let expected: Vec<_> = (24..40).map(|n| format!("g{{pid=\"{n}\"}} {n}")).collect();
    assert_eq!(lines, expected);
}

#[test]
fn an_archive_beside_its_sources_counts_once() {
    let (graves, kept) = (Host::new(), tempfile::tempdir().unwrap());
    graves.bury(|registry| registry.counter("c", "").unwrap().add(5));
    graves.bury_peer("counter_7", &[(r#"["c", "c_total", {}, ""]"#, 2.0)]);
    let before = text_of(&graves);
    let names = graves.names();
    let link = |from: &Path, to: &Path, name: &str| fs::hard_link(from.join(name), to.join(name)).unwrap();
    names.iter().for_each(|name| link(graves.path(), kept.path(), name));
    graves.fold();
    // As a fold that was killed would have left them: all of them, and then fewer and fewer.
    names.iter().for_each(|name| link(kept.path(), graves.path(), name));
    assert_eq!(graves.names().len(), 3);
    let mut merger = Merger::default().keeping_files_open();
    for name in &names {
        assert_eq!(text(&mut merger, &graves.directory()), before);
        assert_eq!(text_of(&graves), before);
        fs::remove_file(graves.path().join(name)).unwrap();
    }
    assert_eq!(text_of(&graves), before);
    // The next fold sweeps them away, and an archive of the archive counts once, too.
    names.iter().for_each(|name| link(kept.path(), graves.path(), name));
    graves.bury_peer("counter_8", &[(r#"["c", "c_total", {}, ""]"#, 1.0)]);
    graves.fold();
    assert_eq!(graves.names(), ["archive-3.hc"]);
    assert!(text_of(&graves).contains("\nc_total 8\n"), "{}", text_of(&graves));
}

#[test]
fn what_cannot_be_folded_stays_and_does_not_stand_in_the_way() {
    let graves = Host::new();
    let long = format!(r#"["long", "long_total", {{"l": "{}"}}, ""]"#, "x".repeat(300_000));
    graves.bury_peer("counter_1", &[(&long, 1.0)]);
    graves.bury_bytes("counter_2", &[0; 3]);
    for n in 3..50 {
        graves.bury_peer(&format!("counter_{n}"), &[(r#"["c", "c_total", {}, ""]"#, 1.0)]);
    }
    let written = tempfile::tempdir().unwrap();
    Registry::in_directory(written.path()).unwrap().counter("c", "").unwrap().add(3);
    let own = fs::read_dir(written.path()).unwrap().next().unwrap().unwrap().path();
    // This process has it, and may write to it.
    fs::rename(own, graves.path().join("dead-60.hc")).unwrap();
    let mut folder = Folder::new(Foreign::Fold);
    for _ in 0..20 {
        graves.fold_with(&mut folder);
    }
    let names = graves.names();
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!(&names[1..], ["counter_1.dead-0.db", "counter_2.dead-1.db", "dead-60.hc"]);
    let merged = Merger::default().merge(&graves.directory()).unwrap().to_text(Buckets::Cumulative);
    assert!(String::from_utf8(merged).unwrap().contains("\nc_total 50\n"));
}

#[test]
fn peers_files_stay_where_their_own_client_reads_them() {
    let graves = Host::new();
    graves.bury_peer("counter_1", &[(r#"["c", "c_total", {}, ""]"#, 1.0)]);
    graves.bury(|registry| registry.counter("c", "").unwrap().add(5));
    graves.fold_with(&mut Folder::new(Foreign::Leave));
    assert_eq!(graves.names(), ["archive-2.hc", "counter_1.dead-0.db"]);
}

#[test]
fn nothing_is_done_before_there_is_enough_to_do() {
    let graves = Host::new();
    let mut folder = Folder::new(Foreign::Fold);
    for n in 0..3 {
        graves.bury_peer(&format!("counter_{n}"), &[(r#"["c", "c_total", {}, ""]"#, 1.0)]);
        let expected = Folded { files: if n == 2 { 3 } else { 0 }, is_more: false };
        assert_eq!(folder.step(&graves.directory(), 3, Duration::ZERO).unwrap(), expected);
    }
}

#[test]
fn a_reader_never_sees_a_sum_fall_or_run_ahead_while_files_are_folded() {
    let graves = Host::new();
    let done = AtomicBool::new(false);
    let (directory, buried) = (graves.directory(), std::sync::atomic::AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for fresh in [true, false] {
            let (directory, done, buried) = (&directory, &done, &buried);
            scope.spawn(move || {
                let (mut merger, mut last, mut merges) = (Merger::default().keeping_files_open(), 0.0, 0);
                while !done.load(Ordering::SeqCst) || merges == 0 {
                    if fresh {
                        merger = Merger::default().keeping_files_open();
                    }
                    let least = buried.load(Ordering::SeqCst) as f64;
                    let text = merger.merge(directory).unwrap().to_text(Buckets::Cumulative);
                    let text = String::from_utf8(text).unwrap();
                    let most = buried.load(Ordering::SeqCst) as f64 + 1.0;
                    let value = text.lines().find_map(|line| line.strip_prefix("c_total "));
                    let value: f64 = value.map_or(0.0, |value| value.parse().unwrap());
                    assert!(
                        value >= least && value >= last && value <= most,
                        "{last} {least} {value} {most}"
                    );
                    last = value;
                    merges += 1;
                }
            });
        }
        let mut folder = Folder::new(Foreign::Fold);
        for n in 0..1500 {
            graves.bury_peer(&format!("counter_{n}"), &[(r#"["c", "c_total", {}, ""]"#, 1.0)]);
            buried.fetch_add(1, Ordering::SeqCst);
            folder.step(&directory, 5, Duration::ZERO).unwrap();
        }
        done.store(true, Ordering::SeqCst);
    });
    assert!(graves.names().len() <= 6);
}
