//! Scrapes that come at the same time share one gather.
//!
//! Whoever comes while a gather goes on waits for the next one, together with all others who do: so an answer is
//! never older than its question, and there is one gather at work and one to come, however many ask.

use std::io;
use std::mem::take;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use headcount_merge::{Escaping, Exposition, Format, Merged, Pages};
use tokio::sync::oneshot;
use tokio::task::{spawn, spawn_blocking, yield_now};

use super::Scraper;
use super::body::Body;
use super::coding::{Coding, Compressors};
use super::scrape::lock;

/// A body below this length in bytes is sent as it is: it fits one packet anyway.
const COMPRESS_FROM: usize = 1400;
/// A gather that takes no longer than this, and need not wait for another, is left to the thread that serves. To hand it
/// over to another thread and back is to wake up a processor twice, which may take as long as the gather.
const SHORT: Duration = Duration::from_millis(5);

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
    /// Whether the last gather was: the next one will be, too.
    was_short: AtomicBool,
}

#[derive(Debug)]
struct Waiting {
    wanted: Wanted,
    answer: oneshot::Sender<Scraped>,
}

impl Rounds {
    pub(super) fn new(scraper: Arc<Mutex<Scraper>>) -> Self {
        Self {
            scraper,
            waiting: Mutex::default(),
            compressors: Mutex::default(),
            was_short: AtomicBool::default(),
        }
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
            // A task of its own: whoever gives up does not take those with him who wait together with him.
            spawn(Arc::clone(self).begin());
        }
        let panicked = |_| Err(Arc::new(io::Error::other("the gather has panicked; the log says why")));
        answered.await.unwrap_or_else(panicked)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a round: here if that is short, and on another thread otherwise.
    async fn begin(self: Arc<Self>) {
        // Who else has asked is heard before.
        yield_now().await;
        if self.was_short.load(Ordering::Relaxed) {
            match self.scraper.try_lock() {
                Ok(scraper) => return self.hold(scraper),
                Err(TryLockError::Poisoned(poisoned)) => return self.hold(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        spawn_blocking(move || self.hold(lock(&self.scraper)));
    }

    /// Gathers once, and answers all who wait.
    fn hold(&self, mut scraper: MutexGuard<'_, Scraper>) {
        let start = Instant::now();
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
        self.was_short.store(start.elapsed() <= SHORT, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use headcount_store::directory::Directory;
    use tokio::runtime::Builder;

    use super::*;

    fn rounds() -> Arc<Rounds> {
        let temporary = tempfile::tempdir().unwrap();
        let scraper = Scraper::reader(Directory::open(temporary.path()).unwrap());
        Arc::new(Rounds::new(Arc::new(Mutex::new(scraper))))
    }

    fn wanted() -> Wanted {
        Wanted {
            format: Format::Text,
            escaping: Escaping::default(),
            names: Vec::new(),
            created_samples: false,
            coding: Coding::Gzip,
        }
    }

    /// Runs what has no other thread to hand anything over to.
    fn block_on_one_thread<T>(run: impl Future<Output = T>) -> T {
        let runtime = Builder::new_current_thread().enable_time().max_blocking_threads(1).build().unwrap();
        let (end, ended) = channel::<()>();
        let occupied = runtime.spawn_blocking(move || ended.recv());
        let in_time = async { tokio::time::timeout(Duration::from_secs(60), run).await };
        let output = runtime.block_on(in_time);
        assert!(!occupied.is_finished());
        drop(end);
        output.unwrap()
    }

    #[test]
    fn what_was_short_the_last_time_is_not_handed_over_to_another_thread() {
        let rounds = rounds();
        rounds.was_short.store(true, Ordering::Relaxed);
        assert!(block_on_one_thread(rounds.join(wanted())).is_ok());
    }

    #[test]
    fn who_gives_up_before_a_round_begins_does_not_take_the_others_with_him() {
        let rounds = rounds();
        rounds.was_short.store(true, Ordering::Relaxed);
        block_on_one_thread(async {
            // It asks first, and then is dropped.
            let scraped = tokio::select! {
                biased;
                _ = rounds.join(wanted()) => unreachable!("nothing has been gathered yet"),
                () = std::future::ready(()) => rounds.join(wanted()).await,
            };
            assert!(scraped.is_ok());
            assert!(rounds.waiting().is_empty());
        });
    }

    #[test]
    fn what_another_gather_has_to_wait_for_does_not_hold_up_the_thread_that_serves() {
        let rounds = rounds();
        rounds.was_short.store(true, Ordering::Relaxed);
        let scraper = Arc::clone(&rounds.scraper);
        let (locked, is_locked) = channel();
        let (end, ended) = channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let _gather = lock(&scraper);
                locked.send(()).unwrap();
                let _ = ended.recv();
            });
            is_locked.recv().unwrap();
            Builder::new_current_thread().build().unwrap().block_on(async {
                let (scraped, ()) = tokio::join!(rounds.join(wanted()), async move {
                    // This thread goes on, and only so the other one.
                    yield_now().await;
                    drop(end);
                });
                assert!(scraped.is_ok());
            });
        });
    }
}
