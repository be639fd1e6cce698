//! The families of an exposition, by the names that they have in it.

use std::borrow::Cow;
use std::collections::HashSet;

use headcount_store::metric::Kind;

use super::{Escaping, Exposition, Format};
use crate::merged::{Family, Merged};

/// A family, as an exposition calls it.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    pub(super) family: Family<'a>,
    pub(super) name: Cow<'a, str>,
}

/// The families that are asked for. The merge has seen to it that no two expose the same samples under the names
/// that every reader knows; if two should do so under the names of this exposition, the first one stays.
pub(super) fn shown<'a>(merged: &'a Merged<'_>, exposition: &Exposition<'_>) -> Vec<Shown<'a>> {
    let escaping = match exposition.format {
        Format::Json => Escaping::AllowUtf8,
        _ => exposition.escaping,
    };
    let mut samples = HashSet::new();
    let mut families = Vec::new();
    for family in merged.families() {
        let shown = Shown { family, name: escaping.metric_name(family.name()) };
        if !shown.is_asked_for(exposition.names) {
            continue;
        }
        let names: Vec<String> = shown.sample_names().collect();
        if !names.iter().any(|name| samples.contains(name)) {
            samples.extend(names);
            families.push(shown);
        }
    }
    families
}

impl Shown<'_> {
    /// The names of its samples.
    pub(super) fn sample_names(&self) -> impl Iterator<Item = String> {
        suffixes(self.family.kind()).iter().map(|suffix| format!("{}{suffix}", self.name))
    }

    fn is_asked_for(&self, names: &[String]) -> bool {
        let is_called = |name: &str, known: &str| {
            let rest = name.strip_prefix(known);
            // Also as OpenMetrics calls a counter or an info.
            let ending = self.family.kind().name_suffix();
            let is_short = !ending.is_empty() && known.strip_suffix(ending) == Some(name);
            is_short
                || rest.is_some_and(|rest| rest.is_empty() || suffixes(self.family.kind()).contains(&rest))
        };
        names.is_empty()
            || names.iter().any(|name| is_called(name, self.family.name()) || is_called(name, &self.name))
    }
}

/// What samples have behind the family's name. That of a counter or an info has its ending already.
pub(super) fn suffixes(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Counter | Kind::Gauge | Kind::Info | Kind::StateSet => &[""],
        Kind::GaugeHistogram => &["_bucket", "_gcount", "_gsum"],
        Kind::Histogram => &["_bucket", "_count", "_sum"],
        Kind::Summary => &["_count", "_sum"],
    }
}
