//! What the middleware takes of a server's throughput: a prefork hello-world under `wrk`, with it and without.
//!
//! Both servers run at the same time and are asked in turn, so that what else the machine does meets both; and they are
//! started anew now and then, as where a process happens to have its memory comes to half of what is measured. The workers
//! have one processor, which they fill, and `wrk` has another: where both share them, the kernel's choice of who runs when
//! comes to more.

use std::error::Error;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use axum::Router;
use axum::routing::get;
use headcount::worker::Worker;
use headcount_tests::peers;
use headcount_tests::supervisor::Headcount;
use headcount_tower::HttpMetrics;

use crate::document::{machine, write};

/// How often the servers are started.
const STARTS: usize = 10;
/// As many pairs of runs each time, of a second each, which is the least that `wrk` can do.
const PAIRS: usize = 12;
const WORKERS: u32 = 2;
const CONNECTIONS: u32 = 32;

/// The processors of the workers, and of `wrk`.
const OURS: &str = "0";
const WRKS: &str = "1";

/// The part of the throughput that the middleware may take.
const LIMIT: f64 = 0.02;

/// The argument by which this binary becomes a worker.
const SERVE: &str = "--serve-hello";

/// Serves, if this process is a worker of such a server.
pub(crate) fn be_told() -> bool {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some(SERVE) {
        return false;
    }
    serve(arguments.next().as_deref() == Some("with")).unwrap();
    true
}

fn serve(is_measured: bool) -> Result<(), Box<dyn Error>> {
    let mut worker = Worker::from_environment()?;
    let listener: TcpListener = worker.take_tcp_listener("http").ok_or("no supervisor")?;
    listener.set_nonblocking(true)?;
    let hello = Router::new().route("/", get(async || "Hello, world!\n"));
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let measured = is_measured.then(|| HttpMetrics::new().around(hello.clone()));
        worker.ready()?;
        match measured {
            Some(measured) => axum::serve(listener, measured).await?,
            None => axum::serve(listener, hello).await?,
        }
        Ok(())
    })
}

pub(crate) fn run(is_written: bool) {
    let row = if peers::wrk().is_some() { compare() } else { missing() };
    let head = "| Requests a second | without | with the middleware | less by | between (95 %) | Limit |\n\
                |---|---:|---:|---:|---:|---|\n";
    let how = format!(
        "Medians of {} pairs of runs of a second, by servers that are started {STARTS} times, {WORKERS} workers on one \
         processor and {CONNECTIONS} connections of `wrk` on another, on {}.",
        STARTS * PAIRS,
        machine()
    );
    let table = format!("{how}\n\n{head}{row}\n");
    println!("\n{table}");
    if is_written {
        write("throughput", &table);
    }
}

fn missing() -> String {
    println!("wrk is missing: tests/run installs it; without it the throughput is not measured");
    format!("| prefork hello-world, axum | not measured: no `wrk` | | | | {} |", said(false))
}

fn compare() -> String {
    let mut pairs = Vec::new();
    (0..STARTS).for_each(|_| pairs.extend(ask_in_turn()));
    let sorted = |of: fn(&[f64; 2]) -> f64| {
        let mut all: Vec<f64> = pairs.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all
    };
    let less = sorted(|[without, with]| 1.0 - with / without);
    let (from, to) = around_median(&less);
    let [plain, measured, less] =
        [sorted(|pair| pair[0]), sorted(|pair| pair[1]), less].map(|sorted| sorted[sorted.len() / 2]);
    let percent = |part: f64| format!("{:.1} %", part * 100.0);
    let (from, to, by, verdict) = (percent(from), percent(to), percent(less), said(less <= LIMIT));
    format!("| prefork hello-world, axum | {plain:.0} | {measured:.0} | {by} | {from} to {to} | {verdict} |")
}

/// Starts both servers, and asks one and the other for requests in a second: without the middleware and with it.
fn ask_in_turn() -> Vec<[f64; 2]> {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [without, with] = ["without", "with"];
    let servers = [start(folders[0].path(), without), start(folders[1].path(), with)];
    let [without, with] = servers.each_ref().map(Headcount::server);
    let mut pairs = Vec::new();
    for pair in 0..=PAIRS {
        // Nobody always comes after the other.
        let (without, with) = if pair % 2 == 0 {
            let first = requests_per_second(&without);
            (first, requests_per_second(&with))
        } else {
            let first = requests_per_second(&with);
            (requests_per_second(&without), first)
        };
        // The first one was for the caches.
        if pair > 0 {
            pairs.push([without, with]);
        }
    }
    let counted = servers[1].value("http_requests_total{method=\"GET\",route=\"/\",status=\"200\"}");
    assert!(counted.is_some_and(|counted| counted > 0.0), "the middleware has counted");
    pairs
}

/// Between which two of them the median of many more would be, 95 times in a hundred: by the ranks that a fair coin's
/// throws come to, and so whatever the distribution.
fn around_median(sorted: &[f64]) -> (f64, f64) {
    let len = sorted.len();
    // Twice the deviation of the number of heads is the root of that of throws.
    let outside = len.saturating_sub(2 * (len.isqrt() + 1)) / 2;
    (sorted[outside], sorted[len - 1 - outside])
}

fn start(folder: &Path, middleware: &str) -> Headcount {
    let own = std::env::current_exe().unwrap();
    Headcount::run(
        WORKERS,
        folder,
        &[],
        &["taskset", "--cpu-list", OURS, own.to_str().unwrap(), SERVE, middleware],
    )
}

fn requests_per_second(address: &str) -> f64 {
    let wrk = peers::wrk().unwrap();
    let mut pinned = Command::new("taskset");
    pinned.args(["--cpu-list", WRKS]).arg(wrk.get_program());
    pinned.envs(wrk.get_envs().filter_map(|(name, value)| Some((name, value?))));
    pinned.args(["--threads", "1", "--connections", &CONNECTIONS.to_string(), "--duration", "1s"]);
    let output = pinned.arg(format!("http://{address}/")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let after = |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key)).map(str::trim);
    assert_eq!(after("Non-2xx or 3xx responses:"), None, "{text}");
    after("Requests/sec:").and_then(|figure| figure.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

fn said(is_met: bool) -> String {
    let target = format!("≤ {} %", LIMIT * 100.0);
    if is_met { format!("{target}: met") } else { format!("**{target}: missed**") }
}
