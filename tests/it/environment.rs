//! `headcount run`: what a worker is before its program begins, told by `/proc`.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, http, process, wait};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Group, User, geteuid};

use crate::WORKER;

/// A line of `/proc/<pid>/status`, without its name, its parts separated by one space.
fn status(pid: u32, name: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn environment(pid: u32) -> BTreeMap<String, String> {
    let environment = String::from_utf8(std::fs::read(format!("/proc/{pid}/environ")).unwrap()).unwrap();
    let variables = environment.split('\0').filter_map(|line| line.split_once('='));
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The descriptors of a process, and what they are.
fn descriptors(pid: u32) -> BTreeMap<u32, String> {
    let listed = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(Result::unwrap);
    let describe = |entry: std::fs::DirEntry| {
        let number = entry.file_name().to_str().unwrap().parse().unwrap();
        (number, std::fs::read_link(entry.path()).unwrap().to_str().unwrap().to_owned())
    };
    listed.map(describe).collect()
}

fn only_worker(headcount: &Headcount) -> u32 {
    let [worker] = headcount.workers().try_into().unwrap();
    worker
}

/// The user that has no rights, and its group. Only root can run workers as somebody else: for others there is none,
/// and `tests/run` says at its end that this was skipped.
fn nobody() -> Option<User> {
    let nobody = || User::from_name("nobody").unwrap().expect("there is a user called nobody");
    geteuid().is_root().then(nobody)
}

/// A copy of the worker program in a place that everybody may enter.
struct Public(tempfile::TempDir);

impl Public {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::copy(WORKER, folder.path().join("worker")).unwrap();
        Self(folder)
    }

    fn worker(&self) -> PathBuf {
        self.0.path().join("worker")
    }
}

#[test]
fn a_worker_runs_as_another_user_with_that_users_groups_and_the_exporter_too() {
    let Some(nobody) = nobody() else { return };
    let public = Public::new();
    let directory = tempfile::tempdir().unwrap();
    let worker = public.worker();
    let headcount =
        Headcount::run(1, directory.path(), &["--user", "nobody"], &[worker.to_str().unwrap(), "serve"]);
    let (user, group) = (nobody.uid, nobody.gid);
    for pid in [only_worker(&headcount), headcount.exporter()] {
        assert_eq!(status(pid, "Uid"), [user; 4].map(|user| user.to_string()).join(" "));
        assert_eq!(status(pid, "Gid"), [group; 4].map(|group| group.to_string()).join(" "));
        let groups = nix::unistd::getgrouplist(c"nobody", group).unwrap();
        let groups: Vec<_> = groups.iter().map(Gid::to_string).collect();
        assert_eq!(status(pid, "Groups"), groups.join(" "), "none of root's");
    }
    assert_eq!(status(headcount.pid(), "Uid"), "0 0 0 0");
    // It has a file of its own, has said that it is ready, and what it counts is scraped.
    assert_eq!(http::get(&headcount.server(), "/").unwrap().status, 200);
    assert_eq!(headcount.value("test_requests_total"), Some(1.0));
    assert_eq!(directory.path().metadata().unwrap().uid(), user.as_raw());
    // What was done as root can be undone by root.
    process::signal(only_worker(&headcount), Signal::SIGKILL);
    wait::until_true("its file is buried", || directory.path().join("dead-0.hc").exists());
    headcount.wait_until_ready();
    assert_eq!(headcount.value("test_requests_total"), Some(1.0));
}

#[test]
fn workers_of_another_user_die_with_their_master_and_a_directory_of_its_own_is_removed() {
    let Some(_) = nobody() else { return };
    let public = Public::new();
    let worker = public.worker();
    let arguments = ["run", "--workers", "2", "--bind", "127.0.0.1:0", "--metrics", "127.0.0.1:0"];
    let user = ["--user", "nobody", "--", worker.to_str().unwrap(), "serve"];
    let start = || {
        let headcount = Headcount::start(arguments.iter().chain(&user));
        headcount.wait_until_ready();
        let notify = environment(headcount.workers()[0])["NOTIFY_SOCKET"].clone();
        (headcount, Path::new(&notify).parent().unwrap().to_owned())
    };
    let (mut killed, left) = start();
    let all = process::children(killed.pid());
    assert_eq!(all.len(), 3);
    killed.signal(Signal::SIGKILL);
    killed.wait();
    wait::until_true("everybody is gone", || all.iter().all(|&pid| !process::is_alive(pid)));
    assert!(left.exists());
    let (mut next, own) = start();
    assert!(!left.exists(), "the next one has removed what the killed one left");
    assert!(next.stop().success());
    assert!(!own.exists());
}

#[test]
fn a_group_alone_or_numbers_that_nobody_has_are_taken_as_they_are() {
    let Some(nobody) = nobody() else { return };
    let public = Public::new();
    let group = Group::from_gid(nobody.gid).unwrap().unwrap().name;
    let worker = public.worker();
    let check = |options: &[&str], user: u32, groups: &str| {
        let directory = tempfile::tempdir().unwrap();
        let headcount = Headcount::run(1, directory.path(), options, &[worker.to_str().unwrap(), "serve"]);
        let pid = only_worker(&headcount);
        assert!(status(pid, "Uid").starts_with(&format!("{user} ")));
        assert_eq!(status(pid, "Groups"), groups);
    };
    check(&["--group", &group], 0, &nobody.gid.to_string());
    check(&["--user", "3000000001", "--group", "3000000002"], 3_000_000_001, "3000000002");
}

#[test]
fn a_user_that_cannot_be_is_refused_before_anything_is_started() {
    let Some(_) = nobody() else { return };
    let directory = tempfile::tempdir().unwrap();
    let theirs = directory.path().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    std::fs::set_permissions(&theirs, PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(&theirs, Some(12345), Some(12345)).unwrap();
    let theirs = theirs.to_str().unwrap();
    refused(&["--user", "no-such-user"], "there is no user `no-such-user`");
    refused(&["--user", "3000000001"], "a group must be given");
    refused(&["--dir", theirs, "--user", "nobody"], "it is user 12345's, and user 65534 may not write there");
    refused(&["--chdir", "/no-such-folder"], "cannot use /no-such-folder as the workers' folder");
    refused(&["--chdir", "/etc/passwd"], "not a directory");
}

/// Runs with these options, which must be refused.
fn refused(options: &[&str], why: &str) {
    let mut command = Command::new(binary::headcount());
    command.args(["run", "--metrics", "127.0.0.1:0"]).args(options).args(["--", WORKER, "stubborn"]);
    let output = command.env_remove("PROMETHEUS_MULTIPROC_DIR").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains(why) && !said.contains("started"), "{said}");
}

#[test]
fn a_worker_has_its_folder_mask_variables_limits_processor_and_no_new_privileges() {
    let (directory, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(WORKER, &link).unwrap();
    let processors = std::thread::available_parallelism().unwrap().get();
    let options = [
        "--chdir",
        folder.path().to_str().unwrap(),
        "--umask",
        "027",
        "--env",
        "PATH=/nowhere",
        "--env",
        "COLOUR=blue=green",
        "--rlimit",
        "nofile=200:300",
        "--rlimit",
        "core=0",
        "--cpu-affinity",
        "slot",
        "--no-new-privs",
    ];
    let headcount = Headcount::run(2, directory.path(), &options, &["./link", "serve"]);
    let mut seen = Vec::new();
    for pid in headcount.workers() {
        let folder = folder.path().canonicalize().unwrap();
        assert_eq!(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), folder);
        assert_eq!(status(pid, "Umask"), "0027");
        assert_eq!(status(pid, "NoNewPrivs"), "1");
        let variables = environment(pid);
        assert_eq!((&*variables["PATH"], &*variables["COLOUR"]), ("/nowhere", "blue=green"));
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let limit = |name: &str| {
            let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
        };
        assert_eq!((limit("Max open files"), limit("Max core file size")), ("200 300".into(), "0 0".into()));
        seen.push(status(pid, "Cpus_allowed_list"));
    }
    let one_each = seen.iter().all(|list| list.parse::<usize>().is_ok());
    assert!(one_each && (processors < 2 || seen[0] != seen[1]), "{seen:?}");
    // The supervisor itself is what it was.
    let own = headcount.pid();
    assert_eq!(status(own, "NoNewPrivs"), status(std::process::id(), "NoNewPrivs"));
    assert_eq!(status(own, "Cpus_allowed_list"), status(std::process::id(), "Cpus_allowed_list"));
    assert_eq!(status(headcount.exporter(), "NoNewPrivs"), "1");
}

#[test]
fn a_worker_has_no_descriptors_but_those_it_is_meant_to_have() {
    let directory = tempfile::tempdir().unwrap();
    let options = ["--bind", "admin=127.0.0.1:0"];
    let headcount = Headcount::run(1, directory.path(), &options, &["sleep", "600"]);
    let all = descriptors(only_worker(&headcount));
    assert_eq!(all.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4], "{all:?}");
    assert_eq!(all[&0], "/dev/null");
    assert!(all[&3].starts_with("socket:") && all[&4].starts_with("socket:"));
    let masters = descriptors(headcount.pid());
    assert_eq!((&all[&1], &all[&2]), (&masters[&1], &masters[&2]));
    // The exporter keeps the metrics' port and neither the workers' nor the directory's lock.
    let exporters = descriptors(headcount.exporter());
    let is_foreign = |what: &&String| [&all[&3], &all[&4]].contains(what) || what.ends_with(".lock");
    assert_eq!(exporters.values().filter(is_foreign).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn a_worker_whose_output_is_passed_on_has_two_pipes_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let options = ["--worker-output", "prefix"];
    let headcount = Headcount::run(2, directory.path(), &options, &["sleep", "600"]);
    let workers = headcount.workers();
    let pipes: Vec<_> = workers
        .iter()
        .flat_map(|&pid| {
            let all = descriptors(pid);
            assert_eq!(all.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3], "{all:?}");
            assert!(all[&1].starts_with("pipe:") && all[&2].starts_with("pipe:"));
            [all[&1].clone(), all[&2].clone()]
        })
        .collect();
    assert_eq!(pipes.iter().collect::<std::collections::HashSet<_>>().len(), 4, "each has its own");
    let relays = descriptors(headcount.relay());
    assert!(!relays.values().any(|what| what.ends_with(".lock") || what.contains("signalfd")), "{relays:?}");
}

