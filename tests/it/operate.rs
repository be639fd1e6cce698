//! What an operator has in hand: the configuration, and the commands that tell a supervisor something.

use std::path::Path;
use std::process::{Command, Output};

use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, http, process, text, wait};
use nix::sys::signal::Signal;

use crate::WORKER;
use crate::reload::Script;

/// `headcount` with these arguments, to its end.
pub(crate) fn headcount(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary::headcount());
    command.args(arguments).env_remove("PROMETHEUS_MULTIPROC_DIR").env_remove("WEB_CONCURRENCY");
    command
}

pub(crate) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub(crate) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// A configuration file in `folder`, for a supervisor of workers that serve.
fn configuration(folder: &Path, more: &str) -> String {
    let path = folder.join("headcount.toml");
    let text = format!(
        "workers = 1\nbind = ['127.0.0.1:0', 'admin=unix:{socket}']\nmetrics = '127.0.0.1:0'\n\
         dir = '{dir}'\ncommand = ['{WORKER}', 'serve']\n{more}",
        socket = folder.join("socket").display(),
        dir = folder.join("metrics").display(),
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_supervisor_runs_as_its_file_and_its_environment_say() {
    let folder = tempfile::tempdir().unwrap();
    let file = configuration(folder.path(), "");
    let mut command = command(&["run"]);
    command.env("HEADCOUNT_CONFIG", file).env("HEADCOUNT_WORKERS", "2");
    let mut headcount = Headcount::spawn(command);
    headcount.wait_until_ready();
    assert_eq!(headcount.value("test_alive"), Some(2.0));
    assert_eq!(http::get(&headcount.server(), "/").unwrap().status, 200);
    assert!(folder.path().join("socket").exists() && folder.path().join("metrics").is_dir());
    assert!(headcount.stop().success());
}

#[test]
fn a_check_prints_what_would_be_run_as_a_configuration_and_touches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let file = configuration(folder.path(), "watchdog = '10s'\n");
    let bind = taken.local_addr().unwrap().to_string();
    let shown = headcount(&["run", "--check", "--config", &file, "--bind", &bind]);
    assert_eq!((shown.status.code(), stderr(&shown)), (Some(0), ""));
    assert!(stdout(&shown).starts_with(&format!("# 1 workers of {WORKER}\n")), "{}", stdout(&shown));
    assert!(stdout(&shown).contains(&format!("bind = [\"{bind}\"]  # command line\n")));
    assert!(stdout(&shown).contains(&format!("watchdog = \"10s\"  # {file}\n")));
    assert!(stdout(&shown).contains("graceful-timeout = \"30s\"  # default\n"));
    assert!(!folder.path().join("metrics").exists() && !folder.path().join("socket").exists());
    // What it prints says the same as what it was given.
    let printed = folder.path().join("printed.toml");
    std::fs::write(&printed, &shown.stdout).unwrap();
    let again = headcount(&["run", "--check", "--config", printed.to_str().unwrap()]);
    let values =
        |text: &str| text.lines().map(|line| line.split("  # ").next().unwrap().to_owned()).collect();
    let (first, second): (Vec<_>, Vec<_>) = (values(stdout(&shown)), values(stdout(&again)));
    assert_eq!(first, second);
}

#[test]
fn a_check_refuses_what_a_run_would_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let check = |more: &str, arguments: &[&str], code: i32, said: &str| {
        let file = configuration(folder.path(), more);
        for how in [&["run", "--check"][..], &["run"]] {
            let refused = headcount(&[how, &["--config", &file], arguments].concat());
            assert_eq!(refused.status.code(), Some(code), "{said}");
            assert_eq!(stderr(&refused), format!("headcount: {}\n", said.replace("FILE", &file)));
            assert_eq!(stdout(&refused), "");
        }
    };
    check("serge = 2\n", &[], 2, "FILE, line 6: there is no setting `serge`: did you mean `surge`?");
    check("surge = 2\nmetrics = '127.0.0.1'\n", &[], 2, "FILE, line 7: duplicate key");
    check("surge = 0\n", &[], 2, "FILE, line 6: invalid value '0' for '--surge <N>': 0 is not in 1..=4096");
    check("", &["--", "no-such-program"], 1, "cannot find the program `no-such-program`");
}

