//! State sets: in which of several named states something is.

use std::fmt;
use std::marker::PhantomData;

use headcount_store::cell::{MAX_STATES, decode_states, encode_states};
use headcount_store::format::family::Shape;
use headcount_store::write::{BitCell, LifeCell, Registration, SeriesCells, SpaceError, Store};

use crate::error::{RegisterError, report_lost};
use crate::family::{Family, sealed};
use crate::labelled::Labelled;
use crate::labels::{LabelValue, Labels, Value};
use crate::registry::Registry;

/// Which of several named states are on. A state is a series, 1 or 0, with a label that is called like the metric.
///
/// In the merge a state is on if it is in any process that lives. A set that was never set takes no part; nor does
/// one in a forked child until the child sets it. The states are those of an enum that derives
/// [`LabelValue`](macro@crate::LabelValue), or texts. A small handle that may be copied and used by any thread.
///
/// ```
/// use headcount::{LabelValue, OrNoop, StateSet};
///
/// #[derive(LabelValue)]
/// enum Phase {
///     Loading,
///     Serving,
/// }
///
/// let phase = StateSet::of("phase", "What the worker does.").or_noop();
/// phase.set(&Phase::Serving);
/// let text = headcount::render();
/// assert!(text.contains("phase{phase=\"loading\"} 0\nphase{phase=\"serving\"} 1\n"), "{text}");
///
/// let features = StateSet::new("features", "What is switched on.", ["cache", "trace"]).or_noop();
/// features.enable("cache");
/// features.enable("trace");
/// features.disable("cache");
/// assert!(features.has("trace") && !features.has("cache"));
/// ```
pub struct StateSet<S: ?Sized + 'static = str> {
    cell: BitCell,
    states: &'static [String],
    of: PhantomData<fn(&S)>,
}

/// States that make no set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatesError {
    /// None at all, or of a type whose values are not numbered.
    #[error("at least one state is needed; those of a type are an enum that derives `LabelValue`")]
    Empty,
    /// More than there are bits for.
    #[error("a set has at most {MAX_STATES} states")]
    TooMany,
    /// The same state twice.
    #[error("a state comes twice")]
    Twice,
}

/// The shape of a set with these states.
pub(crate) fn shape(name: &str, states: &[&str]) -> Result<Shape, RegisterError> {
    let comes_twice = |(at, state)| states[..at].contains(state);
    let refused = match states.len() {
        0 => Some(StatesError::Empty),
        MAX_STATES.. if states.len() > MAX_STATES => Some(StatesError::TooMany),
        _ => states.iter().enumerate().any(comes_twice).then_some(StatesError::Twice),
    };
    match refused {
        Some(source) => Err(RegisterError::States { name: name.to_owned(), source }),
        None => Ok(Shape::StateSet { states: states.iter().map(|&state| state.to_owned()).collect() }),
    }
}

impl StateSet {
    /// A set of these states, in the default registry.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn new<const K: usize>(name: &str, help: &str, states: [&str; K]) -> Result<Self, RegisterError> {
        Registry::global()?.state_set(name, help, states)
    }

    /// Sets of these states with labels, in the default registry.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn family<const K: usize, const N: usize>(
        name: &str,
        help: &str,
        states: [&str; K],
        labels: [&str; N],
    ) -> Result<Family<Self, N>, RegisterError> {
        Registry::global()?.state_set_family(name, help, states, labels)
    }

    /// Sets of these states with labels of a type, in the default registry; see [`Labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled<const K: usize, L: Labels>(
        name: &str,
        help: &str,
        states: [&str; K],
    ) -> Result<Labelled<Self, L>, RegisterError> {
        Registry::global()?.labelled_state_set(name, help, states)
    }
}

