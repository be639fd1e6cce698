//! What a name is defined as, and which definitions go together.

use std::any::Any;
use std::collections::HashMap;

use headcount_store::format::family::Shape;
use headcount_store::metric::{Kind, check_label_name, check_metric_name};

use crate::children::Children;
use crate::error::RegisterError;
use crate::family::Metric;
use crate::view::View;

/// A metric that has been registered.
#[derive(Debug)]
pub(crate) struct Registered {
    help: String,
    shape: Shape,
    /// The names of all labels, of which the first are constant.
    labels: Vec<String>,
    constant: usize,
    unit: String,
    /// Its number in the file.
    pub(crate) number: u32,
    /// By the values of the constant labels, the [`Children`], whose type the shape tells.
    children: Vec<(Vec<String>, Box<dyn Any + Send>)>,
}

impl Registered {
    pub(crate) fn new(definition: &Definition<'_>, number: u32) -> Self {
        let Definition { help, shape, labels, view } = definition;
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        let constant = view.names().count();
        Self {
            help: (*help).to_owned(),
            shape: (*shape).clone(),
            labels,
            constant,
            unit: view.unit(shape.kind()).to_owned(),
            number,
            children: Vec::new(),
        }
    }

    /// What differs, if it is not the one that is asked for.
    pub(crate) fn difference(&self, definition: &Definition<'_>) -> Option<&'static str> {
        let Definition { help, shape, labels, view } = definition;
        if self.shape != **shape {
            let same_kind = self.shape.kind() == shape.kind();
            return Some(match shape {
                _ if !same_kind => "kind",
                Shape::StateSet { .. } => "set of states",
                _ => "mode, type of value or set of buckets",
            });
        }
        if self.labels != *labels {
            return Some("set of labels");
        }
        if self.constant != view.names().count() {
            return Some("set of constant labels");
        }
        if self.unit != view.unit(shape.kind()) {
            return Some("unit");
        }
        (self.help != *help).then_some("help text")
    }

    /// The children with the view's constant labels, if there are any.
    pub(crate) fn children<M: Metric>(&self, view: &View) -> Option<&'static Children<M>> {
        let known = self.children.iter().find(|(values, _)| view.values().eq(values));
        known.and_then(|(_, children)| children.downcast_ref().copied())
    }

    pub(crate) fn add<M: Metric>(&mut self, view: &View, children: &'static Children<M>) {
        self.children.push((view.values().map(str::to_owned).collect(), Box::new(children)));
    }
}

/// A metric as it is asked for, but for its name.
#[derive(Debug)]
pub(crate) struct Definition<'a> {
    pub(crate) help: &'a str,
    pub(crate) shape: &'a Shape,
    /// All labels, the constant ones of the view first.
    pub(crate) labels: Vec<&'a str>,
    pub(crate) view: &'a View,
}

/// A counter is the same with and without `_total` behind its name, which its samples get anyway; an info with and
/// without `_info`.
pub(crate) fn family_name(name: &str, kind: Kind) -> &str {
    name.strip_suffix(kind.name_suffix()).unwrap_or(name)
}

pub(crate) fn check_names(name: &str, kind: Kind, labels: &[&str]) -> Result<(), RegisterError> {
    check_metric_name(name)?;
    // What the exposition and the merge add themselves.
    let reserved = match kind {
        Kind::StateSet => {
            check_label_name(name)?;
            name
        }
        kind => kind.own_label(),
    };
    for (at, &label) in labels.iter().enumerate() {
        check_label_name(label)?;
        let (name, label) = (name.to_owned(), label.to_owned());
        if label == reserved {
            return Err(RegisterError::ReservedLabel { name, label, kind });
        }
        if labels[..at].contains(&label.as_str()) {
            return Err(RegisterError::DuplicateLabel { name, label });
        }
    }
    Ok(())
}

