//! What the middleware adds to a request.
//!
//! What is within does nothing, so what is left is the request itself, which all candidates make and drop alike, and which
//! is taken off. The floor is a layer that follows the request to the end of its body, as whoever measures it has to, and
//! counts nothing. Whoever has peers adds them.

mod actix;
mod floor;
#[path = "../../crates/headcount-tower/tests/null/mod.rs"]
mod null;
mod row;
mod tower;

use std::time::Duration;

use crate::document::machine;
use crate::measure::{Candidate, Medians, compare, time};
pub(crate) use actix::{now, send as send_actix};
pub(crate) use null::Null;
use row::Rows;
pub(crate) use tower::{app as axum_app, send as send_tower};

/// So few that most rounds pass without another process getting its turn.
const REQUESTS: u32 = 500;
const ROUNDS: usize = 301;

/// The candidate that has no middleware.
const WITHOUT: &str = "without";

/// The template of the route that all requests come to, and their path.
pub(crate) const ROUTE: &str = "/users/{id}/orders";
const PATH: &str = "/users/7/orders";

/// What the middleware is around.
#[derive(Clone, Copy)]
pub(crate) enum Around {
    /// A service of tower's that does nothing.
    Nothing,
    /// An axum application.
    Axum,
    /// An actix-web application. Runs in its runtime.
    Actix,
}

/// More candidates around something.
pub(crate) type More = fn(Around) -> Vec<Candidate<'static>>;

/// Runs all comparisons, and returns the table for the documentation.
pub(crate) fn run(more: More) -> String {
    let mut rows = Rows::new();
    tower::run(more, &mut rows);
    actix::run(more, &mut rows);
    let how = format!("Medians of {ROUNDS} rounds of {REQUESTS} requests, on {}.", machine());
    format!("{how}\n\n{}", rows.text())
}

/// Compares what is around something, and what the peers have for it.
fn compare_around(around: Around, title: &str, more: More, mut candidates: Vec<Candidate<'_>>) -> Medians {
    candidates.extend(more(around));
    let mut candidates: Vec<_> =
        candidates.into_iter().map(|candidate| candidate.after_itself(1).alone()).collect();
    compare(title, ROUNDS, f64::from(REQUESTS), "ns", &mut candidates)
}

/// Sends requests.
fn send_all(mut send: impl FnMut()) -> Duration {
    time(|| (0..REQUESTS).for_each(|_| send()))
}
