//! How a metric comes into a registry: found there, or described in its file.

use headcount_store::format::family::{Family as Description, Shape};
use headcount_store::write::{Registration, Store};

use crate::children::Children;
use crate::counter::Counter;
use crate::definition::{Definition, Registered, check_names, check_samples, family_name};
use crate::error::RegisterError;
use crate::family::{Family, Metric};
use crate::labelled::Labelled;
use crate::labels::Labels;
use crate::registry::Registry;
use crate::series::{Found, Limit, Place, Series};
use crate::view::View;

impl Registry {
    pub(crate) fn family<M: Metric, const N: usize>(
        self,
        name: &str,
        help: &str,
        shape: Shape,
        labels: [&str; N],
    ) -> Result<Family<M, N>, RegisterError> {
        self.register(name, help, &shape, &labels).map(Family::of)
    }

    pub(crate) fn labelled<M: Metric, L: Labels>(
        self,
        name: &str,
        help: &str,
        shape: Shape,
    ) -> Result<Labelled<M, L>, RegisterError> {
        let mut names = Vec::new();
        L::names("", &mut names);
        let labels: Vec<&str> = names.iter().map(String::as_str).collect();
        self.register(name, help, &shape, &labels).map(|children| Labelled::of(children, labels.len()))
    }

    /// Finds the family of that name, or creates it.
    pub(crate) fn register<M: Metric>(
        self,
        name: &str,
        help: &str,
        shape: &Shape,
        labels: &[&str],
    ) -> Result<&'static Children<M>, RegisterError> {
        self.register_under(&mut Registration::begin(), name, help, shape, labels)
    }

    fn register_under<M: Metric>(
        self,
        registration: &mut Registration,
        name: &str,
        help: &str,
        shape: &Shape,
        labels: &[&str],
    ) -> Result<&'static Children<M>, RegisterError> {
        let name = self.view().name(family_name(name, shape.kind()), shape.kind());
        let Some(store) = self.store() else { return Err(RegisterError::NoRegistry { name }) };
        let labels = self.view().names().chain(labels.iter().copied()).collect();
        let definition = Definition { help, shape, labels, view: self.view() };
        let registered = self.find_or_add(registration, store, name, &definition);
        if registered.is_err() {
            registration.count_lost_series(store);
        }
        registered
    }

    fn find_or_add<M: Metric>(
        self,
        registration: &mut Registration,
        store: Store,
        name: String,
        definition: &Definition<'_>,
    ) -> Result<&'static Children<M>, RegisterError> {
        let Definition { help, shape, ref labels, view } = *definition;
        check_names(&name, shape.kind(), labels)?;
        let mut families = self.families();
        let number = match families.get(&name).map(|known| (known.number, known.difference(definition))) {
            Some((number, None)) => number,
            Some((_, Some(difference))) => return Err(RegisterError::Different { name, difference }),
            None => {
                check_samples(&name, shape.kind(), &families)?;
                let unit = view.unit(shape.kind());
                let description =
                    Description { name: &name, help, unit, shape: shape.clone(), labels: labels.clone() };
                registration
                    .add_family(store, &description)
                    .map_err(|source| RegisterError::Space { name: name.clone(), source })?
            }
        };
        let registered = families.entry(name.clone()).or_insert_with(|| Registered::new(definition, number));
        if let Some(children) = registered.children(view) {
            return Ok(children);
        }
        let place = Place { registry: self, store, number };
        let labels = labels.len() - view.names().count();
        let series = Series::new(&name, Some(place), shape, labels, view.series_limit);
        let children: &'static _ = Box::leak(Box::new(Children::new(series)));
        registered.add(view, children);
        Ok(children)
    }

    /// The counter of look-ups that went to the overflow of the metric `name`.
    pub(crate) fn count_overflows(
        self,
        registration: &mut Registration,
        name: &str,
        limit: Limit,
    ) -> Option<Counter> {
        let (overflows, help) = match limit {
            Limit::Series => (
                "headcount_series_overflows",
                "Look-ups of label sets beyond a metric's limit, which went to its overflow series.",
            ),
            Limit::Bytes => (
                "headcount_bytes_overflows",
                "Look-ups of label sets beyond the bytes of a process, which went to their metric's overflow series.",
            ),
        };
        let plain = self.seen_as(View::UNLIMITED);
        let children: &Children<Counter> =
            plain.register_under(registration, overflows, help, &Shape::Counter, &["metric"]).ok()?;
        match children.find_or_create_under(registration, &[name]).ok()? {
            Found::Child(lookups) => Some(lookups.metric),
            Found::Overflow(_) => None,
        }
    }
}
