//! The files in `deploy`: they are what the programs that read them understand, and their command lines run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use headcount_tests::prometheus::free_address;
use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, http, wait};
use nix::sys::signal::Signal;

use crate::WORKER;
use crate::service::Manager;

/// How long the exporter may take to stop when the workers are gone.
const EXPORTER: u64 = 2;

fn path(name: &str) -> PathBuf {
    binary::workspace().join("deploy").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

/// The rest of the line after the first place where this stands.
fn after<'a>(text: &'a str, what: &str) -> &'a str {
    let rest = text.split_once(what).unwrap_or_else(|| panic!("no `{what}` in it")).1;
    rest.split(['\n', ' ', '"']).find(|word| !word.is_empty()).unwrap()
}

fn seconds(text: &str) -> u64 {
    text.trim_end_matches('s').parse().unwrap()
}

/// The command of the unit file, in words.
fn of_unit() -> Vec<String> {
    let unit = read("systemd/my-server.service").replace("\\\n", " ");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap().to_owned();
    line.split_whitespace().map(str::to_owned).collect()
}

/// The command of the image.
fn of_image() -> Vec<String> {
    let file = read("docker/Dockerfile");
    let words = |what| {
        let list = file.lines().find_map(|line: &str| line.strip_prefix(what)).unwrap();
        serde_json::from_str::<Vec<String>>(list).unwrap()
    };
    [words("ENTRYPOINT "), words("CMD ")].concat()
}

/// The command of the manifest: the list items of `command` and `args`.
fn of_manifest() -> Vec<String> {
    let manifest = read("kubernetes/deployment.yaml");
    let lines = manifest.lines().map(str::trim).skip_while(|line| *line != "command:").skip(1);
    let items = lines.take_while(|line| line.starts_with("- ") || *line == "args:");
    items.filter_map(|line| line.strip_prefix("- ")).map(str::to_owned).collect()
}

/// The arguments of a command, with what is of this test in the place of what is of its machine.
fn adapted(command: &[String], folder: &Path) -> Vec<String> {
    assert_eq!(command[0], "/usr/bin/headcount");
    assert_eq!(command.last().unwrap(), "/usr/bin/my-server");
    let folder = folder.to_str().unwrap();
    let adapt = |word: &String| {
        let word = word.replace("%t/my-server", folder).replace("/run/headcount", folder);
        match word.rsplit_once([':', '=']) {
            Some((start, "8000" | "10042")) => {
                let flag = start.split_once('=').map_or(String::new(), |(flag, _)| format!("{flag}="));
                format!("{flag}127.0.0.1:0")
            }
            _ => word.replace("/usr/bin/my-server", WORKER),
        }
    };
    let arguments = command[1..].iter().map(adapt);
    arguments.chain(["serve".to_owned()]).collect()
}

#[test]
fn whoever_kills_waits_longer_than_headcount_does() {
    let unit = read("systemd/my-server.service");
    assert!(
        seconds(after(&unit, "TimeoutStopSec=")) > seconds(after(&unit, "--graceful-timeout ")) + EXPORTER
    );
    assert!(seconds(after(&unit, "TimeoutStartSec=")) > seconds(after(&unit, "--boot-timeout ")));
    let manifest = read("kubernetes/deployment.yaml");
    let stop = seconds(after(&manifest, "    seconds: ")) + seconds(after(&manifest, "--graceful-timeout="));
    assert!(seconds(after(&manifest, "terminationGracePeriodSeconds: ")) > stop + EXPORTER);
    let startup = manifest.split_once("startupProbe:").unwrap().1;
    let tries = seconds(after(startup, "periodSeconds: ")) * seconds(after(startup, "failureThreshold: "));
    assert!(tries > seconds(after(&manifest, "--boot-timeout=")));
    // What `docker stop` waits for, unless it is told otherwise.
    let image = of_image().join(" ");
    assert!(10 > seconds(after(&image, "--graceful-timeout ")) + EXPORTER);
}

#[test]
fn the_commands_of_image_and_manifest_run() {
    for command in [of_image(), of_manifest()] {
        let folder = tempfile::tempdir().unwrap();
        let mut headcount = Headcount::start(adapted(&command, folder.path()));
        headcount.wait_until_ready();
        assert_eq!(http::get(&headcount.server(), "/").unwrap().status, 200);
        for probe in ["/-/ready", "/-/healthy", "/metrics"] {
            assert_eq!(http::get(&headcount.metrics(), probe).unwrap().status, 200, "{probe}");
        }
        assert!(headcount.stop().success());
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let units = ["my-server.service", "my-server.socket"].map(|name| {
        // It looks whether the program is there.
        let unit = read(&format!("systemd/{name}"))
            .replace("/usr/bin/headcount", binary::headcount().to_str().unwrap());
        let path = folder.path().join(name);
        std::fs::write(&path, unit).unwrap();
        path
    });
    let output = Command::new("systemd-analyze").arg("verify").args(&units).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    // Before 253 there was no such type, which the unit file says, too.
    let objections: Vec<_> = said.lines().filter(|line| !line.ends_with("ignoring: notify-reload")).collect();
    assert!(output.status.success() && objections.is_empty(), "{said}");
}

#[test]
fn the_service_of_the_unit_file_starts_reloads_and_stops_as_systemd_expects() {
    let (manager, folder) = (Manager::new(), tempfile::tempdir().unwrap());
    let socket = read("systemd/my-server.socket");
    let server = free_address();
    let watchdog = Duration::from_secs(seconds(after(&read("systemd/my-server.service"), "WatchdogSec=")));
    let mut command = Command::new("systemd-socket-activate");
    command
        .arg(format!("--listen={server}"))
        .arg(format!("--fdname={}", after(&socket, "FileDescriptorName=")))
        .arg(format!("--setenv=NOTIFY_SOCKET={}", manager.path().display()))
        .arg(format!("--setenv=WATCHDOG_USEC={}", watchdog.as_micros()))
        .arg(format!("--setenv=XDG_RUNTIME_DIR={}", folder.path().display()))
        .arg(binary::headcount())
        .args(adapted(&of_unit(), folder.path()));
    let mut headcount = Headcount::spawn(command);
    let answer = wait::until("the service answers", || http::get(&server, "/").ok());
    assert_eq!((answer.status, headcount.server()), (200, server));
    assert_eq!(manager.next(), "READY=1");
    headcount.signal(Signal::SIGHUP);
    assert!(manager.next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(manager.next(), "READY=1");
    manager.waits_for("WATCHDOG=1");
    headcount.signal(Signal::SIGTERM);
    assert_eq!(manager.next(), "STOPPING=1");
    assert!(headcount.wait().success());
}
