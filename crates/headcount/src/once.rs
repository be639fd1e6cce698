//! Metrics that are looked up once at each place in the program.

use std::sync::OnceLock;

use headcount_store::write::Registration;

use crate::family::Metric;

/// A metric that is looked up the first time that this place is reached, and kept: with labels that are always the
/// same there, it costs a load more than a handle that was kept by hand.
///
/// What is written behind the kind must be the same whenever it is reached, so it cannot use local variables: those
/// do not compile here. It is as a handle that is kept: a metric that could not be created stays a no-op.
///
/// ```
/// use headcount::{Counter, metric, once};
///
/// /// Requests answered.
/// #[metric]
/// fn http_requests(method: &str, code: u16) -> Counter;
///
/// for _ in 0..3 {
///     once!(Counter: http_requests("GET", 200)).inc();
/// }
/// assert!(headcount::render().contains("http_requests_total{method=\"GET\",code=\"200\"} 3\n"));
/// ```
///
/// ```compile_fail
/// # use headcount::{Counter, Registry, once};
/// # let registry = Registry::private().unwrap();
/// let family = registry.counter_family("c", "Help.", ["a"]).unwrap();
/// once!(Counter: family.with(["x"])).inc(); // another family could be here the next time
/// ```
#[macro_export]
macro_rules! once {
    ($metric:ty: $child:expr) => {{
        static SITE: $crate::macros::Site<$metric> = $crate::macros::Site::new();
        SITE.metric(|| $child)
    }};
}

/// A place in the program where a metric is looked up once.
#[derive(Debug)]
pub struct Site<M: Metric>(OnceLock<M>);

impl<M: Metric> Site<M> {
    /// Nothing has been looked up.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is made by a macro, for a static")]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// What `find` has found the first time. It is a function, and not a closure, so that it finds the same each
    /// time.
    #[inline]
    pub fn metric(&self, find: fn() -> M) -> M {
        match self.0.get() {
            Some(&metric) => metric,
            None => self.keep(find()),
        }
    }

    #[cold]
    fn keep(&self, metric: M) -> M {
        // Nobody forks amid registration: so no child finds it half set, and waits for ever.
        let _registration = Registration::begin();
        *self.0.get_or_init(|| metric)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use crate::macros::Site;
    use crate::{Counter, Family, Registry};

    static LOOK_UPS: AtomicU32 = AtomicU32::new(0);
    static REGISTRIES: LazyLock<[Registry; 2]> =
        LazyLock::new(|| [(); 2].map(|()| Registry::private().unwrap()));

    fn requests(registry: usize) -> Family<Counter, 1> {
        LOOK_UPS.fetch_add(1, Ordering::Relaxed);
        REGISTRIES[registry].counter_family("requests", "", ["method"]).unwrap()
    }

    #[test]
    fn each_place_looks_its_metric_up_once_whatever_threads_reach_it() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        first().inc();
                        static SECOND: Site<Counter> = Site::new();
                        SECOND.metric(|| requests(1).with(["GET"])).add(2);
                    }
                });
            }
        });
        fn first() -> Counter {
            static FIRST: Site<Counter> = Site::new();
            FIRST.metric(|| requests(0).with(["GET"]))
        }
        // Threads that come at the same time look each for itself.
        assert!((2..=8).contains(&LOOK_UPS.load(Ordering::Relaxed)));
        let before = LOOK_UPS.load(Ordering::Relaxed);
        first().inc();
        assert_eq!(LOOK_UPS.load(Ordering::Relaxed), before);
        for (registry, count) in REGISTRIES.iter().zip([401, 800]) {
            assert!(registry.render().contains(&format!("requests_total{{method=\"GET\"}} {count}\n")));
        }
    }
}
