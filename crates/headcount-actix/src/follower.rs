//! What follows a request: a hook, if there is one, and what finds its route.
//!
//! Actix routes a request inside of the middleware, and only then spells its pattern quickly. Until it is answered nobody
//! may hold on to the request itself, which actix changes; so its path is kept, and the application's routes are.

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::rc::Rc;

use actix_web::dev::{ResourceMap, ServiceRequest};
use actix_web::http::uri::PathAndQuery;
use headcount_http::{Follow, Lent, Report, Unrouted};

use crate::hook;

/// Follows a request.
#[derive(Default)]
pub(crate) struct Follower {
    hook: hook::Follower,
    unrouted: Option<Rc<Path>>,
    lent: Lent,
}

/// The routes of an application, and the paths of requests that are looked for in them.
#[derive(Default)]
pub(crate) struct Routes {
    map: OnceCell<ResourceMap>,
    /// To be used again: as many as there were requests at one time.
    free: RefCell<Vec<Rc<Path>>>,
}

/// The path of a request, and where it is looked for; nothing between two requests.
#[derive(Default)]
struct Path(RefCell<Option<(Rc<Routes>, Option<PathAndQuery>)>>);

impl Routes {
    fn path_of(self: &Rc<Self>, request: &ServiceRequest) -> Rc<Path> {
        self.map.get_or_init(|| request.resource_map().clone());
        let path = self.free.borrow_mut().pop().unwrap_or_default();
        *path.0.borrow_mut() = Some((Rc::clone(self), request.uri().path_and_query().cloned()));
        path
    }
}

impl Unrouted for Path {
    fn route(&self) -> Option<String> {
        let asked = self.0.borrow();
        let (routes, path) = asked.as_ref()?;
        routes.map.get()?.match_pattern(path.as_ref().map_or("", PathAndQuery::path))
    }
}

impl Follower {
    /// Follows a request whose route is known.
    pub(crate) fn routed(hook: hook::Follower) -> Self {
        Self { hook, unrouted: None, lent: Lent::default() }
    }

    /// Follows a request whose route is one of these.
    pub(crate) fn unrouted(hook: hook::Follower, request: &ServiceRequest, routes: &Rc<Routes>) -> Self {
        Self { hook, unrouted: Some(routes.path_of(request)), lent: Lent::default() }
    }

    /// The hook.
    pub(crate) fn hook(&mut self) -> &mut hook::Follower {
        &mut self.hook
    }
}

impl Follow for Follower {
    fn is_there(&self) -> bool {
        self.hook.is_there()
    }

    fn finished(&mut self, report: &Report<'_>) {
        self.hook.finished(report);
    }

    #[inline]
    fn unrouted(&self) -> Option<Rc<dyn Unrouted>> {
        self.unrouted.clone().map(|path| path as Rc<dyn Unrouted>)
    }

    #[inline]
    fn lent(&mut self) -> Option<&mut Lent> {
        Some(&mut self.lent)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let Some(path) = self.unrouted.take() else { return };
        let asked = path.0.take();
        if let Some((routes, _)) = asked {
            routes.free.borrow_mut().push(path);
        }
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}
