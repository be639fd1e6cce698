//! Which metrics a rule is for.

use crate::spelling::metric_name;

/// Matches names of metrics, as the program or the exposition spells them. As in `metrics-exporter-prometheus`, a whole
/// name goes before a beginning, and that before an end; among equals, the rule that was made first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher(Part, String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Full,
    Prefix,
    Suffix,
}

impl Matcher {
    /// This name.
    #[must_use]
    pub fn full(name: &str) -> Self {
        Self(Part::Full, metric_name(name))
    }

    /// Names that begin so.
    #[must_use]
    pub fn prefix(prefix: &str) -> Self {
        Self(Part::Prefix, metric_name(prefix))
    }

    /// Names that end so.
    #[must_use]
    pub fn suffix(suffix: &str) -> Self {
        Self(Part::Suffix, metric_name(suffix))
    }

    /// Whether it matches this name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let Self(part, text) = self;
        match part {
            Part::Full => name == text,
            Part::Prefix => name.starts_with(text.as_str()),
            Part::Suffix => name.ends_with(text.as_str()),
        }
    }
}

/// Values for names, and one for all others.
#[derive(Clone, Debug)]
pub(crate) struct Rules<T> {
    pub(crate) default: T,
    rules: Vec<(Matcher, T)>,
}

impl<T> Rules<T> {
    pub(crate) fn new(default: T) -> Self {
        Self { default, rules: Vec::new() }
    }

    pub(crate) fn add(&mut self, matcher: Matcher, value: T) {
        self.rules.push((matcher, value));
        // Stable: of equals, the first stays first.
        self.rules.sort_by_key(|(matcher, _)| matcher.0);
    }

    pub(crate) fn get(&self, name: &str) -> &T {
        let found = self.rules.iter().find(|(matcher, _)| matcher.matches(name));
        found.map_or(&self.default, |(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_name_goes_before_a_beginning_and_that_before_an_end() {
        let mut rules = Rules::new(0);
        rules.add(Matcher::suffix("_c"), 1);
        rules.add(Matcher::prefix("a_"), 2);
        rules.add(Matcher::prefix("a_b"), 3);
        rules.add(Matcher::full("a.b-c"), 4);
        let check = |name, expected| assert_eq!(*rules.get(name), expected, "{name}");
        check("a_b_c", 4);
        check("a_b_d", 2);
        check("b_c", 1);
        check("b_d", 0);
    }
}
