//! To a Pushgateway: what is newest takes the place of what was before.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headcount_merge::{Exposition, Format};
use headcount_push::{Gateway, PushError};
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::{LAST_TIMEOUT, TIMEOUT};
use crate::chain;
use crate::exporter::Scraper;
use crate::exporter::scrape::lock;

/// What is pushed where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayPush {
    /// To which group of which Pushgateway.
    pub gateway: Gateway,
    /// How often.
    pub interval: Duration,
    /// What becomes of it at the end.
    pub after: AfterPush,
}

/// What becomes of what was pushed at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterPush {
    /// It is deleted.
    Delete,
    /// It is pushed once more, and stays.
    Keep,
}

/// Nothing was pushed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot merge the metrics directory")]
    Merge(#[from] io::Error),
    #[error(transparent)]
    Push(#[from] PushError),
    #[error("an earlier push does not end")]
    Busy,
}

/// Pushing that has begun.
pub(super) struct Pushing {
    push: GatewayPush,
    scraper: Arc<Mutex<Scraper>>,
    ticks: Interval,
    /// A push goes on when it is waited for no longer, so that nothing overtakes it.
    last: Option<JoinHandle<Result<(), Failure>>>,
    /// Whether the last one failed: then the next failure is no news.
    fails: bool,
}

impl Pushing {
    pub(super) fn new(push: GatewayPush, scraper: Arc<Mutex<Scraper>>) -> Self {
        tracing::info!(gateway = %push.gateway.url, group = push.gateway.group.path(), "pushing metrics");
        let mut ticks = interval(push.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { push, scraper, ticks, last: None, fails: false }
    }

    /// Never returns. What could not be pushed is not kept: the next push has more to say.
    pub(super) async fn push_for_ever(&mut self) {
        loop {
            self.ticks.tick().await;
            self.last = Some(tokio::spawn(put(self.push.gateway.clone(), Arc::clone(&self.scraper))));
            let pushed = self.end_last().await;
            match &pushed {
                Ok(()) if self.fails => tracing::info!("metrics are pushed again"),
                Err(error) if !self.fails => tracing::warn!(error = %chain(error), "cannot push metrics"),
                _ => {}
            }
            self.fails = pushed.is_err();
        }
    }

    /// Waits for the push that goes on, if one does.
    async fn end_last(&mut self) -> Result<(), Failure> {
        let Some(last) = &mut self.last else { return Ok(()) };
        let pushed = last.await.unwrap_or_else(|panicked| Err(io::Error::other(panicked).into()));
        self.last = None;
        pushed
    }

    /// Deletes what was pushed, or pushes once more.
    pub(super) async fn end(mut self) {
        let after = self.push.after;
        let ended = timeout(LAST_TIMEOUT, async {
            // Whatever comes of it.
            let _ = self.end_last().await;
            let gateway = self.push.gateway.clone();
            match after {
                AfterPush::Delete => Ok(gateway.delete(LAST_TIMEOUT).await?),
                AfterPush::Keep => put(gateway, Arc::clone(&self.scraper)).await,
            }
        });
        if let Err(error) = ended.await.unwrap_or(Err(Failure::Busy)) {
            let what = match after {
                AfterPush::Delete => "cannot delete what was pushed",
                AfterPush::Keep => "cannot push metrics at the end",
            };
            tracing::warn!(error = %chain(&error), "{what}");
        }
    }
}

async fn put(gateway: Gateway, scraper: Arc<Mutex<Scraper>>) -> Result<(), Failure> {
    let exposition = Exposition::new(Format::Text);
    let scrape = move || lock(&scraper).scrape(|merged| merged.encode(&exposition));
    let merged = tokio::task::spawn_blocking(scrape).await.map_err(io::Error::other)??;
    Ok(gateway.put(merged, &Format::Text.to_string(), TIMEOUT).await?)
}
