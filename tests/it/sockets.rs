//! `headcount run`: the sockets that it binds, and those that it is given.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use headcount_tests::prometheus::free_address;
use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, http, process, wait};
use nix::sys::signal::Signal;

use crate::WORKER;

/// Starts without waiting for the workers, which listen at `bind`.
fn start(bind: &str, options: &[&str], worker: &[&str]) -> Headcount {
    let base = ["run", "--workers", "2", "--metrics", "127.0.0.1:0", "--bind", bind];
    Headcount::start(base.iter().chain(options).chain(&["--", WORKER]).chain(worker))
}

fn unix(folder: &Path) -> String {
    format!("unix:{}", folder.join("socket").display())
}

#[test]
fn a_unix_socket_serves_with_its_mode_and_is_gone_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let address = unix(folder.path());
    let group = format!(":{}", nix::unistd::getegid());
    let options = ["--unix-mode", "0620", "--unix-owner", &group, "--backlog", "64"];
    let mut headcount = start(&address, &options, &["serve", "unix"]);
    headcount.wait_until_ready();
    assert_eq!(headcount.server(), address);
    assert_eq!(http::get(&address, "/").unwrap().status, 200);
    let found = std::fs::metadata(folder.path().join("socket")).unwrap();
    assert_eq!(found.permissions().mode() & 0o777, 0o620);
    assert!(headcount.stop().success());
    assert!(!folder.path().join("socket").exists());
}

#[test]
fn an_abstract_name_and_a_port_of_both_versions_serve() {
    let name = format!("unix:@headcount-it-{}", std::process::id());
    let headcount = start(&name, &[], &["serve", "unix"]);
    headcount.wait_until_ready();
    assert_eq!(http::get(&name, "/").unwrap().status, 200);
    let headcount = start(":0", &[], &["serve"]);
    headcount.wait_until_ready();
    let server = headcount.server();
    let port = server.strip_prefix("[::]:").unwrap();
    for host in ["127.0.0.1", "[::1]"] {
        assert_eq!(http::get(&format!("{host}:{port}"), "/").unwrap().status, 200, "{host}");
    }
}

#[test]
fn a_unix_socket_that_is_served_is_not_stolen_and_its_owner_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let address = unix(folder.path());
    let first = start(&address, &[], &["serve", "unix"]);
    first.wait_until_ready();
    let mut second = start(&address, &["--bind-timeout", "0s"], &["serve", "unix"]);
    assert_eq!(second.wait().code(), Some(1));
    let expected = format!("cannot listen on {address}: it is taken by PID {} (headcount)", first.pid());
    let _ = second.wait_for_line(&expected);
    assert_eq!(http::get(&address, "/").unwrap().status, 200);
}

#[test]
fn a_restart_right_after_a_kill_waits_until_the_old_workers_are_gone() {
    let first = start("127.0.0.1:0", &[], &["stubborn"]);
    first.wait_until_ready();
    let (server, left) = (first.server(), first.workers());
    process::signal(first.pid(), Signal::SIGKILL);
    let second = start(&server, &[], &["serve"]);
    let line = second.wait_for_line("trying again");
    assert!(left.iter().all(|pid| line.contains(&format!("PID {pid} (test-worker)"))), "{line}");
    left.iter().for_each(|&pid| process::signal(pid, Signal::SIGKILL));
    second.wait_until_ready();
    assert_eq!(http::get(&server, "/").unwrap().status, 200);
}

#[test]
fn a_start_that_waits_for_its_port_is_ended_by_a_signal() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let other = format!("other={}", unix(folder.path()));
    let mut headcount = start(&other, &["--bind", &address, "--bind-timeout", "1h"], &["serve"]);
    let _ = headcount.wait_for_line("trying again");
    assert!(folder.path().join("socket").exists());
    assert_eq!(headcount.stop().code(), Some(1));
    let _ = headcount.wait_for_line("told to stop while waiting");
    assert!(!folder.path().join("socket").exists(), "it leaves nothing behind");
}

/// `headcount run` as systemd starts it, with these sockets, at the first connection.
fn activated(listen: &[&str], names: &str, options: &[&str], worker: &[&str]) -> Headcount {
    let run = ["run", "--workers", "2"].iter().chain(options).chain(&["--", WORKER]).chain(worker);
    passed(listen, names, &run.copied().collect::<Vec<_>>())
}

