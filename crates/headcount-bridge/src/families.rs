//! Metrics of ours, by names and labels that come at run time.
//!
//! Other clients let one name have series with different labels. A family of ours has the same labels on all its
//! series, so such a name is several families, in registries beside each other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;

use headcount::family::Metric;
use headcount::{DynamicFamily, OrNoop, RegisterError, Registry};

use crate::spelling;

/// The label names and values of a series, in the order of the names.
pub(crate) type Labels = BTreeMap<String, String>;

/// Where metrics are registered.
#[derive(Debug)]
pub(crate) struct Families {
    /// The first takes each name with the labels it comes with first.
    registries: Mutex<Vec<Registry>>,
}

impl Families {
    pub(crate) fn new(registry: Registry) -> Self {
        Self { registries: Mutex::new(vec![registry]) }
    }

    /// The series of a family that `make` makes of a registry and the names of labels.
    pub(crate) fn series<M: Metric>(
        &self,
        labels: &Labels,
        make: impl Fn(Registry, &[&str]) -> Result<DynamicFamily<M>, RegisterError>,
    ) -> Result<M, RegisterError> {
        let names: Vec<&str> = labels.keys().map(String::as_str).collect();
        let values: Vec<&str> = labels.values().map(String::as_str).collect();
        self.family(&names, make)?.try_with(&values)
    }

    /// The same, as a series that may be removed. One that cannot be made works and records nothing.
    pub(crate) fn child<M: Metric>(
        &self,
        labels: &Labels,
        make: impl Fn(Registry, &[&str]) -> Result<DynamicFamily<M>, RegisterError>,
    ) -> Child<M>
    where
        Result<M, RegisterError>: OrNoop<Created = M>,
    {
        let names: Vec<&str> = labels.keys().map(String::as_str).collect();
        let values: Box<[String]> = labels.values().cloned().collect();
        let family = self.family(&names, make);
        let child = family.and_then(|family| {
            let metric = family.try_with(&texts(&values))?;
            Ok(Child { metric, place: Some((family, values)) })
        });
        child.unwrap_or_else(|error| Child { metric: Err(error).or_noop(), place: None })
    }

    fn family<M: Metric>(
        &self,
        names: &[&str],
        make: impl Fn(Registry, &[&str]) -> Result<DynamicFamily<M>, RegisterError>,
    ) -> Result<DynamicFamily<M>, RegisterError> {
        let mut registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        for &registry in registries.iter() {
            match make(registry, names) {
                Err(RegisterError::Different { difference: "set of labels", .. }) => {}
                made => return made,
            }
        }
        let another = registries[0].beside();
        registries.push(another);
        make(another, names)
    }
}

/// A series of ours that comes and goes with one of another client's.
pub(crate) struct Child<M: Metric> {
    pub(crate) metric: M,
    /// Where it is, and the values of its labels; `None` if it could not be made.
    place: Option<(DynamicFamily<M>, Box<[String]>)>,
}

impl<M: Metric> Child<M> {
    /// It is no longer shown, unless another process has it.
    pub(crate) fn remove(&self) {
        if let Some((family, values)) = &self.place {
            family.remove(&texts(values));
        }
    }

    /// It is shown again, and goes on from where it was.
    pub(crate) fn bring_back(&self) {
        if let Some((family, values)) = &self.place {
            let _shown = family.with(&texts(values));
        }
    }
}

impl<M: Metric> fmt::Debug for Child<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("values", &self.place.as_ref().map(|(_, values)| values)).finish()
    }
}

fn texts(values: &[String]) -> Vec<&str> {
    values.iter().map(String::as_str).collect()
}

/// The labels as they are exposed; of those that are spelled the same, the last stays.
pub(crate) fn spelled<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>, reserved: &str) -> Labels {
    let spell = |(name, value): (&str, &str)| (spelling::label_name(name, reserved), value.to_owned());
    labels.into_iter().map(spell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_series_with_different_labels() {
        let registry = Registry::private().unwrap();
        let families = Families::new(registry);
        let count = |labels: &[(&str, &str)]| {
            let labels = spelled(labels.iter().copied(), "");
            families
                .series(&labels, |registry, names| registry.dynamic_counter("c", "", names))
                .unwrap()
                .inc();
        };
        count(&[]);
        count(&[("a", "x")]);
        count(&[("b", "y"), ("a", "x")]);
        count(&[("a", "x"), ("b", "y")]);
        count(&[]);
        let text = registry.render();
        let page = "# TYPE c_total counter\nc_total 2\nc_total{a=\"x\"} 1\nc_total{a=\"x\",b=\"y\"} 2\n";
        assert!(text.ends_with(page), "{text}");
    }
}