impl<S: LabelValue + 'static> StateSet<S> {
    /// A set of the states of an enum, in the default registry.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn of(name: &str, help: &str) -> Result<Self, RegisterError> {
        Registry::global()?.state_set_of(name, help)
    }

    /// Sets of the states of an enum with labels, in the default registry.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn family_of<const N: usize>(
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> Result<Family<Self, N>, RegisterError> {
        Registry::global()?.state_set_family_of(name, help, labels)
    }

    /// Sets of the states of an enum with labels of a type, in the default registry; see [`Labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled_of<L: Labels>(name: &str, help: &str) -> Result<Labelled<Self, L>, RegisterError> {
        Registry::global()?.labelled_state_set_of(name, help)
    }
}

/// A state that is none of the set's is ignored, and reported once; in [strict](crate::error::strict) mode it panics.
impl<S: LabelValue + ?Sized> StateSet<S> {
    /// Sets this state on and all others off.
    #[inline]
    pub fn set(&self, state: &S) {
        if let Some(bit) = self.bit(state) {
            self.cell.store(encode_states(bit));
        }
    }

    /// Sets this state on.
    pub fn enable(&self, state: &S) {
        if let Some(bit) = self.bit(state) {
            self.cell.set(encode_states(bit));
        }
    }

    /// Sets this state off.
    pub fn disable(&self, state: &S) {
        if let Some(bit) = self.bit(state) {
            self.cell.set(encode_states(0));
            self.cell.clear(bit);
        }
    }

    /// Whether this process has set this state on.
    #[must_use]
    pub fn has(&self, state: &S) -> bool {
        let on = decode_states(self.cell.get()).unwrap_or(0);
        self.bit(state).is_some_and(|bit| on & bit != 0)
    }

    #[inline]
    fn bit(&self, state: &S) -> Option<u64> {
        let at = match (S::COUNT, state.value()) {
            (Some(_), _) => Some(state.index()).filter(|&at| at < self.states.len()),
            (None, Value::Text(text) | Value::Literal(text)) => {
                self.states.iter().position(|known| *known == *text)
            }
            _ => None,
        };
        // A no-op has none, and has been told of already.
        if at.is_none() && !self.states.is_empty() {
            unknown(state.value());
        }
        at.map(|at| 1 << at)
    }
}

#[cold]
fn unknown(state: Value<'_>) {
    report_lost(&RegisterError::UnknownState { state: state.to_string() });
}

impl Registry {
    /// A set of these states; see [`StateSet::new`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn state_set<const K: usize>(
        self,
        name: &str,
        help: &str,
        states: [&str; K],
    ) -> Result<StateSet, RegisterError> {
        self.state_set_family(name, help, states, []).and_then(Family::only)
    }

    /// Sets of these states with labels; see [`StateSet::family`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn state_set_family<const K: usize, const N: usize>(
        self,
        name: &str,
        help: &str,
        states: [&str; K],
        labels: [&str; N],
    ) -> Result<Family<StateSet, N>, RegisterError> {
        self.family(name, help, shape(name, &states)?, labels)
    }

    /// Sets of these states with labels of a type; see [`StateSet::labelled`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled_state_set<const K: usize, L: Labels>(
        self,
        name: &str,
        help: &str,
        states: [&str; K],
    ) -> Result<Labelled<StateSet, L>, RegisterError> {
        self.labelled(name, help, shape(name, &states)?)
    }

    /// A set of the states of an enum; see [`StateSet::of`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn state_set_of<S: LabelValue>(self, name: &str, help: &str) -> Result<StateSet<S>, RegisterError> {
        self.state_set_family_of(name, help, []).and_then(Family::only)
    }

    /// Sets of the states of an enum with labels; see [`StateSet::family_of`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn state_set_family_of<S: LabelValue, const N: usize>(
        self,
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> Result<Family<StateSet<S>, N>, RegisterError> {
        self.family(name, help, shape(name, S::TEXTS)?, labels)
    }

    /// Sets of the states of an enum with labels of a type; see [`StateSet::labelled_of`].
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub fn labelled_state_set_of<S: LabelValue, L: Labels>(
        self,
        name: &str,
        help: &str,
    ) -> Result<Labelled<StateSet<S>, L>, RegisterError> {
        self.labelled(name, help, shape(name, S::TEXTS)?)
    }
}

