//! The presets against the real packages: the same requests, the same series and counts.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, peers, text, wait};

const SERVER: &str = env!("CARGO_BIN_EXE_test-http");

/// Method, path and body.
type Request = [&'static str; 3];

const ANSWERED: [Request; 8] = [
    ["GET", "/", ""],
    ["GET", "/", ""],
    ["GET", "/users/1", ""],
    ["GET", "/users/2", ""],
    ["GET", "/nowhere", ""],
    ["POST", "/echo", "12345"],
    ["POST", "/echo", "1234567"],
    ["GET", "/broken", ""],
];
const FAILS: Request = ["GET", "/fail", ""];
const HAS_NO_SUCH_METHOD: Request = ["DELETE", "/", ""];
/// Is in flight from then on.
const WAITS: Request = ["GET", "/wait", ""];

/// A package of Python's, as `instrumented.py` uses it.
fn instrumented(mut python: Command, package: &str) -> Command {
    python.arg(binary::workspace().join("tests/python/instrumented.py")).arg(package);
    python
}

/// What a package has counted of these requests.
fn theirs(mut package: Command, requests: &[Request]) -> BTreeMap<String, f64> {
    let output = package.args(requests.iter().flatten()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    comparable(&String::from_utf8(output.stdout).unwrap())
}

/// The samples that say the same in every run, by the kinds of their metrics: not how long anything took, nor in which
/// version. Nor do quantiles, which no two processes have together.
fn comparable(text: &str) -> BTreeMap<String, f64> {
    let is_of_http = |key: &str| ["http_", "flask_", "axum_"].iter().any(|name| key.starts_with(name));
    let is_own = |key: &str| key.contains("_created") || key.starts_with("http_label_overflow_total");
    let mut comparable = BTreeMap::new();
    let mut kind = "";
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            kind = declared.rsplit(' ').next().unwrap();
        }
        for (key, value) in text::samples(line) {
            if is_of_http(&key) && !is_own(&key) && !key.contains("quantile=") {
                let is_measured = key.contains("_seconds_bucket") || key.contains("_seconds_sum");
                let value = if is_measured { 0.0 } else { value };
                let key = format!("{kind} {}", spelled_alike(&key));
                assert!(comparable.insert(key.clone(), value).is_none(), "{key} comes twice");
            }
        }
    }
    comparable
}

/// A sample's name and labels: in order, without those that are empty or say which library measures in which version,
/// templates in the way of axum's, and bounds as numbers.
fn spelled_alike(key: &str) -> String {
    let Some((name, labels)) = key.strip_suffix("\"}").and_then(|key| key.split_once('{')) else {
        return key.to_owned();
    };
    let labels = labels.split("\",").map(|label| label.split_once("=\"").unwrap());
    let is_told = |(name, value): &(&str, &str)| {
        !value.is_empty() && *name != "version" && !name.starts_with("otel_scope_")
    };
    let spell = |(name, value): (&str, &str)| match value.replace("Inf", "inf").parse::<f64>() {
        Ok(bound) if name == "le" => format!("le={bound}"),
        _ => format!("{name}={}", value.replace('<', "{").replace('>', "}")),
    };
    let mut labels: Vec<String> = labels.filter(is_told).map(spell).collect();
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(","))
}

/// How many requests are over, by the histograms of durations, and how many are in flight.
fn progress(samples: &BTreeMap<String, f64>) -> [f64; 2] {
    ["_seconds_count{", "_pending{"].map(|name| {
        let of_name = samples.iter().filter(|(key, _)| key.contains(name));
        of_name.map(|(_, value)| value).sum()
    })
}

/// Sends a request.
fn send(server: &str, [method, path, body]: Request) -> TcpStream {
    let mut stream = TcpStream::connect(server).unwrap();
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{length}\r\n{body}").unwrap();
    stream
}

fn check(preset: &str, package: Command, requests: &[Request], least: usize) {
    let theirs = theirs(package, requests);
    assert!(theirs.len() >= least, "{} {theirs:#?}", theirs.len());
    let directory = tempfile::tempdir().unwrap();
    let mut headcount = Headcount::run(2, directory.path(), &[], &[SERVER, preset]);
    let server = headcount.server();
    let mut waiting = Vec::new();
    for request in requests {
        let mut stream = send(&server, *request);
        if *request == WAITS {
            waiting.push(stream);
        } else {
            // One whose handler panics has no answer.
            stream.read_to_end(&mut Vec::new()).unwrap();
        }
    }
    let mut ours = BTreeMap::new();
    wait::until_true("all requests have come so far", || {
        ours = comparable(&headcount.scrape());
        progress(&ours) == progress(&theirs)
    });
    assert_eq!(ours, theirs);
    drop(waiting);
    assert!(headcount.stop().success());
}

#[test]
fn the_preset_of_fastapis_package_counts_as_it_does() {
    let package = instrumented(Command::new(peers::instrumented_python()), "fastapi");
    check("fastapi", package, &[&ANSWERED[..], &[FAILS]].concat(), 60);
}

#[test]
fn the_preset_of_flasks_package_counts_as_it_does() {
    let package = instrumented(Command::new(peers::instrumented_python()), "flask");
    check("flask", package, &[&ANSWERED[..], &[FAILS]].concat(), 80);
}

#[test]
fn the_preset_of_opentelemetrys_conventions_counts_as_its_instrumentation_does() {
    let package = instrumented(Command::new(peers::opentelemetry_python()), "opentelemetry");
    check("opentelemetry", package, &ANSWERED, 150);
}

#[test]
fn the_preset_of_axums_package_counts_as_it_does() {
    let package = Command::new(peers::axum_prometheus());
    check("axum", package, &[&[WAITS], &ANSWERED[..], &[HAS_NO_SUCH_METHOD]].concat(), 80);
}
