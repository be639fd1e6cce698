//! A week of recycling in half a minute: ten thousand processes die, and nobody notices.

use std::collections::BTreeMap;
use std::path::Path;

use headcount_tests::supervisor::Headcount;
use headcount_tests::{process, text};
use nix::sys::signal::Signal;

use crate::WORKER;
use crate::fold::scrape;

const WORKERS: u32 = 2;
const LIVES: u32 = 5000;

/// Counters, and what a histogram counts: what must never fall, whoever dies.
fn sums(scraped: &str) -> BTreeMap<String, f64> {
    let is_sum = |key: &str| {
        let name = key.split('{').next().unwrap();
        let of_ours = key.starts_with("week_") || key.starts_with("headcount_folded");
        of_ours && ["_total", "_bucket", "_count", "_sum"].iter().any(|end| name.ends_with(end))
    };
    text::samples(scraped).into_iter().filter(|(key, _)| is_sum(key)).collect()
}

fn files(directory: &Path) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

#[test]
fn ten_thousand_deaths_leave_a_handful_of_files_and_no_sum_ever_falls() {
    let directory = tempfile::tempdir().unwrap();
    let lives = LIVES.to_string();
    let headcount = Headcount::run(WORKERS, directory.path(), &[], &[WORKER, "recycle", &lives]);
    let all = f64::from(WORKERS * LIVES);
    let (mut last, mut kills, mut most, mut memory) = (BTreeMap::new(), 0, 0, None);
    let mut lived = 0.0;
    while lived < all {
        let scraped = scrape(&headcount);
        let now = sums(&scraped);
        for (key, value) in &last {
            assert!(
                now.get(key).is_some_and(|now| now >= value),
                "{key} fell from {value}: {:?}",
                now.get(key)
            );
        }
        lived = now.get("week_lives_total").copied().unwrap_or_default();
        most = most.max(files(directory.path()));
        last = now;
        if lived > all / 4.0 * f64::from(kills + 1) && kills < 3 {
            process::signal(headcount.exporter(), Signal::SIGKILL);
            kills += 1;
        }
        // Of the last exporter, when it has seen some hundreds of processes come and go.
        if lived > all * 0.8 && lived < all && memory.is_none() {
            memory = Some(process::private_memory(headcount.exporter()));
        }
    }
    let memory = memory.unwrap();
    let now = process::private_memory(headcount.exporter());
    assert!(now < memory + (4 << 20), "{memory} bytes have become {now}");
    assert!(most < 500, "{most} files at a time");
    headcount_tests::wait::until_true("all but a few files are folded", || files(directory.path()) < 16);
    let scraped = scrape(&headcount);
    let value = |key: &str| text::value(&scraped, key);
    assert_eq!(value("week_lives_total"), Some(all));
    assert_eq!(value("week_sizes_count"), Some(all));
    assert_eq!(value("week_sizes_bucket{le=\"1.0\"}"), Some(all / 20.0 * 11.0));
    // A sum that is rounded once: not what ten thousand roundings would have made of it.
    assert_eq!(value("week_seconds_total"), Some(1000.0));
    assert_eq!(value("week_greatest"), Some(f64::from(LIVES - 1)));
    let shown = text::samples(&scraped).keys().filter(|key| key.starts_with("week_last{")).count();
    assert!((1..32).contains(&shown), "{shown} processes are shown by themselves");
    assert!(value("headcount_folded_files_total").unwrap() > all - 16.0);
}
