//! Idle series: they are removed by a thread that looks at their cells now and then.
//!
//! No update and no look-up knows of it. Whoever looks compares what a series' cells hold with what they held the last
//! time; a series that was removed so and has moved since, by a handle that somebody kept, comes back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use headcount_store::write::Registration;

use crate::children::Children;
use crate::family::Metric;
use crate::series::{Child, Presence};

/// How often is looked at most, and at least.
const PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(10)];
/// How many series are looked at while others have to wait.
const AT_ONCE: usize = 512;
/// Nothing expires.
const NEVER: u64 = u64::MAX;

/// When the series of a family expire, and what was seen of each.
#[derive(Debug)]
pub(crate) struct Expiry {
    /// In milliseconds.
    idle: AtomicU64,
    /// By the numbers of the series. Taken only under a [`Registration`], so that a forked child never finds it
    /// locked.
    seen: Mutex<Vec<Seen>>,
    overflow: Mutex<Option<Seen>>,
}

impl Default for Expiry {
    fn default() -> Self {
        Self { idle: AtomicU64::new(NEVER), seen: Mutex::default(), overflow: Mutex::default() }
    }
}

/// What the cells of a series have held, and since when.
#[derive(Clone, Copy, Debug)]
struct Seen {
    trace: u64,
    since: Instant,
}

impl Seen {
    /// Takes note of what the cells hold now; tells whether they have changed.
    fn look(&mut self, trace: u64, now: Instant) -> bool {
        let has_moved = self.trace != trace;
        if has_moved {
            *self = Self { trace, since: now };
        }
        has_moved
    }
}

impl Expiry {
    pub(crate) fn is_on(&self) -> bool {
        self.idle.load(Ordering::Relaxed) != NEVER
    }

    pub(crate) fn set(&self, idle: Duration) {
        self.idle.store(u64::try_from(idle.as_millis()).unwrap_or(NEVER - 1), Ordering::Relaxed);
    }

