//! The limit in bytes, of a process of its own: it holds for all that a process counts.

use std::process::Command;

use headcount::{Buckets, Registry};

/// Set in the process that the test starts of itself.
const LIMIT: &str = "HEADCOUNT_BYTES_LIMIT";

#[test]
fn label_sets_beyond_the_bytes_of_a_process_share_the_overflow_and_lose_nothing() {
    let test = "label_sets_beyond_the_bytes_of_a_process_share_the_overflow_and_lose_nothing";
    if std::env::var_os(LIMIT).is_none() {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", test, "--nocapture"]).env(LIMIT, "256K").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::in_directory(directory.path()).unwrap();
    let family = registry.histogram_family("h", "", Buckets::default(), ["n"]).unwrap();
    for n in 0..5000 {
        family.with([&n.to_string()]).observe(1.0);
    }
    // What is there goes on, and so does what has no labels.
    family.with(["0"]).observe(1.0);
    registry.counter("plain", "").unwrap().inc();
    let text = registry.render();
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.map(|value| value.trim().parse::<u64>().unwrap())
    };
    let series = text.lines().filter(|line| line.starts_with("h_count{")).count() as u64;
    assert!((100..5000).contains(&series), "{series}");
    assert_eq!(value("h_count{n=\"0\"}"), Some(2));
    assert_eq!(value("plain_total"), Some(1));
    assert_eq!(value("h_count{n=\"overflow\"}"), Some(5000 - (series - 1)));
    assert_eq!(value("headcount_bytes_overflows_total{metric=\"h\"}"), Some(5000 - (series - 1)));
    assert_eq!(value("headcount_series_overflows_total{metric=\"h\"}"), None);
    let file = std::fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap();
    // The last extents, which were begun below the limit, are as long as all before.
    assert!(file.metadata().unwrap().len() < 3 * 256 * 1024);
    // More room, more series.
    headcount::limit_bytes(1 << 30);
    family.with(["late"]).observe(1.0);
    assert!(registry.render().contains("h_count{n=\"late\"} 1\n"));
    let page = include_str!("../../../docs/metrics.md");
    assert!(page.contains("`headcount_bytes_overflows_total`") && page.contains("`HEADCOUNT_BYTES_LIMIT`"));
}
