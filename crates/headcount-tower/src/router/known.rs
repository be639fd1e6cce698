//! What has become of requests to paths that this thread has seen.
//!
//! Which route a request has, axum decides by its path alone, and by routes that no longer change. So what a request has come
//! to, others come to that have the same path, method, scheme and version. A thread keeps a fixed number of paths, whatever
//! clients send: what has no place is asked for again, so that all there is to lose here is time. And where hardly any path
//! comes again, as in those that are full of numbers, that is not lost either: for a while, nothing is looked up.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;
use headcount_http::Alike;
use http::{Method, Request, Version};

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

    /// What becomes of requests like this one, if that is known.
    #[inline(always)]
    pub(super) fn alike<B>(self, request: &Request<B>) -> Option<Alike> {
        self.known(Kind::of(request)?, request.uri().path())
    }

    /// From now on it is known, if there is one to be known.
    pub(super) fn learn<B>(self, request: &Request<B>, alike: impl FnOnce() -> Option<Alike>) {
        if let Some(kind) = Kind::of(request) {
            self.keep(kind, request.uri().path(), alike);
        }
    }

    #[inline(always)]
    fn known(self, kind: Kind, path: &str) -> Option<Alike> {
        with_known(|known| known.find(Key { router: self, kind }, path)).flatten()
    }

    fn keep(self, kind: Kind, path: &str, alike: impl FnOnce() -> Option<Alike>) {
        with_known(|known| known.learn(Key { router: self, kind }, path, alike));
    }
}

/// What of a request may tell it apart beside its path: its method, its version and its scheme, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind(u16);

impl Kind {
    /// `None` of one that is rare, and not worth to be known.
    #[inline(always)]
    fn of<B>(request: &Request<B>) -> Option<Self> {
        let method = match *request.method() {
            Method::GET => 0,
            Method::POST => 1,
            Method::PUT => 2,
            Method::DELETE => 3,
            Method::HEAD => 4,
            Method::PATCH => 5,
            Method::OPTIONS => 6,
            _ => return None,
        };
        let version = match request.version() {
            Version::HTTP_11 => 0,
            Version::HTTP_2 => 1,
            Version::HTTP_10 => 2,
            Version::HTTP_3 => 3,
            _ => return None,
        };
        let scheme = match request.uri().scheme_str() {
            None => 0,
            Some("https") => 1,
            Some("http") => 2,
            Some(_) => return None,
        };
        Some(Self(method << 4 | version << 2 | scheme))
    }
}

/// What tells requests to a path apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    router: RouterId,
    kind: Kind,
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

/// Two lines of a processor's cache, of which a short path needs one.
#[derive(Clone)]
#[repr(C, align(64))]
struct Place {
    requests: Option<(Key, Alike)>,
    /// Of the pair, this one was asked for last.
    is_last: bool,
    length: u8,
    path: [u8; LONGEST],
}

impl Known {
    fn new() -> Self {
        let empty = Place { requests: None, is_last: false, length: 0, path: [0; LONGEST] };
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
    fn pair(&self, key: Key, path: &str) -> usize {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(path.as_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "as few bits as there are pairs")]
        let hash = hasher.finish() as usize;
        (hash ^ usize::from(key.kind.0)) % PAIRS
    }

    #[inline]
    fn find(&mut self, key: Key, path: &str) -> Option<Alike> {
        if !self.is_of_use() {
            return None;
        }
        let at = self.pair(key, path);
        let pair = &mut self.pairs[at];
        let (found, alike) = match pair[0].find(key, path) {
            Some(alike) => (0, alike),
            None => (1, pair[1].find(key, path)?),
        };
        self.found += 1;
        if !pair[found].is_last {
            pair[found].is_last = true;
            pair[1 - found].is_last = false;
        }
        Some(alike)
    }

