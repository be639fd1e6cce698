//! Which families are exposed, where not all can be.
//!
//! Families that would expose samples of the same name cannot both be shown: histograms and summaries, which
//! claim several names, go before counters, those before infos and state sets, and those before gauges; among equals,
//! the first by name stays.

use std::collections::HashMap;
use std::fmt;

use headcount_store::metric::Kind;
use headcount_store::text::write_metric_name;

use crate::index::Index;

/// A family that was left out, because another one exposes samples of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The family's name.
    pub family: String,
    /// Its kind.
    pub kind: Kind,
    /// The family that stayed.
    pub other: String,
    /// The kind of that.
    pub other_kind: Kind,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, kind, other, other_kind } = self;
        write!(f, "left out {kind} {family}: {other_kind} {other} has samples of the same name")
    }
}

/// The families that do not get into each other's way, by name; the others are noted.
pub(crate) fn exposed_families(index: &Index, conflicts: &mut Vec<Conflict>) -> Vec<u32> {
    let precedence = |kind| match kind {
        Kind::Histogram => 0,
        Kind::GaugeHistogram => 1,
        Kind::Summary => 2,
        Kind::Counter => 3,
        Kind::Info => 4,
        Kind::StateSet => 5,
        Kind::Gauge => 6,
    };
    let mut families: Vec<_> = (0..).zip(index.families()).collect();
    families.sort_unstable_by_key(|(_, entry)| (precedence(entry.kind), &entry.name));
    let mut claimed: HashMap<Vec<u8>, u32> = HashMap::new();
    let mut exposed = Vec::new();
    for (family, entry) in families {
        let names: Vec<Vec<u8>> = claims(entry.kind)
            .iter()
            .map(|suffix| {
                let mut name = Vec::new();
                write_metric_name(&mut name, &entry.name);
                name.extend(suffix.as_bytes());
                name
            })
            .collect();
        match names.iter().find_map(|name| claimed.get(name)) {
            Some(&other) => {
                let other = index.family(other);
                conflicts.push(Conflict {
                    family: entry.name.to_string(),
                    kind: entry.kind,
                    other: other.name.to_string(),
                    other_kind: other.kind,
                });
            }
            None => {
                claimed.extend(names.into_iter().map(|name| (name, family)));
                exposed.push(family);
            }
        }
    }
    exposed.sort_unstable_by_key(|&family| &index.family(family).name);
    exposed
}

/// The endings of the names that a family claims, behind its exposed name.
fn claims(kind: Kind) -> &'static [&'static str] {
    match kind {
        // The exposed name of a counter or an info has its ending already.
        Kind::Counter | Kind::Gauge | Kind::Info | Kind::StateSet => &[""],
        Kind::Histogram | Kind::GaugeHistogram | Kind::Summary => kind.sample_suffixes(),
    }
}
