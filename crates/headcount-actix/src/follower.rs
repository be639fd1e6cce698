//! What follows a request: a hook, if there is one, and its path, by which its route is found.
//!
//! Actix routes a request inside of the middleware, and only then spells its pattern quickly. Until it is answered
//! nobody may hold on to the request itself, which actix changes: its path is kept, and the application's routes.

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
use std::thread::LocalKey;

use actix_web::dev::{ResourceMap, ServiceRequest};
use headcount_http::{Follow, Report, Spare};

use crate::hook;

/// Follows one request after the other.
pub(crate) struct Follower {
    pub(crate) hook: hook::Follower,
    /// The number of its path among those of its thread.
    place: u32,
    stays: PhantomData<Rc<()>>,
}

/// The routes of an application.
#[derive(Default)]
pub(crate) struct Routes(OnceCell<ResourceMap>);

/// The paths of a thread's requests: as many as there were at one time.
struct Paths {
    paths: Vec<Path>,
    /// The numbers of those that belong to no follower.
    free: Vec<u32>,
}

/// The path of a request whose route is not known, and where it is looked for. What is left of it when the request is
/// over is the next one's to change.
#[derive(Default)]
struct Path {
    path: String,
    routes: Rc<Routes>,
}

thread_local! {
    static PATHS: RefCell<Paths> = const { RefCell::new(Paths { paths: Vec::new(), free: Vec::new() }) };
    static SPARE: Spare<Follower> = const { Spare::new() };
}

/// The capacity of paths that are kept. Few are longer.
const LONG_PATH: usize = 512;

impl Follower {
    /// Follows a request whose route is one of these.
    #[inline]
    pub(crate) fn keep_path(&self, path: &str, request: &ServiceRequest, routes: &Rc<Routes>) {
        routes.0.get_or_init(|| request.resource_map().clone());
        PATHS.with_borrow_mut(|paths| paths.paths[self.place as usize].set(path, routes));
    }
}

impl Default for Follower {
    fn default() -> Self {
        let place = PATHS.with_borrow_mut(|paths| paths.free.pop().unwrap_or_else(|| paths.create()));
        Self { hook: hook::Follower::default(), place, stays: PhantomData }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // A thread that ends keeps nothing any more.
        let _ = PATHS.try_with(|paths| paths.borrow_mut().free.push(self.place));
    }
}

impl Paths {
    fn create(&mut self) -> u32 {
        let number = u32::try_from(self.paths.len()).expect("no thread has so many requests at one time");
        self.paths.push(Path::default());
        number
    }
}

impl Path {
    #[inline(always)]
    fn set(&mut self, path: &str, routes: &Rc<Routes>) {
        if self.path.capacity() > LONG_PATH {
            self.path = String::new();
        }
        self.path.clear();
        self.path.push_str(path);
        if !Rc::ptr_eq(&self.routes, routes) {
            self.routes = Rc::clone(routes);
        }
    }
}

/// Finds the route of a request of this thread's.
pub(crate) fn find_route(place: u32) -> Option<String> {
    PATHS
        .try_with(|paths| {
            let paths = paths.borrow();
            let Path { path, routes } = paths.paths.get(place as usize)?;
            routes.0.get()?.match_pattern(path)
        })
        .ok()?
}

impl Follow for Follower {
    #[inline]
    fn spare() -> &'static LocalKey<Spare<Self>> {
        &SPARE
    }

    #[inline]
    fn is_there(&self) -> bool {
        self.hook.is_there()
    }

    fn finished(&mut self, report: &Report<'_>) {
        self.hook.finished(report);
    }

    #[inline]
    fn let_go(&mut self) {
        self.hook.let_go();
    }

    #[inline]
    fn place(&self) -> u32 {
        self.place
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}