#[test]
fn a_broken_pipe_ends_a_worker_unless_it_says_otherwise_and_never_the_exporter() {
    let directory = tempfile::tempdir().unwrap();
    let headcount = Headcount::run(1, directory.path(), &[], &["sleep", "600"]);
    let ignores_broken_pipes = |pid| {
        let ignored = u64::from_str_radix(&status(pid, "SigIgn"), 16).unwrap();
        ignored & (1 << (libc::SIGPIPE - 1)) != 0
    };
    assert!(ignores_broken_pipes(headcount.exporter()));
    assert!(!ignores_broken_pipes(only_worker(&headcount)));
}

#[test]
fn the_pid_file_names_the_supervisor_as_long_as_it_runs() {
    let (directory, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("pid");
    let options = ["--pid-file", path.to_str().unwrap()];
    let mut headcount = Headcount::run(1, directory.path(), &options, &[WORKER, "serve"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", headcount.pid()));
    refused(&options, &format!("names process {}, which runs", headcount.pid()));
    headcount.signal(Signal::SIGKILL);
    headcount.wait();
    assert!(path.exists(), "nobody could remove it");
    let mut next = Headcount::start(
        ["run", "--metrics", "127.0.0.1:0"].iter().chain(&options).chain(&["--", WORKER, "stubborn"]),
    );
    next.wait_until_ready();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", next.pid()));
    next.signal(Signal::SIGQUIT);
    assert!(next.wait().success());
    assert!(!path.exists());
}
