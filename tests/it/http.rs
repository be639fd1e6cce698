//! The middleware in a real server: every metric at every step of a request's life.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use headcount_tests::exposition::read_native;
use headcount_tests::supervisor::Headcount;
use headcount_tests::{http, text, wait};

/// The server whose requests do what their clients say.
const SERVER: &str = env!("CARGO_BIN_EXE_test-http");

const PROTOBUF: &str =
    "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

/// A request whose client says word by word what it is to do.
struct Talk(TcpStream);

impl Talk {
    fn begin(server: &str) -> Self {
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        write!(stream, "POST /talk HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        Self(stream)
    }

    fn say(&mut self, word: &str) {
        write!(self.0, "{:x}\r\n{word}\r\n", word.len()).unwrap();
    }

    fn end(&mut self) {
        write!(self.0, "0\r\n\r\n").unwrap();
    }

    /// Says nothing more, and waits.
    fn hold(&mut self) {
        self.say("hold");
        self.end();
    }

    /// Reads until this has come. A client that closes with something unread resets the connection.
    fn hear(&mut self, words: &str) {
        let mut heard = Vec::new();
        while !heard.windows(words.len()).any(|window| window == words.as_bytes()) {
            let mut byte = [0];
            assert_eq!(self.0.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&heard));
            heard.extend(byte);
        }
    }
}

/// What the metrics are to say about the requests of one route. What is not there counts as 0.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    in_flight: f64,
    streams: f64,
    chunks: f64,
    bytes: f64,
    broken: f64,
    first_bytes: f64,
    first_chunks: f64,
    panics: f64,
    /// Requests that are over, by their status; as often was the duration observed.
    over: Vec<(String, f64)>,
    /// Answers whose sizes were observed, and the sum.
    sizes: (f64, f64),
}

impl Seen {
    fn of(headcount: &Headcount, method: &str, route: &str) -> Self {
        let text = headcount.scrape();
        let value = |key: &str| text::value(&text, key).unwrap_or(0.0);
        let labels = format!("method=\"{method}\",route=\"{route}\"");
        let by_status = |name: &str, status: &str| value(&format!("{name}{{{labels},status=\"{status}\"}}"));
        let over = ["101", "200", "499", "500"].map(|status| {
            let count = by_status("http_requests_total", status);
            assert_eq!(by_status("http_request_duration_seconds_count", status), count, "{text}");
            (status.to_owned(), count)
        });
        let stream = |name: &str| value(&format!("http_stream{name}{{route=\"{route}\"}}"));
        let over: Vec<_> = over.into_iter().filter(|(_, count)| *count > 0.0).collect();
        Self {
            in_flight: value("http_requests_in_flight"),
            streams: stream("s_active"),
            chunks: stream("_chunks_total"),
            bytes: stream("_bytes_total"),
            broken: stream("_errors_total"),
            first_bytes: value(&format!("http_request_time_to_first_byte_seconds_count{{{labels}}}")),
            first_chunks: stream("_time_to_first_chunk_seconds_count"),
            panics: value(&format!("http_exceptions_total{{{labels},status=\"500\",type=\"panic\"}}")),
            over,
            sizes: ["count", "sum"]
                .map(|part| value(&format!("http_response_size_bytes_{part}{{{labels}}}")))
                .into(),
        }
    }
}

