//! What the middleware takes of a server's throughput: a prefork hello-world under `wrk`, with it and without.
//!
//! Both servers run all the time and are asked in turn, so that what else the machine does meets both. On a machine with
//! few processors, `wrk` and the workers share them, as it is said in the table.

use std::error::Error;
use std::net::TcpListener;
use std::path::Path;

use axum::Router;
use axum::routing::get;
use headcount::worker::Worker;
use headcount_tests::peers;
use headcount_tests::supervisor::Headcount;
use headcount_tower::HttpMetrics;

use crate::document::{machine, write};

/// As many runs of each server, of a second each, which is the least that `wrk` can do.
const RUNS: usize = 25;
const WORKERS: u32 = 2;
const CONNECTIONS: u32 = 32;

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
    let app = if is_measured { hello.layer(HttpMetrics::new()) } else { hello };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        worker.ready()?;
        Ok(axum::serve(listener, app).await?)
    })
}

pub(crate) fn run(is_written: bool) {
    let row = if peers::wrk().is_some() { compare() } else { missing() };
    let head =
        "| Requests a second | without | with the middleware | less by | Limit |\n|---|---:|---:|---:|---|\n";
    let how = format!(
        "Medians of {RUNS} runs of a second in turn, {WORKERS} workers and {CONNECTIONS} connections of `wrk` on the same \
         processors, on {}.",
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
    format!("| prefork hello-world, axum | not measured: no `wrk` | | | {} |", said(false))
}

fn compare() -> String {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [without, with] = ["without", "with"];
    let servers = [start(folders[0].path(), without), start(folders[1].path(), with)];
    let [without, with] = servers.each_ref().map(Headcount::server);
    let (mut plain, mut measured) = (Vec::new(), Vec::new());
    for run in 0..=RUNS {
        // Nobody always comes after the other.
        let turn = if run % 2 == 0 {
            let first = requests_per_second(&without);
            (first, requests_per_second(&with))
        } else {
            let first = requests_per_second(&with);
            (requests_per_second(&without), first)
        };
        // The first one was for the caches.
        if run > 0 {
            plain.push(turn.0);
            measured.push(turn.1);
        }
    }
    let counted = servers[1].value("http_requests_total{method=\"GET\",route=\"/\",status=\"200\"}");
    assert!(counted.is_some_and(|counted| counted > 0.0), "the middleware has counted");
    let (plain, measured) = (median(plain), median(measured));
    let less = 1.0 - measured / plain;
    let verdict = said(less <= LIMIT);
    format!("| prefork hello-world, axum | {plain:.0} | {measured:.0} | {:.1} % | {verdict} |", less * 100.0)
}

fn start(folder: &Path, middleware: &str) -> Headcount {
    let own = std::env::current_exe().unwrap();
    Headcount::run(WORKERS, folder, &[], &[own.to_str().unwrap(), SERVE, middleware])
}

fn requests_per_second(address: &str) -> f64 {
    let mut wrk = peers::wrk().unwrap();
    wrk.args(["--threads", "1", "--connections", &CONNECTIONS.to_string(), "--duration", "1s"]);
    let output = wrk.arg(format!("http://{address}/")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let after = |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key)).map(str::trim);
    assert_eq!(after("Non-2xx or 3xx responses:"), None, "{text}");
    after("Requests/sec:").and_then(|figure| figure.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn said(is_met: bool) -> String {
    let target = format!("≤ {} %", LIMIT * 100.0);
    if is_met { format!("{target}: met") } else { format!("**{target}: missed**") }
}
