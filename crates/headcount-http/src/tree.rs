//! A table that only grows and is read without a lock.
//!
//! Each node holds an entry, and its branches are chosen by the bits of the key's hash, as in a family of
//! the worker crate. A hit is decided by comparing the parts of the key, never by the hash. Entries are
//! never dropped, so that a request may hold on to one for as long as it lives.

use std::hash::{BuildHasher, Hasher};
use std::sync::{Mutex, OnceLock, PoisonError};

use foldhash::fast::RandomState;

/// Entries by keys that consist of several strings.
pub(crate) struct Tree<V: 'static> {
    hasher: RandomState,
    root: Place<V>,
    growing: Mutex<()>,
}

type Place<V> = OnceLock<&'static Node<V>>;

struct Node<V: 'static> {
    hash: u64,
    key: Box<[Box<str>]>,
    value: V,
    branches: [Place<V>; BRANCHES],
}

const BRANCHES: usize = 8;
const BITS: u32 = BRANCHES.trailing_zeros();

impl<V> Default for Tree<V> {
    fn default() -> Self {
        Self { hasher: RandomState::default(), root: OnceLock::new(), growing: Mutex::new(()) }
    }
}

impl<V> Tree<V> {
    /// The entry of that key, if there is one.
    pub(crate) fn get(&'static self, key: &[&str]) -> Option<&'static V> {
        self.find(key, self.hash(key)).ok()
    }

    /// The entry of that key, which is made if need be.
    pub(crate) fn get_or_insert(&'static self, key: &[&str], make: impl FnOnce() -> V) -> &'static V {
        let hash = self.hash(key);
        if let Ok(value) = self.find(key, hash) {
            return value;
        }
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        match self.find(key, hash) {
            Ok(value) => value,
            Err(place) => {
                let key = key.iter().copied().map(Box::from).collect();
                let branches = std::array::from_fn(|_| OnceLock::new());
                let node: &'static Node<V> = Box::leak(Box::new(Node { hash, key, value: make(), branches }));
                let _ = place.set(node);
                &node.value
            }
        }
    }

    fn hash(&self, key: &[&str]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        // What is empty tells few keys apart, and parts are compared anyway.
        for part in key.iter().filter(|part| !part.is_empty()) {
            hasher.write(part.as_bytes());
        }
        hasher.finish()
    }

    /// The entry, or the empty place where it belongs.
    fn find(&'static self, key: &[&str], hash: u64) -> Result<&'static V, &'static Place<V>> {
        let (mut place, mut bits) = (&self.root, hash);
        while let Some(&node) = place.get() {
            if node.hash == hash && node.is(key) {
                return Ok(&node.value);
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

impl<V> Node<V> {
    fn is(&self, key: &[&str]) -> bool {
        // Nothing is not compared: its address may be none, at which some processors' `memcmp` is very slow.
        let same = |known: &str, part: &str| known.len() == part.len() && (part.is_empty() || known == part);
        self.key.len() == key.len() && self.key.iter().zip(key).all(|(known, part)| same(known, part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_run_together_the_same_are_different_entries() {
        let tree: &'static Tree<u32> = Box::leak(Box::default());
        assert_eq!(*tree.get_or_insert(&["ab", "c"], || 1), 1);
        assert_eq!(*tree.get_or_insert(&["a", "bc"], || 2), 2);
        assert_eq!(
            (tree.get(&["ab", "c"]), tree.get(&["a", "bc"]), tree.get(&["abc"])),
            (Some(&1), Some(&2), None)
        );
    }

    #[test]
    fn many_threads_make_each_entry_once() {
        let tree: &'static Tree<usize> = Box::leak(Box::default());
        let made = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..500 {
                        let make = || {
                            made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            n
                        };
                        assert_eq!(*tree.get_or_insert(&[&n.to_string()], make), n);
                    }
                });
            }
        });
        assert_eq!(made.into_inner(), 500);
    }
}
