//! `headcount top`: the same, drawn again every second, with what happens a second.

use std::collections::HashMap;
use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use headcount_merge::Merger;

use super::Standing;
use super::by_process::counted;
use super::rates::{Counts, rate, requests};
use super::screen::{Next, Screen};
use super::spell::{size, table, time};
use super::standing::{UNKNOWN, Worker};
use crate::cli::TopArgs;
use crate::command::Done;
use crate::owner::Owner;

/// When there is something to see for the first time.
const FIRST: Duration = Duration::from_millis(200);
/// How many families are listed.
const FAMILIES: usize = 10;

pub(in crate::command) fn top(args: &TopArgs) -> Done {
    let mut owner = Owner::find(args.owner.dir.as_deref())?;
    let mut merger = Merger::default();
    let mut before = Moment::take(&owner, &mut merger, args)?;
    let screen = Screen::open()?;
    // What is not looked at by anybody is not drawn forever.
    let iterations = args.iterations.or((!screen.is_terminal()).then_some(1));
    let mut drawn = 0;
    // Somebody who looks at an empty screen is not to wait for long.
    let mut interval = if screen.is_terminal() { args.interval.min(FIRST) } else { args.interval };
    while iterations.is_none_or(|iterations| drawn < iterations) {
        if screen.pause(interval)? == Next::Quit {
            break;
        }
        interval = args.interval;
        if !owner.is_alive() {
            owner = Owner::find(args.owner.dir.as_deref())?;
        }
        let now = Moment::take(&owner, &mut merger, args)?;
        match screen.draw(&now.lines(&before, screen.height())) {
            // A reader that has seen enough is no failure.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            written => written?,
        }
        before = now;
        drawn += 1;
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything at one moment, to be compared with another.
struct Moment {
    at: Instant,
    standing: Standing,
    counts: Counts,
    /// The counter of requests, if there is one.
    requests: Option<String>,
    /// What workers have counted in it, by their PIDs.
    by_worker: HashMap<u32, f64>,
}

impl Moment {
    fn take(owner: &Owner, merger: &mut Merger, args: &TopArgs) -> io::Result<Self> {
        let at = Instant::now();
        let merged = merger.merge(&owner.directory)?;
        let standing = Standing::of(owner, &merged);
        let requests = args.requests.clone().or_else(|| requests(&merged));
        let workers: Vec<_> = standing.workers.iter().filter_map(|worker| worker.slot.pid).collect();
        let by_worker = requests.as_ref().map(|name| counted(&owner.directory, name, &workers));
        let counts = Counts::of(&merged);
        Ok(Self { at, standing, counts, requests, by_worker: by_worker.unwrap_or_default() })
    }

    /// What there is to see, in so many lines if there is an end to them.
    fn lines(&self, before: &Self, height: Option<usize>) -> Vec<String> {
        let seconds = (self.at - before.at).as_secs_f64();
        let mut lines = self.standing.headlines().to_vec();
        lines.push(match &self.requests {
            Some(name) => format!("{name}: {:.1} a second", self.counts.rate(&before.counts, name, seconds)),
            None => "no counter is called …requests_total: name one with --requests".to_owned(),
        });
        lines.push(String::new());
        let mut families = vec![vec!["BUSIEST FAMILIES".to_owned(), "A SECOND".to_owned()]];
        let busiest = self.counts.busiest(&before.counts, seconds).into_iter().take(FAMILIES);
        families.extend(busiest.map(|(name, rate)| vec![name.to_owned(), format!("{rate:.1}")]));
        let mut workers = table(&self.workers(before, seconds));
        // The families are below, and are to be seen.
        let room = height.map(|height| height.saturating_sub(lines.len() + families.len() + 1).max(2));
        if let Some(room) = room.filter(|&room| room < workers.len()) {
            let hidden = workers.split_off(room - 1).len();
            workers.push(format!("and {hidden} more"));
        }
        lines.extend(workers);
        lines.push(String::new());
        lines.extend(table(&families));
        lines
    }

    fn workers(&self, before: &Self, seconds: f64) -> Vec<Vec<String>> {
        let names =
            ["SLOT", "PID", "STATE", "GENERATION", "UPTIME", "CPU %", "RSS", "RESTARTS", "REQUESTS/S"];
        let row = |worker: &Worker| {
            let mut row = worker.identity();
            row.push(worker.used(|usage| time(usage.uptime)));
            row.push(self.cpu(worker, before, seconds).map_or_else(unknown, |share| format!("{share:.1}")));
            row.push(worker.used(|usage| size(usage.resident)));
            row.push(worker.slot.restarts.to_string());
            row.push(
                self.requests(worker, before, seconds).map_or_else(unknown, |rate| format!("{rate:.1}")),
            );
            row
        };
        let names = names.map(str::to_owned).to_vec();
        std::iter::once(names).chain(self.standing.workers.iter().map(row)).collect()
    }

    /// The share of a processor that a worker has had, in per cent. A new one has had what it has ever had.
    fn cpu(&self, worker: &Worker, before: &Self, seconds: f64) -> Option<f64> {
        let known = before.standing.workers.iter().find(|known| known.slot.pid == worker.slot.pid);
        let past = known.and_then(|known| known.usage).map_or(Duration::ZERO, |usage| usage.cpu);
        let used = worker.usage?.cpu.saturating_sub(past);
        Some(rate(0.0, used.as_secs_f64() * 100.0, seconds))
    }

    fn requests(&self, worker: &Worker, before: &Self, seconds: f64) -> Option<f64> {
        let pid = worker.slot.pid?;
        let past = before.by_worker.get(&pid).copied().unwrap_or(0.0);
        self.by_worker.get(&pid).map(|&now| rate(past, now, seconds))
    }
}

fn unknown() -> String {
    UNKNOWN.to_owned()
}
