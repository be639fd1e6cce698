//! The presets against the real packages: the same requests, the same series and counts.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, peers, text, wait};

const SERVER: &str = env!("CARGO_BIN_EXE_test-http");

/// Method, path and body.
const REQUESTS: [[&str; 3]; 8] = [
    ["GET", "/", ""],
    ["GET", "/", ""],
    ["GET", "/users/1", ""],
    ["GET", "/users/2", ""],
    ["GET", "/nowhere", ""],
    ["POST", "/echo", "12345"],
    ["POST", "/echo", "1234567"],
    ["GET", "/fail", ""],
];

/// What the package has counted of these requests.
fn theirs(package: &str) -> BTreeMap<String, f64> {
    let script = binary::workspace().join("tests/python/instrumented.py");
    let mut python = Command::new(peers::instrumented_python());
    let output = python.arg(script).arg(package).args(REQUESTS.iter().flatten()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    comparable(&String::from_utf8(output.stdout).unwrap())
}

/// The samples that say the same in every run: not how long anything took, nor in which version. Templates are
/// spelled in the way of axum's.
fn comparable(text: &str) -> BTreeMap<String, f64> {
    let is_of_http = |key: &str| key.starts_with("http_") || key.starts_with("flask_");
    let is_own = |key: &str| key.contains("_created") || key.starts_with("http_label_overflow_total");
    let samples = text::samples(text).into_iter().filter(|(key, _)| is_of_http(key) && !is_own(key));
    samples
        .map(|(key, value)| {
            let is_measured = key.contains("_seconds_bucket") || key.contains("_seconds_sum");
            let key = match key.split_once("{version=") {
                Some((name, _)) => name.to_owned(),
                None => sorted(&key.replace('<', "{").replace('>', "}")),
            };
            (key, if is_measured { 0.0 } else { value })
        })
        .collect()
}

/// A sample with its labels in order.
fn sorted(key: &str) -> String {
    let Some((name, labels)) = key.strip_suffix('}').and_then(|key| key.split_once('{')) else {
        return key.to_owned();
    };
    let mut labels: Vec<&str> = labels.split("\",").map(|label| label.trim_end_matches('"')).collect();
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(","))
}

/// Sends a request; one whose handler panics has no answer.
fn send(server: &str, [method, path, body]: [&str; 3]) {
    let mut stream = TcpStream::connect(server).unwrap();
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{length}\r\n{body}").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
}

fn check(package: &str, least: usize) {
    let theirs = theirs(package);
    assert!(theirs.len() >= least, "{theirs:#?}");
    let directory = tempfile::tempdir().unwrap();
    let mut headcount = Headcount::run(2, directory.path(), &[], &[SERVER, package]);
    let server = headcount.server();
    for request in REQUESTS {
        send(&server, request);
    }
    let requests = theirs.iter().filter(|(key, _)| key.contains("_seconds_count{")).map(|(_, count)| count);
    let requests: f64 = requests.sum();
    wait::until_true("all requests are over", || {
        let counts = comparable(&headcount.scrape());
        let counts = counts.iter().filter(|(key, _)| key.contains("_seconds_count{")).map(|(_, count)| count);
        counts.sum::<f64>() == requests
    });
    assert_eq!(comparable(&headcount.scrape()), theirs);
    assert!(headcount.stop().success());
}

#[test]
fn the_preset_of_fastapis_package_counts_as_it_does() {
    check("fastapi", 60);
}

#[test]
fn the_preset_of_flasks_package_counts_as_it_does() {
    check("flask", 80);
}
