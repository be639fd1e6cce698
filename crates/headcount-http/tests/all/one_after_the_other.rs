//! Requests come one after the other and many at once, here and there, and none knows of another.

use headcount::Registry;
use headcount_http::{Arrival, Body, Label, Life, Metric, Options, do_not_track};

use crate::{arrive, record, value};

/// More at once than a thread keeps memory for.
const MANY: u32 = 300;

fn samples(registry: Registry, status: u16) -> f64 {
    let labels = format!("{{method=\"GET\",route=\"/a\",status=\"{status}\"}}");
    value(registry, &format!("http_requests_total{labels}"))
}

#[test]
fn many_at_once_are_each_counted_once() {
    let (recorder, registry) = record(Options::new());
    for round in 1..=3 {
        let mut lives: Vec<Life> = (0..MANY).map(|_| arrive(recorder, "GET", "/a")).collect();
        assert_eq!(value(registry, "http_requests_in_flight"), f64::from(MANY));
        lives.iter_mut().for_each(|life| life.answered(200, Body::None, Vec::new()));
        assert!(lives.iter().all(Life::is_over));
        assert_eq!(samples(registry, 200), f64::from(round * MANY));
    }
    assert_eq!(value(registry, "http_requests_in_flight"), 0.0);
}

#[test]
fn a_request_may_be_over_in_another_thread_than_it_came_to() {
    let (recorder, registry) = record(Options::new());
    for _ in 0..3 {
        let lives: Vec<Life> = (0..MANY).map(|_| arrive(recorder, "GET", "/a")).collect();
        std::thread::scope(|scope| {
            let end = |mut life: Life| life.answered(200, Body::None, Vec::new());
            scope.spawn(move || lives.into_iter().for_each(end));
        });
    }
    assert_eq!(samples(registry, 200), f64::from(3 * MANY));
    assert_eq!(value(registry, "http_requests_in_flight"), 0.0);
}

#[test]
fn a_request_leaves_nothing_to_the_next() {
    let options = Options::new().with_streams().with(Metric::GrpcResponses).with(Metric::FirstByte);
    let (recorder, registry) =
        record(options.response_label("kind", None).labels(Metric::InFlight, &[Label::Route]));
    let mut first = arrive(recorder, "GET", "/full");
    first.is_grpc(None);
    first.answered(200, Body::Streamed, vec!["stream".to_owned()]);
    first.sent(5);
    first.ended();
    let mut second =
        recorder.arrive(&Arrival { method: "GET", route: Some("/full"), ..Arrival::default() }, |()| ());
    second.watch(do_not_track);
    drop(second);
    // The box of both is that of the third, which its client gives up before there is an answer.
    drop(arrive(recorder, "GET", "/a"));
    let text = registry.render();
    let of_third: Vec<&str> = text.lines().filter(|line| line.contains("/a")).collect();
    assert!(of_third.iter().all(|line| !line.contains("stream")), "{text}");
    let count =
        |name: &str| value(registry, &format!("http_{name}_count{{method=\"GET\",route=\"/a\",kind=\"\"}}"));
    assert_eq!(count("request_size_bytes"), 1.0, "{text}");
    assert_eq!(
        (count("response_size_bytes"), count("request_time_to_first_byte_seconds")),
        (0.0, 0.0),
        "{text}"
    );
    assert_eq!(value(registry, "http_requests_in_flight{route=\"/a\"}"), 0.0, "{text}");
    let third = "http_requests_total{method=\"GET\",route=\"/a\",status=\"499\",kind=\"\"}";
    assert_eq!(value(registry, third), 1.0, "{text}");
}
