//! A request whose route is not known yet.
//!
//! Some frameworks route a request inside of the middleware, and to find its route before is to route it twice. So it is
//! asked for when the answer is there, by when it costs little; and only of what ends without one, or is reported about
//! before, by finding it once more.

/// Finds the route of a request that has none yet, by the [place](crate::Follow::place) that its framework's crate has
/// given it: the template of the route that matches, or `None` if none does. Called by the thread that follows the request.
pub type FindRoute = fn(place: u32) -> Option<String>;