/// No two families may expose samples of the same name: `x_sum` is taken once there is a histogram `x`.
pub(crate) fn check_samples(
    name: &str,
    kind: Kind,
    families: &HashMap<String, Registered>,
) -> Result<(), RegisterError> {
    for (other, registered) in families {
        for theirs in registered.shape.kind().sample_suffixes() {
            for ours in kind.sample_suffixes() {
                let sample = format!("{name}{ours}");
                if sample.strip_prefix(other.as_str()) == Some(theirs) {
                    return Err(RegisterError::Taken { name: name.to_owned(), sample, other: other.clone() });
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use headcount_store::metric::GaugeMode;

    use super::*;
    use crate::buckets::Buckets;
    use crate::counter::Counter;
    use crate::family::Family;
    use crate::registry::Registry;

    fn registry() -> Registry {
        Registry::private().unwrap()
    }

    #[test]
    fn the_same_metric_twice_is_the_same_metric() {
        let registry = registry();
        registry.counter("c", "help").unwrap().inc();
        registry.counter("c_total", "help").unwrap().inc();
        assert!(registry.render().contains("c_total 2\n"));
        let family = || registry.counter_family("d", "help", ["a", "b"]).unwrap();
        family().with(["x", "y"]).inc();
        family().with(["x", "y"]).inc();
        assert!(registry.render().contains("d_total{a=\"x\",b=\"y\"} 2\n"));
    }

    #[test]
    fn another_definition_is_an_error_that_says_what_differs() {
        let registry = registry();
        registry.gauge("g", "help", GaugeMode::Sum).unwrap();
        let difference = |result: Result<(), RegisterError>| match result {
            Err(RegisterError::Different { difference, .. }) => difference,
            other => panic!("{other:?}"),
        };
        assert_eq!(difference(registry.counter("g", "help").map(drop)), "kind");
        assert_eq!(difference(registry.gauge("g", "other", GaugeMode::Sum).map(drop)), "help text");
        let mode = registry.gauge("g", "help", GaugeMode::All).map(drop);
        assert_eq!(difference(mode), "mode, type of value or set of buckets");
        let labels = registry.gauge_family("g", "help", GaugeMode::Sum, ["a"]).map(drop);
        assert_eq!(difference(labels), "set of labels");
        registry.histogram("h", "help", Buckets::default()).unwrap();
        let buckets = registry.histogram("h", "help", Buckets::new([1.0]).unwrap()).map(drop);
        assert_eq!(difference(buckets), "mode, type of value or set of buckets");
        registry.counter("c", "help").unwrap();
        assert_eq!(
            difference(registry.float_counter("c", "help").map(drop)),
            "mode, type of value or set of buckets"
        );
    }

    #[test]
    fn names_and_labels_are_refused_with_the_rule_they_break() {
        let registry = registry();
        let message = |result: Result<Family<Counter, 1>, RegisterError>| result.unwrap_err().to_string();
        assert!(message(registry.counter_family("9x", "", ["a"])).contains("begins with `9`"));
        assert!(message(registry.counter_family("x", "", ["a-b"])).contains("contains `-`"));
        assert!(message(registry.counter_family("x", "", ["__a"])).contains("two underscores"));
        assert!(registry.counter("_total", "").unwrap_err().to_string().contains("empty"));
        let reserved = |error| matches!(error, RegisterError::ReservedLabel { .. });
        assert!(reserved(registry.histogram_family("h", "", Buckets::default(), ["le"]).unwrap_err()));
        assert!(reserved(registry.summary_family("s", "", ["quantile"]).unwrap_err()));
        assert!(reserved(registry.gauge_family("g", "", GaugeMode::Sum, ["pid"]).unwrap_err()));
        let twice = registry.counter_family("x", "", ["a", "a"]).unwrap_err();
        assert!(matches!(twice, RegisterError::DuplicateLabel { .. }));
    }

    #[test]
    fn a_sample_name_belongs_to_one_metric() {
        let registry = registry();
        registry.histogram("x", "", Buckets::default()).unwrap();
        let taken = registry.gauge("x_sum", "", GaugeMode::Sum).unwrap_err();
        assert_eq!(taken.to_string(), "`x_sum` would expose `x_sum`, which is a sample of `x`");
        registry.gauge("y_count", "", GaugeMode::Sum).unwrap();
        assert!(matches!(registry.summary("y", "").unwrap_err(), RegisterError::Taken { .. }));
        registry.gauge("z_total", "", GaugeMode::Sum).unwrap();
        assert!(matches!(registry.counter("z", "").unwrap_err(), RegisterError::Taken { .. }));
    }
}
