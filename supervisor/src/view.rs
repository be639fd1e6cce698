//! What a supervisor shows of itself in its metrics directory, read back.

use std::collections::BTreeMap;
use std::io;

use headcount_merge::{Merged, Merger, SeriesValue};
use headcount_store::directory::Directory;

use crate::{metrics, slot_metrics};

/// A supervisor and its workers, as far as the directory tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// How many workers there are to be.
    pub wanted: u64,
    /// How many there are, by state.
    pub workers: BTreeMap<String, u64>,
    /// The generation of workers that are started now.
    pub generation: u64,
    /// Whether a reload goes on.
    pub is_reloading: bool,
    /// Reloads that have ended.
    pub reloads: Outcomes,
    /// Whether the last reload succeeded, if there was one.
    pub last_reload: Option<bool>,
    /// When a reload last succeeded, in seconds since 1970, if one has.
    pub last_success: Option<f64>,
    /// Upgrades that have ended; `None` if the supervisor knows of no such thing.
    pub upgrades: Option<Outcomes>,
    /// The slots that somebody has, or is to have again.
    pub slots: Vec<Slot>,
}

/// How often something has ended well, and how often not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Well.
    pub success: u64,
    /// Not so.
    pub failure: u64,
}

/// A worker slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Its number.
    pub slot: u32,
    /// The PID of its worker, if there is one.
    pub pid: Option<u32>,
    /// What the worker does: `starting`, `ready`, `stopping`, or `backing_off` if there is none.
    pub state: String,
    /// The worker's generation.
    pub generation: u64,
    /// Workers that have ended without having been told to.
    pub restarts: u64,
}

impl View {
    /// Reads a directory.
    ///
    /// # Errors
    ///
    /// When it cannot be listed.
    pub fn read(directory: &Directory, merger: &mut Merger) -> io::Result<Self> {
        merger.merge(directory).map(|merged| Self::of(&merged))
    }

    /// What a merge tells.
    #[must_use]
    pub fn of(merged: &Merged<'_>) -> Self {
        let one = |name| samples(merged, name).next().map(|(_, value)| value);
        let number = |name| one(name).map_or(0, whole);
        let reloads = outcomes(merged, metrics::RELOADS).unwrap_or_default();
        Self {
            wanted: number(metrics::WANTED),
            workers: samples(merged, metrics::WORKERS)
                .filter_map(|(mut labels, n)| Some((labels.remove("state")?, whole(n))))
                .collect(),
            generation: number(metrics::GENERATION),
            is_reloading: number(metrics::RELOADING) > 0,
            reloads,
            last_reload: one(metrics::LAST_RELOAD).map(|value| value > 0.0).filter(|_| reloads.all() > 0),
            last_success: one(metrics::LAST_SUCCESS).filter(|&time| time > 0.0),
            upgrades: outcomes(merged, metrics::UPGRADES),
            slots: slots(merged),
        }
    }

    /// How many workers are in this state.
    #[must_use]
    pub fn in_state(&self, state: &str) -> u64 {
        self.workers.get(state).copied().unwrap_or(0)
    }
}

impl Outcomes {
    /// How often it has ended.
    #[must_use]
    pub fn all(self) -> u64 {
        self.success + self.failure
    }
}

/// The labels of a sample.
pub(crate) type Labels = BTreeMap<String, String>;

/// The series of a family of counters, named without its ending, or of gauges.
pub(crate) fn samples<'a>(
    merged: &'a Merged<'a>,
    name: &str,
) -> impl Iterator<Item = (Labels, f64)> + use<'a> {
    let is_it = |full: &str| full.strip_suffix("_total").unwrap_or(full) == name;
    let series =
        merged.families().find(|family| is_it(family.name())).into_iter().flat_map(|family| family.series());
    series.filter_map(|series| {
        let labels = series.labels().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        match series.value() {
            SeriesValue::Number(value) => Some((labels, value.to_f64())),
            SeriesValue::Summary { .. } | SeriesValue::Histogram(_) => None,
        }
    })
}

fn outcomes(merged: &Merged<'_>, name: &str) -> Option<Outcomes> {
    let mut outcomes = None;
    for (labels, count) in samples(merged, name) {
        let outcomes: &mut Outcomes = outcomes.get_or_insert_default();
        match labels.get("outcome").map(String::as_str) {
            Some("success") => outcomes.success = whole(count),
            _ => outcomes.failure += whole(count),
        }
    }
    outcomes
}

fn slots(merged: &Merged<'_>) -> Vec<Slot> {
    let mut slots: BTreeMap<u32, Slot> = BTreeMap::new();
    for name in [slot_metrics::PID, slot_metrics::STATE, slot_metrics::GENERATION, slot_metrics::RESTARTS] {
        for (labels, value) in samples(merged, name) {
            let Some(number) = labels.get("slot").and_then(|slot| slot.parse().ok()) else { continue };
            let slot = slots.entry(number).or_insert_with(|| Slot { slot: number, ..Slot::default() });
            match name {
                slot_metrics::PID => slot.pid = u32::try_from(whole(value)).ok().filter(|&pid| pid > 0),
                slot_metrics::GENERATION => slot.generation = whole(value),
                slot_metrics::RESTARTS => slot.restarts = whole(value),
                _ if value > 0.0 => slot.state = labels.get("state").cloned().unwrap_or_default(),
                _ => {}
            }
        }
    }
    slots.into_values().filter(|slot| !slot.state.is_empty()).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts; what is none becomes one"
)]
fn whole(value: f64) -> u64 {
    value as u64
}
