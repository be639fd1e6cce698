//! However a request ends, it is counted once, under the status that it deserves.

use std::panic::{AssertUnwindSafe, catch_unwind};

use headcount::Registry;
use headcount_http::{Body, Label, Life, Metric, Options, Recorder, do_not_track, track_error};

use crate::{arrive, record, value};

/// Lives a request, and expects it to be counted once, under `status`, with so many exceptions of a type.
fn check(live: impl FnOnce(Life), status: &str, response_bytes: Option<f64>, exception: Option<&str>) {
    let (recorder, registry) = record(Options::new().with_streams());
    let life = arrive(recorder, "GET", "/a");
    assert_eq!(value(registry, "http_requests_in_flight"), 1.0);
    let _ = catch_unwind(AssertUnwindSafe(|| live(life)));
    let text = registry.render();
    let samples = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!(samples("http_requests_total"), 1, "{text}");
    let labels = format!("{{method=\"GET\",route=\"/a\",status=\"{status}\"}}");
    assert_eq!(value(registry, &format!("http_requests_total{labels}")), 1.0, "{text}");
    assert_eq!(value(registry, &format!("http_request_duration_seconds_count{labels}")), 1.0, "{text}");
    assert_eq!(value(registry, "http_requests_in_flight"), 0.0, "{text}");
    assert_eq!(value(registry, "http_streams_active{route=\"/a\"}"), 0.0, "{text}");
    let size = |name: &str, part: &str| {
        value(registry, &format!("http_{name}_size_bytes_{part}{{method=\"GET\",route=\"/a\"}}"))
    };
    assert_eq!((size("request", "count"), size("request", "sum")), (1.0, 3.0), "{text}");
    let expected = response_bytes.map_or((0.0, 0.0), |bytes| (1.0, bytes));
    assert_eq!((size("response", "count"), size("response", "sum")), expected, "{text}");
    assert_eq!(samples("http_exceptions_total"), exception.into_iter().count(), "{text}");
    if let Some(kind) = exception {
        let labels = format!("{{method=\"GET\",route=\"/a\",status=\"{status}\",type=\"{kind}\"}}");
        assert_eq!(value(registry, &format!("http_exceptions_total{labels}")), 1.0, "{text}");
    }
}

fn answered(mut life: Life, body: Body) -> Life {
    life.answered(200, body, Vec::new());
    life
}

fn send(mut life: Life, bytes: u64) -> Life {
    life.watch(|| ());
    life.sent(bytes);
    life
}

#[test]
fn an_answer_counts_when_its_body_has_ended() {
    check(|life| send(answered(life, Body::Streamed), 5).ended(), "200", Some(5.0), None);
    check(|life| send(answered(life, Body::Sized(5)), 5).ended(), "200", Some(5.0), None);
    check(|life| drop(answered(life, Body::None)), "200", Some(0.0), None);
    check(|life| drop(answered(life, Body::Sized(0))), "200", Some(0.0), None);
}

#[test]
fn an_answer_that_nobody_asks_for_more_after_its_last_byte_is_complete() {
    check(|life| drop(send(answered(life, Body::Sized(5)), 5)), "200", Some(5.0), None);
    check(|life| drop(send(answered(life, Body::Sized(6)), 5)), "499", Some(5.0), None);
}

#[test]
fn a_client_that_goes_away_has_a_status_of_its_own() {
    check(drop, "499", None, None);
    check(|life| drop(answered(life, Body::Streamed)), "499", Some(0.0), None);
    check(|life| drop(send(answered(life, Body::Streamed), 5)), "499", Some(5.0), None);
}

#[test]
fn a_panic_counts_as_500_wherever_it_happens() {
    check(|mut life| life.watch(|| panic!("expected")), "500", None, Some("panic"));
    check(
        |life| send(answered(life, Body::Streamed), 5).watch(|| panic!("expected")),
        "500",
        Some(5.0),
        Some("panic"),
    );
    // Of somebody else's, which takes the request along.
    let elsewhere = |life: Life| {
        let _life = life;
        panic!("expected")
    };
    check(elsewhere, "500", None, Some("panic"));
}

#[test]
fn what_fails_counts_under_the_status_that_the_client_got() {
    check(|mut life| life.failed("Refused"), "500", None, Some("Refused"));
    let broken = |life| send(answered(life, Body::Streamed), 5).body_failed("Broken");
    check(broken, "200", Some(5.0), Some("Broken"));
}

