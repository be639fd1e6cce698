//! Exporting by the OpenTelemetry protocol: to a receiver that takes everything, that is busy, and that refuses.

use std::fs;

use headcount_store::process::now_nanos;
use headcount_tests::certificates::Authority;
use headcount_tests::otlp::{Export, Receiver, pairs};
use headcount_tests::prometheus::{Prometheus, free_address};
use headcount_tests::supervisor::Headcount;
use headcount_tests::{http, peer_file, peers, wait};

use crate::WORKER;
use crate::directory::add;

/// The numeral of cumulative temporality.
const CUMULATIVE: i32 = 2;

fn serve(directory: &std::path::Path, receiver: &Receiver, options: &[&str]) -> Headcount {
    let url = format!("--push.otlp=http://{}", receiver.address);
    let directory = directory.to_str().unwrap();
    let serve = ["serve", "--dir", directory, "--web.listen-address=127.0.0.1:0", "--push.interval=1", &url];
    Headcount::start(serve.iter().chain(options))
}

fn last(receiver: &Receiver) -> Export {
    wait::until("an export", || receiver.taken().pop())
}

#[test]
fn sums_are_cumulative_since_a_worker_created_them_and_the_last_export_has_everything() {
    let (receiver, directory) = (Receiver::start(&[]), tempfile::tempdir().unwrap());
    let url = format!("--push.otlp=http://{}", receiver.address);
    let options = [&url, "--push.interval=1", "--push.otlp-header=X-Token=s3cret", "--push.job=shop"];
    let mut headcount = Headcount::run(2, directory.path(), &options, &[WORKER, "serve"]);
    let server = headcount.server();
    for total in [3, 6] {
        (0..3).for_each(|_| drop(http::get(&server, "/").unwrap()));
        let is_last =
            || receiver.taken().last().is_some_and(|last| last.sum("test_requests_total") == Some(total));
        wait::until_true("the requests are exported", is_last);
    }
    let started = headcount.value("headcount_start_time_seconds").unwrap();
    (0..4).for_each(|_| drop(http::get(&server, "/").unwrap()));
    assert!(headcount.stop().success());
    assert!(
        !headcount.log().contains("level=warn") && !headcount.log().contains("s3cret"),
        "{}",
        headcount.log()
    );

    let all = receiver.taken();
    let last = all.last().unwrap();
    assert!(last.head.starts_with("post /v1/metrics http/1.1\r\n"), "{}", last.head);
    for line in ["x-token: s3cret", "content-type: application/x-protobuf"] {
        assert!(last.head.contains(line), "{}", last.head);
    }
    let resource = last.request.resource_metrics[0].resource.as_ref().unwrap();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(pairs(&resource.attributes), [("service.name", "shop"), ("service.instance.id", host.trim())]);
    assert_eq!(last.sum("test_requests_total"), Some(10));
    let sums: Vec<_> = all.iter().filter_map(|export| export.metric("test_requests_total")).collect();
    let points: Vec<_> = sums.iter().map(|metric| &metric.sum.as_ref().unwrap().data_points[0]).collect();
    assert!(points.is_sorted_by(|a, b| a.time_unix_nano < b.time_unix_nano && a.as_int <= b.as_int));
    let start = points[0].start_time_unix_nano;
    // A millisecond is as exact as a file says it.
    assert!(start as f64 / 1e9 > started - 1e-3, "{start} is before {started}");
    assert!(points.iter().all(|point| point.start_time_unix_nano == start && point.time_unix_nano > start));
    let sum = sums[0].sum.as_ref().unwrap();
    assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (CUMULATIVE, true));
    assert_eq!(sums[0].description, "Requests answered.");
}

