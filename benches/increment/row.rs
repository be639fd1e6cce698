//! A row of the table in `docs/performance.md`: what an operation costs, and whether that is what it may cost.

use std::fmt::{self, Write as _};

use crate::measure::{Medians, Role};

/// What an operation may cost.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// So many times its floor.
    OfFloor(f64),
    /// So many nanoseconds more than its floor.
    AboveFloor(f64),
    /// So much, in the row's unit.
    AtMost(f64),
    /// This part of what the fastest peer takes.
    OfBestPeer(f64),
    /// So many times what one thread alone takes, whose candidate is called so. What the other half of the core does to
    /// any two threads, the floor says.
    OfOneThread(f64),
    /// So many times less than what the candidate of that name takes.
    FasterThan(&'static str, f64),
}

/// How much a reader that scrapes all the time may slow down what it reads.
const BESIDE_READER: f64 = 1.1;

impl Target {
    fn is_met(self, medians: &Medians) -> bool {
        let ours = medians.of(Role::Ours);
        let within = |limit: Option<f64>| ours.zip(limit).is_some_and(|(ours, limit)| ours <= limit);
        match self {
            Self::OfFloor(times) => within(medians.of(Role::Floor).map(|floor| floor * times)),
            Self::AboveFloor(more) => within(medians.of(Role::Floor).map(|floor| floor + more)),
            Self::AtMost(limit) => within(Some(limit)),
            Self::OfBestPeer(part) => within(medians.best_peer().map(|(_, peer)| peer * part)),
            Self::OfOneThread(times) => within(medians.named("one thread").map(|one| one * times)),
            Self::FasterThan(name, times) => within(medians.named(name).map(|other| other / times)),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfFloor(times) => write!(f, "≤ {times} × floor"),
            Self::AboveFloor(more) => write!(f, "≤ floor + {more}"),
            Self::AtMost(limit) => write!(f, "≤ {limit}"),
            Self::OfBestPeer(1.0) => write!(f, "< every peer"),
            Self::OfBestPeer(part) => write!(f, "≤ {part} × best peer"),
            Self::OfOneThread(times) => write!(f, "≤ {times} × one thread"),
            Self::FasterThan(name, times) => write!(f, "≥ {times} × faster than `{name}`"),
        }
    }
}

/// The table that grows by a row for each operation.
pub(crate) struct Rows(String);

impl Rows {
    pub(crate) fn new() -> Self {
        let head = "| Operation | Headcount | of the floor | the best peer | `prometheus` | beside a reader | Target |\n";
        Self(format!("{head}|---|---:|---:|---|---:|---:|---|\n"))
    }

    pub(crate) fn add(&mut self, operation: &str, unit: &str, medians: &Medians, targets: &[Target]) {
        let ours = medians.of(Role::Ours).unwrap_or(f64::NAN);
        let times =
            |other: Option<f64>| other.map_or(String::new(), |other| format!("{:.2} ×", other / ours));
        let floor = medians.of(Role::Floor).map_or(String::new(), |floor| format!("{:.2}", ours / floor));
        let peer = medians
            .best_peer()
            .map_or(String::new(), |(name, peer)| format!("{name}: {}", times(Some(peer))));
        let prometheus = times(medians.named("prometheus"));
        let beside = medians.of(Role::BesideReader).zip(medians.of(Role::BesideOthers));
        let slowed = beside.map(|(reader, others)| reader / others);
        let beside = slowed.map_or(String::new(), |slowed| format!("{:+.0} %", (slowed - 1.0) * 100.0));
        let mut verdicts: Vec<String> =
            targets.iter().map(|target| said(&target.to_string(), target.is_met(medians))).collect();
        let floors = medians.of(Role::Floor).zip(medians.named("floor, one thread"));
        verdicts.extend(floors.map(|(two, one)| format!("the floor: {:.2} ×", two / one)));
        verdicts.extend(
            slowed
                .map(|slowed| said("reader", slowed <= BESIDE_READER))
                .filter(|said| said.starts_with("**")),
        );
        let verdicts = verdicts.join("; ");
        writeln!(
            self.0,
            "| {operation} | {ours:.2} {unit} | {floor} | {peer} | {prometheus} | {beside} | {verdicts} |"
        )
        .unwrap();
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

fn said(target: &str, is_met: bool) -> String {
    if is_met { format!("{target}: met") } else { format!("**{target}: missed**") }
}
