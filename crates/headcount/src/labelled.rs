//! Families whose labels are a type.
//!
//! A child is found by what the type knows: by its number if the values can be numbered, otherwise by the
//! words of its values. Only a child that is new is made into text.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};
use std::time::Duration;

use headcount_store::write::Registration;

use crate::children::{Children, Finds};
use crate::error::RegisterError;
use crate::family::Metric;
use crate::labels::{Labels, Value};
use crate::numbered::Numbered;
use crate::part::{Key, Part};
use crate::series::{Child, Found};
use crate::table::Table;

/// Metrics of one name, one for each label set of a type.
///
/// Looking up a child that exists takes no lock and allocates nothing, and what is borrowed in the labels
/// is borrowed for the call only. Children are small handles that may be kept. To clone it is cheap.
///
/// ```
/// use std::sync::LazyLock;
/// use headcount::{Counter, Labelled, Labels, OrNoop};
///
/// #[derive(Labels)]
/// struct Request<'a> {
///     cached: bool,
///     route: &'a str,
/// }
///
/// static REQUESTS: LazyLock<Labelled<Counter, Request>> =
///     LazyLock::new(|| Counter::labelled("requests", "Requests answered.").or_noop());
///
/// let route = String::from("/users");
/// REQUESTS.get(&Request { cached: true, route: &route }).inc();
/// assert!(headcount::render().contains("requests_total{cached=\"true\",route=\"/users\"} 1"));
/// ```
pub struct Labelled<M: Metric, L>(Arc<Typed<M>>, PhantomData<fn() -> L>);

struct Typed<M: Metric> {
    children: &'static Children<M>,
    /// How many labels there are.
    labels: usize,
    /// The children by their number, if there are numbers.
    by_number: Numbered<M>,
    /// The children by their values, if those are not all text.
    by_value: Table<Child<M>>,
}

/// So many children, and no more, have a place before they exist.
const NUMBERED: usize = 16_384;

impl<M: Metric, L: Labels> Labelled<M, L> {
    /// The children as those of a type with so many labels.
    pub(crate) fn of(children: &'static Children<M>, labels: usize) -> Self {
        let numbers = if Self::is_numbered() { L::COUNT.unwrap_or(0) } else { 0 };
        let by_number = Numbered::new(numbers);
        let typed = Arc::new(Typed { children, labels, by_number, by_value: Table::new() });
        let found_by: Weak<Typed<M>> = Arc::downgrade(&typed);
        children.found_by(&mut Registration::begin(), found_by);
        Self(typed, PhantomData)
    }

    /// Limits how many series there may be; see [`Family::limited_to`](crate::Family::limited_to).
    #[must_use = "a limit is set in a declaration, which goes on with the family"]
    pub fn limited_to(self, limit: u32) -> Self {
        self.0.children.series().limit_to(limit);
        self
    }

    /// Removes children that are idle; see [`Family::expire_after`](crate::Family::expire_after).
    #[must_use = "this belongs to a declaration, which goes on with the family"]
    pub fn expire_after(self, idle: Duration) -> Self {
        self.0.children.expire_after(idle);
        self
    }

    /// Removes the child with these labels; tells whether there was one. See
    /// [`Family::remove`](crate::Family::remove).
    pub fn remove(&self, labels: &L) -> bool {
        self.with_texts(labels, |values| self.0.children.remove(values))
    }

    /// Removes all children.
    pub fn clear(&self) {
        self.0.children.clear();
    }

    /// The child with these labels. It is created if need be.
    ///
    /// When there is no space for it, the child works and records nothing: the loss is counted in the
    /// file, and the merge exposes it.
    #[must_use]
    pub fn get(&self, labels: &L) -> M {
        match self.find(labels) {
            Some(child) => child,
            None => self.create(labels).unwrap_or_else(|error| self.0.children.lost(&error)),
        }
    }

    /// As [`get`](Self::get), for those who want to know.
    ///
    /// # Errors
    ///
    /// When there is no space for another series, or the values are too long.
    pub fn try_get(&self, labels: &L) -> Result<M, RegisterError> {
        self.find(labels).map_or_else(|| self.create(labels), Ok)
    }

    #[inline]
    fn is_numbered() -> bool {
        L::COUNT.is_some_and(|count| count <= NUMBERED)
    }

    #[inline]
    fn find(&self, labels: &L) -> Option<M> {
        if Self::is_numbered() {
            return self.0.by_number.get(labels.index());
        }
        let values = Values(labels);
        let children = if values.are_text() { self.0.children.by_text() } else { &self.0.by_value };
        children.find(&values).map(|child| child.metric)
    }

    #[cold]
    #[inline(never)]
    fn create(&self, labels: &L) -> Result<M, RegisterError> {
        let key = Values(labels);
        let found = self.with_texts(labels, |values| {
            self.0.children.find_or_create(values, |registration, child| {
                if Self::is_numbered() {
                    self.0.by_number.set(registration, labels.index(), child);
                } else if !key.are_text() {
                    self.0.by_value.remember(registration, &key, values, child);
                }
            })
        });
        found.map(Found::metric)
    }

    /// Calls `use_texts` with the values as texts, as many as there are names, whatever the type says.
    fn with_texts<R>(&self, labels: &L, use_texts: impl FnOnce(&[&str]) -> R) -> R {
        let mut values = Vec::new();
        labels.visit(&mut |value| {
            values.push(match value {
                Value::Text(text) | Value::Literal(text) | Value::Variant(_, text) => Cow::Borrowed(text),
                value => Cow::Owned(value.to_string()),
            });
        });
        let mut values: Vec<&str> = values.iter().map(|value| &**value).collect();
        values.resize(self.0.labels, "");
        use_texts(&values)
    }
}