#[test]
fn every_kind_of_metric_is_what_a_scrape_has() {
    let (receiver, directory) = (Receiver::start(&[]), tempfile::tempdir().unwrap());
    let put = |name: &str, entries: &[(&str, f64)]| {
        let file = peer_file::python(entries.iter().map(|&(key, value)| (key, value, 0.0)));
        fs::write(directory.path().join(name), file).unwrap();
    };
    put("counter_1.db", &[(r#"["c", "c_total", {"l": "x"}, "C."]"#, 1.5)]);
    put("gauge_all_7.db", &[(r#"["g", "g", {}, "G."]"#, -2.0)]);
    put(
        "histogram_1.db",
        &[
            (r#"["h", "h_bucket", {"le": "0.5"}, "H."]"#, 2.0),
            (r#"["h", "h_bucket", {"le": "1.0"}, "H."]"#, 0.0),
            (r#"["h", "h_bucket", {"le": "+Inf"}, "H."]"#, 3.0),
            (r#"["h", "h_sum", {}, "H."]"#, 9.25),
        ],
    );
    put("summary_1.db", &[(r#"["s", "s_count", {}, "S."]"#, 4.0), (r#"["s", "s_sum", {}, "S."]"#, -0.5)]);
    let _headcount = serve(directory.path(), &receiver, &[]);
    let export = last(&receiver);
    let counter = &export.metric("c_total").unwrap().sum.as_ref().unwrap().data_points[0];
    assert_eq!(
        (counter.as_double, counter.as_int, pairs(&counter.attributes)),
        (Some(1.5), None, vec![("l", "x")])
    );
    assert_eq!(counter.start_time_unix_nano, 0, "nobody knows since when");
    let gauge = &export.metric("g").unwrap().gauge.as_ref().unwrap().data_points[0];
    assert_eq!((gauge.as_double, pairs(&gauge.attributes)), (Some(-2.0), vec![("pid", "7")]));
    let histograms = export.metric("h").unwrap().histogram.as_ref().unwrap();
    let histogram = &histograms.data_points[0];
    assert_eq!((histogram.count, histogram.sum), (5, Some(9.25)));
    assert_eq!(
        (&histogram.explicit_bounds[..], &histogram.bucket_counts[..]),
        (&[0.5, 1.0][..], &[2, 0, 3][..])
    );
    assert_eq!(histograms.aggregation_temporality, CUMULATIVE);
    let summary = &export.metric("s").unwrap().summary.as_ref().unwrap().data_points[0];
    assert_eq!((summary.count, summary.sum), (4, -0.5));
}

#[test]
fn a_receiver_that_is_busy_gets_everything_later_in_order() {
    let busy = "503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let told = "429 Too Many Requests\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n";
    let (receiver, directory) = (Receiver::start(&[busy, told]), tempfile::tempdir().unwrap());
    add(directory.path(), 3);
    let headcount = serve(directory.path(), &receiver, &[]);
    assert!(headcount.wait_for_line("cannot export metrics").contains("refused with 503"));
    let refused = now_nanos();
    let _ = headcount.wait_for_line("metrics are exported again");
    wait::until_true("what waited has arrived", || receiver.taken().len() >= 4);
    let taken = receiver.taken();
    let time = |export: &Export| {
        export.metric("test_added_total").unwrap().sum.as_ref().unwrap().data_points[0].time_unix_nano
    };
    let times: Vec<_> = taken.iter().map(time).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    assert!(times[0] < refused, "what was refused came later: {times:?}");
    assert_eq!(headcount.log().matches("cannot export metrics").count(), 1);
}

#[test]
fn what_a_receiver_does_not_want_is_said_and_not_sent_again() {
    let refusal = "400 Bad Request\r\nContent-Length: 9\r\n\r\nnot again";
    let partial = "200 OK\r\nContent-Length: 13\r\n\r\n\x0a\x0b\x08\x01\x12\x07too odd";
    let (receiver, directory) = (Receiver::start(&[refusal, partial]), tempfile::tempdir().unwrap());
    add(directory.path(), 3);
    let headcount = serve(directory.path(), &receiver, &["--push.label=instance=a"]);
    let line = headcount.wait_for_line("cannot export metrics");
    assert!(line.contains("refused with 400 Bad Request: not again"), "{line}");
    assert!(headcount.wait_for_line("not all metrics were taken").contains("too odd"));
    assert!(receiver.has_refused_all());
    wait::until_true("the next is taken", || receiver.taken().len() >= 2);
}

#[test]
fn victoria_metrics_stores_what_is_exported_with_and_without_tls() {
    let Some(program) = peers::newer_victoria() else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ca");
    authority.sign("server", &["127.0.0.1"]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let encrypted = free_address();
    let flags = [
        format!("--httpListenAddr={encrypted}"),
        "--tls=false,true".to_owned(),
        format!("--tlsCertFile={0},{0}", path("server.pem")),
        format!("--tlsKeyFile={0},{0}", path("server.key")),
    ];
    let victoria = Prometheus::start_victoria(&program, "", &flags.each_ref().map(|flag| &**flag));
    let ca = format!("--push.ca-file={}", authority.certificate.display());
    let plain = format!("--push.otlp=http://{}/opentelemetry/v1/metrics", victoria.address());
    let by_tls = format!("--push.otlp=https://{encrypted}/opentelemetry/v1/metrics");
    for (job, options) in [("plain", vec![&*plain]), ("tls", vec![&*by_tls, &ca])] {
        let directory = tempfile::tempdir().unwrap();
        add(directory.path(), 3);
        let (directory, own) = (directory.path().to_str().unwrap(), format!("--push.job={job}"));
        let serve =
            ["serve", "--dir", directory, "--web.listen-address=127.0.0.1:0", "--push.interval=1", &own];
        let mut headcount = Headcount::start(serve.iter().chain(&options));
        victoria.wait_for(&format!("test_added_total{{\"service.name\"=\"{job}\"}}"), 3.0);
        assert!(headcount.stop().success());
    }
}
