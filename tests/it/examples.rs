//! The examples do what their pages say.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, http, peers, process, text, wait};
use nix::sys::signal::Signal;

#[test]
fn two_processes_count_as_one() {
    let output = Command::new(binary::example("two-processes")).output().unwrap();
    let page = std::fs::read_to_string(binary::workspace().join("examples/two-processes/README.md")).unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.ends_with("jobs_done_total 42\n") && page.contains(&shown), "{shown}");
}

#[test]
fn an_axum_server_counts_in_all_its_processes_and_drains() {
    let directory = tempfile::tempdir().unwrap();
    let program = binary::example("prefork-axum");
    let mut headcount = Headcount::run(2, directory.path(), &[], &[program.to_str().unwrap()]);
    let server = headcount.server();
    let pids: std::collections::HashSet<String> = (0..40)
        .map(|_| http::get(&server, "/").unwrap().text().rsplit_once(' ').unwrap().1.trim().to_owned())
        .collect();
    assert!(pids.iter().all(|pid| headcount.workers().contains(&pid.parse().unwrap())), "{pids:?}");
    assert_eq!(http::get(&server, "/nowhere").unwrap().status, 404);
    let sample = |name: &str, route: &str, status: &str| {
        headcount.value(&format!("{name}{{method=\"GET\",route=\"{route}\",status=\"{status}\"}}"))
    };
    wait::until_true("all requests are over", || {
        sample("http_requests_total", "/", "200") == Some(40.0)
            && sample("http_requests_total", "unmatched", "404") == Some(1.0)
    });
    assert_eq!(sample("http_request_duration_seconds_count", "/", "200"), Some(40.0));

    std::thread::scope(|scope| {
        let slow = scope.spawn(|| http::get(&server, "/slow").unwrap());
        wait::until_true("the slow request is being answered", || {
            headcount.value("http_requests_in_flight") == Some(1.0)
        });
        headcount.signal(Signal::SIGTERM);
        assert_eq!(slow.join().unwrap().status, 200);
    });
    assert!(headcount.wait().success());
}

#[test]
fn a_server_of_hypers_alone_counts_by_its_own_routes_and_serves_the_merge() {
    let directory = tempfile::tempdir().unwrap();
    let program = binary::example("hyper-alone");
    let mut headcount = Headcount::run(2, directory.path(), &[], &[program.to_str().unwrap()]);
    let server = headcount.server();
    for n in 0..20 {
        assert_eq!(http::get(&server, &format!("/hello/{n}")).unwrap().text(), format!("Hello, {n}.\n"));
    }
    assert_eq!(http::get(&server, "/nowhere").unwrap().status, 404);
    wait::until_true("either process knows all requests", || {
        let answer = http::get(&server, "/metrics").unwrap();
        let requests = |route: &str, status: &str| {
            let labels = format!("{{method=\"GET\",route=\"{route}\",status=\"{status}\"}}");
            text::value(answer.text(), &format!("http_requests_total{labels}"))
        };
        requests("/hello/{name}", "200") == Some(20.0) && requests("unmatched", "404") == Some(1.0)
    });
    assert!(headcount.stop().success());
}