impl<S: ?Sized> Clone for StateSet<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: ?Sized> Copy for StateSet<S> {}

impl<S: ?Sized> fmt::Debug for StateSet<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateSet").field("states", &self.states).finish_non_exhaustive()
    }
}

impl<S: ?Sized + 'static> sealed::Metric for StateSet<S> {
    type Common = Vec<String>;

    fn common(shape: &Shape) -> Vec<String> {
        match shape {
            Shape::StateSet { states } => states.clone(),
            _ => Vec::new(),
        }
    }

    fn create(
        states: &'static Vec<String>,
        registration: &mut Registration,
        store: Store,
        family: u32,
        values: &[&str],
    ) -> Result<(Self, LifeCell), SpaceError> {
        let cell = registration.add_bits(store, family, values)?;
        Ok((Self { cell, states, of: PhantomData }, LifeCell::NONE))
    }

    fn cells(self, _: &'static Vec<String>) -> SeriesCells {
        SeriesCells::Bits(self.cell)
    }

    fn lost(states: &'static Vec<String>, _: Store) -> Self {
        Self { cell: BitCell::nowhere(), states, of: PhantomData }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_state_is_set_and_others_are_switched_by_themselves() {
        let registry = Registry::private().unwrap();
        let family = registry.state_set_family("s", "", ["a", "b", "c"], ["l"]).unwrap();
        let (set, unset) = (family.with(["set"]), family.with(["unset"]));
        assert!(!unset.has("a"));
        let check = |expected: [u8; 3]| {
            let lines = ["a", "b", "c"].iter().zip(expected);
            let lines: String =
                lines.map(|(state, n)| format!("s{{l=\"set\",s=\"{state}\"}} {n}\n")).collect();
            assert_eq!(registry.render(), format!("# HELP s \n# TYPE s gauge\n{lines}"));
        };
        set.disable("b");
        check([0, 0, 0]);
        set.enable("b");
        set.enable("c");
        check([0, 1, 1]);
        set.set("a");
        set.set("no such state");
        check([1, 0, 0]);
    }

    #[test]
    fn states_that_make_no_set_are_refused() {
        let registry = Registry::private().unwrap();
        let refused = |result: Result<StateSet, RegisterError>| match result.unwrap_err() {
            RegisterError::States { source, .. } => source,
            other => panic!("{other}"),
        };
        assert_eq!(refused(registry.state_set("s", "", [])), StatesError::Empty);
        assert_eq!(refused(registry.state_set("s", "", ["a"; MAX_STATES + 1])), StatesError::TooMany);
        assert_eq!(refused(registry.state_set("s", "", ["a", "b", "a"])), StatesError::Twice);
        let of_numbers = registry.state_set_of::<u8>("s", "").unwrap_err();
        assert!(matches!(of_numbers, RegisterError::States { source: StatesError::Empty, .. }));
        let reserved = registry.state_set_family("s", "", ["a"], ["s"]).unwrap_err();
        assert!(matches!(reserved, RegisterError::ReservedLabel { .. }), "{reserved}");
        assert!(registry.state_set("a:b", "", ["a"]).is_err(), "no label can be called so");
        registry.state_set("s", "", ["a"]).unwrap();
        let other = registry.state_set("s", "", ["b"]).unwrap_err();
        assert_eq!(other.to_string(), "`s` exists already, with another set of states");
    }

    #[test]
    fn the_states_of_a_type_are_its_values() {
        let registry = Registry::private().unwrap();
        let set = registry.state_set_of::<bool>("on", "").unwrap();
        set.set(&true);
        assert!(set.has(&true) && !set.has(&false));
        assert!(registry.render().ends_with("on{on=\"false\"} 0\non{on=\"true\"} 1\n"));
    }
}
