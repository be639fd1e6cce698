//! Handles by their keys: a table that only grows, up to a bound, and is read without a lock.
//!
//! The macros of `metrics` ask for a handle at each call. A key brings its hash along; branches are chosen by its
//! bits, and a hit is decided by comparing keys. To add takes no lock either: whoever comes second goes on from
//! what the first has added, and so the same key may be made twice, but is kept once.
//!
//! A key is whatever the program makes labels of, and what is kept is kept for ever. So there is a bound; handles of keys
//! beyond it are made at each call.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::Key;

pub(crate) struct Cache<H: 'static> {
    root: Place<H>,
    count: AtomicUsize,
    most: usize,
}

/// Whether a handle is kept for the next call with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Yes,
    No,
}

/// How many keys are kept: those of ten metrics with as many series as they may have.
const MOST: usize = 10 * headcount::SERIES_LIMIT as usize;

type Place<H> = OnceLock<&'static Node<H>>;

struct Node<H: 'static> {
    key: Key,
    handle: H,
    branches: [Place<H>; BRANCHES],
}

const BRANCHES: usize = 8;
const BITS: u32 = BRANCHES.trailing_zeros();

impl<H> Default for Cache<H> {
    fn default() -> Self {
        Self::of_at_most(MOST)
    }
}

impl<H> Cache<H> {
    fn of_at_most(most: usize) -> Self {
        Self { root: OnceLock::new(), count: AtomicUsize::new(0), most }
    }
}

impl<H: Clone + Send + Sync + 'static> Cache<H> {
    /// The handle of a key, which is made if need be.
    #[inline]
    pub(crate) fn get_or_make(&'static self, key: &Key, make: impl FnOnce(Kept) -> H) -> H {
        match self.find(key) {
            Ok(handle) => handle.clone(),
            // Threads that add at the same time may go beyond it by one each.
            Err(_) if self.count.load(Ordering::Relaxed) >= self.most => make(Kept::No),
            Err(_) => self.insert(key, make(Kept::Yes)).clone(),
        }
    }

    #[cold]
    fn insert(&'static self, key: &Key, handle: H) -> &'static H {
        let branches = std::array::from_fn(|_| OnceLock::new());
        let node: &'static Node<H> = Box::leak(Box::new(Node { key: key.clone(), handle, branches }));
        loop {
            match self.find(key) {
                Ok(handle) => return handle,
                Err(place) if place.set(node).is_ok() => {
                    self.count.fetch_add(1, Ordering::Relaxed);
                    return &node.handle;
                }
                Err(_) => {}
            }
        }
    }

    /// The handle, or the empty place where it belongs.
    fn find(&'static self, key: &Key) -> Result<&'static H, &'static Place<H>> {
        let (mut place, mut bits) = (&self.root, key.get_hash());
        while let Some(&node) = place.get() {
            if node.key == *key {
                return Ok(&node.handle);
            }
            #[expect(clippy::cast_possible_truncation, reason = "only the lowest bits are wanted")]
            let branch = bits as usize % BRANCHES;
            place = &node.branches[branch];
            // Equal hashes of different keys, if they ever meet, make a chain.
            bits = bits.rotate_right(BITS);
        }
        Err(place)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn many_threads_find_the_same_handle_for_each_key() {
        let cache: &'static Cache<Arc<usize>> = Box::leak(Box::default());
        let find = |n: usize| cache.get_or_make(&Key::from_name(n.to_string()), |_| Arc::new(n));
        let find_all = || (0..500).map(|n| Arc::as_ptr(&find(n)).addr()).collect::<Vec<_>>();
        let found: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(find_all)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(found.iter().all(|those| *those == found[0]));
        assert!((0..500).all(|n| *find(n) == n));
    }

    #[test]
    fn keys_that_differ_in_a_value_are_told_apart() {
        let cache: &'static Cache<u32> = Box::leak(Box::default());
        let key = |value: &'static str| Key::from_parts("c", vec![metrics::Label::new("a", value)]);
        assert_eq!(cache.get_or_make(&key("x"), |_| 1), 1);
        assert_eq!(cache.get_or_make(&key("y"), |_| 2), 2);
        assert_eq!(cache.get_or_make(&key("x"), |_| 3), 1);
    }

    #[test]
    fn what_is_beyond_the_bound_is_made_each_time_and_what_is_kept_stays() {
        let cache: &'static Cache<Kept> = Box::leak(Box::new(Cache::of_at_most(2)));
        let find = |name: &'static str| cache.get_or_make(&Key::from_static_name(name), |kept| kept);
        assert_eq!(
            ["a", "b", "c", "c", "a"].map(find),
            [Kept::Yes, Kept::Yes, Kept::No, Kept::No, Kept::Yes]
        );
        assert_eq!(cache.count.load(Ordering::Relaxed), 2);
    }
}
