//! Infos: facts that are told by labels, such as which version runs.

use headcount_store::format::family::Shape;
use headcount_store::write::{LifeCell, Registration, SeriesCells, SpaceError, Store};

use crate::error::RegisterError;
use crate::family::{Family, sealed};
use crate::labelled::Labelled;
use crate::labels::Labels;
use crate::registry::Registry;

/// A fact about the process, told by labels. Its value is always 1.
///
/// It holds from when it is created, in forked children, too. The merge shows each label set of the processes that
/// live once: while a deployment goes on, both versions.
///
/// ```
/// use headcount::{Info, OrNoop};
///
/// Info::new("app", "What runs here.", [("version", "1.4.2"), ("commit", "9fceb02")]).or_noop();
/// assert!(headcount::render().contains("app_info{version=\"1.4.2\",commit=\"9fceb02\"} 1\n"));
///
/// let plugins = Info::family("plugin", "What is loaded.", ["name"]).or_noop();
/// plugins.with(["auth"]).hold();
/// assert!(headcount::render().contains("plugin_info{name=\"auth\"} 1\n"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Info(());

impl Info {
    /// A fact with these labels, in the default registry. Its sample is called `<name>_info`, whether or not
    /// `name` ends so.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn new<const N: usize>(
        name: &str,
        help: &str,
        labels: [(&str, &str); N],
    ) -> Result<Self, RegisterError> {
        Registry::global()?.info(name, help, labels)
    }

    /// Facts whose labels are known later, in the default registry.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn family<const N: usize>(
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> Result<Family<Self, N>, RegisterError> {
        Registry::global()?.info_family(name, help, labels)
    }

    /// Facts with labels of a type, in the default registry; see [`Labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled<L: Labels>(name: &str, help: &str) -> Result<Labelled<Self, L>, RegisterError> {
        Registry::global()?.labelled_info(name, help)
    }

    /// Does nothing: a fact holds since it was looked up. It says so where only that is wanted.
    #[inline]
    pub fn hold(self) {}
}

impl Registry {
    /// A fact with these labels; see [`Info::new`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn info<const N: usize>(
        self,
        name: &str,
        help: &str,
        labels: [(&str, &str); N],
    ) -> Result<Info, RegisterError> {
        let (names, values) = (labels.map(|(name, _)| name), labels.map(|(_, value)| value));
        self.info_family(name, help, names)?.try_with(values)
    }

    /// Facts whose labels are known later; see [`Info::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn info_family<const N: usize>(
        self,
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> Result<Family<Info, N>, RegisterError> {
        self.family(name, help, Shape::Info, labels)
    }

    /// Facts with labels of a type; see [`Info::labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled_info<L: Labels>(
        self,
        name: &str,
        help: &str,
    ) -> Result<Labelled<Info, L>, RegisterError> {
        self.labelled(name, help, Shape::Info)
    }
}

impl sealed::Metric for Info {
    type Common = ();

    fn common(_: &Shape) {}

    fn create(
        (): &'static (),
        registration: &mut Registration,
        store: Store,
        family: u32,
        values: &[&str],
    ) -> Result<(Self, LifeCell), SpaceError> {
        registration.add_info(store, family, values).map(|life| (Self(()), life))
    }

    fn cells(self, (): &'static ()) -> SeriesCells {
        SeriesCells::None
    }

    fn lost((): &'static (), _: Store) -> Self {
        Self(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_info_is_the_same_with_and_without_its_ending() {
        let registry = Registry::private().unwrap();
        registry.info("app", "", [("version", "1")]).unwrap();
        registry.info("app_info", "", [("version", "2")]).unwrap();
        let shown =
            "# HELP app_info \n# TYPE app_info gauge\napp_info{version=\"1\"} 1\napp_info{version=\"2\"} 1\n";
        assert_eq!(registry.render(), shown);
        let taken = registry.gauge("app_info", "", crate::GaugeMode::All).unwrap_err();
        assert!(matches!(taken, RegisterError::Taken { .. }), "{taken}");
    }
}
