//! Command lines, variables and files against each other, without a process.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::Command;

use super::flag::{Flags, Setting};
use super::source::check;
use super::*;
use crate::cli::RunArgs;

/// A command line in whose place of `FILE` there is a file with this text.
struct Given {
    _file: tempfile::NamedTempFile,
    source: Source,
    path: String,
}

fn given(words: &str, variables: &[(&str, &str)], file: &str) -> Given {
    let kept = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(kept.path(), file).unwrap();
    let path = kept.path().to_str().unwrap().to_owned();
    let words = words.replace("FILE", &path);
    let source = Source {
        words: words.split_whitespace().map(OsString::from).collect(),
        variables: variables
            .iter()
            .map(|&(name, value)| (name.into(), value.replace("FILE", &path).into()))
            .collect(),
    };
    Given { _file: kept, source, path }
}

impl Given {
    fn args(&self) -> RunArgs {
        self.source.read().unwrap()
    }

    /// What is wrong, without the file's path.
    fn refusal(&self) -> String {
        self.source.read().unwrap_err().to_string().replace(&self.path, "FILE")
    }
}

fn refusal(file: &str) -> String {
    given("headcount run --config FILE -- ./x", &[], file).refusal()
}

#[test]
fn a_file_says_what_the_command_line_would() {
    let file = "
        workers = 3
        surge = 2
        graceful-timeout = '5s'
        ready-after = 0.5
        max-memory = '512M'
        bind = ['127.0.0.1:80', 'admin=unix:/tmp/x']
        metrics = 'none'
        command = ['./server', '--workers', '9', '--', 'a b']
    ";
    let args = given("headcount run --config FILE", &[], file).args();
    let SupervisorPart { workers, surge, graceful, ready_after, binds } = parts(&args);
    assert_eq!((workers, surge, graceful, ready_after, binds), (Some(3), 2, 5000, 500, 2));
    assert!(args.supervisor.listen.metrics.iter().all(|metrics| metrics.0.is_none()));
    assert_eq!(args.supervisor.pool.max_memory, Some(512 << 20));
    assert_eq!(args.command, ["./server", "--workers", "9", "--", "a b"]);
}

struct SupervisorPart {
    workers: Option<u32>,
    surge: u32,
    graceful: u128,
    ready_after: u128,
    binds: usize,
}

fn parts(args: &RunArgs) -> SupervisorPart {
    let (pool, listen) = (&args.supervisor.pool, &args.supervisor.listen);
    SupervisorPart {
        workers: pool.workers,
        surge: pool.surge,
        graceful: pool.graceful_timeout.as_millis(),
        ready_after: pool.ready_after.as_millis(),
        binds: listen.bind.len(),
    }
}

#[test]
fn a_flag_goes_before_a_variable_and_that_before_the_file() {
    let file = "workers = 1\nsurge = 1\ngraceful-timeout = 1\nbind = [':1']\ncommand = ['./file']";
    let variables = [
        ("HEADCOUNT_WORKERS", "2"),
        ("HEADCOUNT_GRACEFUL_TIMEOUT", "2"),
        ("HEADCOUNT_CONFIG", "FILE"),
        ("HEADCOUNT_BIND", ":21 :22"),
        ("HEADCOUNT_SURGE", ""),
    ];
    let given = given("headcount run --workers 3 -- ./typed", &variables, file);
    let args = given.args();
    let SupervisorPart { workers, surge, graceful, ready_after, binds } = parts(&args);
    assert_eq!((workers, surge, graceful, ready_after, binds), (Some(3), 1, 2000, 1000, 2));
    assert_eq!(args.command, ["./typed"]);
    assert_eq!(args.supervisor.pool.boot_timeout, Duration::from_secs(60));
    let shown = given.source.resolve().unwrap().to_toml();
    for line in [
        "workers = 3  # command line\n",
        "graceful-timeout = 2  # HEADCOUNT_GRACEFUL_TIMEOUT\n",
        &format!("surge = 1  # {}\n", given.path),
        "boot-timeout = \"60s\"  # default\n",
        "# watchdog is not set\n",
        "command = [\"./typed\"]  # command line\n",
    ] {
        assert!(shown.contains(line), "{line}{shown}");
    }
}

