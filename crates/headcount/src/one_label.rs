//! Labels of a type, for tests: the only one is called `a`.

use crate::labels::{LabelValue, Labels, Value};

/// A set of one label.
pub(crate) struct OneLabel<T>(pub(crate) T);

impl<T: LabelValue> Labels for OneLabel<T> {
    const COUNT: Option<usize> = T::COUNT;

    fn names(prefix: &str, names: &mut Vec<String>) {
        names.push(format!("{prefix}a"));
    }

    fn index(&self) -> usize {
        self.0.index()
    }

    fn visit<'a>(&'a self, visit: &mut impl FnMut(Value<'a>)) {
        visit(self.0.value());
    }
}
