//! Pushing to a real Pushgateway, and to one that is not there, does not answer, or refuses.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use headcount_tests::certificates::Authority;
use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, http, peer_file, peers, text, wait};

use crate::WORKER;
use crate::directory::add;

/// A Pushgateway that keeps nothing when it ends.
struct Pushgateway {
    child: Child,
    address: String,
    /// The flag that names it.
    flag: String,
}

impl Pushgateway {
    /// Listens at an address; port 0 is a free one.
    fn start(address: &str) -> Self {
        Self::start_with(address, &[])
    }

    #[expect(clippy::disallowed_methods, reason = "this process does not fork")]
    fn start_with(address: &str, flags: &[&str]) -> Self {
        let mut child = Command::new(peers::pushgateway())
            .arg(format!("--web.listen-address={address}"))
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let listening = lines.find(|line| line.contains("Listening on")).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let address = listening.split_once("address=").unwrap().1.trim().to_owned();
        let flag = format!("--push.gateway=http://{address}");
        Self { child, address, flag }
    }

    /// What it would say to Prometheus.
    fn value(&self, key: &str) -> Option<f64> {
        text::value(http::get(&self.address, "/metrics").unwrap().text(), key)
    }
}

impl Drop for Pushgateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(directory: &Path, options: &[&str]) -> Headcount {
    let directory = directory.to_str().unwrap();
    let serve = ["serve", "--dir", directory, "--web.listen-address", "127.0.0.1:0", "--push.interval", "1"];
    Headcount::start(serve.iter().chain(options))
}

const LABELS: [&str; 2] = ["--push.job=shop", "--push.label=host=a"];