    fn learn(&mut self, key: Key, path: &str, alike: impl FnOnce() -> Option<Alike>) {
        if path.len() > LONGEST || self.to_rest > 0 {
            return;
        }
        let Some(alike) = alike() else { return };
        let at = self.pair(key, path);
        // Paths that never come again do not drive away one that does.
        let [first, second] = &mut self.pairs[at];
        let is_second = first.is_last || first.requests.is_some() && second.requests.is_none();
        let place = if is_second { second } else { first };
        place.keep(key, path, alike);
    }
}

impl Place {
    #[inline]
    fn find(&self, key: Key, path: &str) -> Option<Alike> {
        let (known, alike) = self.requests?;
        let is_known = known == key && self.path.get(..usize::from(self.length)) == Some(path.as_bytes());
        is_known.then_some(alike)
    }

    fn keep(&mut self, key: Key, path: &str, alike: Alike) {
        let Ok(length) = u8::try_from(path.len()) else { return };
        let Some(bytes) = self.path.get_mut(..path.len()) else { return };
        bytes.copy_from_slice(path.as_bytes());
        (self.length, self.requests, self.is_last) = (length, Some((key, alike)), false);
    }
}

#[cfg(test)]
mod tests {
    use headcount_http::Life;

    use super::*;
    use crate::hook::Follower;

    const GET: Kind = Kind(0);

    fn known(router: RouterId, path: &str) -> bool {
        router.known(GET, path).is_some()
    }

    /// From now on it is known that requests to a path are left out.
    fn learn(router: RouterId, path: &str) {
        router.keep(GET, path, || Life::<Follower>::default().alike());
    }

    #[test]
    fn requests_are_alike_only_if_all_of_their_heads_are_that_may_be_told_apart() {
        let request = |method: &str, uri: &str, version| {
            Request::builder().method(method).uri(uri).version(version).body(()).unwrap()
        };
        let of = |method, uri, version| Kind::of(&request(method, uri, version));
        let kinds = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"].iter().flat_map(|method| {
            [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2, Version::HTTP_3].into_iter().flat_map(
                move |version| {
                    ["/", "http://a/", "https://a/"].map(|uri| of(method, uri, version).unwrap().0)
                },
            )
        });
        let kinds: Vec<u16> = kinds.collect();
        assert_eq!(kinds.iter().collect::<std::collections::HashSet<_>>().len(), kinds.len());
        assert_eq!(of("GET", "/", Version::HTTP_11), Some(GET));
        let rare = [("BREW", "/", Version::HTTP_11), ("GET", "coffee://a/", Version::HTTP_11)];
        assert!(rare.into_iter().all(|(method, uri, version)| of(method, uri, version).is_none()));

        let router = RouterId::new();
        learn(router, "/a");
        assert!(known(router, "/a") && router.known(Kind(1 << 4), "/a").is_none());
    }

    #[test]
    fn a_path_is_known_from_its_second_time_on_and_only_of_its_own_router() {
        let [router, other] = [(); 2].map(|()| RouterId::new());
        assert!(!known(router, "/a"));
        learn(router, "/a");
        assert!(known(router, "/a"));
        assert!(!known(other, "/a") && !known(router, "/") && !known(router, "/a/") && !known(router, ""));
        learn(router, "");
        assert!(known(router, "") && known(router, "/a"));
    }

    #[test]
    fn what_does_not_fit_is_not_known() {
        let router = RouterId::new();
        let [longest, longer] = [LONGEST, LONGEST + 1].map(|length| "/".repeat(length));
        learn(router, &longest);
        learn(router, &longer);
        assert!(known(router, &longest) && !known(router, &longer));
    }

    #[test]
    fn a_path_that_comes_again_and_again_stays_among_those_that_never_do() {
        let router = RouterId::new();
        let mut missed = 0;
        for n in 0..10_000 {
            if !known(router, "/often") {
                missed += 1;
                learn(router, "/often");
            }
            let path = format!("/{n}");
            assert!(!known(router, &path));
            learn(router, &path);
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
                learn(router, &format!("/{n}"));
            })
        };
        anew(TRIED - 2);
        learn(router, "/often");
        assert!(known(router, "/often"));
        anew(1);
        assert!(!known(router, "/often"));
        anew(RESTS - 1);
        assert!(known(router, "/often"));
    }
}
