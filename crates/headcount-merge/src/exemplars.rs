//! Exemplars: of all processes' for one counter or bucket, the newest; of a native histogram, a few.
//!
//! A scraper takes each exemplar for one that it has not seen yet, or knows. So the newest is shown for as long as it
//! may not have been scraped, whether its process lives or not, and nothing older than one that was shown takes its
//! place. After [`MAX_AGE`] every scraper has come by, and the trace has been kept or not.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::time::Duration;

use headcount_store::format::exemplar::{self, ExemplarLabels, NATIVE_EXEMPLARS, native_exemplar};
use headcount_store::process::now_nanos;

use crate::native_buckets::NativeSlot;
use crate::totals::Slot;

/// How old an exemplar may be that is shown, in seconds.
const MAX_AGE: f64 = 3600.0;
/// How far ahead of the clock an exemplar may be, in seconds: a clock is set back now and then. What is farther
/// ahead would stay the newest for ever.
const MAX_LEAD: f64 = 60.0;
/// In place of the number of an exemplar.
const NONE: u32 = u32::MAX;

/// What a gather has found.
#[derive(Debug, Default)]
pub(crate) struct Exemplars {
    newest: Vec<Newest>,
    /// The place of each slot's exemplar among the newest, as far as there are any.
    by_slot: Vec<u32>,
    /// The same of native histograms' exemplars: [`NATIVE_EXEMPLARS`] for each.
    by_native: Vec<u32>,
    /// When the gather began to find any, in seconds since 1970.
    now: Option<f64>,
}

/// Whose an exemplar is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner {
    /// What is summed in a slot.
    Slot(Slot),
    /// A native histogram, but none of its buckets with a bound.
    Native(NativeSlot),
}

/// The newest exemplar of a slot, or of a native histogram's values that are alike.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Newest {
    time: f64,
    value: f64,
    labels: ExemplarLabels,
}

/// An exemplar of a counter or of a histogram's bucket.
#[derive(Clone, Copy, Debug)]
pub struct Exemplar<'a>(&'a Newest);

impl<'a> Exemplar<'a> {
    /// What was observed, or added.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0.value
    }

    /// When, in seconds since 1970.
    #[must_use]
    pub fn time(self) -> f64 {
        self.0.time
    }

    /// The same time, to the nanosecond.
    pub(crate) fn since_1970(self) -> Duration {
        // It is about now; a clock before 1970 has none.
        Duration::try_from_secs_f64(self.0.time).unwrap_or_default()
    }

    /// Its labels: names that Prometheus allows, none twice, and with their values at most 128 characters.
    pub fn labels(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.labels.iter()
    }

    /// As it stands in a file in which a cell of this number holds the sum.
    pub(crate) fn of_cell(self, cell: u32) -> exemplar::Exemplar {
        let &Newest { time, value, labels } = self.0;
        exemplar::Exemplar { cell, value, time, labels }
    }

    /// The newer of two. Those of the same instant are in some order, too: that in which they were found must not
    /// matter.
    fn newer(self, other: Self) -> Self {
        if other.0.is_newer(self.0) { other } else { self }
    }
}

impl Hash for Exemplar<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Newest { time, value, labels } = self.0;
        (time.to_bits(), value.to_bits(), labels.bytes()).hash(state);
    }
}

impl Newest {
    fn is_newer(&self, other: &Self) -> bool {
        self.by_age(other).is_gt()
    }

    fn by_age(&self, other: &Self) -> Ordering {
        let order = self.time.total_cmp(&other.time).then(self.value.total_cmp(&other.value));
        order.then_with(|| self.labels.bytes().cmp(other.labels.bytes()))
    }
}

/// The places of a native histogram's exemplars.
fn of_native(native: NativeSlot) -> Range<usize> {
    let len = NATIVE_EXEMPLARS as usize;
    native as usize * len..(native as usize + 1) * len
}

/// Adds an exemplar under this number, if it is not too old and newer than the one that is there.
fn add(
    newest: &mut Vec<Newest>,
    by_number: &mut Vec<u32>,
    (now, at): (f64, usize),
    exemplar: &exemplar::Exemplar,
) {
    let &exemplar::Exemplar { value, time, labels, .. } = exemplar;
    if !(-MAX_LEAD..=MAX_AGE).contains(&(now - time)) {
        return;
    }
    let new = Newest { time, value, labels };
    if by_number.len() <= at {
        by_number.resize(at + 1, NONE);
    }
    match newest.get_mut(by_number[at] as usize) {
        Some(known) if new.is_newer(known) => *known = new,
        Some(_) => {}
        None => {
            by_number[at] = u32::try_from(newest.len()).unwrap_or(NONE);
            newest.push(new);
        }
    }
}

impl Exemplars {
    /// Begins again, in the same space.
    pub(crate) fn clear(&mut self) {
        self.newest.clear();
        self.by_slot.clear();
        self.by_native.clear();
        self.now = None;
    }

    /// Adds an exemplar.
    pub(crate) fn add(&mut self, owner: Owner, exemplar: &exemplar::Exemplar) {
        let now = *self.now.get_or_insert_with(|| now_nanos() as f64 / 1e9);
        self.add_at(now, owner, exemplar);
    }

    fn add_at(&mut self, now: f64, owner: Owner, exemplar: &exemplar::Exemplar) {
        let (by_number, at) = match owner {
            Owner::Slot(slot) => (&mut self.by_slot, slot as usize),
            Owner::Native(native) => {
                let places = of_native(native);
                self.by_native.resize(self.by_native.len().max(places.end), NONE);
                (&mut self.by_native, places.start + native_exemplar(exemplar.value) as usize)
            }
        };
        add(&mut self.newest, by_number, (now, at), exemplar);
    }

