//! Scrapes that come at the same time share one gather.
//!
//! Whoever comes while a gather goes on waits for the next one, together with all others who do: so an answer is
//! never older than its question, and there is one gather at work and one to come, however many ask.

use std::io;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use headcount_merge::{Escaping, Exposition, Format, Merged, Pages};
use tokio::sync::oneshot;

use super::Scraper;
use super::body::Body;
use super::coding::{Coding, Compressors};
use super::scrape::lock;

/// A body below this length in bytes is sent as it is: it fits one packet anyway.
const COMPRESS_FROM: usize = 1400;

/// What a scrape is to be answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) format: Format,
    pub(super) escaping: Escaping,
    pub(super) names: Vec<String>,
    pub(super) created_samples: bool,
    /// How it is to be compressed, if that is worth while.
    pub(super) coding: Coding,
}

/// A body, and how it is compressed.
#[derive(Clone, Debug)]
pub(super) struct Exposed {
    pub(super) body: Body,
    pub(super) coding: Coding,
}

/// What is exposed, or why the directory could not be read.
pub(super) type Scraped = Result<Exposed, Arc<io::Error>>;

/// The scrapes of one exporter.
#[derive(Debug)]
pub(super) struct Rounds {
    scraper: Arc<Mutex<Scraper>>,
    waiting: Mutex<Vec<Waiting>>,
    compressors: Mutex<Compressors>,
}

#[derive(Debug)]
struct Waiting {
    wanted: Wanted,
    answer: oneshot::Sender<Scraped>,
}

impl Rounds {
    pub(super) fn new(scraper: Arc<Mutex<Scraper>>) -> Self {
        Self { scraper, waiting: Mutex::default(), compressors: Mutex::default() }
    }

    /// Whether there is something to scrape. Blocks for as long as a gather takes.
    pub(super) fn is_ready(&self) -> bool {
        lock(&self.scraper).is_ready()
    }

    /// Takes part in the next gather.
    pub(super) async fn join(self: &Arc<Self>, wanted: Wanted) -> Scraped {
        let (answer, answered) = oneshot::channel();
        let is_first = {
            let mut waiting = self.waiting();
            waiting.push(Waiting { wanted, answer });
            waiting.len() == 1
        };
        if is_first {
            let rounds = Arc::clone(self);
            tokio::task::spawn_blocking(move || rounds.hold());
        }
        let panicked = |_| Err(Arc::new(io::Error::other("the gather has panicked; the log says why")));
        answered.await.unwrap_or_else(panicked)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gathers once, and answers all who wait.
    fn hold(&self) {
        let mut scraper = lock(&self.scraper);
        // Only now: whoever has come during the gather before takes part.
        let mut waiting = take(&mut *self.waiting());
        waiting.retain(|waiting| !waiting.answer.is_closed());
        if waiting.is_empty() {
            return;
        }
        let texts = scraper.scrape(|merged| encode_each(merged, &waiting));
        if let Some((_, text)) = texts.iter().flatten().last() {
            scraper.note_exposed(text.len());
        }
        let mut compressors = self.compressors.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |text| Exposed::of(text, &mut compressors);
        let bodies = texts.map(|texts| texts.into_iter().map(of).collect::<Vec<_>>()).map_err(Arc::new);
        // Not before: the next gather would have to copy pages while these are looked at, and with many scrapers there would be
        // many copies.
        drop((compressors, scraper));
        for Waiting { wanted, answer } in waiting {
            let body = bodies.as_ref().map(|bodies| bodies.iter().find(|(of, _)| *of == wanted));
            let answered = match body {
                Ok(Some((_, body))) => body.clone(),
                Ok(None) => continue,
                Err(error) => Err(Arc::clone(error)),
            };
            // Whoever has given up meanwhile needs no answer.
            let _ = answer.send(answered);
        }
    }
}

/// An exposition for each different wish.
fn encode_each(merged: &Merged<'_>, waiting: &[Waiting]) -> Vec<(Wanted, Pages)> {
    let mut texts: Vec<(Wanted, Pages)> = Vec::new();
    for Waiting { wanted, .. } in waiting {
        if texts.iter().all(|(known, _)| known != wanted) {
            texts.push((wanted.clone(), merged.pages(&wanted.exposition())));
        }
    }
    texts
}

impl Wanted {
    pub(super) fn exposition(&self) -> Exposition<'_> {
        let Self { format, escaping, created_samples, .. } = *self;
        Exposition { format, escaping, names: &self.names, created_samples }
    }
}

impl Exposed {
    fn of((wanted, text): (Wanted, Pages), compressors: &mut Compressors) -> (Wanted, Scraped) {
        let coding = if text.len() < COMPRESS_FROM { Coding::Identity } else { wanted.coding };
        let exposed = coding.encode(&text, compressors).map(|body| Self { body, coding });
        (wanted, exposed.map_err(Arc::new))
    }
}
