//! A request whose route is not known yet.
//!
//! Some frameworks route a request inside of the middleware, and to find its route before is to route it twice. So it is
//! asked for when the answer is there, by when it costs little; and only of what ends without one, or is reported about
//! before, by finding it once more.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

thread_local! {
    /// Of the current request, if it has no route yet.
    static UNROUTED: Cell<Option<Rc<dyn Unrouted>>> = const { Cell::new(None) };
}

/// Finds the route of a request that has none yet.
pub trait Unrouted {
    /// The template of the route that matches; `None` if none does.
    fn route(&self) -> Option<String>;
}

/// While a request's work goes on, what found the route of the one before.
#[derive(Default)]
pub struct Lent(pub(crate) Option<Option<Rc<dyn Unrouted>>>);

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").field("is_lent", &self.0.is_some()).finish()
    }
}

/// Begins to work on another request without a route, and returns the one before. In a thread that ends, there is none.
#[inline]
pub(crate) fn replace(unrouted: Option<Rc<dyn Unrouted>>) -> Option<Rc<dyn Unrouted>> {
    UNROUTED.try_with(|place| place.replace(unrouted)).ok().flatten()
}

/// Finds the current request's route.
pub(crate) fn find_route() -> Option<String> {
    let unrouted = replace(None)?;
    let route = unrouted.route();
    replace(Some(unrouted));
    route
}
