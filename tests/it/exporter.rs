//! The exporter as its clients see it.

use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use headcount_tests::prometheus::Prometheus;
use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, http, peers, process, text, wait};
use nix::sys::signal::Signal;

use crate::WORKER;
use crate::formats::small_directory;

#[test]
fn a_real_prometheus_scrapes_rust_and_python_workers_as_one() {
    let directory = tempfile::tempdir().unwrap();
    let headcount = Headcount::run(4, directory.path(), &[], &[WORKER, "serve"]);
    let server = headcount.server();
    (0..100).for_each(|_| drop(http::get(&server, "/").unwrap()));
    // The same counter, of a Python process in the same directory, and a histogram of its own.
    let script = "
from prometheus_client import Counter, Histogram
Counter('test_requests', 'Requests answered.').inc(11)
h = Histogram('python_seconds', 'Of Python.', buckets=[0.1, 1])
for value in (0.05, 0.5, 5): h.observe(value)
";
    let status = Command::new(peers::python())
        .args(["-c", script])
        .env("PROMETHEUS_MULTIPROC_DIR", directory.path())
        .status()
        .unwrap();
    assert!(status.success());
    let prometheus = Prometheus::start(&Prometheus::config(&headcount.metrics(), ""));
    prometheus.wait_for("up", 1.0);
    prometheus.wait_for("test_requests_total", 111.0);
    prometheus.wait_for("test_alive", 4.0);
    prometheus.wait_for("python_seconds_bucket{le=\"1.0\"}", 2.0);
    prometheus.wait_for("python_seconds_count", 3.0);
    let victim = headcount.workers()[0];
    process::signal(victim, Signal::SIGKILL);
    prometheus.wait_for("headcount_starts_total{process=\"worker\"}", 5.0);
    assert_eq!(prometheus.query("test_requests_total"), Some(111.0));
}

#[test]
fn promtool_finds_nothing_to_object_to() {
    let directory = tempfile::tempdir().unwrap();
    let headcount = Headcount::run(2, directory.path(), &[], &[WORKER, "serve"]);
    drop(http::get(&headcount.server(), "/").unwrap());
    let check = |scraped: &str| {
        let input = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(input.path(), scraped).unwrap();
        let promtool = Command::new(peers::promtool())
            .args(["check", "metrics"])
            .stdin(std::fs::File::open(input.path()).unwrap())
            .output()
            .unwrap();
        String::from_utf8(promtool.stderr).unwrap()
    };
    assert_eq!(check(&headcount.scrape()), "");
    // It does object where there is reason to.
    assert!(check("# TYPE x counter\nx 1\n").contains("no help text"));
}

#[test]
fn the_answer_is_what_the_client_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let headcount = Headcount::run(1, directory.path(), &[], &[WORKER, "serve"]);
    let metrics = headcount.metrics();
    let request =
        |method: &str, path: &str, headers: &[&str]| http::request(&metrics, method, path, headers).unwrap();
    let plain = request("GET", "/metrics", &[]);
    assert_eq!(
        plain.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8; escaping=underscores")
    );
    assert_eq!(plain.header("content-encoding"), None);
    assert!(plain.text().contains("# TYPE headcount_build_info gauge\n"));
    let compressed = request("GET", "/metrics", &["Accept-Encoding: gzip"]);
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    assert_eq!(&compressed.body[..2], b"\x1f\x8b");
    // Whatever else a client would like, it gets the text.
    let picky = request("GET", "/metrics", &["Accept: application/json"]);
    assert_eq!((picky.status, picky.header("content-type")), (200, plain.header("content-type")));
    let head = request("HEAD", "/metrics", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(request("GET", "/nothing", &[]).status, 404);
    let refused = request("POST", "/metrics", &[]);
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(request("GET", "/-/healthy", &[]).status, 200);
    assert_eq!(request("GET", "/-/ready", &[]).status, 200);
    let landing = request("GET", "/", &[]);
    assert!(landing.text().contains("href=\"/metrics\""));
}

