//! Medians of interleaved rounds.

use std::iter;
use std::time::{Duration, Instant};

use crate::alone::alone;

/// A way to do something, and how long it took in each round.
pub(crate) struct Candidate<'a> {
    role: Role,
    name: &'static str,
    work: Box<dyn FnMut() -> Duration + 'a>,
    rounds: Vec<Duration>,
}

/// What a candidate is in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// What the work would cost if nothing were measured by it.
    Floor,
    /// What the row is about.
    Ours,
    /// The same with other work on the next processor, and with a reader of what is measured there.
    BesideOthers,
    BesideReader,
    Peer,
    /// Shown, and compared with nothing.
    Aside,
}

/// The medians of a comparison, in the unit that was asked for.
pub(crate) struct Medians(Vec<(Role, &'static str, f64)>);

impl<'a> Candidate<'a> {
    /// Something that tells itself how long it took.
    pub(crate) fn new(name: &'static str, work: impl FnMut() -> Duration + 'a) -> Self {
        Self::as_(Role::Aside, name, work)
    }

    pub(crate) fn floor(name: &'static str, work: impl FnMut() -> Duration + 'a) -> Self {
        Self::as_(Role::Floor, name, work)
    }

    pub(crate) fn ours(name: &'static str, work: impl FnMut() -> Duration + 'a) -> Self {
        Self::as_(Role::Ours, name, work)
    }

    pub(crate) fn peer(name: &'static str, work: impl FnMut() -> Duration + 'a) -> Self {
        Self::as_(Role::Peer, name, work)
    }

    pub(crate) fn as_(role: Role, name: &'static str, work: impl FnMut() -> Duration + 'a) -> Self {
        Self { role, name, work: Box::new(work), rounds: Vec::new() }
    }

    /// The same, but directly after having done it once, and the median of so many times: what others have done in between
    /// has put other things into the processor's caches.
    #[allow(dead_code, reason = "for whoever has caches to fill")]
    pub(crate) fn after_itself(self, times: usize) -> Self {
        let mut work = self.work;
        let settled = move || {
            work();
            median(&mut iter::repeat_with(&mut work).take(times).collect::<Vec<_>>())
        };
        Self { work: Box::new(settled), ..self }
    }

    /// The same by a thread that has its core for itself, if that can be had.
    #[allow(dead_code, reason = "for whoever counts instructions")]
    pub(crate) fn alone(self) -> Self {
        let mut work = self.work;
        Self { work: Box::new(move || alone(&mut work)), ..self }
    }

    /// Whether somebody is to be there meanwhile, on the next processor.
    #[allow(dead_code, reason = "for whoever counts instructions")]
    pub(crate) fn is_beside(&self) -> bool {
        matches!(self.role, Role::BesideOthers | Role::BesideReader)
    }

    fn median(&mut self) -> Duration {
        median(&mut self.rounds)
    }
}

impl Medians {
    /// Something of ours that was measured otherwise.
    pub(crate) fn of_ours(figure: f64) -> Self {
        Self(vec![(Role::Ours, "", figure)])
    }

    /// The median of the only candidate of a role.
    pub(crate) fn of(&self, wanted: Role) -> Option<f64> {
        self.0.iter().find(|(role, ..)| *role == wanted).map(|&(.., median)| median)
    }

    /// That of the candidate with this name.
    pub(crate) fn named(&self, wanted: &str) -> Option<f64> {
        self.0.iter().find(|(_, name, _)| *name == wanted).map(|&(.., median)| median)
    }

    /// The fastest peer, and its median.
    pub(crate) fn best_peer(&self) -> Option<(&'static str, f64)> {
        let peers = self.0.iter().filter(|(role, ..)| *role == Role::Peer);
        peers.min_by(|a, b| a.2.total_cmp(&b.2)).map(|&(_, name, median)| (name, median))
    }
}

/// The one in the middle.
fn median(all: &mut [Duration]) -> Duration {
    all.sort_unstable();
    all[all.len() / 2]
}

/// How long something takes.
pub(crate) fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Runs every candidate in every round, and prints medians with their ratio to the first candidate's.
///
/// A figure is the time divided by `units`, in the unit that `scale` and `unit` say.
pub(crate) fn compare(
    title: &str,
    rounds: usize,
    units: f64,
    unit: &str,
    candidates: &mut [Candidate<'_>],
) -> Medians {
    // Once for the caches.
    for candidate in &mut *candidates {
        (candidate.work)();
    }
    for round in 0..rounds {
        // Nobody always comes after the same neighbour.
        let len = candidates.len();
        for place in 0..len {
            let candidate = &mut candidates[(place + round) % len];
            let took = (candidate.work)();
            candidate.rounds.push(took);
        }
    }
    println!("\n{title} (median of {rounds})");
    let first = candidates[0].median().as_secs_f64();
    let medians = candidates.iter_mut().map(|candidate| {
        let median = candidate.median().as_secs_f64();
        let scaled = median / units * if unit == "ns" { 1e9 } else { 1e3 };
        println!("  {:<44} {scaled:>10.2} {unit}  {:>9.3} x the first", candidate.name, median / first);
        (candidate.role, candidate.name, scaled)
    });
    Medians(medians.collect())
}