#[test]
fn exits_are_counted_by_what_the_supervisor_knows_and_slots_show_who_has_them() {
    let directory = tempfile::tempdir().unwrap();
    let headcount = Headcount::run(2, directory.path(), &[], &[WORKER, "serve"]);
    let value = |key: &str| headcount.value(key).unwrap_or(0.0);
    let exits = |reason: &str| {
        headcount.value(&format!("headcount_exits_total{{process=\"worker\",reason=\"{reason}\"}}"))
    };
    assert_eq!(value("headcount_workers_wanted"), 2.0);
    assert_eq!(value("headcount_worker_ready_seconds_count"), 2.0);
    let pid = |slot: u32| value(&format!("headcount_worker_pid{{slot=\"{slot}\"}}"));
    let victim = headcount.workers().into_iter().find(|&worker| f64::from(worker) == pid(1)).unwrap();
    process::signal(victim, Signal::SIGKILL);
    wait::until_true("another one has the slot", || {
        exits("SIGKILL") == Some(1.0) && value("headcount_worker_state{slot=\"1\",state=\"ready\"}") == 1.0
    });
    assert_ne!(pid(1), f64::from(victim));
    let restarts = |slot: u32| value(&format!("headcount_worker_restarts_total{{slot=\"{slot}\"}}"));
    assert_eq!((restarts(0), restarts(1)), (0.0, 1.0));
    // Told to stop: no restart, and no other reason than its exit.
    headcount.signal(Signal::SIGHUP);
    wait::until_true("a reload succeeds", || value("headcount_reloads_total{outcome=\"success\"}") == 1.0);
    wait::until_true("the old ones end well", || exits("success") == Some(2.0));
    assert_eq!((value("headcount_generation"), value("headcount_reload_in_progress")), (1.0, 0.0));
    assert_eq!((restarts(0), restarts(1)), (0.0, 1.0));
    // Slots without a worker show none.
    let shown = || (0..5).filter(|&slot| pid(slot) > 0.0).collect::<Vec<_>>();
    wait::until_true("two slots are taken", || shown().len() == 2);
    for slot in shown() {
        assert!(headcount.workers().iter().any(|&worker| f64::from(worker) == pid(slot)));
        assert_eq!(value(&format!("headcount_worker_generation{{slot=\"{slot}\"}}")), 1.0);
    }
}

#[test]
fn a_worker_that_hangs_grows_or_never_comes_up_has_a_reason_of_its_own() {
    let check = |options: &[&str], command: &[&str], reason: &str| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let base = ["run", "-w", "1", "--metrics", "127.0.0.1:0", "--bind", "127.0.0.1:0", "--dir", path];
        let headcount = Headcount::start([&base[..], options, &["--"], command].concat());
        let key = format!("headcount_exits_total{{process=\"worker\",reason=\"{reason}\"}}");
        wait::until_true(reason, || {
            let scraped = http::get(&headcount.metrics(), "/metrics");
            scraped.is_ok_and(|answer| text::value(answer.text(), &key) > Some(0.0))
        });
    };
    check(&["--ready-after", "10ms", "--watchdog", "200ms"], &["sleep", "600"], "hung");
    check(&["--max-lifetime", "100ms"], &[WORKER, "serve"], "recycled");
    check(&["--boot-timeout", "100ms", "--ready-after", "1h"], &["sleep", "600"], "boot_failure");
    check(&["--max-memory", "100K"], &[WORKER, "serve"], "memory");
}

/// Tells the supervisor of a directory something; how that ended, and what was said.
pub(crate) fn tell(words: &[&str], directory: &Path) -> (Option<i32>, String) {
    let told = headcount(&[words, &["--dir", directory.to_str().unwrap()]].concat());
    (told.status.code(), format!("{}{}", stdout(&told), stderr(&told)))
}

#[test]
fn a_reload_is_over_when_the_command_ends_and_its_failure_is_that_of_the_command() {
    let directory = tempfile::tempdir().unwrap();
    let script = Script::new(&format!("exec {WORKER} serve"));
    let options = ["--boot-timeout", "10s"];
    let headcount = Headcount::run(2, directory.path(), &options, &[script.path().to_str().unwrap()]);
    let first = headcount.workers();
    let reloaded = tell(&["reload"], directory.path());
    assert_eq!(reloaded, (Some(0), "reloaded: generation 1, 2 workers\n".to_owned()));
    assert_eq!(headcount.value("headcount_workers{state=\"ready\"}"), Some(2.0));
    wait::until_true("the old ones are gone", || first.iter().all(|&pid| !process::is_alive(pid)));
    script.replace("exit 1");
    let (code, said) = tell(&["reload"], directory.path());
    assert_eq!(code, Some(1));
    assert!(said.starts_with("headcount: the reload has failed, and the old workers go on"), "{said}");
    script.replace("exec sleep 600");
    let (code, said) = tell(&["reload", "--timeout", "300ms"], directory.path());
    assert_eq!(code, Some(1));
    let in_vain = format!("headcount: PID {} was told, but 2 of 2 workers are ready", headcount.pid());
    assert!(said.starts_with(&in_vain), "{said}");
}

