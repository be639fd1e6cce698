//! The table of `docs/performance.md`: what merges cost, and whether that is what they may cost.

use std::fmt::Write as _;

use crate::measure::{Candidate, Medians, Role, compare};

/// A row for each case.
pub(super) struct Table(String);

/// What a case may cost.
#[derive(Clone, Copy)]
pub(super) enum Limit {
    /// So many times the floor.
    OfFloor(f64),
    /// So many times faster than Python's client.
    FasterThanPython(f64),
    /// So much, in this unit.
    AtMost(f64, &'static str),
}

impl Table {
    pub(super) fn new() -> Self {
        Self("| Case | Headcount | of the floor | faster than Python's client | Limits |\n|---|---:|---:|---:|---|\n".into())
    }

    /// Measures a case in so many rounds, and adds it.
    pub(super) fn measure(
        &mut self,
        case: &str,
        rounds: usize,
        limits: &[Limit],
        candidates: &mut [Candidate<'_>],
    ) {
        let medians = compare(case, rounds, 1.0, "ms", candidates);
        self.add(case, &medians, limits);
    }

    /// Adds a case whose medians are milliseconds.
    fn add(&mut self, case: &str, medians: &Medians, limits: &[Limit]) {
        let ours = medians.of(Role::Ours).unwrap_or(f64::NAN);
        let floor = medians.of(Role::Floor).map(|floor| ours / floor);
        let faster = medians.best_peer().map(|(_, python)| python / ours);
        let verdicts: Vec<_> = limits
            .iter()
            .map(|limit| match *limit {
                Limit::OfFloor(limit) => {
                    said(&format!("≤ {limit} × floor"), floor.is_some_and(|of| of <= limit))
                }
                Limit::FasterThanPython(limit) => {
                    said(&format!("≥ {limit} × faster"), faster.is_some_and(|faster| faster >= limit))
                }
                Limit::AtMost(limit, unit) => said(&format!("≤ {limit} {unit}"), ours <= limit),
            })
            .collect();
        let of = floor.map_or(String::new(), |of| format!("{of:.2}"));
        let faster = faster.map_or(String::new(), |faster| format!("{faster:.0} ×"));
        self.line(case, &format!("{ours:.2} ms"), &of, &faster, &verdicts.join("; "));
    }

    /// Adds a figure of another kind.
    pub(super) fn add_figure(&mut self, case: &str, figure: f64, unit: &'static str, limit: f64) {
        let verdict = said(&format!("≤ {limit} {unit}"), figure <= limit);
        self.line(case, &format!("{figure:.1} {unit}"), "", "", &verdict);
    }

    fn line(&mut self, case: &str, ours: &str, floor: &str, python: &str, verdicts: &str) {
        writeln!(self.0, "| {case} | {ours} | {floor} | {python} | {verdicts} |").unwrap();
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

fn said(limit: &str, is_met: bool) -> String {
    if is_met { format!("{limit}: met") } else { format!("**{limit}: missed**") }
}
