//! A counter that follows a total which is kept elsewhere.

use headcount::FloatCounter;

/// Adds what the total has grown by.
#[derive(Debug)]
pub(crate) struct Total {
    counter: FloatCounter,
    seen: f64,
}

impl Total {
    /// Follows a total of which nothing is counted yet.
    pub(crate) fn new(counter: FloatCounter) -> Self {
        Self { counter, seen: 0.0 }
    }

    /// What it has come to now; one that has fallen has begun again at 0.
    pub(crate) fn follow(&mut self, total: f64) {
        if total.is_nan() {
            return;
        }
        self.counter.add(if total < self.seen { total } else { total - self.seen });
        self.seen = total;
    }

    /// What it has come to now is counted elsewhere.
    pub(crate) fn pass_over(&mut self, total: f64) {
        self.seen = total;
    }
}

#[cfg(test)]
mod tests {
    use headcount::Registry;

    use super::*;

    #[test]
    fn a_total_counts_by_what_it_grows_and_anew_after_it_fell() {
        let registry = Registry::private().unwrap();
        let mut total = Total::new(registry.float_counter("c", "").unwrap());
        let mut check = |value: f64, expected: &str| {
            total.follow(value);
            assert!(registry.render().contains(&format!("c_total {expected}\n")), "{}", registry.render());
        };
        check(2.5, "2.5");
        check(2.5, "2.5");
        check(f64::NAN, "2.5");
        check(4.0, "4");
        check(1.0, "5");
    }
}
