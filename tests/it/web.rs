//! The endpoint on the network: where it listens, and what it bears with.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use headcount_tests::supervisor::Headcount;
use headcount_tests::{http, wait};
use nix::sys::signal::Signal;

use crate::WORKER;

/// All addresses at which metrics are said to be served.
fn addresses(headcount: &Headcount, count: usize) -> Vec<String> {
    wait::until("all addresses are known", || {
        let log = headcount.log();
        let lines = log.lines().filter(|line| line.contains("msg=\"serving metrics\""));
        let found: Vec<_> = lines
            .map(|line| line.split_once("address=").unwrap().1.split(' ').next().unwrap().to_owned())
            .collect();
        (found.len() >= count).then_some(found)
    })
}

#[test]
fn metrics_are_served_at_several_addresses_and_under_another_path() {
    let directory = tempfile::tempdir().unwrap();
    let sockets = tempfile::tempdir().unwrap();
    let unix = format!("unix:{}", sockets.path().join("metrics.sock").display());
    // `run` helps itself to one on TCP.
    let more = ["--web.listen-address", &unix, "--web.telemetry-path", "/own/metrics"];
    let headcount = Headcount::start(
        ["run", "--workers", "1", "--metrics", "127.0.0.1:0", "--dir", directory.path().to_str().unwrap()]
            .iter()
            .chain(&more)
            .chain(&["--", WORKER, "serve"]),
    );
    let found = addresses(&headcount, 2);
    assert_eq!(found[1], unix);
    for address in &found {
        wait::until_true("it is served", || {
            http::get(address, "/own/metrics").is_ok_and(|answer| answer.text().contains("headcount_workers"))
        });
        assert_eq!(http::get(address, "/metrics").unwrap().status, 404);
        assert!(http::get(address, "/").unwrap().text().contains("href=\"/own/metrics\""));
    }
    // Another supervisor takes all of them over.
    headcount.signal(Signal::SIGUSR2);
    let _ = headcount.wait_for_line("msg=upgraded");
    assert_eq!(addresses(&headcount, 4)[2..], found);
    for address in &found {
        wait::until_true("it is served again", || {
            http::get(address, "/own/metrics")
                .is_ok_and(|answer| answer.text().contains("headcount_upgrades"))
        });
    }
}

fn serve(options: &[&str]) -> (Headcount, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let arguments = ["serve", "--dir", path, "--web.listen-address", "127.0.0.1:0"];
    (Headcount::start(arguments.iter().chain(options)), directory)
}

#[test]
fn fifty_scrapers_at_the_same_time_get_whole_bodies() {
    let (headcount, _directory) = serve(&[]);
    let address = headcount.metrics();
    let scrape = |_| {
        let answer =
            http::request(&address, "GET", "/metrics", &["Accept: application/openmetrics-text"]).unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.text().ends_with("\n# EOF\n"));
    };
    std::thread::scope(|scope| (0..50).for_each(|number| drop(scope.spawn(move || scrape(number)))));
}

#[test]
fn whoever_sends_too_much_or_too_slowly_is_let_go() {
    let (headcount, _directory) = serve(&[]);
    let address = headcount.metrics();
    // Whoever is still sending when the answer comes may only see the end of the connection.
    let is_refused = |path: &str, header: &str| {
        let answer = http::request(&address, "GET", path, &[header]);
        answer.map_or(true, |answer| matches!(answer.status, 414 | 431))
    };
    let long = "x".repeat(20_000);
    assert!(is_refused("/metrics", &format!("X-Long: {long}")));
    assert!(is_refused(&format!("/{long}"), "X-Short: x"));
    assert!(!is_refused("/metrics", &format!("X-Long: {}", &long[..10_000])));
    // More connections than there may be, none of which says what it wants.
    let silent: Vec<_> = (0..600)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
            stream
        })
        .collect();
    // They go, and then there is room for others.
    assert_eq!(http::get(&address, "/metrics").unwrap().status, 200);
    let mut first = &silent[0];
    first.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The end, or a reset.
    assert!(first.read(&mut [0]).map_or(true, |read| read == 0));
}