/// `headcount` with these arguments, in the same way.
fn passed(listen: &[&str], names: &str, arguments: &[&str]) -> Headcount {
    let mut command = Command::new("systemd-socket-activate");
    listen.iter().for_each(|address| {
        command.arg("--listen").arg(address);
    });
    if !names.is_empty() {
        command.arg(format!("--fdname={names}"));
    }
    command.arg(binary::headcount()).args(arguments);
    Headcount::spawn(command)
}

/// The answer to a request that starts the service: as soon as somebody listens.
fn first_answer(address: &str) -> http::Answer {
    wait::until("the service answers", || http::get(address, "/").ok())
}

#[test]
fn sockets_that_systemd_has_bound_serve_under_their_names() {
    let (server, metrics) = (free_address(), free_address());
    // What is on the command line is what would be bound without them.
    let options = ["--bind", "127.0.0.1:1", "--metrics", "127.0.0.1:2", "--bind", "more=127.0.0.1:0"];
    let mut headcount = activated(&[&server, &metrics], "http:metrics", &options, &["serve"]);
    assert_eq!(first_answer(&server).status, 200, "the connection that has started it is answered");
    assert_eq!((headcount.server(), headcount.metrics()), (server.clone(), metrics));
    headcount.wait_until_ready();
    let _ = headcount.wait_for_line("listening name=more");
    let variable = |name: &str| {
        let environment = std::fs::read(format!("/proc/{}/environ", headcount.workers()[0])).unwrap();
        let environment = String::from_utf8(environment).unwrap();
        environment.split('\0').find_map(|line| line.strip_prefix(name).map(str::to_owned))
    };
    assert_eq!(variable("LISTEN_FDNAMES="), Some("http:more".to_owned()));
    assert_eq!(variable("LISTEN_FDS="), Some("2".to_owned()));
    headcount.signal(Signal::SIGHUP);
    wait::until_true("it reloads", || {
        headcount.value("headcount_reloads_total{outcome=\"success\"}") == Some(1.0)
    });
    assert_eq!(http::get(&server, "/").unwrap().status, 200);
    assert!(headcount.stop().success());
}

#[test]
fn a_unix_socket_of_systemd_without_a_name_is_http_and_stays_when_the_service_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let options = ["--metrics", "127.0.0.1:0"];
    let mut headcount = activated(&[path.to_str().unwrap()], "", &options, &["serve", "unix"]);
    assert_eq!(first_answer(&unix(folder.path())).status, 200);
    assert!(headcount.stop().success());
    assert!(path.exists());
}

#[test]
fn metrics_are_served_at_what_systemd_has_passed_and_nowhere_else() {
    let (folder, directory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("socket");
    let (tcp, directory) = (free_address(), directory.path().to_str().unwrap());
    let serve = ["serve", "--web.systemd-socket", "--dir", directory];
    let mut headcount = passed(&[&tcp, path.to_str().unwrap()], "", &serve);
    for address in [&tcp, &unix(folder.path())] {
        let answer = wait::until("it is served", || http::get(address, "/metrics").ok());
        assert!(answer.text().contains("headcount_build_info"));
    }
    assert!(headcount.stop().success());
    assert!(path.exists(), "it is systemd's");
    let refused = Command::new(binary::headcount()).args(serve).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("no socket for metrics was passed"), "{said}");
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn a_run_binds_no_socket_for_metrics_if_it_is_to_be_passed_one() {
    let (server, metrics) = (free_address(), free_address());
    let names = ["http:metrics", "http:other"];
    let options = ["--web.systemd-socket", "--metrics", "127.0.0.1:1"];
    let mut headcount = activated(&[&server, &metrics], names[0], &options, &["serve"]);
    assert_eq!(first_answer(&server).status, 200);
    assert_eq!(headcount.metrics(), metrics);
    headcount.wait_until_ready();
    // Its successor is passed what it was passed itself.
    headcount.signal(Signal::SIGUSR2);
    let _ = headcount.wait_for_line("msg=upgraded");
    wait::until_true("it is served again", || {
        headcount.value("headcount_upgrades_total{outcome=\"success\"}") == Some(1.0)
    });
    assert!(headcount.stop().success());
    let headcount = activated(&[&server, &metrics], names[1], &options, &["serve"]);
    let _connected = wait::until("it listens", || std::net::TcpStream::connect(&server).ok());
    let _ = headcount.wait_for_line("no socket for metrics was passed");
}