#[test]
fn the_flags_that_do_not_belong_to_a_configuration_are_no_keys() {
    let shown = given("headcount run --check -- x", &[], "").source.resolve().unwrap().to_toml();
    let is_shown =
        |key: &str| shown.lines().any(|line| line.trim_start_matches("# ").split(' ').next() == Some(key));
    assert!(is_shown("web.config.file"));
    assert!(!["config", "check", "help"].into_iter().any(is_shown), "{shown}");
    assert!(refusal("check = true").starts_with("FILE, line 1: there is no setting `check`"));
}

#[test]
fn what_is_shown_says_the_same_as_a_file() {
    let words = "headcount run --workers 3 --bind :80 --bind b=:81 --max-memory 1G -- ./x \"q\\ \u{7f}ü";
    let first = given(words, &[], "").source.resolve().unwrap();
    let again = given("headcount run --config FILE", &[], &first.to_toml());
    assert_eq!(format!("{:?}", again.args().supervisor), format!("{:?}", first.args().supervisor));
    assert_eq!(again.args().command, first.args().command);
    let shown = again.source.resolve().unwrap().to_toml().replace(&again.path, "command line");
    assert_eq!(
        shown.lines().map(|line| line.split("  # ").next()).collect::<Vec<_>>(),
        first.to_toml().lines().map(|line| line.split("  # ").next()).collect::<Vec<_>>()
    );
}

#[test]
fn a_mistake_is_told_with_its_place_and_the_way_out() {
    let check = |file: &str, said: &str| assert_eq!(refusal(file), said, "{file}");
    check("\nworkres = 3", "FILE, line 2: there is no setting `workres`: did you mean `workers`?");
    check("max_memory = 3", "FILE, line 1: there is no setting `max_memory`: did you mean `max-memory`?");
    check("colour = 3", "FILE, line 1: there is no setting `colour`: `headcount run --help` lists them");
    check("workers = [1, 2]", "FILE, line 1: `workers` takes a string or a number");
    check("workers = true", "FILE, line 1: `workers` takes a string or a number");
    check("bind = [['x']]", "FILE, line 1: `bind` takes an array of strings");
    check("command = './x'", "FILE, line 1: `command` takes an array: the program and its arguments");
    check(
        "# Many.\nworkers = 0",
        "FILE, line 2: invalid value '0' for '--workers <WORKERS>': 0 is not in 1..=4096",
    );
    // Even if nobody would have looked at it.
    let hidden = given("headcount run --workers 1 --config FILE -- x", &[], "workers = 'many'").refusal();
    assert!(hidden.starts_with("FILE, line 1: invalid value 'many' for '--workers"), "{hidden}");
    assert!(refusal("workers = \n").starts_with("FILE, line 1: "));
    let variable = given("headcount run -- x", &[("HEADCOUNT_SURGE", "many")], "").refusal();
    assert!(variable.starts_with("HEADCOUNT_SURGE: invalid value 'many' for '--surge"), "{variable}");
    let flag = given("headcount run -- x", &[("HEADCOUNT_CHECK", "perhaps")], "").refusal();
    assert_eq!(flag, "HEADCOUNT_CHECK: expected `true` or `false`, not `perhaps`");
    let nothing = given("headcount run --config FILE", &[], "workers = 1").refusal();
    assert!(nothing.starts_with("FILE names no program"), "{nothing}");
    let missing = given("headcount run --config /nowhere -- x", &[], "").refusal();
    assert_eq!(missing, "cannot read the configuration file /nowhere");
}

