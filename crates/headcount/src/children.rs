//! The children of a family, by whatever type their labels are looked up, and how they come and go.
//!
//! A child that is removed keeps its cells and its entry in the tables, which then pass over it: who has its handle
//! counts on, and who looks it up gets the same one again.

use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

use headcount_store::write::Registration;

use crate::addresses::Addresses;
use crate::error::{RegisterError, report_lost};
use crate::expiry::{self, Expiry};
use crate::family::Metric;
use crate::series::{Child, Found, Presence, Series};
use crate::table::Table;

/// See the module.
pub(crate) struct Children<M: Metric> {
    series: Series<M>,
    by_text: Table<Child<M>>,
    by_address: Addresses<Child<M>>,
    /// Where children are found otherwise. Taken only under a [`Registration`].
    others: Mutex<Vec<Weak<dyn Finds<M> + Send + Sync>>>,
    expiry: Expiry,
}

/// Finds children by something that is not their text.
pub(crate) trait Finds<M> {
    /// Does not find those any more that are `gone`.
    fn forget(&self, registration: &mut Registration, gone: &dyn Fn(&Child<M>) -> bool);
}

impl<M: Metric> Children<M> {
    pub(crate) fn new(series: Series<M>) -> Self {
        Self {
            series,
            by_text: Table::new(),
            by_address: Addresses::new(),
            others: Mutex::default(),
            expiry: Expiry::default(),
        }
    }

    pub(crate) fn series(&self) -> &Series<M> {
        &self.series
    }

    pub(crate) fn expiry(&self) -> &Expiry {
        &self.expiry
    }

    /// A child that works and records nothing, because of an error.
    #[cold]
    pub(crate) fn lost(&'static self, error: &RegisterError) -> M {
        report_lost(error);
        self.series.lost()
    }

    /// The children by their labels as text: all that there are.
    #[inline]
    pub(crate) fn by_text(&self) -> &Table<Child<M>> {
        &self.by_text
    }

    /// The children by the addresses of their labels.
    #[inline]
    pub(crate) fn by_address(&self) -> &Addresses<Child<M>> {
        &self.by_address
    }

    /// Notes who else finds children.
    pub(crate) fn found_by(&self, _: &mut Registration, other: Weak<dyn Finds<M> + Send + Sync>) {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.retain(|other| other.strong_count() > 0);
        others.push(other);
    }

    /// The child with these labels, which is created if need be. `remember` is for who wants to find it otherwise
    /// from now on.
    #[cold]
    pub(crate) fn find_or_create(
        &'static self,
        values: &[&str],
        remember: impl FnOnce(&mut Registration, Child<M>),
    ) -> Result<Found<M>, RegisterError> {
        // Who has missed it in another table, or too early, may find it by its text.
        if self.series.is_full()
            && self.by_text.find(&values).is_none()
            && let Some(overflow) = self.series.overflow()
        {
            return Ok(overflow);
        }
        if self.expiry.is_on() {
            expiry::look_after();
        }
        let mut registration = Registration::begin();
        let found = self.find_or_create_under(&mut registration, values)?;
        if let Found::Child(child) = found {
            remember(&mut registration, child);
        }
        Ok(found)
    }

    /// As [`find_or_create`](Self::find_or_create), for who registers something already. Nobody else adds to a
    /// table.
    pub(crate) fn find_or_create_under(
        &'static self,
        registration: &mut Registration,
        values: &[&str],
    ) -> Result<Found<M>, RegisterError> {
        match self.by_text.find(&values) {
            Some(child) => Ok(Found::Child(child)),
            None => self.recall_or_create(registration, values),
        }
    }

    fn recall_or_create(
        &'static self,
        registration: &mut Registration,
        values: &[&str],
    ) -> Result<Found<M>, RegisterError> {
        if !self.series.is_full()
            && let Some(child) = self.by_text.recall(registration, &values)
        {
            self.series.set_presence(registration, &child, Presence::Shown);
            return Ok(Found::Child(child));
        }
        let found = self.series.create(registration, values)?;
        if let Found::Child(child) = found {
            self.by_text.add(registration, &values, values, child);
            self.series.remembered();
        }
        Ok(found)
    }

