//! Exemplars from requests to real workers, through the exporter, into a real Prometheus.

use std::path::Path;
use std::process::Command;

use headcount_tests::prometheus::Prometheus;
use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, http, peers, wait};

/// A server that keeps the traces of its requests.
const SERVER: &str = env!("CARGO_BIN_EXE_test-http");

const TRACES: [&str; 2] = ["4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"];
const OPENMETRICS: &str = "Accept: application/openmetrics-text; version=1.0.0";

/// A pool whose workers have answered a request of each trace, and one that is not sampled.
fn pool(directory: &Path) -> Headcount {
    let headcount = Headcount::run(2, directory, &[], &[SERVER]);
    headcount.wait_until_ready();
    for (id, (trace, flags)) in TRACES.into_iter().zip(["01"; 2]).chain([(TRACES[0], "00")]).enumerate() {
        let header = format!("traceparent: 00-{trace}-00f067aa0ba902b7-{flags}");
        let path = if id == 1 { "/".to_owned() } else { format!("/users/{id}") };
        assert_eq!(http::request(&headcount.server(), "GET", &path, &[&header]).unwrap().status, 200);
    }
    headcount
}

#[test]
fn openmetrics_has_the_traces_of_requests_and_python_reads_them() {
    let directory = tempfile::tempdir().unwrap();
    let headcount = pool(directory.path());
    let body = wait::until("both traces", || {
        let answer = http::request(&headcount.metrics(), "GET", "/metrics", &[OPENMETRICS]).unwrap();
        let text = answer.text().to_owned();
        TRACES.iter().all(|trace| text.contains(trace)).then_some(text)
    });
    assert!(!headcount.scrape().contains(TRACES[0]), "text has none");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("exposition");
    std::fs::write(&file, &body).unwrap();
    let script = binary::workspace().join("tests/python/read_exemplars.py");
    let output = Command::new(peers::python()).arg(script).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = String::from_utf8(output.stdout).unwrap();
    for (route, trace) in ["/users/{id}", "/"].into_iter().zip(TRACES) {
        for name in ["http_requests_total", "http_request_duration_seconds_bucket"] {
            assert!(read.contains(&format!("{name} {route} {trace} 00f067aa0ba902b7\n")), "{read}");
        }
    }
}

#[test]
fn prometheus_stores_them_from_openmetrics_and_from_protobuf() {
    let directory = tempfile::tempdir().unwrap();
    let headcount = pool(directory.path());
    for features in ["exemplar-storage", "exemplar-storage,native-histograms"] {
        let flag = format!("--enable-feature={features}");
        let config = Prometheus::config(&headcount.metrics(), "");
        let prometheus = Prometheus::start_program(&peers::prometheus(), &config, &[&flag]);
        for name in ["http_requests_total", "http_request_duration_seconds_bucket"] {
            let mut traces = wait::until(format!("{features}: exemplars of {name}"), || {
                let found = prometheus.exemplars(name);
                let traces = found.iter().map(|labels| labels.get("trace_id").cloned().unwrap_or_default());
                Some(traces.collect::<Vec<_>>()).filter(|traces| traces.len() == 2)
            });
            traces.sort_unstable();
            assert_eq!(traces, [TRACES[1], TRACES[0]], "{features}: {name}");
        }
    }
}
