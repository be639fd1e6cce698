//! Routes of paths that this thread has seen.
//!
//! Which route a request has, axum decides by its path alone, and by routes that no longer change. So what a path has come
//! to once it comes to again. A thread keeps a fixed number of paths, whatever clients send: what has no place is asked for
//! again, so that all there is to lose here is time. And where hardly any path comes again, as in those that are full of
//! numbers, that is not lost either: for a while, nothing is looked up.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::MatchedPath;
use foldhash::fast::RandomState;

/// Pairs of places, 32 KiB in each thread. More than most servers have paths that come again and again.
const PAIRS: usize = 128;

/// In bytes. A longer path is not kept.
const LONGEST: usize = 102;

/// After as many paths it is seen whether enough of them were known; if not, none is looked up for the next ones.
const TRIED: u32 = 1024;
const ENOUGH: u32 = TRIED / 4;
const RESTS: u32 = 16 * TRIED;

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::new(Known::new());
}

/// Tells the paths of a router apart from those of others. No two are ever the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RouterId(NonZeroU64);

impl RouterId {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // As many routers as numbers there will not be.
        Self(NonZeroU64::new(NEXT.fetch_add(1, Ordering::Relaxed)).unwrap_or(NonZeroU64::MAX))
    }

    /// Does something with the template of the route that a path has, or with `None` if it has none. If that is not known,
    /// it is not done.
    #[inline]
    pub(super) fn with_route<R>(self, path: &str, then: impl FnOnce(Option<&str>) -> R) -> Option<R> {
        with_known(|known| Some(then(known.find(self, path)?.as_ref().map(MatchedPath::as_str)))).flatten()
    }

    /// From now on it is known, if there is one to be known.
    pub(super) fn learn<'a>(self, path: &str, route: impl FnOnce() -> Option<Option<&'a MatchedPath>>) {
        with_known(|known| known.learn(self, path, route));
    }
}

/// Does something with what this thread knows, if it still knows anything and is not doing so already.
#[inline]
fn with_known<R>(work: impl FnOnce(&mut Known) -> R) -> Option<R> {
    KNOWN.try_with(|known| Some(work(&mut *known.try_borrow_mut().ok()?))).ok().flatten()
}

struct Known {
    hasher: RandomState,
    pairs: Box<[[Place; 2]]>,
    /// How many paths are still to come of those that are looked up together, and how many of them were known.
    to_try: u32,
    found: u32,
    /// How many are still to come that are not looked up.
    to_rest: u32,
}

/// Two lines of a processor's cache.
#[derive(Clone)]
#[repr(align(64))]
struct Place {
    router: Option<RouterId>,
    route: Option<MatchedPath>,
    /// Of the pair, this one was asked for last.
    is_last: bool,
    length: u8,
    path: [u8; LONGEST],
}

impl Known {
    fn new() -> Self {
        let empty = Place { router: None, route: None, is_last: false, length: 0, path: [0; LONGEST] };
        let pairs = (0..PAIRS).map(|_| [empty.clone(), empty.clone()]).collect();
        Self { hasher: RandomState::default(), pairs, to_try: TRIED, found: 0, to_rest: 0 }
    }

    /// Whether it is worth it to look a path up.
    #[inline]
    fn is_of_use(&mut self) -> bool {
        if self.to_rest > 0 {
            self.to_rest -= 1;
            return false;
        }
        self.to_try -= 1;
        if self.to_try == 0 {
            self.to_rest = if self.found < ENOUGH { RESTS } else { 0 };
            (self.to_try, self.found) = (TRIED, 0);
        }
        true
    }

    #[inline]
    fn pair(&self, path: &str) -> usize {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(path.as_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "as few bits as there are pairs")]
        let at = hasher.finish() as usize % PAIRS;
        at
    }

    #[inline]
    fn find(&mut self, router: RouterId, path: &str) -> Option<&Option<MatchedPath>> {
        if !self.is_of_use() {
            return None;
        }
        let at = self.pair(path);
        let pair = &mut self.pairs[at];
        let found = pair.iter().position(|place| place.is(router, path))?;
        self.found += 1;
        pair[1 - found].is_last = false;
        pair[found].is_last = true;
        Some(&pair[found].route)
    }

    fn learn<'a>(
        &mut self,
        router: RouterId,
        path: &str,
        route: impl FnOnce() -> Option<Option<&'a MatchedPath>>,
    ) {
        if path.len() > LONGEST || self.to_rest > 0 {
            return;
        }
        let Some(route) = route() else { return };
        let at = self.pair(path);
        // Paths that never come again do not drive away one that does.
        let [first, second] = &mut self.pairs[at];
        let is_second = first.is_last || first.router.is_some() && second.router.is_none();
        let place = if is_second { second } else { first };
        place.keep(router, path, route);
    }
}

impl Place {
    #[inline]
    fn is(&self, router: RouterId, path: &str) -> bool {
        self.router == Some(router) && self.path.get(..usize::from(self.length)) == Some(path.as_bytes())
    }

    fn keep(&mut self, router: RouterId, path: &str, route: Option<&MatchedPath>) {
        let Ok(length) = u8::try_from(path.len()) else { return };
        let Some(bytes) = self.path.get_mut(..path.len()) else { return };
        bytes.copy_from_slice(path.as_bytes());
        (self.length, self.router, self.is_last) = (length, Some(router), false);
        self.route = route.cloned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(router: RouterId, path: &str) -> bool {
        router.with_route(path, |_| ()).is_some()
    }

    #[test]
    fn a_path_is_known_from_its_second_time_on_and_only_of_its_own_router() {
        let [router, other] = [(); 2].map(|()| RouterId::new());
        assert!(!known(router, "/a"));
        router.learn("/a", || Some(None));
        assert!(known(router, "/a"));
        assert!(!known(other, "/a") && !known(router, "/") && !known(router, "/a/") && !known(router, ""));
        router.learn("", || Some(None));
        assert!(known(router, "") && known(router, "/a"));
    }

    #[test]
    fn what_does_not_fit_is_not_known() {
        let router = RouterId::new();
        let [longest, longer] = [LONGEST, LONGEST + 1].map(|length| "/".repeat(length));
        router.learn(&longest, || Some(None));
        router.learn(&longer, || Some(None));
        assert!(known(router, &longest) && !known(router, &longer));
    }

    #[test]
    fn a_path_that_comes_again_and_again_stays_among_those_that_never_do() {
        let router = RouterId::new();
        let mut missed = 0;
        for n in 0..10_000 {
            if !known(router, "/often") {
                missed += 1;
                router.learn("/often", || Some(None));
            }
            let path = format!("/{n}");
            assert!(!known(router, &path));
            router.learn(&path, || Some(None));
        }
        assert_eq!(missed, 1);
    }

    #[test]
    fn where_no_path_comes_again_none_is_looked_up_until_it_is_tried_again() {
        let router = RouterId::new();
        let mut next = 0..;
        let mut anew = |times: u32| {
            next.by_ref().take(times as usize).for_each(|n: u32| {
                assert!(!known(router, &format!("/{n}")));
                router.learn(&format!("/{n}"), || Some(None));
            })
        };
        anew(TRIED - 2);
        router.learn("/often", || Some(None));
        assert!(known(router, "/often"));
        anew(1);
        assert!(!known(router, "/often"));
        anew(RESTS - 1);
        assert!(known(router, "/often"));
    }
}
