//! To a receiver of the OpenTelemetry protocol. What could not be sent waits its turn, so that a receiver that was
//! away learns what was measured meanwhile.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use headcount_merge::{Merged, Otlp};
use headcount_push::{PushError, Queue, Receiver};
use headcount_store::process::now_nanos;
use hyper::body::Bytes;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep_until, timeout};

use super::{LAST_TIMEOUT, TIMEOUT};
use crate::chain;
use crate::exporter::Scraper;
use crate::exporter::scrape::lock;
use crate::metrics::START_TIME;
use crate::view::samples;

/// What is exported, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpPush {
    /// To whom.
    pub receiver: Receiver,
    /// How often.
    pub interval: Duration,
    /// The attributes of the resource.
    pub resource: Vec<(String, String)>,
}

/// Exporting that has begun.
pub(super) struct Exporting {
    push: OtlpPush,
    scraper: Arc<Mutex<Scraper>>,
    ticks: Interval,
    queue: Queue,
    /// One at a time is on its way.
    sending: Option<Sending>,
    /// Whether the last attempt failed: then the next failure is no news.
    fails: bool,
    /// What the receiver has said last of what it took only in part.
    complaint: Option<String>,
}

type Outcome = Result<Option<String>, PushError>;

struct Sending {
    export: Bytes,
    task: JoinHandle<Outcome>,
}

impl Exporting {
    pub(super) fn new(push: OtlpPush, scraper: Arc<Mutex<Scraper>>) -> Self {
        tracing::info!(receiver = %push.receiver.url, "exporting metrics");
        let mut ticks = interval(push.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let queue = Queue::default();
        Self { push, scraper, ticks, queue, sending: None, fails: false, complaint: None }
    }

    /// Never returns.
    pub(super) async fn export_for_ever(&mut self) {
        loop {
            if self.sending.is_some() {
                tokio::select! {
                    outcome = sent(&mut self.sending) => self.note(&outcome),
                    _ = self.ticks.tick() => self.measure().await,
                }
                continue;
            }
            match self.queue.next() {
                Some((again, _)) => tokio::select! {
                    () = wait_until(again) => self.send(),
                    _ = self.ticks.tick() => self.measure().await,
                },
                None => {
                    self.ticks.tick().await;
                    self.measure().await;
                }
            }
        }
    }

    /// Measures once more, and sends what waits, as long as that goes well.
    pub(super) async fn end(mut self) {
        let ended = timeout(LAST_TIMEOUT, async {
            self.measure().await;
            loop {
                if self.sending.is_none() {
                    self.send();
                }
                if self.sending.is_none() {
                    return true;
                }
                let outcome = sent(&mut self.sending).await;
                self.note(&outcome);
                if outcome.outcome.is_err_and(|error| error.is_temporary()) {
                    return false;
                }
            }
        });
        if !ended.await.unwrap_or(false) {
            tracing::warn!("not all metrics could be exported at the end");
        }
    }

    /// Puts what is measured now in the queue.
    async fn measure(&mut self) {
        let (scraper, resource) = (Arc::clone(&self.scraper), self.push.resource.clone());
        let scrape = move || {
            lock(&scraper).scrape(|merged| {
                merged.to_otlp(&Otlp { resource: &resource, start: start(merged), time: now_nanos() })
            })
        };
        match tokio::task::spawn_blocking(scrape)
            .await
            .unwrap_or_else(|panicked| Err(io::Error::other(panicked)))
        {
            Ok(export) => match self.queue.add(export.into()) {
                0 => {}
                count => tracing::warn!(count, "metrics that could not be exported are dropped"),
            },
            Err(error) => tracing::warn!(%error, "cannot merge the metrics directory"),
        }
    }

    /// Sends the first that waits, if one does.
    fn send(&mut self) {
        let Some((_, export)) = self.queue.next() else { return };
        let (receiver, request) = (self.push.receiver.clone(), export.clone());
        let task = tokio::spawn(async move { receiver.export(request, TIMEOUT).await });
        self.sending = Some(Sending { export, task });
    }

    fn note(&mut self, Sent { export, outcome }: &Sent) {
        self.queue.note(export, outcome, Instant::now());
        match outcome {
            Ok(complaint) => {
                if self.fails {
                    tracing::info!("metrics are exported again");
                }
                if let Some(complaint) = complaint
                    && self.complaint.as_ref() != Some(complaint)
                {
                    tracing::warn!(complaint, "not all metrics were taken");
                }
                self.complaint.clone_from(complaint);
            }
            Err(error) if !self.fails => tracing::warn!(error = %chain(error), "cannot export metrics"),
            Err(_) => {}
        }
        self.fails = outcome.is_err();
    }
}

/// What came of an attempt.
struct Sent {
    export: Bytes,
    outcome: Outcome,
}

/// Waits for what is on its way, if anything is. Nothing is lost if this is given up.
async fn sent(sending: &mut Option<Sending>) -> Sent {
    let Some(Sending { export, task }) = sending else { return std::future::pending().await };
    let outcome = task.await.unwrap_or_else(|panicked| Err(PushError::Connect(io::Error::other(panicked))));
    let export = export.clone();
    *sending = None;
    Sent { export, outcome }
}

async fn wait_until(time: Option<Instant>) {
    if let Some(time) = time {
        sleep_until(time.into()).await;
    }
}

/// Since when is counted: since the supervisor has emptied the directory. 0 if there is none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, as it should")]
fn start(merged: &Merged<'_>) -> u64 {
    samples(merged, START_TIME).next().map_or(0, |(_, seconds)| (seconds * 1e9) as u64)
}
