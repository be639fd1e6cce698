//! Handles by their keys: a table that only grows and is read without a lock.
//!
//! The macros of `metrics` ask for a handle at each call. A key brings its hash along; branches are chosen by its
//! bits, and a hit is decided by comparing keys. To add takes no lock either: whoever comes second goes on from
//! what the first has added, and so the same key may be made twice, but is kept once.

use std::sync::OnceLock;

use metrics::Key;

pub(crate) struct Cache<H: 'static> {
    root: Place<H>,
}

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
        Self { root: OnceLock::new() }
    }
}

impl<H: Send + Sync + 'static> Cache<H> {
    #[inline]
    pub(crate) fn get_or_insert(&'static self, key: &Key, make: impl FnOnce() -> H) -> &'static H {
        match self.find(key) {
            Ok(handle) => handle,
            Err(_) => self.insert(key, make()),
        }
    }

    #[cold]
    fn insert(&'static self, key: &Key, handle: H) -> &'static H {
        let branches = std::array::from_fn(|_| OnceLock::new());
        let node: &'static Node<H> = Box::leak(Box::new(Node { key: key.clone(), handle, branches }));
        loop {
            match self.find(key) {
                Ok(handle) => return handle,
                Err(place) if place.set(node).is_ok() => return &node.handle,
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
    use super::*;

    #[test]
    fn many_threads_find_the_same_handle_for_each_key() {
        let cache: &'static Cache<usize> = Box::leak(Box::default());
        let find = |n: usize| cache.get_or_insert(&Key::from_name(n.to_string()), || n);
        let find_all = || (0..500).map(|n| std::ptr::from_ref(find(n)).addr()).collect::<Vec<_>>();
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
        assert_eq!(*cache.get_or_insert(&key("x"), || 1), 1);
        assert_eq!(*cache.get_or_insert(&key("y"), || 2), 2);
        assert_eq!(*cache.get_or_insert(&key("x"), || 3), 1);
    }
}