/// Walks so many requests at a time, of as many processes, through their lives.
fn walk(workers: u32, talks: u32, arguments: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let mut headcount = Headcount::run(workers, directory.path(), &[], &[&[SERVER], arguments].concat());
    let server = headcount.server();
    let n = f64::from(talks);
    let mut seen = Seen::default();
    let begin = || -> Vec<Talk> { (0..talks).map(|_| Talk::begin(&server)).collect() };
    let expect = |what: &str, seen: &Seen| {
        wait::until_true(format!("{what}: {seen:?}"), || Seen::of(&headcount, "POST", "/talk") == *seen);
    };
    let expect_and = |what: &str, seen: &mut Seen, change: &dyn Fn(&mut Seen)| {
        change(seen);
        expect(what, seen);
    };
    let over = |seen: &mut Seen, status: &str, count: f64| {
        let known = seen.over.iter_mut().find(|(known, _)| known == status);
        match known {
            Some((_, known)) => *known += count,
            None => seen.over.push((status.to_owned(), count)),
        }
        seen.over.sort_by(|a, b| a.0.cmp(&b.0));
    };
    let answer = |seen: &mut Seen| {
        seen.streams += n;
    };

    // Arrived, answered, half sent, whole.
    let mut all = begin();
    expect_and("arrived", &mut seen, &|seen| seen.in_flight = n);
    all.iter_mut().for_each(|talk| talk.say("answer"));
    expect_and("answered", &mut seen, &answer);
    all.iter_mut().for_each(|talk| talk.say("hello"));
    all.iter_mut().for_each(|talk| talk.hear("hello\r\n"));
    expect_and("half sent", &mut seen, &|seen| {
        (seen.chunks, seen.bytes, seen.first_chunks) = (n, 5.0 * n, n);
    });
    all.iter_mut().for_each(Talk::end);
    expect_and("whole", &mut seen, &|seen| {
        (seen.in_flight, seen.streams, seen.first_bytes) = (0.0, 0.0, n);
        over(seen, "200", n);
        seen.sizes = (n, 5.0 * n);
    });

    // The client goes away before there is an answer …
    let mut all = begin();
    all.iter_mut().for_each(Talk::hold);
    expect_and("arrived again", &mut seen, &|seen| seen.in_flight = n);
    drop(all);
    expect_and("gone early", &mut seen, &|seen| {
        seen.in_flight = 0.0;
        over(seen, "499", n);
    });
    // … and in the middle of it.
    let mut all = begin();
    all.iter_mut().for_each(|talk| talk.say("answer"));
    all.iter_mut().for_each(|talk| talk.say("bye"));
    all.iter_mut().for_each(|talk| talk.hear("bye\r\n"));
    all.iter_mut().for_each(Talk::hold);
    drop(all);
    expect_and("gone late", &mut seen, &|seen| {
        over(seen, "499", n);
        (seen.chunks, seen.bytes, seen.first_chunks) = (2.0 * n, 8.0 * n, 2.0 * n);
        (seen.first_bytes, seen.broken, seen.sizes) = (2.0 * n, n, (2.0 * n, 8.0 * n));
    });

    // A panic in the handler, and in the body.
    let mut all = begin();
    all.iter_mut().for_each(|talk| talk.say("panic"));
    expect_and("panicked early", &mut seen, &|seen| {
        over(seen, "500", n);
        seen.panics = n;
    });
    let mut all = begin();
    all.iter_mut().for_each(|talk| talk.say("answer"));
    all.iter_mut().for_each(|talk| talk.hear("\r\n\r\n"));
    all.iter_mut().for_each(|talk| talk.say("panic"));
    expect_and("panicked late", &mut seen, &|seen| {
        over(seen, "500", n);
        (seen.panics, seen.first_bytes, seen.broken) = (2.0 * n, 3.0 * n, 2.0 * n);
        seen.sizes.0 = 3.0 * n;
    });

    // An upgrade is over when it is granted, though its connection lives.
    let upgraded: Vec<TcpStream> = (0..talks)
        .map(|_| {
            let mut stream = TcpStream::connect(&server).unwrap();
            let head = "GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: words";
            write!(stream, "{head}\r\n\r\n").unwrap();
            stream
        })
        .collect();
    wait::until_true("upgraded", || {
        let seen = Seen::of(&headcount, "GET", "/upgrade");
        let expected = Seen { over: vec![("101".to_owned(), n)], first_bytes: n, ..Seen::default() };
        seen == Seen { sizes: (n, 0.0), ..expected }
    });
    drop(upgraded);
    // All of this is still true when all that did it are gone.
    expect("at the end", &seen);
    assert!(headcount.stop().success());
}

#[test]
fn every_metric_is_right_at_every_step_of_a_request_in_one_worker() {
    walk(1, 2, &[]);
}

#[test]
fn every_metric_is_right_at_every_step_of_a_request_in_a_layer_inside_of_the_router() {
    walk(1, 2, &["layer"]);
}

#[test]
fn every_metric_is_right_at_every_step_of_requests_merged_over_four_workers() {
    walk(4, 12, &[]);
}

#[test]
fn native_histograms_of_requests_are_merged_over_workers_and_told_in_protobuf() {
    let directory = tempfile::tempdir().unwrap();
    let mut headcount = Headcount::run(4, directory.path(), &[], &[SERVER, "native"]);
    let server = headcount.server();
    for path in ["/", "/users/1", "/users/1234"].repeat(10) {
        http::get(&server, path).unwrap();
    }
    let labels = "method=\"GET\",region=\"eu\",route=\"/\",status=\"200\"";
    let count = format!("http_request_duration_seconds_count{{{labels}}}");
    wait::until_true("all requests are over", || text::value(&headcount.scrape(), &count) == Some(10.0));
    let answer = http::request(&headcount.metrics(), "GET", "/metrics", &[PROTOBUF]).unwrap();
    // "hello" has 5 bytes, "user 1" 6, and "user 1234" 9. Numbers of buckets are by the eighth part of a power of two.
    let sizes = read_native(&answer.body, "http_response_size_bytes");
    let sizes: Vec<_> = sizes.iter().map(|size| (size.labels["route"].as_str(), &size.buckets)).collect();
    assert_eq!(
        sizes,
        [("/", &BTreeMap::from([(19, 10)])), ("/users/{id}", &BTreeMap::from([(21, 10), (26, 10)]))]
    );
    let durations = read_native(&answer.body, "http_request_duration_seconds");
    let counts = durations.iter().map(|duration| duration.buckets.values().sum::<i64>());
    assert_eq!(counts.collect::<Vec<_>>(), [10, 20]);
    assert!(durations.iter().all(|duration| duration.labels["region"] == "eu" && duration.schema == 3));
    // What knows only bounds finds them, and finds none where there are none.
    let text = headcount.scrape();
    let bounds = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!(bounds(&format!("http_request_duration_seconds_bucket{{{labels},")), 15);
    assert_eq!(bounds("http_response_size_bytes_bucket{method=\"GET\",region=\"eu\",route=\"/\","), 1);
    assert!(headcount.stop().success());
}
