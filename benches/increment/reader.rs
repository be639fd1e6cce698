//! A reader that scrapes all the time, on the next processor: what it does to those whose metrics it reads.
//!
//! That somebody works there slows down everybody whose processor is half of a core. So the same work is done for a
//! copy of the files, too: what is left between the two is what reading costs those who are read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use headcount_merge::{Buckets, Merger};
use headcount_store::directory::Directory;

use crate::measure::{Candidate, Role};

const REST: u8 = 0;
const READ_OTHERS: u8 = 1;
const READ_OURS: u8 = 2;
const END: u8 = 3;

/// The thread that reads when it is told to, until this is dropped.
pub(crate) struct Reader {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    order: AtomicU8,
    scrapes: AtomicU64,
}

impl Reader {
    pub(crate) fn start(ours: &Path) -> Self {
        let (shared, ours) = (Arc::new(Shared::default()), ours.to_owned());
        let reading = Arc::clone(&shared);
        #[expect(clippy::disallowed_methods, reason = "nobody forks here")]
        let thread = std::thread::spawn(move || reading.read(&ours));
        Self { shared, thread: Some(thread) }
    }

    /// The work beside a reader of other files, and beside a reader of ours.
    pub(crate) fn beside<'a>(&'a self, work: impl Fn() -> Duration + Copy + 'a) -> [Candidate<'a>; 2] {
        let beside = move |order| {
            move || {
                self.tell(order);
                let took = self.over_scrapes(work);
                self.tell(REST);
                took
            }
        };
        [
            Candidate::as_(Role::BesideOthers, "  beside a reader of a copy", beside(READ_OTHERS)),
            Candidate::as_(Role::BesideReader, "  beside a reader", beside(READ_OURS)),
        ]
    }

    /// How long the work takes, on average over some scrapes: each first reads and then writes, and may take longer
    /// than the work.
    fn over_scrapes(&self, work: impl Fn() -> Duration) -> Duration {
        const SCRAPES: u64 = 3;
        let scrapes = || self.shared.scrapes.load(Ordering::Relaxed);
        let (end, mut took, mut times) = (scrapes() + SCRAPES, Duration::ZERO, 0);
        while times == 0 || scrapes() < end {
            took += work();
            times += 1;
        }
        took / times
    }

    /// Returns when it is done.
    fn tell(&self, order: u8) {
        self.shared.order.store(order, Ordering::Relaxed);
        self.thread.iter().for_each(|thread| thread.thread().unpark());
        let before = self.shared.scrapes.load(Ordering::Relaxed);
        // What is going on now, and one more that has begun since.
        while order != REST && self.shared.scrapes.load(Ordering::Relaxed) < before + 2 {
            std::thread::yield_now();
        }
    }
}

impl Shared {
    fn read(&self, ours: &Path) {
        let copies = tempfile::tempdir().unwrap();
        let [mut of_ours, mut of_copies] = [(); 2].map(|()| Merger::default().keeping_files_open());
        let scrape = |merger: &mut Merger, path: &Path| {
            let merged = merger.merge(&Directory::open(path).unwrap()).unwrap();
            assert!(!merged.to_text(Buckets::Cumulative).is_empty());
        };
        let mut copied = 0;
        loop {
            match self.order.load(Ordering::Relaxed) {
                REST => std::thread::park(),
                READ_OTHERS => {
                    let files = || std::fs::read_dir(ours).unwrap().map(|entry| entry.unwrap());
                    let len = files().map(|file| file.metadata().unwrap().len()).sum();
                    if len != copied {
                        files().for_each(|file| {
                            std::fs::copy(file.path(), copies.path().join(file.file_name())).unwrap();
                        });
                        copied = len;
                    }
                    scrape(&mut of_copies, copies.path());
                }
                READ_OURS => scrape(&mut of_ours, ours),
                _ => return,
            }
            self.scrapes.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.order.store(END, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            thread.join().unwrap();
        }
    }
}
