//! A request that goes on: its life, and where its route is found.
//!
//! Actix moves futures, answers and bodies about, but none of them leaves its thread. So a life has a place of its own in
//! memory, in which it is made and in which it ends; what is moved is an address. Places are used again and again.
//!
//! Actix routes a request inside of the middleware, and only then spells its pattern quickly. Until it is answered nobody
//! may hold on to the request itself, which actix changes; so its path is kept, and the application's routes are.

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::rc::Rc;

use actix_web::dev::{ResourceMap, ServiceRequest};
use headcount_http::{Accepted, Follow, Life, Report};

use crate::hook;

/// A request that is measured, or one that is not. To drop it ends the request.
#[derive(Default)]
pub(crate) struct Ongoing(Option<Box<Place>>);

/// Where one request after the other is.
struct Place {
    life: Option<Life<Follower>>,
    /// Which of its thread's places it is.
    number: u32,
    stays: PhantomData<Rc<()>>,
}

/// Follows a request for a hook, if there is one, and leads to its path.
pub(crate) struct Follower {
    hook: hook::Follower,
    place: u32,
}

/// The routes of an application.
#[derive(Default)]
pub(crate) struct Routes(OnceCell<ResourceMap>);

/// What a thread keeps: as much as there were requests at one time.
struct Kept {
    #[expect(clippy::vec_box, reason = "a place is not moved: what is kept is its memory")]
    free: Vec<Box<Place>>,
    /// By the numbers of the places.
    paths: Vec<Path>,
}

/// The path of the request in a place, if its route is not known, and where it is looked for. What is left of it when the
/// request is over is the next one's to change.
#[derive(Default)]
struct Path {
    path: String,
    routes: Rc<Routes>,
}

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept { free: Vec::new(), paths: Vec::new() }) };
}

/// The capacity of paths that are kept. Few are longer.
const LONG_PATH: usize = 512;

impl Ongoing {
    /// Begins to measure a request whose route is known.
    #[inline]
    pub(crate) fn routed(accepted: Accepted, hook: hook::Follower) -> Self {
        Self::begin(KEPT.with_borrow_mut(Kept::place), accepted, hook)
    }

    /// Begins to measure a request whose route is one of these.
    #[inline]
    pub(crate) fn unrouted(
        accepted: Accepted,
        hook: hook::Follower,
        request: &ServiceRequest,
        routes: &Rc<Routes>,
    ) -> Self {
        routes.0.get_or_init(|| request.resource_map().clone());
        let place = KEPT.with_borrow_mut(|kept| {
            let place = kept.place();
            kept.paths[place.number as usize].set(request.path(), routes);
            place
        });
        Self::begin(place, accepted, hook)
    }

    #[inline(always)]
    fn begin(mut place: Box<Place>, accepted: Accepted, hook: hook::Follower) -> Self {
        place.life = Some(accepted.begin(Follower { hook, place: place.number }));
        Self(Some(place))
    }

    /// Its life, if it is measured.
    #[inline(always)]
    pub(crate) fn life(&mut self) -> Option<&mut Life<Follower>> {
        self.0.as_mut()?.life.as_mut()
    }

    /// Takes it along, if it is not over.
    #[inline(always)]
    pub(crate) fn take(&mut self) -> Self {
        match self.life() {
            Some(life) if !life.is_over() => mem::take(self),
            _ => Self::default(),
        }
    }
}

impl Drop for Ongoing {
    #[inline]
    fn drop(&mut self) {
        if let Some(mut place) = self.0.take() {
            place.life = None;
            // A thread that ends keeps nothing any more.
            let _ = KEPT.try_with(|kept| kept.borrow_mut().free.push(place));
        }
    }
}

impl Kept {
    #[inline(always)]
    fn place(&mut self) -> Box<Place> {
        match self.free.pop() {
            Some(place) => place,
            None => self.create(),
        }
    }

    #[cold]
    fn create(&mut self) -> Box<Place> {
        let number = u32::try_from(self.paths.len()).expect("no thread has so many requests at one time");
        self.paths.push(Path::default());
        Box::new(Place { life: None, number, stays: PhantomData })
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
    KEPT.try_with(|kept| {
        let kept = kept.borrow();
        let Path { path, routes } = kept.paths.get(place as usize)?;
        routes.0.get()?.match_pattern(path)
    })
    .ok()?
}

impl Follower {
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
    fn place(&self) -> u32 {
        self.place
    }
}

impl fmt::Debug for Ongoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ongoing").field(&self.0.as_ref().map(|place| &place.life)).finish()
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}
