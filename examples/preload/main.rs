//! An application that is its own supervisor: it loads a table once, and forks workers that share it.
//!
//! Every worker answers with how much memory it has for itself, and how much it shares.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::ExitCode;

use clap::Parser;
use headcount::worker::Worker;
use headcount::{Counter, Family};
use headcount_supervisor::cli::{LogArgs, SupervisorArgs};
use headcount_supervisor::hooks::Moment;
use headcount_supervisor::log;
use headcount_supervisor::prefork::Prefork;

/// Loads a table once, and serves it from several processes.
#[derive(Parser)]
struct Cli {
    /// How large the table is, in MiB
    #[arg(long, default_value = "64")]
    table: usize,
    #[command(flatten)]
    supervisor: SupervisorArgs,
    #[command(flatten)]
    log: LogArgs,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let cli = Cli::parse();
    log::begin(cli.log.log_format, cli.log.log_level);
    let prefork = Prefork::new(cli.supervisor)?.on(Moment::WorkerExit, |occasion| {
        tracing::warn!(slot = occasion.slot, reason = occasion.reason, "a worker is gone");
    });
    // Made before the fork, counted in every worker.
    let answers = Counter::family("answers", "Answers by worker slot.", ["slot"])?;
    let table: Vec<u64> = (0..cli.table as u64 * (1 << 20) / 8).collect();
    Ok(prefork.run(|worker| serve(worker, answers, &table))?)
}

fn serve(mut worker: Worker, answers: Family<Counter, 1>, table: &[u64]) -> Result<(), Box<dyn Error>> {
    let listener = worker.take_tcp_listener("http").ok_or("no socket: --bind 127.0.0.1:8000")?;
    let slot = worker.slot().unwrap_or_default().to_string();
    worker.ready()?;
    // SIGTERM ends the process; what it has counted stays.
    for stream in listener.incoming() {
        answer(stream?, table)?;
        answers.with([&slot]).inc();
        worker.count_requests(1)?;
    }
    Ok(())
}

fn answer(mut stream: TcpStream, table: &[u64]) -> std::io::Result<()> {
    let request = BufReader::new(&stream).lines();
    request.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
    let sum: u64 = table.iter().sum();
    let body = format!("sum {sum}, private {} KiB, shared {} KiB\n", memory("Private_"), memory("Shared_"));
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// The memory of this process by its sharing, in KiB.
fn memory(kind: &str) -> u64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let lines = rollup.lines().filter(|line| line.starts_with(kind));
    lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
}
