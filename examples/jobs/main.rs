//! Background jobs, measured by attributes and by ready-made instruments.
//!
//! A worker need not listen: here a thread does the jobs of a queue, and `SIGTERM` ends it after the one that it is at.

use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::time::{Duration, Instant};

use headcount::worker::Worker;
use headcount::{Counter, Histogram, count_errors, metric, timed};
use headcount_instruments::{Cache, Database, Queue, Tasks};
use headcount_instruments::{Instrument, Outcome};

/// Mails that could not be sent.
#[metric]
fn mail_errors() -> Counter;

/// Seconds that it takes to write a mail.
#[metric]
fn mail_seconds(template: &str) -> Histogram;

/// What there is to do, and since when.
struct Job {
    user: u32,
    queued: Instant,
}

fn main() -> Result<(), Box<dyn Error>> {
    let worker = Worker::from_environment()?;
    let (queue, tasks) = (Queue::new(), Tasks::new());
    let mut jobs: VecDeque<Job> = (0..6).map(|user| Job { user, queued: Instant::now() }).collect();
    let drain = worker.drain()?;
    worker.ready()?;
    while !drain.is_requested() {
        let Some(job) = jobs.pop_front() else {
            drain.wait();
            break;
        };
        queue.depth("mails", u32::try_from(jobs.len())?);
        queue.waited("mails", job.queued.elapsed());
        // What comes of a job is counted. That one fails is no reason to end.
        let _ = tasks.run("welcome", || send(&job));
    }
    Ok(())
}

#[count_errors(mail_errors())]
fn send(job: &Job) -> Result<(), io::Error> {
    let name = find(job.user)?;
    let mail = write(&name);
    if mail.is_empty() { Err(io::Error::other("nobody is there")) } else { Ok(()) }
}

/// In the cache are the even ones, and in the database is nobody whose number is 5.
fn find(user: u32) -> Result<String, io::Error> {
    let cached = Cache::new().look_up("users", || user.is_multiple_of(2).then(|| format!("user {user}")));
    if let Some(name) = cached {
        return Ok(name);
    }
    let call = Database::new().begin("select", "users");
    if user == 5 {
        call.end(Outcome::Timeout);
        return Err(io::ErrorKind::TimedOut.into());
    }
    call.end(Outcome::Success);
    Ok(format!("user {user}"))
}

#[timed(mail_seconds("welcome"))]
fn write(name: &str) -> String {
    std::thread::sleep(Duration::from_millis(1));
    format!("Welcome, {name}.")
}