#[test]
fn readiness_tells_whether_a_worker_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    // A shell that never says it is ready, and is not believed to be for an hour.
    let headcount = Headcount::start([
        "run",
        "--workers",
        "1",
        "--metrics",
        "127.0.0.1:0",
        "--dir",
        path,
        "--ready-after",
        "1h",
        "--",
        "sleep",
        "1000",
    ]);
    let metrics = headcount.metrics();
    let status = |path| http::get(&metrics, path).map(|answer| answer.status).ok();
    wait::until_true("the exporter answers", || status("/-/healthy") == Some(200));
    assert_eq!(status("/-/ready"), Some(503));
}

#[test]
fn the_demonstration_shows_four_workers_merged() {
    let mut command = Command::new(binary::headcount());
    command.arg("demo").env_remove("PROMETHEUS_MULTIPROC_DIR");
    let mut headcount = Headcount::spawn(command);
    headcount.wait_until_ready();
    assert_eq!(headcount.workers().len(), 4);
    wait::until_true("there is traffic", || {
        let requests = headcount.value("http_requests_total{code=\"200\",route=\"/\"}");
        requests.is_some_and(|requests| requests > 20.0)
    });
    let scraped = headcount.scrape();
    let answered = http::get(&headcount.server(), "/missing").unwrap();
    assert_eq!(answered.status, 404);
    assert!(scraped.contains("# TYPE http_request_duration_seconds histogram\n"));
    assert!(headcount.stop().success());
}

#[test]
fn a_dump_to_a_file_replaces_it_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let output = tempfile::tempdir().unwrap();
    let file = output.path().join("metrics.prom");
    std::fs::write(&file, "old").unwrap();
    let added =
        Command::new(WORKER).args(["add", "4"]).env("PROMETHEUS_MULTIPROC_DIR", directory.path()).output();
    assert!(added.unwrap().status.success());
    let dump = |arguments: &[&str], directory: &Path| {
        let mut command = Command::new(binary::headcount());
        command.arg("dump").args(arguments).env("PROMETHEUS_MULTIPROC_DIR", directory).output().unwrap()
    };
    assert!(dump(&["--output", file.to_str().unwrap()], directory.path()).status.success());
    let mut written = String::new();
    std::fs::File::open(&file).unwrap().read_to_string(&mut written).unwrap();
    assert_eq!(text::value(&written, "test_added_total"), Some(4.0));
    let missing = dump(&[], Path::new("/nowhere"));
    let said = String::from_utf8(missing.stderr).unwrap();
    assert_eq!(
        said,
        "headcount: cannot open the directory /nowhere: No such file or directory (os error 2)\n"
    );
    assert_eq!(missing.status.code(), Some(1));
}

#[test]
fn what_headcount_says_of_itself_is_what_the_documentation_lists() {
    let page = std::fs::read_to_string(binary::workspace().join("docs/metrics.md")).unwrap();
    let is_own = |name: &str| name.starts_with("headcount_") || name.starts_with("process_");
    let in_page: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|row| {
            let mut columns = row.split('|').map(|column| column.trim().trim_matches('`'));
            format!("{} {}", columns.next().unwrap(), columns.next().unwrap())
        })
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let hook = ["--hook", "on_starting=true"];
    let headcount = Headcount::run(1, directory.path(), &hook, &[WORKER, "serve"]);
    process::signal(headcount.workers()[0], Signal::SIGKILL);
    wait::until_true("an exit is counted", || headcount.scrape().contains("headcount_exits_total{"));
    let scraped = headcount.scrape();
    let served: BTreeSet<_> = scraped
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter(|family| is_own(family))
        .map(str::to_owned)
        .collect();
    assert_eq!(served, in_page);
    let reasons = scraped.lines().filter_map(|line| line.strip_prefix("headcount_skipped_files{reason=\""));
    for reason in reasons.map(|rest| rest.split_once('"').unwrap().0) {
        assert!(page.contains(&format!("`{reason}`")), "{reason}");
    }
}

