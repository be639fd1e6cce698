//! The recorder: finds the series of each request, and sees that there are not too many.

use std::fmt;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use headcount::Registry;
use headcount::clock::Moment;

use crate::arrival::{Arrival, Arrived, KEY, known_protocol};
use crate::endpoint::{Endpoint, Role};
use crate::error::BuildError;
use crate::families::Families;
use crate::label::{Label, OTHER, Values, known_method, known_scheme};
use crate::ledger::Ledger;
use crate::life::Life;
use crate::options::Options;
use crate::recent::Recent;
use crate::report::Follow;
use crate::series::Series;
use crate::tree::Tree;
use crate::unrouted::FindRoute;

/// Records requests. A small handle; what it stands for lives as long as the process.
#[derive(Clone, Copy)]
pub struct Recorder(&'static Inner);

struct Inner {
    options: Options,
    families: Families,
    endpoints: Tree<Endpoint>,
    ledger: Mutex<Ledger>,
    /// Whether any metric has the label, so that it is worth to tell values apart.
    has_scheme: bool,
    has_protocol: bool,
    /// Whether requests are told apart by nothing but their method and route.
    by_method_and_route: bool,
    /// Whether nothing asks for a request's route when it arrives.
    routes_later: bool,
}

/// A request that has just arrived and is not left out. Until it is begun it counts nowhere, and may be forgotten.
#[derive(Clone, Copy)]
pub struct Accepted {
    endpoint: &'static Endpoint,
    body: Option<u64>,
    arrived: Moment,
}

impl Accepted {
    /// Now, with a body of so many bytes, if that is known.
    #[inline(always)]
    fn by(endpoint: &'static Endpoint, body: Option<u64>) -> Self {
        let body =
            if body.is_none() && endpoint.recorder.options().undeclared_is_empty { Some(0) } else { body };
        Self { endpoint, body, arrived: Moment::now() }
    }

    /// Begins to measure it. What follows it begins to.
    #[inline(always)]
    pub fn begin<F: Follow>(self, follow: impl FnOnce(&mut F)) -> Life<F> {
        Life::begin(self.endpoint, self.arrived, self.body, follow)
    }
}

/// What becomes of requests that arrive alike: of the same method, path and route, scheme and protocol, and without labels
/// that are computed from them. For who knows such requests again, and need not ask for each.
#[derive(Clone, Copy)]
pub struct Alike(pub(crate) Option<&'static Endpoint>);

impl Alike {
    /// One of them has arrived, whose body has so many bytes, if that is known. `None` if they are left out.
    #[inline(always)]
    #[must_use]
    pub fn accept(self, body: Option<u64>) -> Option<Accepted> {
        Some(Accepted::by(self.0?, body))
    }
}

impl Recorder {
    /// Registers the metrics.
    ///
    /// # Errors
    ///
    /// When a name or a label is none, or is taken.
    pub fn new(options: Options) -> Result<Self, BuildError> {
        let registry = match options.registry {
            // What is switched off leaves no trace, not even an empty family.
            _ if !options.is_enabled => Registry::private()?,
            Some(registry) => registry,
            None => Registry::global()?,
        };
        let families = Families::register(&options, registry)?;
        let has = |label| families.tell_apart(label);
        let (has_scheme, has_protocol) = (has(Label::Scheme), has(Label::Protocol));
        let in_flight_by_route = families.in_flight.as_ref().is_some_and(|family| family.has(Label::Route));
        let routes_later =
            options.exclusion.ignores_routes() && options.request_labels.is_empty() && !in_flight_by_route;
        let by_method_and_route = !has_scheme && !has_protocol && options.request_labels.is_empty();
        let inner = Inner {
            ledger: Mutex::new(Ledger::new(&options)),
            endpoints: Tree::default(),
            options,
            families,
            has_scheme,
            has_protocol,
            by_method_and_route,
            routes_later,
        };
        if let Some(in_flight) = inner.families.in_flight.as_ref().filter(|family| family.has_no_labels()) {
            let _at_zero = in_flight.child(&Values::none(), &[]);
        }
        // The clock's first reading takes its time, which no request is to wait for.
        let _is_ready = Moment::now();
        Ok(Self(Box::leak(Box::new(inner))))
    }

    /// Whether it records anything at all.
    #[must_use]
    #[inline]
    pub fn is_enabled(self) -> bool {
        self.0.options.is_enabled
    }

    /// Whether statuses of gRPC are worth looking for.
    #[must_use]
    pub fn counts_grpc(self) -> bool {
        self.0.families.grpc_responses.is_some()
    }

    /// Whether the trace of the header `traceparent` is wanted.
    #[must_use]
    pub fn takes_traceparent(self) -> bool {
        self.0.options.traceparent
    }

    /// Whether a request may [arrive without its route](Self::accept_unrouted): none is left out for its route, and
    /// neither those that are in flight nor labels that are computed from requests are told apart by it.
    #[must_use]
    #[inline]
    pub fn routes_later(self) -> bool {
        self.0.routes_later
    }

    /// Whether requests are told apart by nothing but their method and route, so that nobody need find out the rest.
    #[must_use]
    #[inline(always)]
    pub fn by_method_and_route(self) -> bool {
        self.0.by_method_and_route
    }

    /// Whether both are handles of one.
    #[inline]
    pub(crate) fn is(self, other: Self) -> bool {
        ptr::eq(self.0, other.0)
    }

    pub(crate) fn families(self) -> &'static Families {
        &self.0.families
    }

    pub(crate) fn options(self) -> &'static Options {
        &self.0.options
    }

    /// Begins to measure a request. If it is left out, it is [over](Life::is_over) at once.
    #[inline(always)]
    pub fn arrive<F: Follow>(self, arrival: &Arrival<'_>, follow: impl FnOnce(&mut F)) -> Life<F> {
        match self.accept(arrival) {
            Some(accepted) => accepted.begin(follow),
            None => Life::default(),
        }
    }

    /// The same in two steps; `None` if it is left out.
    #[inline(always)]
    pub fn accept(self, arrival: &Arrival<'_>) -> Option<Accepted> {
        if self.leaves_out(arrival) {
            return None;
        }
        let endpoint = self.endpoint(arrival);
        if matches!(endpoint.role, Role::LeftOut) {
            return None;
        }
        Some(Accepted::by(endpoint, arrival.body))
    }

    /// The same, for a request whose route is told [later](Life::routed), or found if it ends before or is reported about.
    /// Only where [`routes_later`](Self::routes_later) says that it may be, and always with the same function.
    #[inline(always)]
    pub fn accept_unrouted(self, arrival: &Arrival<'_>, find: FindRoute) -> Option<Accepted> {
        debug_assert!(self.0.routes_later, "the route is asked for when the request arrives");
        if self.leaves_out(arrival) {
            return None;
        }
        Some(Accepted::by(self.unrouted_endpoint(arrival, find), arrival.body))
    }

    /// Whether a request is left out, whatever its route is.
    #[inline(always)]
    fn leaves_out(self, arrival: &Arrival<'_>) -> bool {
        !self.is_enabled() || self.0.options.exclusion.covers(arrival.method, arrival.path)
    }

    /// Makes the series of requests that have not come yet, so that they begin at 0.
    pub fn expect(self, method: &str, route: &str, statuses: &[u16]) {
        if !self.is_enabled() {
            return;
        }
        let labels: Vec<&str> = self.0.options.request_labels.iter().map(|_| "").collect();
        let arrival = Arrival { method, route: Some(route), labels: &labels, ..Arrival::default() };
        let endpoint = self.endpoint(&arrival);
        let labels: Vec<&str> = self.0.options.response_labels.iter().map(|_| "").collect();
        for status in statuses {
            self.series(endpoint, *status, &labels);
        }
    }

    #[inline(always)]
    fn endpoint(self, arrival: &Arrival<'_>) -> &'static Endpoint {
        let route = arrival.route.unwrap_or(&self.0.options.unmatched);
        // A method that is not known is none of an endpoint's: it is not found so.
        if self.0.by_method_and_route
            && let Some(endpoint) = Recent::of(arrival.method, route, &[]).of_recorder(self)
            && endpoint.is_at(arrival.method, route)
        {
            return endpoint;
        }
        self.endpoint_otherwise(*arrival)
    }

    /// By value, so that what a request comes with need not be in memory for the sake of those that are not found at once.
    #[inline(never)]
    fn endpoint_otherwise(self, arrival: Arrival<'_>) -> &'static Endpoint {
        let route = arrival.route.unwrap_or(&self.0.options.unmatched);
        self.routed_endpoint(self.arrived(&arrival, route), arrival.route.is_some())
    }

    /// Where a request has come to whose route was not known.
    #[inline]
    pub(crate) fn route(self, unrouted: &'static Endpoint, route: Option<&str>) -> &'static Endpoint {
        let arrived = Arrived { route: route.unwrap_or(&self.0.options.unmatched), ..unrouted.arrived() };
        self.routed_endpoint(arrived, route.is_some())
    }

    #[inline]
    fn unrouted_endpoint(self, arrival: &Arrival<'_>, find: FindRoute) -> &'static Endpoint {
        let arrived = self.arrived(arrival, "");
        let recent = Recent::unrouted(arrived.method);
        match recent.of_recorder(self) {
            Some(endpoint) if endpoint.is_of(&arrived) => endpoint,
            _ => self.find_unrouted_endpoint(recent, arrived, find),
        }
    }

    /// There is one for each method, scheme and protocol. Its key has no route, and is none of others.
    #[cold]
    fn find_unrouted_endpoint(
        self,
        recent: Recent,
        arrived: Arrived<'_>,
        find: FindRoute,
    ) -> &'static Endpoint {
        let key = [arrived.method, arrived.scheme, arrived.protocol];
        let make = || Endpoint::new(&arrived, self, Role::Unrouted(find));
        let endpoint = self.0.endpoints.get_or_insert(&key, make);
        recent.set(endpoint);
        endpoint
    }

    #[inline(always)]
    fn arrived<'a>(self, arrival: &Arrival<'a>, route: &'a str) -> Arrived<'a> {
        Arrived {
            method: known_method(arrival.method),
            route,
            scheme: if self.0.has_scheme { known_scheme(arrival.scheme) } else { "" },
            protocol: if self.0.has_protocol { known_protocol(arrival.protocol) } else { "" },
            computed: arrival.labels,
        }
    }

    #[inline(always)]
    fn routed_endpoint(self, arrived: Arrived<'_>, is_matched: bool) -> &'static Endpoint {
        let recent = Recent::of(arrived.method, arrived.route, arrived.computed);
        match recent.of_recorder(self) {
            Some(endpoint) if endpoint.is(&arrived) => endpoint,
            _ => self.find_endpoint(recent, arrived, is_matched),
        }
    }

    #[cold]
    fn find_endpoint(self, recent: Recent, arrived: Arrived<'_>, is_matched: bool) -> &'static Endpoint {
        let known = self.0.endpoints.get(arrived.key(&mut [""; KEY]));
        let endpoint = known.unwrap_or_else(|| self.create_endpoint(&arrived, is_matched));
        recent.set(endpoint);
        endpoint
    }

    fn create_endpoint(self, arrived: &Arrived<'_>, is_matched: bool) -> &'static Endpoint {
        let Inner { options, endpoints, .. } = self.0;
        let mut ledger = self.ledger();
        let bounded = ledger.bound_request(arrived.computed, options);
        if bounded != arrived.computed {
            self.count_overflow();
        }
        let arrived = Arrived { computed: &bounded, ..*arrived };
        let mut key = [""; KEY];
        if let Some(endpoint) = endpoints.get(arrived.key(&mut key)) {
            return endpoint;
        }
        if !ledger.admits_label_set(options) {
            drop(ledger);
            self.count_overflow();
            return self.catch_all(&arrived);
        }
        let is_left_out = options.exclusion.covers_route(is_matched.then_some(arrived.route));
        let role = if is_left_out { Role::LeftOut } else { Role::Measured };
        endpoints.get_or_insert(arrived.key(&mut key), || Endpoint::new(&arrived, self, role))
    }

    /// Takes what has no room elsewhere. There is one for each method, scheme and protocol.
    fn catch_all(self, arrived: &Arrived<'_>) -> &'static Endpoint {
        let computed = vec![OTHER; self.0.options.request_labels.len()];
        let arrived = Arrived { route: OTHER, computed: &computed, ..*arrived };
        let make = || Endpoint::new(&arrived, self, Role::CatchAll);
        self.0.endpoints.get_or_insert(arrived.key(&mut [""; KEY]), make)
    }

    /// The series of an answer.
    #[inline(always)]
    pub(crate) fn series(
        self,
        endpoint: &'static Endpoint,
        status: u16,
        computed: &[&str],
    ) -> &'static Series {
        match endpoint.series(status, computed) {
            Some(series) => series,
            None => self.create_series(endpoint, status, computed),
        }
    }

    #[cold]
    fn create_series(self, endpoint: &'static Endpoint, status: u16, computed: &[&str]) -> &'static Series {
        let options = &self.0.options;
        let mut ledger = self.ledger();
        let mut bounded = ledger.bound_response(computed, options);
        if bounded != computed {
            self.count_overflow();
        }
        let mut endpoint = endpoint;
        if endpoint.series(status, &bounded).is_none() {
            if matches!(endpoint.role, Role::CatchAll) {
                bounded.fill(OTHER);
            } else if !ledger.admits_label_set(options) {
                self.count_overflow();
                endpoint = self.catch_all(&endpoint.arrived());
                bounded.fill(OTHER);
            }
        }
        endpoint.create_series(status, &bounded)
    }

    /// The name of a language model, or [`OTHER`] if there are too many.
    pub(crate) fn known_model(self, model: &str) -> &str {
        self.ledger().bound_model(model)
    }

    fn count_overflow(self) {
        if let Some(overflow) = self.0.families.overflow {
            overflow.inc();
        }
    }

    fn ledger(self) -> std::sync::MutexGuard<'static, Ledger> {
        self.0.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").field("route", &self.endpoint.route).finish_non_exhaustive()
    }
}

impl fmt::Debug for Alike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Alike").field(&self.0.map(|endpoint| &endpoint.route)).finish()
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recorder").field(&self.0.options).finish()
    }
}
