//! What programs count with other clients, over several processes and by the real exporter.

use std::process::Command;

use headcount_tests::supervisor::Headcount;
use headcount_tests::{text, wait};
use nix::sys::signal::Signal;

const BRIDGE: &str = env!("CARGO_BIN_EXE_test-bridge");

fn check(text: &str, samples: &[(&str, f64)]) {
    for (key, value) in samples {
        assert_eq!(text::value(text, key), Some(*value), "{key}: {text}");
    }
}

/// What so many workers have counted, of which so many live.
fn check_counted(text: &str, all: f64, alive: f64) {
    check(
        text,
        &[
            ("facade_jobs_total{kind=\"mail\"}", 3.0 * all),
            ("facade_jobs_total", all),
            ("facade_open", 2.0 * alive),
            ("facade_version", 7.0),
            ("facade_sent_bytes_bucket{le=\"10.0\"}", all),
            ("facade_sent_bytes_count", 2.0 * all),
            ("facade_sent_bytes_sum", 55.0 * all),
            ("client_tasks{kind=\"early\"}", 4.0 * alive),
            ("client_build", 3.0),
            ("tokio_workers", alive),
            // The main thread, and those that copy and watch.
            ("worker_process_threads", 4.0 * alive),
        ],
    );
    assert!(text::value(text, "worker_process_cpu_seconds_total").is_some(), "{text}");
    assert_eq!(text.matches("# TYPE facade_jobs_total ").count(), 1, "{text}");
}

#[test]
fn other_clients_metrics_count_over_all_workers_and_stay_when_those_are_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let mut headcount = Headcount::run(2, directory.path(), &[], &[BRIDGE, "serve"]);
    let text = headcount.scrape();
    check_counted(&text, 2.0, 2.0);
    let observed = |count: f64, sum: f64| {
        [
            ("theirs_seconds_total{kind=\"a\"}", sum),
            ("theirs_sizes_count", count),
            ("theirs_sizes_sum", sum),
            ("theirs_sizes_bucket{le=\"1.0\"}", 0.0),
            ("theirs_sizes_bucket{le=\"2.0\"}", count),
        ]
    };
    check(&text, &observed(2.0, 3.0));

    headcount.signal(Signal::SIGHUP);
    // The reload is over when the new are ready, and the old are told to stop.
    wait::until_true("both are replaced", || {
        headcount.value("headcount_reloads_total{outcome=\"success\"}") == Some(1.0)
            && headcount.value("headcount_workers{state=\"stopping\"}") == Some(0.0)
    });
    // The old have copied once more when they ended.
    let text = headcount.scrape();
    check_counted(&text, 4.0, 2.0);
    check(&text, &observed(6.0, 10.0));
    assert!(headcount.stop().success());
}

#[test]
fn what_was_counted_before_a_fork_counts_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(BRIDGE);
    let output = command.arg("fork").env("PROMETHEUS_MULTIPROC_DIR", directory.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = directory.path().to_str().unwrap();
    let serve = Headcount::start(["serve", "--dir", path, "--web.listen-address", "127.0.0.1:0"]);
    let text = serve.scrape();
    check(&text, &[("theirs_seconds_total{kind=\"a\"}", 15.5), ("theirs_sizes_count", 4.0)]);
    check(&text, &[("theirs_sizes_sum", 15.5), ("theirs_sizes_bucket{le=\"2.0\"}", 2.0)]);
}