#[test]
fn how_much_there_is_and_how_much_was_said_is_counted() {
    let directory = small_directory();
    let path = directory.path().to_str().unwrap();
    let headcount = Headcount::start(["serve", "--dir", path, "--web.listen-address", "127.0.0.1:0"]);
    let (first, second) = (headcount.scrape(), headcount.scrape());
    let blocks = |file: std::io::Result<std::fs::DirEntry>| file.unwrap().metadata().unwrap().blocks();
    let blocks: u64 = std::fs::read_dir(path).unwrap().map(blocks).sum();
    for (scraped, before) in [(&first, 0), (&second, first.len())] {
        let own = |name: &str| text::value(scraped, name).unwrap();
        assert_eq!(own("headcount_series").to_string(), "3");
        assert_eq!(own("headcount_directory_bytes").to_string(), (512 * blocks).to_string());
        assert_eq!(own("headcount_exposition_bytes").to_string(), before.to_string());
    }
}

#[test]
fn what_workers_use_is_shown_by_slot() {
    let directory = tempfile::tempdir().unwrap();
    let headcount = Headcount::run(2, directory.path(), &[], &[WORKER, "serve"]);
    let own = |text: &str, name: &str| text::value(text, &format!("headcount_worker_{name}{{slot=\"1\"}}"));
    let scraped = headcount.scrape();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a PID")]
    let pid = |text: &str| own(text, "pid").unwrap() as u32;
    let first = (pid(&scraped), own(&scraped, "start_time_seconds").unwrap());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now - 600.0..now + 5.0).contains(&first.1), "{} {now}", first.1);
    assert_eq!(own(&scraped, "threads"), Some(threads(first.0)));
    let (resident, share) =
        (own(&scraped, "resident_memory_bytes"), own(&scraped, "proportional_memory_bytes"));
    assert!(share.unwrap() > 0.0 && share < resident, "{share:?} {resident:?}");
    assert!(own(&scraped, "open_fds").unwrap() > 3.0);
    assert!(own(&scraped, "cpu_seconds_total").is_some());
    // The exporter's own, too. It has threads, where the master has one.
    assert!(text::value(&scraped, "process_threads").unwrap() > 1.0);
    assert!(text::value(&scraped, "process_resident_memory_bytes").unwrap() > 100_000.0);
    process::signal(first.0, Signal::SIGKILL);
    let scraped = wait::until("its successor is shown", || {
        let scraped = headcount.scrape();
        (![0, first.0].contains(&pid(&scraped))).then_some(scraped)
    });
    // At once, and not at the next scrape.
    assert!(own(&scraped, "start_time_seconds").unwrap() >= first.1);
    assert_eq!(own(&scraped, "threads"), Some(threads(pid(&scraped))));
}

fn threads(pid: u32) -> f64 {
    f64::from(u32::try_from(std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()).unwrap())
}

#[test]
fn a_file_of_metrics_is_written_over_and_over() {
    let directory = tempfile::tempdir().unwrap();
    let output = tempfile::tempdir().unwrap();
    let file = output.path().join("own.prom");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let arguments =
        ["serve", "--interval", "50ms", "--dir", &path(directory.path()), "--textfile"].map(str::to_owned);
    let headcount = Headcount::start(arguments.iter().chain([&path(&file)]));
    let read = || std::fs::read_to_string(&file).unwrap_or_default();
    wait::until_true("it is written", || read().contains("headcount_build_info"));
    let add = || {
        let mut worker = Command::new(WORKER);
        worker.args(["add", "4"]).env("PROMETHEUS_MULTIPROC_DIR", directory.path()).output().unwrap()
    };
    for expected in [4.0, 8.0] {
        assert!(add().status.success());
        wait::until_true("it is written anew", || {
            // It is whole whenever it is read.
            let read = read();
            assert!(read.ends_with('\n') && read.contains("headcount_skipped_files"), "{read}");
            text::value(&read, "test_added_total") == Some(expected)
        });
    }
    // Whoever reads the file has these of its own.
    assert!(!read().contains("process_"), "{}", read());
    assert!(!headcount.log().contains("serving metrics"));
    assert_eq!(std::fs::read_dir(output.path()).unwrap().count(), 1);
    let nowhere =
        ["serve", "--dir", &path(directory.path()), "--textfile", "/nowhere/x.prom"].map(str::to_owned);
    let refused = Command::new(binary::headcount()).args(nowhere).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        String::from_utf8(refused.stderr).unwrap().starts_with("headcount: cannot write /nowhere/x.prom: ")
    );
}
