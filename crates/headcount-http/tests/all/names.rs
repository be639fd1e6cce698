//! What is chosen is what is exposed.

use headcount::{Buckets, NativeBuckets, Registry};
use headcount_http::{Arrival, Body, BuildError, Label, Metric, Options, Preset, Recorder, StatusLabel};

use crate::{arrive, record, value};

/// The lines of an exposition that are no comments and no buckets, without their values.
fn keys(registry: Registry) -> Vec<String> {
    let text = registry.render();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket{"));
    lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

/// What an answered request leaves behind under these options.
fn check(options: Options, expected: &[&str]) {
    let (recorder, registry) = record(options);
    let arrival = Arrival {
        method: "GET",
        route: Some("/a"),
        path: "/a",
        scheme: "http",
        protocol: "1.1",
        body: Some(3),
        ..Arrival::default()
    };
    let mut life = recorder.arrive(&arrival, |()| ());
    life.answered(200, Body::None, Vec::new());
    let expected: Vec<&str> = expected
        .iter()
        .copied()
        .chain((!expected.is_empty()).then_some("http_label_overflow_total"))
        .collect();
    let mut keys = keys(registry);
    keys.sort();
    let mut expected = expected;
    expected.sort_unstable();
    assert_eq!(keys, expected);
}

#[test]
fn presets_have_the_names_and_labels_of_what_they_stand_for() {
    check(
        Options::new().preset(Preset::FastapiInstrumentator),
        &[
            "http_requests_total{method=\"GET\",status=\"2xx\",handler=\"/a\"}",
            "http_request_size_bytes_count{handler=\"/a\"}",
            "http_request_size_bytes_sum{handler=\"/a\"}",
            "http_response_size_bytes_count{handler=\"/a\"}",
            "http_response_size_bytes_sum{handler=\"/a\"}",
            "http_request_duration_highr_seconds_count",
            "http_request_duration_highr_seconds_sum",
            "http_request_duration_seconds_count{method=\"GET\",handler=\"/a\"}",
            "http_request_duration_seconds_sum{method=\"GET\",handler=\"/a\"}",
        ],
    );
    check(
        Options::new().preset(Preset::FlaskExporter),
        &[
            "flask_http_request_total{method=\"GET\",status=\"200\"}",
            "flask_http_request_duration_seconds_count{method=\"GET\",path=\"/a\",status=\"200\"}",
            "flask_http_request_duration_seconds_sum{method=\"GET\",path=\"/a\",status=\"200\"}",
            "flask_exporter_info{version=\"0.1.0\"}",
        ],
    );
    check(
        Options::new().preset(Preset::AxumPrometheus).with(Metric::ResponseSize),
        &[
            "axum_http_requests_total{method=\"GET\",status=\"200\",endpoint=\"/a\"}",
            "axum_http_requests_duration_seconds_count{method=\"GET\",status=\"200\",endpoint=\"/a\"}",
            "axum_http_requests_duration_seconds_sum{method=\"GET\",status=\"200\",endpoint=\"/a\"}",
            "axum_http_requests_pending{method=\"GET\",endpoint=\"/a\"}",
        ],
    );
    let labels = "{http_request_method=\"GET\",http_route=\"/a\",http_response_status_code=\"200\",\
                  url_scheme=\"http\",network_protocol_version=\"1.1\",error_type=\"\"}";
    let observed = ["request_duration_seconds", "request_body_size_bytes", "response_body_size_bytes"];
    let mut expected: Vec<String> = observed
        .iter()
        .flat_map(|name| ["count", "sum"].map(|part| format!("http_server_{name}_{part}{labels}")))
        .collect();
    expected.push("http_server_active_requests{http_request_method=\"GET\",url_scheme=\"http\"}".to_owned());
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check(Options::new().preset(Preset::OpenTelemetry), &expected);
}

#[test]
fn names_labels_prefix_and_kinds_are_the_users() {
    let options = Options::new()
        .without_any()
        .with(Metric::Requests)
        .name(Metric::Requests, "answers")
        .with(Metric::Duration)
        .summary(Metric::Duration)
        .labels(Metric::Duration, &[Label::Route])
        .prefix("shop")
        .status(StatusLabel::Class)
        .label_name(Label::Status, "code")
        .constant_label("region", "eu");
    let (recorder, registry) = record(options);
    arrive(recorder, "GET", "/a").answered(201, Body::None, Vec::new());
    let expected = [
        "shop_answers_total{method=\"GET\",route=\"/a\",code=\"2xx\",region=\"eu\"}",
        "shop_http_request_duration_seconds_count{route=\"/a\",region=\"eu\"}",
        "shop_http_request_duration_seconds_sum{route=\"/a\",region=\"eu\"}",
    ];
    assert_eq!(keys(registry), expected);
}

#[test]
fn buckets_are_the_users_and_a_counter_has_none() {
    let buckets = || Buckets::new([0.5, 7.0]).unwrap();
    let options = Options::new().buckets(Metric::Duration, buckets()).buckets(Metric::Requests, buckets());
    let (recorder, registry) = record(options);
    arrive(recorder, "GET", "/a").answered(200, Body::None, Vec::new());
    let text = registry.render();
    let of = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!(of("http_request_duration_seconds_bucket"), 3, "{text}");
    assert_eq!(of("http_requests_total{"), 1, "{text}");
}

#[test]
fn what_is_observed_may_be_a_native_histogram_instead_of_buckets_with_bounds_or_beside_them() {
    let native = || NativeBuckets::with_schema(5).unwrap();
    let bounds = |options: Options| {
        let (recorder, registry) = record(options.constant_label("region", "eu"));
        arrive(recorder, "GET", "/a").answered(200, Body::None, Vec::new());
        let labels = "{method=\"GET\",route=\"/a\",status=\"200\",region=\"eu\"}";
        assert_eq!(value(registry, &format!("http_request_duration_seconds_count{labels}")), 1.0);
        let text = registry.render();
        let is_counted = |line: &&str| line.starts_with("http_requests_total{") && line.ends_with(" 1");
        assert_eq!(text.lines().filter(is_counted).count(), 1, "{text}");
        text.lines().filter(|line| line.starts_with("http_request_duration_seconds_bucket{")).count()
    };
    let own = || Options::new().buckets(Metric::Duration, Buckets::new([0.5, 7.0]).unwrap());
    // In text, one without bounds has only that of everything.
    assert_eq!(bounds(own().native(Metric::Duration, native())), 1);
    assert_eq!(bounds(own().and_native(Metric::Duration, native())), 3);
    assert_eq!(bounds(own().native(Metric::Duration, native().and_classic(Buckets::default()))), 15);
    // The last word counts.
    assert_eq!(bounds(own().native(Metric::Duration, native()).summary(Metric::Duration)), 0);
    assert_eq!(bounds(own().summary(Metric::Duration).and_native(Metric::Duration, native())), 1);
    let buckets = Buckets::new([1.0]).unwrap();
    assert_eq!(bounds(own().native(Metric::Duration, native()).buckets(Metric::Duration, buckets)), 2);
    // What counts or is set is none.
    assert_eq!(bounds(own().native(Metric::Requests, native()).native(Metric::InFlight, native())), 3);
}

#[test]
fn bodies_that_are_empty_have_no_size_where_it_is_ignored() {
    let options = Options::new().ignore_empty(Metric::RequestSize).ignore_empty(Metric::ResponseSize);
    let (recorder, registry) = record(options.constant_label("region", "eu"));
    let request = |body, answer| {
        let arrival = Arrival { method: "GET", route: Some("/a"), body, ..Arrival::default() };
        let mut life = recorder.arrive(&arrival, |()| ());
        life.answered(200, Body::Sized(answer), Vec::new());
        life.sent(answer);
    };
    request(Some(0), 0);
    let names = || keys(registry).into_iter().filter(|key| key.contains("_size_bytes")).collect::<Vec<_>>();
    assert!(names().is_empty(), "a series begins with the first body: {:?}", names());
    request(Some(7), 5);
    request(Some(0), 0);
    let labels = "{method=\"GET\",route=\"/a\",region=\"eu\"}";
    for (name, sum) in [("request", 7.0), ("response", 5.0)] {
        assert_eq!(value(registry, &format!("http_{name}_size_bytes_count{labels}")), 1.0);
        assert_eq!(value(registry, &format!("http_{name}_size_bytes_sum{labels}")), sum);
    }
}

#[test]
fn series_that_are_expected_begin_at_0() {
    let (recorder, registry) = record(Options::new());
    recorder.expect("GET", "/a", &[200, 404]);
    let text = registry.render();
    assert!(text.contains("http_requests_total{method=\"GET\",route=\"/a\",status=\"404\"} 0\n"), "{text}");
    assert!(text.contains("http_requests_in_flight 0\n"), "{text}");
}

#[test]
fn an_application_says_what_it_is() {
    let options = Options::new().application_info("app_info", &[("version", "1.0.3")]);
    assert!(record(options).1.render().contains("app_info{version=\"1.0.3\"} 1\n"));
}

#[test]
fn what_is_left_out_leaves_nothing() {
    let options = Options::new().exclude_path("/internal/*").exclude_route("/b").exclude_method("OPTIONS");
    let (recorder, _) = record(options.ignore_unmatched());
    let is_measured = |method, route, path| {
        !recorder.arrive(&Arrival { method, route, path, ..Arrival::default() }, |()| ()).is_over()
    };
    assert!(is_measured("GET", Some("/a"), "/a"));
    assert!(!is_measured("GET", Some("/internal/{x}"), "/internal/7"));
    assert!(!is_measured("GET", Some("/metrics"), "/metrics"));
    assert!(!is_measured("GET", Some("/b"), "/b"));
    assert!(!is_measured("OPTIONS", Some("/a"), "/a"));
    assert!(!is_measured("GET", None, "/nowhere"));
}

#[test]
fn a_variable_that_is_not_set_switches_everything_off() {
    let (recorder, registry) = record(Options::new().enabled_by("HEADCOUNT_HTTP_TEST_OF_A_VARIABLE"));
    assert!(!recorder.is_enabled());
    assert!(recorder.arrive(&Arrival::default(), |()| ()).is_over());
    recorder.expect("GET", "/a", &[200]);
    assert_eq!(registry.render(), "");
}

#[test]
fn a_name_that_is_taken_and_labels_without_end_are_errors() {
    let registry = Registry::private().unwrap();
    registry.gauge("http_requests_in_flight", "mine", headcount::GaugeMode::All).unwrap();
    let error = Recorder::new(Options::new().registry(registry)).unwrap_err();
    assert!(matches!(error, BuildError::Register(_)), "{error}");
    let many = (0..12).fold(Options::new(), |options, n| options.constant_label(&format!("l{n}"), "x"));
    let registry = Registry::private().unwrap();
    let error = Recorder::new(many.registry(registry)).unwrap_err();
    assert_eq!(error.to_string(), "`http_exporter_info` would have 13 labels, 12 is the most");
}
