//! A row of the table of requests in `docs/performance.md`: what a middleware adds to a request, and whether it may.

use std::fmt::Write as _;

use super::WITHOUT;
use crate::measure::{Medians, Role};

/// The part of what a peer adds that ours may add.
const OF_PEER: f64 = 1.0 / 3.0;

/// The table that grows by a row for each thing that a middleware is around.
pub(crate) struct Rows(String);

impl Rows {
    pub(super) fn new() -> Self {
        let head = "| Around | Headcount adds | the floor | the peer | ours of that | Limits |\n";
        Self(format!("{head}|---|---:|---:|---|---:|---|\n"))
    }

    /// `limit` is in nanoseconds. Without a peer, what is said of it is empty.
    pub(super) fn add(&mut self, around: &str, medians: &Medians, limit: Option<f64>) {
        let without = medians.named(WITHOUT).unwrap();
        let ours = medians.of(Role::Ours).unwrap() - without;
        let nanoseconds = |added: f64| format!("{added:.0} ns");
        let floor = medians.of(Role::Floor).map_or(String::new(), |floor| nanoseconds(floor - without));
        let peer = medians.best_peer().map(|(name, peer)| (name, peer - without));
        let (peers, part) = peer.map_or_else(Default::default, |(name, peer)| {
            (format!("{name}: {}", nanoseconds(peer)), format!("{:.2}", ours / peer))
        });
        let limits = limit.map(|limit| said(&format!("≤ {limit} ns"), ours <= limit)).into_iter();
        let beside = peer.map(|(_, peer)| said("≤ 1/3 of the peer", ours <= peer * OF_PEER));
        let verdicts: Vec<String> = limits.chain(beside).collect();
        let (ours, verdicts) = (nanoseconds(ours), verdicts.join("; "));
        let row = format!("| {around} | {ours} | {floor} | {peers} | {part} | {verdicts} |");
        println!("{row}");
        writeln!(self.0, "{row}").unwrap();
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

fn said(target: &str, is_met: bool) -> String {
    if is_met { format!("{target}: met") } else { format!("**{target}: missed**") }
}
