//! Families whose labels are a type.

use std::fmt;
use std::marker::PhantomData;

use crate::error::RegisterError;
use crate::family::{Children, Metric};
use crate::labels::Labels;

/// Metrics of one name, one for each set of labels `L`.
pub struct Labelled<M: Metric, L> {
    children: &'static Children<M>,
    labels: PhantomData<L>,
}

impl<M: Metric, L: Labels> Labelled<M, L> {
    pub(crate) fn of(children: &'static Children<M>) -> Self {
        Self { children, labels: PhantomData }
    }

    /// The child with these labels. It is created if need be.
    #[must_use]
    pub fn with(&self, labels: &L) -> M {
        self.try_with(labels).unwrap_or_else(|error| self.children.lost(&error))
    }

    /// As [`with`](Self::with), for those who want to know.
    ///
    /// # Errors
    ///
    /// When there is no space for another series, or the values are too long.
    pub fn try_with(&self, labels: &L) -> Result<M, RegisterError> {
        let mut texts = Vec::new();
        labels.visit(&mut |value| texts.push(value.to_string()));
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.children.find_or_create(&texts)
    }

    /// See [`Family::limited_to`](crate::Family::limited_to).
    #[must_use = "a limit is set in a declaration, which goes on with the family"]
    pub fn limited_to(self, limit: u32) -> Self {
        self.children.series().limit_to(limit);
        self
    }
}

impl<M: Metric, L> fmt::Debug for Labelled<M, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Labelled").field("name", &self.children.series().name()).finish_non_exhaustive()
    }
}
