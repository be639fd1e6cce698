//! A request of a kind that has been there before allocates nothing, if its route is a function of the application's.
//! Actix itself spells a pattern anew for whoever asks, who asks once.

use std::borrow::Cow;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use actix_http::Request;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, Error, web};
use headcount::Registry;
use headcount_actix::{HttpMetrics, Metric, Options};

/// Sends a request and reads the answer to its end.
fn send<S, B>(app: &S)
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let mut context = Context::from_waker(Waker::noop());
    let call = pin!(app.call(TestRequest::get().uri("/users/7").to_request()));
    let Poll::Ready(Ok(response)) = call.poll(&mut context) else { panic!("it is ready at once") };
    assert_eq!(response.status(), 200);
    let mut body = pin!(response.into_body());
    while let Poll::Ready(Some(_)) = body.as_mut().poll_next(&mut context) {}
}

/// How many allocations it takes to send a hundred requests, the first ones excepted.
fn allocations<S, B>(app: &S) -> u64
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    (0..10).for_each(|_| send(app));
    allocation_counter::measure(|| (0..100).for_each(|_| send(app))).count_total
}

#[test]
fn a_request_of_a_kind_that_has_been_there_allocates_nothing() {
    actix_web::rt::System::new().block_on(async {
        let app = || App::new().route("/users/{id}", web::get().to(async || "hello"));
        let without = allocations(&init_service(app()).await);
        assert!(without > 0);
        for options in [Options::new(), Options::new().with(Metric::FirstByte).with_streams()] {
            let registry = Registry::private().unwrap();
            let builder = HttpMetrics::builder(options.registry(registry));
            let layer = builder.route(|_| Some(Cow::Borrowed("/users/{id}"))).build().unwrap();
            assert_eq!(allocations(&init_service(app().wrap(layer)).await), without);
            assert!(registry.render().contains("status=\"200\"} 110\n"), "{}", registry.render());
        }
        let registry = Registry::private().unwrap();
        let layer = HttpMetrics::builder(Options::new().registry(registry)).build().unwrap();
        let patterns = 100;
        assert_eq!(allocations(&init_service(app().wrap(layer)).await), without + patterns);
        assert!(registry.render().contains("route=\"/users/{id}\",status=\"200\"} 110\n"));
    });
}