    /// Removes the child with these labels, if there is one.
    pub(crate) fn remove(&'static self, values: &[&str]) -> bool {
        let mut registration = Registration::begin();
        let Some(child) = self.by_text.forget(&mut registration, &values) else { return false };
        self.series.set_presence(&mut registration, &child, Presence::Removed);
        self.forget_otherwise(&mut registration, &|other| other.number == child.number);
        true
    }

    /// Removes all children.
    pub(crate) fn clear(&'static self) {
        let mut registration = Registration::begin();
        let all: Vec<_> = self.by_text.children(0, usize::MAX).collect();
        for child in all.iter().filter(|child| self.series.presence(child) == Presence::Shown) {
            self.hide(&mut registration, child, Presence::Removed);
        }
        self.forget_otherwise(&mut registration, &|_| true);
        self.series.set_overflow_shown(&mut registration, false);
    }

    /// Takes a child away that is there. What finds it otherwise is yet to [forget](Self::forget_otherwise) it.
    pub(crate) fn hide(&'static self, registration: &mut Registration, child: &Child<M>, presence: Presence) {
        self.by_text.turn_at(registration, child.number);
        self.series.set_presence(registration, child, presence);
    }

    /// Brings a child back that was taken away.
    pub(crate) fn bring_back(&'static self, registration: &mut Registration, child: &Child<M>) {
        self.by_text.turn_at(registration, child.number);
        self.series.set_presence(registration, child, Presence::Shown);
    }

    /// Has children forgotten that are not found by their text any more.
    pub(crate) fn forget_otherwise(&self, registration: &mut Registration, gone: &dyn Fn(&Child<M>) -> bool) {
        self.by_address.forget_all(registration, gone);
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.iter().filter_map(Weak::upgrade).for_each(|other| other.forget(registration, gone));
    }

    /// Has children removed that are idle for so long.
    pub(crate) fn expire_after(&'static self, idle: Duration) {
        self.expiry.set(idle);
        expiry::add(self);
    }
}

#[cfg(test)]
mod tests {
    use headcount_store::metric::GaugeMode;

    use crate::buckets::Buckets;
    use crate::one_label::OneLabel;
    use crate::registry::Registry;

    #[test]
    fn a_removed_series_is_not_shown_until_it_is_looked_up_again_and_then_counts_on() {
        let registry = Registry::private().unwrap();
        let family = registry.counter_family("c", "", ["a"]).unwrap();
        let kept = family.with_literals(["x"]);
        kept.inc();
        family.with(["y"]).inc();
        assert!(family.remove(["x"]));
        assert!(!family.remove(["x"]) && !family.remove(["z"]), "there are none");
        kept.inc();
        assert!(!registry.render().contains("a=\"x\""), "{}", registry.render());
        family.with_literals(["x"]).inc();
        assert!(registry.render().contains("c_total{a=\"x\"} 3\n"), "{}", registry.render());
        family.clear();
        assert!(!registry.render().contains("c_total{"), "{}", registry.render());
        family.with(["y"]).inc();
        assert!(registry.render().ends_with("c_total{a=\"y\"} 2\n"), "{}", registry.render());
    }