#[test]
fn what_workers_count_is_pushed_again_and_again_and_deleted_at_the_end() {
    let (gateway, directory) = (Pushgateway::start("127.0.0.1:0"), tempfile::tempdir().unwrap());
    let options = [&["--push.interval", "1", &gateway.flag], &LABELS[..]].concat();
    let mut headcount = Headcount::run(2, directory.path(), &options, &[WORKER, "serve"]);
    let (server, requests) = (headcount.server(), r#"test_requests_total{host="a",instance="",job="shop"}"#);
    for total in [3.0, 6.0] {
        (0..3).for_each(|_| drop(http::get(&server, "/").unwrap()));
        wait::until_true("the requests are pushed", || gateway.value(requests) == Some(total));
    }
    let own = r#"headcount_workers_wanted{host="a",instance="",job="shop"}"#;
    assert_eq!(gateway.value(own), Some(2.0));
    let failed = r#"push_failure_time_seconds{host="a",instance="",job="shop"}"#;
    assert_eq!(gateway.value(failed), Some(0.0));
    // A scrape has the same.
    assert_eq!(headcount.value("test_requests_total"), Some(6.0));
    assert!(headcount.stop().success());
    wait::until_true("it is deleted", || gateway.value(requests).is_none());
    assert_eq!(gateway.value(own), None);
    assert!(!headcount.log().contains("level=warn"), "{}", headcount.log());
}

#[test]
fn what_is_to_stay_is_pushed_once_more_when_all_workers_are_gone() {
    let (gateway, directory) = (Pushgateway::start("127.0.0.1:0"), tempfile::tempdir().unwrap());
    let options = [&["--push.interval=1h", "--push.at-exit=keep", &gateway.flag], &LABELS[..]].concat();
    let mut headcount = Headcount::run(2, directory.path(), &options, &[WORKER, "serve"]);
    (0..5).for_each(|_| drop(http::get(&headcount.server(), "/").unwrap()));
    assert!(headcount.stop().success());
    let value = |name: &str| gateway.value(&format!(r#"{name}{{host="a",instance="",job="shop"}}"#));
    wait::until_true("all requests are there", || value("test_requests_total") == Some(5.0));
    assert_eq!(value("test_alive"), None, "nobody is alive");
}

#[test]
fn without_labels_the_host_is_the_instance_and_odd_values_stay_what_they_are() {
    let (gateway, directory) = (Pushgateway::start("127.0.0.1:0"), tempfile::tempdir().unwrap());
    add(directory.path(), 3);
    let _named = serve(directory.path(), &[&gateway.flag]);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let named = format!(r#"test_added_total{{instance="{}",job="headcount"}}"#, host.trim());
    wait::until_true("it is pushed", || gateway.value(&named) == Some(3.0));
    let odd = ["--push.job=a/b", "--push.label=path=/var/x y", "--push.label=instance=", &gateway.flag];
    let _odd = serve(directory.path(), &odd);
    let odd = r#"test_added_total{instance="",job="a/b",path="/var/x y"}"#;
    wait::until_true("it is pushed, too", || gateway.value(odd) == Some(3.0));
    assert_eq!(gateway.value(&named), Some(3.0), "each has its own");
}

#[test]
fn a_gateway_that_is_away_is_said_once_and_found_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    add(directory.path(), 3);
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let url = format!("--push.gateway=http://{address}");
    let headcount = serve(directory.path(), &[&url]);
    let line = headcount.wait_for_line("cannot push metrics");
    assert!(line.contains("cannot connect: Connection refused"), "{line}");
    assert_eq!(headcount.value("test_added_total"), Some(3.0));
    let gateway = Pushgateway::start(&address);
    let _ = headcount.wait_for_line("metrics are pushed again");
    let any =
        |text: &str| text.lines().any(|line| line.starts_with("test_added_total") && line.ends_with(" 3"));
    assert!(any(http::get(&gateway.address, "/metrics").unwrap().text()));
    assert_eq!(headcount.log().matches("cannot push metrics").count(), 1);
}

#[test]
fn a_gateway_that_never_answers_holds_up_neither_scrapes_nor_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("--push.gateway=http://{}", silent.local_addr().unwrap());
    let mut headcount = Headcount::run(1, directory.path(), &[&url], &[WORKER, "serve"]);
    let (_connection, _) = silent.accept().unwrap();
    assert_eq!(headcount.value("test_alive"), Some(1.0));
    let start = Instant::now();
    assert!(headcount.stop().success());
    // Half a minute would be the supervisor's patience with workers.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(headcount.log().contains("cannot delete what was pushed"), "{}", headcount.log());
}

#[test]
fn a_gateway_that_refuses_is_quoted() {
    let (gateway, directory) = (Pushgateway::start("127.0.0.1:0"), tempfile::tempdir().unwrap());
    // With the group's job they are one series, twice.
    let keys = ["a", "b"].map(|job| format!(r#"["c", "c_total", {{"job": "{job}"}}, "help"]"#));
    let file = peer_file::python(keys.iter().map(|key| (key, 1.0, 0.0)));
    fs::write(directory.path().join("counter_1.db"), file).unwrap();
    let headcount = serve(directory.path(), &[&gateway.flag]);
    let line = headcount.wait_for_line("cannot push metrics");
    assert!(line.contains("refused with 400 Bad Request: ") && line.contains("c_total"), "{line}");
}

#[test]
fn what_cannot_be_pushed_to_or_from_is_refused_at_the_start() {
    let refused = |options: &[&str], status| {
        let mut command = Command::new(binary::headcount());
        let output = command.arg("run").args(options).args(["--", WORKER, "serve"]).output().unwrap();
        assert_eq!(output.status.code(), Some(status));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(&["--push.gateway=ftp://x"], 2).contains("only http:// and https://"));
    let said = refused(&["--metrics=none", "--push.gateway=http://x"], 1);
    assert!(said.contains("--metrics must not be `none`"), "{said}");
}

#[test]
fn a_pushgateway_that_asks_for_tls_a_certificate_and_a_password_is_pushed_to() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, path) = (Authority::new(folder.path(), "ca"), |name: &str| folder.path().join(name));
    authority.sign("server", &["127.0.0.1"]);
    authority.sign("client", &["pusher.example"]);
    let flag = |name: &str, file: &str| format!("--push.{name}-file={}", path(file).display());
    let hash = bcrypt::hash_with_result("secret", 4).unwrap();
    let config = format!(
        "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  client_auth_type: \
         RequireAndVerifyClientCert\n  client_ca_file: ca.pem\nbasic_auth_users:\n  anna: {hash}\n"
    );
    fs::write(path("web.yml"), config).unwrap();
    let web = format!("--web.config.file={}", path("web.yml").display());
    let gateway = Pushgateway::start_with("127.0.0.1:0", &[&web]);
    let to = format!("--push.gateway=https://{}", gateway.address);
    fs::write(path("headers"), "authorization=Basic YW5uYTpndWVzcw==\n").unwrap();
    let (ca, cert, key) = (flag("ca", "ca.pem"), flag("cert", "client.pem"), flag("key", "client.key"));
    let directory = tempfile::tempdir().unwrap();
    add(directory.path(), 3);
    let mut headcount = serve(directory.path(), &[&to, &ca, &cert, &key, &flag("header", "headers")]);
    let _ = headcount.wait_for_line("refused with 401");
    // The right password, for the process that runs.
    fs::write(path("headers"), "authorization=Basic YW5uYTpzZWNyZXQ=\n").unwrap();
    let _ = headcount.wait_for_line("metrics are pushed again");
    assert!(headcount.stop().success());
    // Nobody vouches for its certificate, it does not know this client's, or there is no such file.
    let nobody = serve(directory.path(), &[&to, &cert, &key]);
    let _ = nobody.wait_for_line("invalid peer certificate");
    let stranger = serve(directory.path(), &[&to, &ca]);
    let _ = stranger.wait_for_line("cannot push metrics");
    let mut typo = serve(directory.path(), &[&to, "--push.ca-file=/nowhere/ca.pem"]);
    assert_eq!(typo.wait().code(), Some(1));
    let _ = typo.wait_for_line("cannot read /nowhere/ca.pem");
}
