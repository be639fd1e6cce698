//! What the code that macros make calls. Not for use by hand: it changes without notice.

use headcount_store::format::family::Shape;
use headcount_store::metric::GaugeMode;

use crate::buckets::{BucketError, Buckets};
use crate::counter::{Counter, FloatCounter};
use crate::error::RegisterError;
use crate::family::{Family, Metric};
use crate::gauge::Gauge;
use crate::gauge_histogram::{self, GaugeHistogram};
use crate::histogram::{self, Histogram};
use crate::info::Info;
use crate::labelled::Labelled;
use crate::labels::{LabelValue, Labels};
use crate::native::NativeHistogram;
use crate::native_buckets::NativeBuckets;
use crate::noop::OrNoop;
pub use crate::once::Site;
use crate::registry::Registry;
use crate::state_set::{self, StateSet};
use crate::summary::Summary;
use crate::up_down::{self, UpDown};

/// Calls `body`, of which it is said here that it runs once: so it may give away what it has borrowed.
#[inline]
pub fn call<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// The type of a value that never is.
#[must_use]
pub fn never<R>() -> R {
    unreachable!("stands in a branch that is never taken")
}

/// What is chosen by a result.
#[inline]
pub fn given<R, M>(result: &R, choose: impl FnOnce(&R) -> M) -> M {
    choose(result)
}

/// What is chosen by an error, if the result is one.
#[inline]
pub fn given_error<T, E, M>(result: &Result<T, E>, choose: impl FnOnce(&E) -> M) -> Option<M> {
    result.as_ref().err().map(choose)
}

/// Says of a closure what it will be called with.
#[inline]
pub fn prepared<R, M, F: FnOnce(&R) -> M>(choose: F) -> F {
    choose
}

/// As [`prepared`], for the error in a result of type `R`.
#[inline]
pub fn prepared_error<R: Fallible, M, F: FnOnce(&R::Error) -> M>(choose: F) -> F {
    choose
}

/// A result, whatever its name.
pub trait Fallible {
    /// Of what type the error is.
    type Error;
}

impl<T, E> Fallible for Result<T, E> {
    type Error = E;
}

/// Nothing was said of what a metric's kind needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Unsaid;

/// What was said that a metric of the kind `M` needs to know.
#[diagnostic::on_unimplemented(
    message = "a declared `{M}` does not go with what was said of it",
    note = "a `Gauge` is declared with its mode, `#[metric(mode = GaugeMode::LiveSum)]`",
    note = "a `Histogram` or `GaugeHistogram` may be declared with its buckets, `#[metric(buckets = [0.1, 1.0])]`",
    note = "a `StateSet` is declared with its states, `#[metric(states = [\"on\", \"off\"])]`, or is one of an enum",
    note = "an `UpDown` may be declared with its mode; other kinds with nothing"
)]
pub trait OfKind<M: Metric> {
    /// The shape of the metric `name`.
    ///
    /// # Errors
    ///
    /// When bounds make no histogram.
    fn shape(self, name: &str) -> Result<Shape, RegisterError>;
}

macro_rules! plain {
    ($($metric:ident)*) => {$(
        impl OfKind<$metric> for Unsaid {
            fn shape(self, _: &str) -> Result<Shape, RegisterError> {
                Ok(Shape::$metric)
            }
        }
    )*};
}

plain!(Counter FloatCounter Info Summary);

impl OfKind<Gauge> for GaugeMode {
    fn shape(self, _: &str) -> Result<Shape, RegisterError> {
        Ok(Shape::Gauge(self))
    }
}

impl OfKind<UpDown> for GaugeMode {
    fn shape(self, name: &str) -> Result<Shape, RegisterError> {
        up_down::shape(name, self)
    }
}

impl OfKind<UpDown> for Unsaid {
    fn shape(self, name: &str) -> Result<Shape, RegisterError> {
        up_down::shape(name, GaugeMode::LiveSum)
    }
}

impl<const N: usize> OfKind<StateSet> for [&str; N] {
    fn shape(self, name: &str) -> Result<Shape, RegisterError> {
        state_set::shape(name, &self)
    }
}

impl<S: LabelValue + 'static> OfKind<StateSet<S>> for Unsaid {
    fn shape(self, name: &str) -> Result<Shape, RegisterError> {
        state_set::shape(name, S::TEXTS)
    }
}

/// Kinds with buckets: whatever makes some will do.
macro_rules! with_buckets {
    ($($metric:ident: $shape:expr;)*) => {$(
        impl OfKind<$metric> for Unsaid {
            fn shape(self, _: &str) -> Result<Shape, RegisterError> {
                Ok($shape(&Buckets::default()))
            }
        }

        impl OfKind<$metric> for Buckets {
            fn shape(self, _: &str) -> Result<Shape, RegisterError> {
                Ok($shape(&self))
            }
        }

        impl OfKind<$metric> for Result<Buckets, BucketError> {
            fn shape(self, name: &str) -> Result<Shape, RegisterError> {
                let buckets = self.map_err(|source| RegisterError::Buckets { name: name.to_owned(), source });
                Ok($shape(&buckets?))
            }
        }

        impl<const N: usize> OfKind<$metric> for [f64; N] {
            fn shape(self, name: &str) -> Result<Shape, RegisterError> {
                OfKind::<$metric>::shape(Buckets::new(self), name)
            }
        }
    )*};
}

with_buckets! {
    Histogram: histogram::shape;
    GaugeHistogram: gauge_histogram::shape;
}

impl OfKind<NativeHistogram> for Unsaid {
    fn shape(self, _: &str) -> Result<Shape, RegisterError> {
        Ok(NativeBuckets::default().into_shape())
    }
}

impl OfKind<NativeHistogram> for NativeBuckets {
    fn shape(self, _: &str) -> Result<Shape, RegisterError> {
        Ok(self.into_shape())
    }
}

impl OfKind<NativeHistogram> for Result<NativeBuckets, BucketError> {
    fn shape(self, name: &str) -> Result<Shape, RegisterError> {
        let buckets = self.map_err(|source| RegisterError::Buckets { name: name.to_owned(), source })?;
        Ok(buckets.into_shape())
    }
}

/// Creates the metric that a function without parameters declares.
pub fn declare<M: Metric>(
    registry: Result<Registry, RegisterError>,
    name: &str,
    help: &str,
    of_kind: impl OfKind<M>,
) -> M
where
    Result<M, RegisterError>: OrNoop<Created = M>,
{
    let create =
        |registry: Registry| registry.family(name, help, of_kind.shape(name)?, []).and_then(Family::only);
    registry.and_then(create).or_noop()
}

/// Creates the metrics that a function with parameters declares.
pub fn declare_labelled<M: Metric, L: Labels>(
    registry: Result<Registry, RegisterError>,
    name: &str,
    help: &str,
    of_kind: impl OfKind<M>,
) -> Labelled<M, L> {
    registry.and_then(|registry| registry.labelled(name, help, of_kind.shape(name)?)).or_noop()
}