#[test]
fn mistakes_on_the_command_line_are_told_as_ever() {
    for words in ["headcount run", "headcount run --workers 0 -- x", "headcount run --colour red -- x"] {
        let Err(ConfigError::Usage(usage)) = given(words, &[], "").source.cli() else { panic!("{words}") };
        assert_eq!(usage.exit_code(), 2, "{words}");
    }
    let Err(ConfigError::Usage(help)) = given("headcount run --help", &[], "").source.cli() else { panic!() };
    assert_eq!(help.exit_code(), 0);
    assert!(given("headcount dump /x", &[("HEADCOUNT_WORKERS", "none")], "").source.cli().is_ok());
}

/// Other flags than there are now: what holds for those holds for the next ones.
fn imagined() -> Command {
    use clap::{Arg, ArgAction};
    let run = Command::new(RUN)
        .arg(Arg::new("user").long("user"))
        .arg(Arg::new("group").long("group").requires("user"))
        .arg(Arg::new("env").long("env").action(ArgAction::Append))
        .arg(Arg::new("reuse_port").long("reuse-port").action(ArgAction::SetTrue))
        .arg(Arg::new("log_format").long("log.format").value_parser(["logfmt", "json"]))
        .arg(Arg::new("command").last(true).num_args(1..).required(true));
    Command::new("headcount").subcommand(run)
}

#[test]
fn flags_that_take_pairs_nothing_or_a_choice_are_keys_too() {
    let read = |text: &str| {
        let flags = Flags::of(&imagined());
        let settings = file::read("FILE".as_ref(), text, &flags)?;
        settings.iter().try_for_each(|setting| check(setting, &imagined()))?;
        let words: Vec<_> = settings.iter().flat_map(Setting::words).collect();
        Ok::<_, ConfigError>(words.join(OsStr::new(" ")).into_string().unwrap())
    };
    let said = |text: &str| read(text).unwrap();
    assert_eq!(said("[env]\nA = 'b c'\nN = 1"), "--env=A=b c --env=N=1");
    assert_eq!(said("env = ['A=b', 'C=d']"), "--env=A=b --env=C=d");
    assert_eq!(said("reuse-port = true"), "--reuse-port");
    assert_eq!(said("reuse-port = false"), "");
    assert_eq!(said("log.format = 'json'"), "--log.format=json");
    assert_eq!(said("[log]\nformat = 'json'"), "--log.format=json");
    // What it requires may be said elsewhere.
    assert_eq!(said("group = 'x'"), "--group=x");
    let refused = |text: &str| read(text).unwrap_err().to_string();
    assert_eq!(refused("reuse-port = 1"), "FILE, line 1: `reuse-port` takes `true` or `false`");
    assert_eq!(
        refused("[log]\nformat = 'xml'"),
        "FILE, line 2: invalid value 'xml' for '--log.format <log_format>' [possible values: logfmt, json]"
    );
    assert!(refused("[log]\nfromat = 'json'").starts_with("FILE, line 2: there is no setting `log.fromat`"));
}

#[test]
fn a_flag_of_all_commands_is_a_key_too_and_counts_wherever_it_is_typed() {
    let command = || {
        let mut imagined = imagined();
        imagined = imagined.arg(clap::Arg::new("log_level").long("log.level").global(true));
        imagined.mut_subcommand(RUN, |run| run.arg(clap::Arg::new(CONFIG).long(CONFIG)))
    };
    let check = |words: &str, expected: usize| {
        let given = given(words, &[], "log.level = 'debug'");
        let completed = given.source.complete(&command()).unwrap().unwrap();
        let added = completed.words.iter().filter(|word| *word == "--log.level=debug").count();
        assert_eq!(added, expected, "{words}");
    };
    check("headcount run --config FILE -- x", 1);
    check("headcount --log.level info run --config FILE -- x", 0);
    check("headcount run --config FILE --log.level info -- x", 0);
}