#[test]
fn a_supervisor_is_scaled_to_a_number_and_that_many_serve() {
    let directory = tempfile::tempdir().unwrap();
    let headcount = Headcount::run(1, directory.path(), &[], &[WORKER, "serve"]);
    for workers in [4_u8, 4, 2] {
        let scaled = tell(&["scale", &workers.to_string()], directory.path());
        assert_eq!(scaled, (Some(0), format!("scaled: {workers} workers\n")));
        assert!(headcount.value("headcount_workers{state=\"ready\"}") >= Some(f64::from(workers)));
        wait::until_true("no more than that are left", || headcount.workers().len() == usize::from(workers));
    }
    assert_eq!(tell(&["scale", "0"], directory.path()).0, Some(2));
}

#[test]
fn a_stop_is_over_when_the_supervisor_and_its_workers_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let mut headcount = Headcount::run(2, directory.path(), &[], &[WORKER, "serve"]);
    let (pid, workers) = (headcount.pid(), headcount.workers());
    // Its child is this test's, which reaps it: a zombie counts as gone.
    assert_eq!(tell(&["stop"], directory.path()), (Some(0), format!("stopped: PID {pid}\n")));
    assert!(!process::is_alive(pid) && workers.iter().all(|&worker| !process::is_alive(worker)));
    assert!(headcount.wait().success());
    let nobody = format!("headcount: no supervisor runs in {}\n", directory.path().display());
    for words in [&["stop"][..], &["reload"], &["scale", "2"], &["upgrade"]] {
        assert_eq!(tell(words, directory.path()), (Some(1), nobody.clone()));
    }
}

#[test]
fn nobody_is_told_anything_who_only_has_the_number_of_a_supervisor() {
    let directory = tempfile::tempdir().unwrap();
    let mut bystander = Command::new("sleep").arg("600").spawn().unwrap();
    // A lock that somebody holds, and the number of another.
    let opened = headcount_store::directory::Directory::open(directory.path()).unwrap();
    let _lock = opened.lock(&format!("headcount, PID {}", bystander.id())).unwrap();
    for words in [&["stop"][..], &["reload"], &["scale", "2"], &["upgrade"]] {
        let (code, said) = tell(words, directory.path());
        assert!(code == Some(1) && said.contains("of another PID namespace"), "{said}");
    }
    assert!(process::is_alive(bystander.id()));
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn a_supervisor_that_knows_of_no_upgrades_is_not_ended_by_one() {
    let directory = tempfile::tempdir().unwrap();
    // This process is taken for one, and would not survive the signal.
    let opened = headcount_store::directory::Directory::open(directory.path()).unwrap();
    let _lock = opened.lock(&format!("headcount, PID {}", std::process::id())).unwrap();
    let (code, said) = tell(&["upgrade"], directory.path());
    assert!(code == Some(1) && said.contains("cannot be upgraded: stop and start it"), "{said}");
}

#[test]
fn completions_and_manual_pages_have_every_command() {
    let help = headcount(&["--help"]);
    let listed = stdout(&help).lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<_> = listed.map_while(|line| line.split_whitespace().next()).collect();
    assert!(commands.len() > 10 && commands.contains(&"run"), "{commands:?}");
    let said = |arguments: &[&str]| {
        let said = headcount(arguments);
        assert_eq!((said.status.code(), stderr(&said)), (Some(0), ""), "{arguments:?}");
        stdout(&said).to_owned()
    };
    for shell in ["bash", "zsh", "fish"] {
        let script = said(&["completions", shell]);
        for command in &commands {
            assert!(script.contains(command), "{shell}: {command}");
        }
        assert!(script.contains("graceful-timeout") && !script.contains("demo-worker"), "{shell}");
    }
    let overview = said(&["man"]);
    for command in &commands {
        let escaped = command.replace('-', "\\-");
        assert!(overview.contains(&format!("headcount\\-{escaped}(1)\n")), "{command}: {overview}");
        assert!(said(&["man", command]).contains(&format!(".TH headcount-{command} 1")), "{command}");
    }
    let unknown = headcount(&["man", "rum"]);
    assert_eq!(stderr(&unknown), "headcount: there is no command `rum`: `headcount --help` lists them\n");
}

#[test]
fn bash_completes_what_is_typed() {
    let script = headcount(&["completions", "bash"]);
    let typed = "COMP_WORDS=(headcount run --grace); COMP_CWORD=2; _headcount headcount --grace run; echo ${COMPREPLY[@]}";
    let completed =
        Command::new("bash").args(["-c", &format!("{}\n{typed}", stdout(&script))]).output().unwrap();
    assert_eq!(stdout(&completed), "--graceful-timeout\n", "{}", stderr(&completed));
}