    fn idle(&self) -> Duration {
        Duration::from_millis(self.idle.load(Ordering::Relaxed))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A family with series that expire.
trait Expires: Sync {
    fn idle(&self) -> Duration;

    /// Removes what is idle, and brings back what is not any more.
    fn look(&'static self, now: Instant);
}

impl<M: Metric> Expires for Children<M> {
    fn idle(&self) -> Duration {
        self.expiry().idle()
    }

    fn look(&'static self, now: Instant) {
        let mut first = 0;
        loop {
            let mut registration = Registration::begin();
            let children: Vec<_> = self.by_text().children(first, AT_ONCE).collect();
            first += children.len();
            look_at(self, &mut registration, &children, now);
            if children.len() < AT_ONCE {
                return look_at_overflow(self, &mut registration, now);
            }
        }
    }
}

fn look_at<M: Metric>(
    family: &'static Children<M>,
    registration: &mut Registration,
    children: &[Child<M>],
    now: Instant,
) {
    let (series, idle) = (family.series(), family.expiry().idle());
    let mut all_seen = lock(&family.expiry().seen);
    let mut expired = Vec::new();
    for child in children {
        let Some(trace) = series.trace(registration, child.metric) else { continue };
        let at = child.number as usize;
        if at >= all_seen.len() {
            all_seen.resize(at + 1, Seen { trace, since: now });
        }
        let seen = &mut all_seen[at];
        let has_moved = seen.look(trace, now);
        match series.presence(child) {
            Presence::Shown if now.saturating_duration_since(seen.since) >= idle => {
                family.hide(registration, child, Presence::Expired);
                // A gauge's cell has changed by that.
                seen.trace = series.trace(registration, child.metric).unwrap_or_default();
                expired.push(child.number);
            }
            Presence::Expired if has_moved => family.bring_back(registration, child),
            Presence::Shown | Presence::Expired | Presence::Removed => {}
        }
    }
    if !expired.is_empty() {
        family.forget_otherwise(registration, &|child| expired.binary_search(&child.number).is_ok());
    }
}

fn look_at_overflow<M: Metric>(family: &'static Children<M>, registration: &mut Registration, now: Instant) {
    let Some(trace) = family.series().overflow_trace(registration) else { return };
    let mut seen = lock(&family.expiry().overflow);
    let seen = seen.get_or_insert(Seen { trace, since: now });
    seen.look(trace, now);
    if now.saturating_duration_since(seen.since) >= family.expiry().idle() {
        family.series().set_overflow_shown(registration, false);
    }
}

/// The families that have series that expire. Taken only under a [`Registration`].
static FAMILIES: Mutex<Vec<&'static dyn Expires>> = Mutex::new(Vec::new());

/// Which process has a thread that looks, and how often it does: the PID, and milliseconds.
static LOOKED_AFTER: AtomicU64 = AtomicU64::new(0);

/// Adds a family, and sees to it that it is looked at often enough.
pub(crate) fn add<M: Metric>(family: &'static Children<M>) {
    let registration = Registration::begin();
    let mut families = lock(&FAMILIES);
    let is_same = |known: &&dyn Expires| std::ptr::addr_eq(std::ptr::from_ref(*known), family);
    if !families.iter().any(is_same) {
        families.push(family);
    }
    drop((families, registration));
    start();
}

/// Sees to it that this process has a thread that looks: a forked child has none. Not to be called under a
/// [`Registration`].
pub(crate) fn look_after() {
    if LOOKED_AFTER.load(Ordering::Relaxed) >> 32 != u64::from(std::process::id()) {
        start();
    }
}

fn families() -> Vec<&'static dyn Expires> {
    let _registration = Registration::begin();
    lock(&FAMILIES).clone()
}

fn start() {
    let Some(idle) = families().iter().map(|family| family.idle()).min() else { return };
    let pause = (idle / 4).clamp(PAUSES[0], PAUSES[1]);
    let wanted = u64::from(std::process::id()) << 32 | u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    let known = LOOKED_AFTER.load(Ordering::Relaxed);
    let is_enough = known >> 32 == wanted >> 32 && known <= wanted;
    if is_enough
        || LOOKED_AFTER.compare_exchange(known, wanted, Ordering::Relaxed, Ordering::Relaxed).is_err()
    {
        return;
    }
    let look = move || {
        // Until there is one that looks more often.
        while LOOKED_AFTER.load(Ordering::Relaxed) == wanted {
            let now = Instant::now();
            families().iter().for_each(|family| family.look(now));
            std::thread::sleep(pause);
        }
    };
    if Builder::new().name("headcount-expire".to_owned()).spawn(look).is_err() {
        // The next series that is created tries again.
        LOOKED_AFTER.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use headcount_store::metric::GaugeMode;

    use super::*;
    use crate::registry::Registry;
    use crate::wait;

    #[test]
    fn a_series_that_is_idle_goes_and_one_that_moves_stays_or_comes_back() {
        let registry = Registry::private().unwrap();
        let idle = Duration::from_millis(100);
        let family = registry.counter_family("c", "", ["a"]).unwrap().limited_to(3).expire_after(idle);
        let gauges = registry.gauge_family("g", "", GaugeMode::Sum, ["a"]).unwrap().expire_after(idle);
        let shows = |sample: &str| registry.render().contains(sample);
        let (idle, kept, busy) =
            (family.with(["idle"]), family.with_literals(["kept"]), family.with(["busy"]));
        family.with(["beyond"]).inc();
        idle.inc();
        kept.inc();
        gauges.with(["x"]).set(1.0);
        wait::until(|| {
            busy.inc();
            !shows("\"idle\"") && !shows("\"kept\"") && !shows("g{") && !shows("\"overflow\"")
        });
        wait::until(|| {
            busy.inc();
            shows("\"busy\"")
        });
        // By a handle, at the next look; by a look-up at once, also of those that had no place.
        kept.inc();
        wait::until(|| shows("\"kept\"} 2"));
        wait::until(|| {
            let _ = family.with(["idle"]);
            gauges.with(["x"]).set(2.0);
            shows("\"idle\"} 1") && shows("g{a=\"x\"} 2")
        });
    }

    #[test]
    fn what_somebody_removes_does_not_come_back_by_a_handle() {
        let registry = Registry::private().unwrap();
        let idle = Duration::from_millis(40);
        let family = registry.counter_family("c", "", ["a"]).unwrap().expire_after(idle);
        let (removed, expired) = (family.with(["removed"]), family.with(["expired"]));
        wait::until(|| !registry.render().contains("\"expired\""));
        // It may expire before.
        wait::until(|| {
            family.with(["removed"]).inc();
            family.remove(["removed"])
        });
        removed.inc();
        expired.inc();
        wait::until(|| registry.render().contains("\"expired\"} 1"));
        assert!(!registry.render().contains("\"removed\""), "{}", registry.render());
    }
}
