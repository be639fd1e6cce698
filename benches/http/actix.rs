//! Around an actix-web application.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_http::Request;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, Error, HttpRequest, web};
use headcount::Registry;
use headcount_actix::{HttpMetrics, Options};

use super::floor::actix::Followed;
use super::row::Rows;
use super::{Around, More, PATH, ROUTE, WITHOUT, compare_around, send_all};
use crate::measure::Candidate;

/// An application of one route, as actix wants it: a type that cannot be named.
#[macro_export]
macro_rules! actix_app {
    ($($wrapped:expr)?) => {
        now(init_service(App::new()$(.wrap($wrapped))?.route(ROUTE, web::get().to(async || "a body"))))
    };
}

/// What a future comes to that waits for nothing.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    let Poll::Ready(output) = pin!(future).poll(&mut Context::from_waker(Waker::noop())) else {
        unreachable!("it is ready at once");
    };
    output
}

/// Sends requests and reads the answers to their end.
pub(crate) fn send<S, B>(app: &S) -> Duration
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let mut context = Context::from_waker(Waker::noop());
    send_all(|| {
        let response = now(app.call(TestRequest::get().uri(PATH).to_request())).unwrap();
        let mut body = pin!(response.into_body());
        while let Poll::Ready(Some(piece)) = body.as_mut().poll_next(&mut context) {
            black_box(piece.is_ok());
        }
    })
}

pub(super) fn run(more: More, rows: &mut Rows) {
    actix_web::rt::System::new().block_on(async {
        let options = Options::new().registry(Registry::private().unwrap());
        let layer = HttpMetrics::builder(options).build().unwrap();
        let (without, default) = (actix_app!(), actix_app!(layer));
        let followed = actix_app!(Followed(|_: &HttpRequest| {}));
        // Whoever counts by route has to ask for it, and actix spells it anew each time.
        let asked = actix_app!(Followed(|request: &HttpRequest| {
            black_box(request.match_pattern());
        }));
        let candidates = vec![
            Candidate::new(WITHOUT, || send(&without)),
            Candidate::floor("floor: followed, and nothing counted", || send(&followed)),
            Candidate::new("the same, and its route asked for", || send(&asked)),
            Candidate::ours("headcount-actix", || send(&default)),
        ];
        let title = "a request to an actix-web application";
        let medians = compare_around(Around::Actix, title, more, candidates);
        rows.add("an actix-web application", &medians, None);
    });
}