#[test]
fn what_comes_after_the_end_changes_nothing() {
    let ended = |life| {
        let mut life = send(answered(life, Body::Streamed), 5);
        life.ended();
        life.sent(7);
        life.ended();
        life.body_failed("late");
        life.failed("late");
        life.answered(404, Body::None, Vec::new());
    };
    check(ended, "200", Some(5.0), None);
}

#[test]
fn streams_are_counted_as_they_go() {
    let (recorder, registry) = record(Options::new().with_streams());
    let stream = |name: &str| value(registry, &format!("http_stream{name}{{route=\"/a\"}}"));
    let life = answered(arrive(recorder, "GET", "/a"), Body::Streamed);
    assert_eq!((stream("s_active"), stream("_chunks_total")), (1.0, 0.0));
    let life = send(send(life, 5), 6);
    assert_eq!((stream("_chunks_total"), stream("_bytes_total")), (2.0, 11.0));
    assert_eq!((stream("_time_to_first_chunk_seconds_count"), stream("_duration_seconds_count")), (1.0, 0.0));
    drop(life);
    assert_eq!((stream("s_active"), stream("_duration_seconds_count")), (0.0, 1.0));
    assert_eq!(stream("_errors_total"), 1.0);
    // An answer whose length is known is no stream.
    drop(send(answered(arrive(recorder, "GET", "/a"), Body::Sized(9)), 9));
    assert_eq!((stream("_chunks_total"), stream("_duration_seconds_count")), (2.0, 1.0));
}

/// How a status of gRPC is told, and what is counted.
fn check_grpc(live: impl FnOnce(&mut Life), expected: &str) {
    let (recorder, registry) = record(Options::new().with(Metric::GrpcResponses));
    let mut life = arrive(recorder, "POST", "/shop.Shop/Buy");
    live(&mut life);
    drop(life);
    let key = format!("grpc_responses_total{{route=\"/shop.Shop/Buy\",grpc_status=\"{expected}\"}}");
    assert_eq!(value(registry, &key), 1.0, "{}", registry.render());
}

#[test]
fn the_status_of_grpc_is_that_of_its_trailers_or_what_stands_for_none() {
    let begin = |life: &mut Life| {
        life.is_grpc(None);
        life.answered(200, Body::Streamed, Vec::new());
    };
    let trailers = |status| {
        move |life: &mut Life| {
            begin(life);
            life.grpc_status(status);
            life.grpc_status(0);
            life.ended();
        }
    };
    check_grpc(trailers(5), "5");
    check_grpc(trailers(99), "_OTHER");
    check_grpc(|life| life.is_grpc(Some(12)), "12");
    check_grpc(begin, "1");
    let without = |life: &mut Life| {
        begin(life);
        life.ended();
    };
    check_grpc(without, "2");
}

fn with_handler(options: Options, handler: impl FnOnce()) -> Registry {
    let (recorder, registry) = record(options);
    let mut life = arrive(recorder, "GET", "/a");
    life.watch(handler);
    life.answered(200, Body::None, Vec::new());
    registry
}

#[test]
fn a_handler_reports_about_its_own_request_and_no_other() {
    let options = || Options::new().labels(Metric::Exceptions, &[Label::Route, Label::Exception]);
    let error = || "x".parse::<u8>().unwrap_err();
    let inner: Recorder = record(options()).0;
    let registry = with_handler(options(), || {
        // A request within the request, as of a test client.
        arrive(inner, "GET", "/b").watch(|| track_error(&error(), 502));
        track_error(&error(), 502);
    });
    let key = "http_exceptions_total{route=\"/a\",type=\"core::num::error::ParseIntError\"}";
    assert_eq!(value(registry, key), 1.0, "{}", registry.render());
    assert!(!registry.render().contains("/b"));
    // Nobody is being answered.
    track_error(&error(), 502);
    assert_eq!(value(registry, key), 1.0);
}

#[test]
fn a_handler_takes_its_request_out_of_the_metrics() {
    let registry = with_handler(Options::new(), do_not_track);
    let text = registry.render();
    assert!(!text.contains("/a") && text.contains("http_requests_in_flight 0\n"), "{text}");
}
