//! What there is already of what is bounded: shared memory is finite, and whoever sends requests must not fill it.

use std::collections::HashSet;

use crate::label::{Computed, OTHER};
use crate::options::{LABEL_VALUES, Options};

/// What there is already.
pub(crate) struct Ledger {
    /// Endpoints and answers, those of catch-alls excepted.
    label_sets: usize,
    request_values: Vec<HashSet<String>>,
    response_values: Vec<HashSet<String>>,
    models: HashSet<String>,
}

impl Ledger {
    pub(crate) fn new(options: &Options) -> Self {
        let sets = |labels: &[Computed]| labels.iter().map(|_| HashSet::new()).collect();
        Self {
            label_sets: 0,
            request_values: sets(&options.request_labels),
            response_values: sets(&options.response_labels),
            models: HashSet::new(),
        }
    }

    /// Whether there is room for one more endpoint or answer, which is then taken.
    pub(crate) fn admits_label_set(&mut self, options: &Options) -> bool {
        let admits = self.label_sets < options.label_sets;
        self.label_sets += usize::from(admits);
        admits
    }

    /// The values of labels that are computed from a request, with [`OTHER`] in the place of each that is one too many.
    pub(crate) fn bound_request<'a>(&mut self, values: &[&'a str], options: &Options) -> Vec<&'a str> {
        bound(values, &options.request_labels, &mut self.request_values)
    }

    /// The same of an answer.
    pub(crate) fn bound_response<'a>(&mut self, values: &[&'a str], options: &Options) -> Vec<&'a str> {
        bound(values, &options.response_labels, &mut self.response_values)
    }

    /// The name of a language model, or [`OTHER`] if there are too many.
    pub(crate) fn bound_model<'a>(&mut self, model: &'a str) -> &'a str {
        if admit(model, LABEL_VALUES, &mut self.models) { model } else { OTHER }
    }
}

fn bound<'a>(values: &[&'a str], labels: &[Computed], known: &mut [HashSet<String>]) -> Vec<&'a str> {
    let admitted = |((value, label), known): ((&&'a str, &Computed), &mut HashSet<String>)| {
        if admit(value, label.bound, known) { *value } else { OTHER }
    };
    values.iter().zip(labels).zip(known).map(admitted).collect()
}

fn admit(value: &str, bound: usize, known: &mut HashSet<String>) -> bool {
    known.contains(value) || (known.len() < bound && known.insert(value.to_owned()))
}