    /// Whether there are none at all.
    pub(crate) fn are_none(&self) -> bool {
        self.newest.is_empty()
    }

    /// Whether a native histogram has any that belongs to no bucket with a bound.
    pub(crate) fn any_is_native(&self) -> bool {
        !self.by_native.is_empty()
    }

    /// The exemplar of what is summed in a slot.
    pub(crate) fn get(&self, slot: Slot) -> Option<Exemplar<'_>> {
        let at = *self.by_slot.get(slot as usize)?;
        self.newest.get(at as usize).map(Exemplar)
    }

    /// Those of a native histogram that belong to no bucket with a bound.
    pub(crate) fn of_native(&self, native: NativeSlot) -> impl Iterator<Item = Exemplar<'_>> {
        let places = self.by_native.get(of_native(native)).unwrap_or_default();
        places.iter().filter_map(|&at| self.newest.get(at as usize).map(Exemplar))
    }

    /// Those of a histogram, whatever they belong to, which may be native.
    pub(crate) fn of_histogram(
        &self,
        buckets: &[(f64, Slot)],
        native: Option<NativeSlot>,
    ) -> impl Iterator<Item = Exemplar<'_>> {
        let in_buckets = buckets.iter().filter_map(|&(_, slot)| self.get(slot));
        in_buckets.chain(native.into_iter().flat_map(|native| self.of_native(native)))
    }

    /// Those of a native histogram, in the order of their times.
    pub(crate) fn by_time(&self, buckets: &[(f64, Slot)], native: NativeSlot) -> Vec<Exemplar<'_>> {
        if self.are_none() {
            return Vec::new();
        }
        let mut found: Vec<_> = self.of_histogram(buckets, Some(native)).collect();
        found.sort_unstable_by(|a, b| a.0.by_age(b.0));
        found
    }

    /// Those of a histogram, by the buckets that their values fall into: processes with other bounds have counted
    /// them in others. `None` if there are none; otherwise as many as there are buckets, and one for +Inf.
    pub(crate) fn by_bucket(
        &self,
        buckets: &[(f64, Slot)],
        native: Option<NativeSlot>,
    ) -> Option<Vec<Option<Exemplar<'_>>>> {
        if self.are_none() {
            return None;
        }
        let mut found = self.of_histogram(buckets, native).peekable();
        found.peek()?;
        let mut placed: Vec<Option<Exemplar<'_>>> = vec![None; buckets.len() + 1];
        for exemplar in found {
            let place = &mut placed[buckets.partition_point(|&(bound, _)| bound < exemplar.value())];
            *place = Some(place.map_or(exemplar, |known| known.newer(exemplar)));
        }
        Some(placed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: f64 = 1.7e9;

    fn collect(exemplars: &[(Slot, f64, f64)]) -> Exemplars {
        let mut collected = Exemplars::default();
        for (n, &(slot, age, value)) in exemplars.iter().enumerate() {
            let labels = ExemplarLabels::new(&[("n", &n.to_string())]).unwrap();
            let exemplar = exemplar::Exemplar { cell: 0, value, time: NOW - age, labels };
            collected.add_at(NOW, Owner::Slot(slot), &exemplar);
        }
        collected
    }

    fn id(exemplar: Option<Exemplar<'_>>) -> Option<&str> {
        exemplar.and_then(|exemplar| exemplar.labels().next()).map(|(_, id)| id)
    }

    #[test]
    fn the_newest_counts_in_whatever_order_they_are_found() {
        let check = |exemplars: &[(Slot, f64, f64)], value: Option<f64>| {
            let mut reversed = exemplars.to_vec();
            reversed.reverse();
            for exemplars in [exemplars, &reversed] {
                assert_eq!(collect(exemplars).get(3).map(Exemplar::value), value);
            }
        };
        check(&[], None);
        check(&[(3, 5.0, 0.5), (3, 2.0, 0.25), (2, 1.0, 7.0), (9, 1.0, 7.0)], Some(0.25));
        check(&[(3, 5.0, 0.5), (3, 5.0, 0.25)], Some(0.5));
    }

    #[test]
    fn what_every_scraper_has_seen_or_what_is_ahead_of_the_clock_is_not_shown() {
        let check = |age, is_shown| {
            assert_eq!(collect(&[(0, age, 1.0)]).get(0).is_some(), is_shown, "{age}");
        };
        check(3600.0, true);
        check(3601.0, false);
        check(-60.0, true);
        check(-61.0, false);
    }

    #[test]
    fn an_exemplar_is_shown_in_the_bucket_that_its_value_falls_into() {
        let buckets = [(1.0, 10), (2.0, 11), (5.0, 12)];
        // Some process has no bound of 2, so it counted 1.5 up to 5; another one has no bounds.
        let collected = collect(&[(12, 1.0, 1.5), (11, 2.0, 2.0), (13, 1.0, 9.0), (10, 1.0, 1.0)]);
        let placed = collected.by_bucket(&buckets, None).unwrap();
        assert_eq!(placed.into_iter().map(id).collect::<Vec<_>>(), [Some("3"), Some("0"), None, None]);
        let collected = collect(&[(10, 1.0, 100.0), (12, 2.0, f64::NEG_INFINITY)]);
        let placed = collected.by_bucket(&buckets, None).unwrap();
        assert_eq!(placed.into_iter().map(id).collect::<Vec<_>>(), [Some("1"), None, None, Some("0")]);
        assert!(collected.by_bucket(&[(1.0, 0)], None).is_none());
    }
}
