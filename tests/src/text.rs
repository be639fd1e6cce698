//! Samples of a text exposition, read independently of what writes them.

use std::collections::BTreeMap;

/// The samples by everything that stands before the value.
///
/// # Panics
///
/// When a line is no sample, or one comes twice.
#[must_use]
pub fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (key, value) = line.rsplit_once(' ').unwrap();
        let value = value.replace("Inf", "inf").parse().unwrap();
        assert!(samples.insert(key.to_owned(), value).is_none(), "{key} comes twice");
    }
    samples
}

/// One sample's value; `None` if it is not there.
#[must_use]
pub fn value(text: &str, key: &str) -> Option<f64> {
    samples(text).get(key).copied()
}