#[test]
fn a_language_model_has_its_tokens_counted_as_they_come_and_until_its_reader_leaves() {
    let directory = tempfile::tempdir().unwrap();
    let program = binary::example("chat");
    let mut headcount = Headcount::run(2, directory.path(), &[], &[program.to_str().unwrap()]);
    let ask = || {
        let mut stream = TcpStream::connect(headcount.server()).unwrap();
        let head = "POST /chat HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5";
        write!(stream, "{head}\r\n\r\nWhy ?").unwrap();
        BufReader::new(stream)
    };
    let tokens = |kind: &str| {
        let labels = format!("{{kind=\"{kind}\",model=\"parrot-1\",route=\"/chat\"}}");
        headcount.value(&format!("http_token_usage_total{labels}"))
    };
    let ended = |status: &str| {
        let labels = format!("{{method=\"POST\",route=\"/chat\",status=\"{status}\"}}");
        headcount.value(&format!("http_requests_total{labels}"))
    };
    let words = ask().lines().filter(|line| line.as_ref().unwrap().starts_with("data: ")).count();
    assert_eq!(words, 15);
    wait::until_true("the answer is over", || ended("200") == Some(1.0));
    assert_eq!((tokens("input"), tokens("output"), tokens("total")), (Some(2.0), Some(15.0), Some(17.0)));
    assert_eq!(headcount.value("http_stream_chunks_total{route=\"/chat\"}"), Some(15.0));

    let mut reader = ask();
    let mut line = String::new();
    while !line.starts_with("data: ") {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    drop(reader);
    wait::until_true("the reader is known to have left", || ended("499") == Some(1.0));
    let output = tokens("output").unwrap();
    assert!((16.0..30.0).contains(&output), "{output}");
    assert_eq!(headcount.value("http_streams_active{route=\"/chat\"}"), Some(0.0));
    assert!(headcount.stop().success());
}

#[test]
fn an_application_that_loads_once_forks_workers_that_share_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary::example("preload"));
    command.args(["--workers", "3", "--bind", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--dir"]);
    command.arg(directory.path()).env_remove("PROMETHEUS_MULTIPROC_DIR");
    let mut headcount = Headcount::spawn(command);
    headcount.wait_until_ready();
    let server = headcount.server();
    let answer = |n: u32| {
        let answer = http::get(&server, "/").unwrap();
        let words: Vec<_> = answer.text().split([' ', ',']).map(str::to_owned).collect();
        let number = |after: &str| {
            let at = words.iter().position(|word| word == after).unwrap();
            words[at + 1].parse::<u64>().unwrap()
        };
        assert_eq!(number("sum"), (0..8 << 20).sum::<u64>(), "answer {n}");
        assert!(number("private") < 8 << 10 && number("shared") > 64 << 10, "{}", answer.text());
    };
    (0..20).for_each(answer);
    let answered = |headcount: &Headcount| {
        let text = headcount.scrape();
        let slots =
            (0..9).filter_map(|slot| text::value(&text, &format!("answers_total{{slot=\"{slot}\"}}")));
        slots.sum::<f64>()
    };
    assert_eq!(answered(&headcount), 20.0);
    // Workers that die, are reloaded and are left to a new supervisor: nothing that was counted is lost.
    let first = headcount.forked_workers();
    process::signal(first[0], Signal::SIGKILL);
    let gone = headcount.wait_for_line("a worker is gone");
    assert!(gone.contains("reason=SIGKILL"), "{gone}");
    headcount.wait_until_ready();
    for signal in [Signal::SIGHUP, Signal::SIGUSR2] {
        headcount.signal(signal);
        let key = "headcount_reloads_total{outcome=\"success\"}";
        let reloads = if signal == Signal::SIGHUP { 1.0 } else { 2.0 };
        wait::until_true("all are replaced", || headcount.value(key) == Some(reloads));
        (0..10).for_each(answer);
    }
    assert_eq!(answered(&headcount), 40.0);
    assert_eq!(headcount.value("headcount_upgrades_total{outcome=\"success\"}"), Some(1.0));
    assert!(headcount.stop().success());
}

#[test]
fn an_application_serves_the_merge_of_all_its_processes() {
    let directory = tempfile::tempdir().unwrap();
    let program = binary::example("own-endpoint");
    let headcount = Headcount::run(3, directory.path(), &[], &[program.to_str().unwrap()]);
    let server = headcount.server();
    for _ in 0..30 {
        assert_eq!(http::get(&server, "/").unwrap().text(), "Hello.\n");
    }
    // Whoever answers.
    for _ in 0..10 {
        let answer = http::get(&server, "/metrics").unwrap();
        assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4"));
        assert_eq!(text::value(answer.text(), "greetings_total"), Some(30.0));
    }
    assert_eq!(headcount.value("greetings_total"), Some(30.0));
}

/// Gunicorn with the example application.
struct Gunicorn {
    child: Child,
    address: String,
    _home: tempfile::TempDir,
}

/// The example's folder stays as it is, and Gunicorn has a home for its control socket.
fn in_example(command: &mut Command, home: &Path) {
    command
        .current_dir(binary::workspace().join("examples/gunicorn"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HOME", home)
        .env_remove("WEB_CONCURRENCY");
}

impl Gunicorn {
    fn start(directory: &Path, options: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(peers::python());
        in_example(&mut command, home.path());
        let mut child = command
            .args(["-m", "gunicorn", "--bind", "127.0.0.1:0"])
            .args(options)
            .arg("app:app")
            .env("PROMETHEUS_MULTIPROC_DIR", directory)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = String::new();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            writeln!(log, "{line}").unwrap();
            let rest = line.split_once("Listening at: http://")?.1;
            Some(rest.split(' ').next()?.to_owned())
        });
        // It goes on talking, and must not find the pipe closed or full.
        #[expect(clippy::disallowed_methods, reason = "this process does not fork")]
        std::thread::spawn(move || lines.for_each(drop));
        let address = address.unwrap_or_else(|| panic!("gunicorn does not listen:\n{log}"));
        Self { child, address, _home: home }
    }
}

impl Drop for Gunicorn {
    fn drop(&mut self) {
        process::signal(self.child.id(), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

#[test]
fn a_flask_application_under_gunicorn_is_merged() {
    check_gunicorn(&[]);
}

#[test]
fn a_gunicorn_without_the_hook_has_its_dead_workers_noticed_all_the_same() {
    check_gunicorn(&["--config", "/dev/null", "--workers", "4"]);
}

fn check_gunicorn(options: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let gunicorn = Gunicorn::start(directory.path(), options);
    let path = directory.path().to_str().unwrap();
    let serve = Headcount::start(["serve", "--dir", path, "--web.listen-address", "127.0.0.1:0"]);
    wait::until_true("four workers are there", || serve.value("app_workers") == Some(4.0));
    for _ in 0..25 {
        assert!(http::get(&gunicorn.address, "/").unwrap().text().starts_with("Hello from process"));
    }
    let requests = "app_requests_total{route=\"/\"}";
    assert_eq!(serve.value(requests), Some(25.0));

    // One that dies is replaced; its requests stay, its gauge goes.
    let old = process::children(gunicorn.child.id());
    process::signal(old[0], Signal::SIGKILL);
    wait::until_true("another worker has taken the place", || {
        let new = process::children(gunicorn.child.id());
        new.len() == 4 && new != old && serve.value("app_workers") == Some(4.0)
    });
    assert_eq!(serve.value(requests), Some(25.0));
}

#[test]
fn a_gunicorn_that_headcount_runs_is_reloaded_without_losing_a_request() {
    let (directory, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut command = Command::new(binary::headcount());
    in_example(&mut command, home.path());
    command
        .args(["run", "--workers", "1", "--bind", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--dir"])
        .arg(directory.path())
        .arg("--")
        .arg(peers::python())
        .args(["-m", "gunicorn", "app:app"]);
    let mut headcount = Headcount::spawn(command);
    headcount.wait_until_ready();
    let (server, old) = (headcount.server(), headcount.workers());
    let mut answered = 0.0;
    let mut ask = || {
        assert!(http::get(&server, "/").unwrap().text().starts_with("Hello from process"));
        answered += 1.0;
        answered
    };
    wait::until_true("four workers of Gunicorn are there", || {
        ask();
        headcount.value("app_workers") == Some(4.0)
    });
    headcount.signal(Signal::SIGHUP);
    wait::until_true("another Gunicorn serves alone", || {
        ask();
        let now = headcount.workers();
        now.len() == 1 && now != old && headcount.value("app_workers") == Some(4.0)
    });
    let answered = ask();
    assert_eq!(headcount.value("app_requests_total{route=\"/\"}"), Some(answered));
    assert!(headcount.stop().success());
}