    #[test]
    fn series_of_every_kind_are_removed_however_they_are_looked_up() {
        let registry = Registry::private().unwrap();
        let gauges = registry.gauge_family("g", "", GaugeMode::Sum, ["a"]).unwrap();
        let recent = registry.gauge_family("r", "", GaugeMode::MostRecent, ["a"]).unwrap();
        let histograms = registry.histogram_family("h", "", Buckets::default(), ["a"]).unwrap();
        let numbered = registry.labelled_summary::<OneLabel<bool>>("s", "").unwrap();
        let numbers = registry.labelled_float_counter::<OneLabel<u16>>("f", "").unwrap();
        let texts = registry.labelled_counter::<OneLabel<String>>("t", "").unwrap();
        for round in 1..=3 {
            gauges.with(["x"]).set(1.0);
            recent.with(["x"]).set(1.0);
            histograms.with(["x"]).observe(1.0);
            numbered.get(&OneLabel(true)).observe(1.0);
            numbers.get(&OneLabel(7)).add(1.0);
            texts.get(&OneLabel("x".to_owned())).inc();
            let text = registry.render();
            for sample in [
                "g{a=\"x\"} 1\n".to_owned(),
                "r{a=\"x\"} 1\n".to_owned(),
                format!("h_count{{a=\"x\"}} {round}\n"),
                format!("s_count{{a=\"true\"}} {round}\n"),
                format!("f_total{{a=\"7\"}} {round}\n"),
                format!("t_total{{a=\"x\"}} {round}\n"),
            ] {
                assert!(text.contains(&sample), "{sample}{text}");
            }
            if round == 2 {
                gauges.clear();
                recent.clear();
                histograms.clear();
                numbered.clear();
                numbers.clear();
                texts.clear();
            } else {
                assert!(gauges.remove(["x"]) && recent.remove(["x"]) && histograms.remove(["x"]));
                assert!(numbered.remove(&OneLabel(true)) && !numbered.remove(&OneLabel(false)));
                assert!(numbers.remove(&OneLabel(7)) && texts.remove(&OneLabel("x".to_owned())));
            }
            assert!(registry.render().lines().all(|line| line.starts_with('#')), "{}", registry.render());
        }
    }

    #[test]
    fn what_is_removed_frees_its_place_under_the_limit() {
        let registry = Registry::private().unwrap();
        let family = registry.counter_family("c", "", ["a"]).unwrap().limited_to(2);
        for value in ["1", "2", "3"] {
            family.with([value]).inc();
        }
        assert!(family.remove(["1"]));
        family.with(["3"]).inc();
        // Now its own place is taken.
        family.with(["1"]).inc();
        let text = registry.render();
        assert!(!text.contains("{a=\"1\"}") && text.contains("{a=\"2\"} 1\n"), "{text}");
        assert!(text.contains("{a=\"3\"} 1\n") && text.contains("{a=\"overflow\"} 2\n"), "{text}");
        family.clear();
        assert!(!registry.render().contains("c_total{"), "{}", registry.render());
        for value in ["1", "2", "3"] {
            family.with([value]).inc();
        }
        let text = registry.render();
        assert!(text.contains("{a=\"1\"} 2\n") && text.contains("{a=\"overflow\"} 3\n"), "{text}");
    }

    #[test]
    fn threads_that_look_up_while_others_remove_lose_no_count() {
        let registry = Registry::private().unwrap();
        let family = registry.counter_family("c", "", ["a"]).unwrap();
        let numbered = registry.labelled_counter::<OneLabel<bool>>("n", "").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..5000 {
                        family.with([&(n % 50).to_string()]).inc();
                        family.with_literals(["x"]).inc();
                        numbered.get(&OneLabel(n % 2 == 0)).inc();
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    for n in 0..200 {
                        family.remove([&(n % 50).to_string()]);
                        family.remove(["x"]);
                        numbered.remove(&OneLabel(n % 2 == 0));
                        if n % 50 == 0 {
                            family.clear();
                        }
                    }
                });
            }
        });
        for n in 0..50 {
            let _ = family.with([&n.to_string()]);
        }
        let _ = (family.with_literals(["x"]), numbered.get(&OneLabel(true)), numbered.get(&OneLabel(false)));
        let text = registry.render();
        let value = |line: &str| line.split_once("} ").and_then(|(_, value)| value.parse::<u64>().ok());
        let sum = |name| text.lines().filter(|line| line.starts_with(name)).filter_map(value).sum::<u64>();
        assert_eq!((sum("c_total{"), sum("n_total{")), (40_000, 20_000), "{text}");
    }
}