impl<M: Metric> Finds<M> for Typed<M> {
    fn forget(&self, registration: &mut Registration, gone: &dyn Fn(&Child<M>) -> bool) {
        self.by_number.forget_all(registration, gone);
        self.by_value.forget_all(registration, gone);
    }
}

/// The values of a label set, as a key. Inlined with the type known, little is left of them.
struct Values<'a, L>(&'a L);

impl<L: Labels> Values<'_, L> {
    /// Whether the children by text can be asked for them.
    #[inline(always)]
    fn are_text(&self) -> bool {
        let mut are_text = true;
        self.0.visit(&mut |value| are_text &= matches!(value, Value::Text(_) | Value::Absent));
        are_text
    }
}

impl<L: Labels> Key for Values<'_, L> {
    #[inline(always)]
    fn parts(&self, mut visit: impl FnMut(Part)) {
        self.0.visit(&mut |value| visit(Part::of(value)));
    }

    fn has_texts(&self, texts: &[Box<str>]) -> bool {
        let (mut same, mut texts) = (true, texts.iter());
        self.0.visit(&mut |value| {
            let known = texts.next();
            if let Value::Text(text) = value {
                same &= known.is_some_and(|known| **known == *text);
            }
        });
        same
    }
}

impl<M: Metric, L> Clone for Labelled<M, L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), PhantomData)
    }
}

impl<M: Metric, L> fmt::Debug for Labelled<M, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Labelled").field("name", &self.0.children.series().name()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counter::Counter;
    use crate::labels::{LabelValue, product};
    use crate::registry::Registry;

    struct Numbered(bool, Option<bool>);

    impl Labels for Numbered {
        const COUNT: Option<usize> = product(&[bool::COUNT, <Option<bool>>::COUNT]);

        fn names(prefix: &str, names: &mut Vec<String>) {
            names.extend(["a", "b"].map(|name| format!("{prefix}{name}")));
        }

        fn index(&self) -> usize {
            self.0.index() * 3 + self.1.index()
        }

        fn visit<'a>(&'a self, visit: &mut impl FnMut(Value<'a>)) {
            visit(self.0.value());
            visit(self.1.value());
        }
    }

    /// As many numbers as there are, and texts.
    struct Mixed<'a>(&'a [i64], &'a str);

    impl Labels for Mixed<'_> {
        fn names(prefix: &str, names: &mut Vec<String>) {
            names.extend((0..2).map(|n| format!("{prefix}n{n}")));
            names.push(format!("{prefix}text"));
        }

        fn visit<'a>(&'a self, visit: &mut impl FnMut(Value<'a>)) {
            self.0.iter().for_each(|number| visit(number.value()));
            visit(self.1.value());
        }
    }

    #[test]
    fn numbered_labels_and_text_lead_to_the_same_child() {
        let registry = Registry::private().unwrap();
        let labelled = registry.labelled_counter::<Numbered>("c", "").unwrap();
        for (n, cached) in [false, true].into_iter().enumerate() {
            for (m, b) in [None, Some(false), Some(true)].into_iter().enumerate() {
                (0..=n * 3 + m).for_each(|_| labelled.get(&Numbered(cached, b)).inc());
            }
        }
        registry.counter_family("c", "", ["a", "b"]).unwrap().with(["true", ""]).add(10);
        registry.labelled_counter("c", "").unwrap().get(&Numbered(true, None)).add(100);
        let text = registry.render();
        assert_eq!(text.lines().count(), 2 + 6, "{text}");
        assert!(text.contains("{a=\"false\",b=\"true\"} 3\n"), "{text}");
        assert!(text.contains("{a=\"true\",b=\"\"} 114\n"), "{text}");
    }

    #[test]
    fn labels_of_many_kinds_are_found_again_and_told_apart() {
        let registry = Registry::private().unwrap();
        let labelled = registry.labelled_counter::<Mixed<'static>>("c", "").unwrap();
        let long = ["a text that has no room in two words", "a text that has no room in two Words"];
        for _ in 0..2 {
            for text in ["", "short", long[0], long[1]].map(str::to_owned) {
                for number in [0, 1, -1, i64::MIN] {
                    labelled.get(&Mixed(&[number, 7], &text)).inc();
                }
            }
        }
        let text = registry.render();
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.len(), 16, "{text}");
        assert!(lines.iter().all(|line| line.ends_with(" 2")), "{text}");
    }

    #[test]
    fn a_type_with_too_few_or_too_many_values_does_no_harm() {
        let registry = Registry::private().unwrap();
        let labelled = registry.labelled_counter::<Mixed<'static>>("c", "").unwrap();
        for numbers in [&[][..], &[1], &[1; 40]] {
            (0..2).for_each(|_| labelled.get(&Mixed(numbers, "x")).inc());
        }
        assert!(labelled.try_get(&Mixed(&[1, 2], &"x".repeat(1 << 20))).is_err());
        let text = registry.render();
        assert!(text.contains("c_total{n0=\"1\",n1=\"1\",text=\"1\"} 2\n"), "{text}");
        assert_eq!(text.lines().count(), 2 + 3, "{text}");
    }

    #[test]
    fn a_shared_handle_serves_labels_of_every_lifetime() {
        fn count(counters: &Labelled<Counter, Mixed<'static>>) {
            let text = String::from("borrowed");
            counters.clone().get(&Mixed(&[1, 2], &text)).inc();
        }
        let registry = Registry::private().unwrap();
        let labelled = registry.labelled_counter("c", "").unwrap();
        count(&labelled);
        assert!(registry.render().contains("text=\"borrowed\"} 1\n"));
    }
}
