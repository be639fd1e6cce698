//! A directory with everything in it that can be wrong.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, peer_file, text, wait};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::Mode;

use crate::WORKER;

/// Lets a worker of its own count in `directory`, and end.
pub(crate) fn add(directory: &Path, n: u32) {
    let mut command = Command::new(WORKER);
    command.args(["add", &n.to_string()]).env("PROMETHEUS_MULTIPROC_DIR", directory);
    assert!(command.output().unwrap().status.success());
}

/// The files of ours in a directory.
fn own_files(directory: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|extension| extension == "hc")).collect()
}

/// An entry of Python's client since 0.18, header included.
pub(crate) fn python_file(keys: &[&str]) -> Vec<u8> {
    let mut bytes = peer_file::python(keys.iter().map(|key| (key, 1.0, 0.0)));
    bytes.resize(65536, 0);
    bytes
}

pub(crate) const KEY: &str = r#"["python", "python_total", {}, "help"]"#;

/// Puts one file of each kind of fault into `directory`; returns the reasons that are to be counted.
fn spoil(directory: &Path) -> Vec<&'static str> {
    let put = |name: &str, bytes: &[u8]| fs::write(directory.join(name), bytes).unwrap();
    let changed = |at: usize, with: &[u8]| {
        let mut bytes = python_file(&[KEY]);
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    let own = fs::read(&own_files(directory)[0]).unwrap();
    let own_changed = |at: usize, with: &[u8]| {
        let mut bytes = own.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    put("counter_1001.db", b"");
    put("counter_1002.db", &[0; 3]);
    put("counter_1003.db", &changed(0, &100_000_u32.to_le_bytes()));
    put("counter_1004.db", &changed(8, &u32::MAX.to_le_bytes()));
    put("counter_1005.db", &changed(14, b"\xff"));
    put("counter_1006.db", &changed(12, b"x"));
    put("counter_1007.db", &python_file(&[r#"["a", "a_total", {}]"#]));
    let le = r#"["h", "h_bucket", {"le": "wide"}, ""]"#;
    put("histogram_1008.db", &python_file(&[le]));
    put("counter.db", &python_file(&[KEY]));
    put("info_1009.db", &python_file(&[KEY]));
    put("gauge_wild_1010.db", &python_file(&[KEY]));
    put("counter_1011.db", &python_file(&[r#"["a", "b_total", {}, ""]"#]));
    put("1-0000000000000001.hc", &own_changed(8, &99_u32.to_le_bytes()));
    put("1-0000000000000002.hc", &own[..5]);
    put("1-0000000000000003.hc", &own_changed(0, b"NOTOURS"));
    put("1-0000000000000004.hc", &own[..own.len() - 4096]);
    put("1-0000000000000005.hc", &own_changed(72, &u64::MAX.to_le_bytes()));
    put("1-0000000000000006.hc", &own_changed(256, &[9]));
    put("1-0000000000000007.hc", b"");
    nix::unistd::mkfifo(&directory.join("counter_1020.db"), Mode::S_IRWXU).unwrap();
    fs::create_dir(directory.join("counter_1021.db")).unwrap();
    symlink("/nowhere", directory.join("counter_1022.db")).unwrap();
    symlink(&own_files(directory)[0], directory.join("counter_1023.db")).unwrap();
    nix::unistd::mkfifo(&directory.join("1-0000000000000008.hc"), Mode::S_IRWXU).unwrap();
    vec![
        "bad_bucket_bound",
        "bad_extent",
        "bad_length",
        "bad_magic",
        "empty",
        "foreign_sample",
        "invalid_json",
        "invalid_utf8",
        "newer_version",
        "no_process",
        "not_regular",
        "too_short",
        "unknown_mode",
        "unknown_type",
        "used_beyond_end",
        "wrong_elements",
    ]
}

/// `headcount serve` over a directory.
fn serve(directory: &Path) -> Headcount {
    let directory = directory.to_str().unwrap();
    Headcount::start(["serve", "--dir", directory, "--web.listen-address", "127.0.0.1:0"])
}

#[test]
fn a_directory_with_everything_wrong_in_it_is_scraped_and_every_reason_counted() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path();
    add(directory, 3);
    add(directory, 4);
    fs::write(directory.join("counter_1000.db"), python_file(&[KEY])).unwrap();
    let reasons = spoil(directory);
    let headcount = serve(directory);
    let scraped = headcount.scrape();
    let value = |key: &str| text::value(&scraped, key);
    assert_eq!(value("test_added_total"), Some(7.0));
    assert_eq!(value("python_total"), Some(1.0));
    for reason in &reasons {
        let count = value(&format!("headcount_skipped_files{{reason=\"{reason}\"}}"));
        assert!(count.is_some_and(|count| count >= 1.0), "{reason}: {count:?}");
    }
    let output = Command::new(binary::headcount()).arg("check").arg(directory).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    for file in ["counter_1001.db", "1-0000000000000001.hc", "counter_1020.db"] {
        assert!(said.contains(file), "{said}");
    }
    // Skipped again, but not logged again.
    let _ = headcount.scrape();
    let _ = headcount.wait_for_line("counter_1001.db");
    assert_eq!(headcount.log().matches("counter_1001.db").count(), 1);
}

#[test]
fn a_file_that_cannot_be_read_is_skipped_by_those_who_may_not() {
    let temporary = tempfile::tempdir().unwrap();
    fs::set_permissions(temporary.path(), Permissions::from_mode(0o755)).unwrap();
    add(temporary.path(), 3);
    let locked = temporary.path().join("counter_1000.db");
    fs::write(&locked, python_file(&[KEY])).unwrap();
    fs::set_permissions(&locked, Permissions::from_mode(0o0)).unwrap();
    // Root may read everything, so somebody else has to look.
    let binary = temporary.path().parent().unwrap().join(format!("headcount-{}", std::process::id()));
    // By another process: while this one writes a program, a fork of another test would keep it busy.
    assert!(Command::new("cp").arg(binary::headcount()).arg(&binary).status().unwrap().success());
    let mut command = Command::new(&binary);
    if nix::unistd::geteuid().is_root() {
        use std::os::unix::process::CommandExt;
        command.uid(65534).gid(65534);
    }
    let output = command.arg("dump").arg(temporary.path()).output().unwrap();
    fs::remove_file(&binary).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("skipped counter_1000.db: cannot be read: Permission denied"), "{said}");
    let merged = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text::value(&merged, "test_added_total"), Some(3.0));
}

#[test]
fn files_that_grow_shrink_and_vanish_while_they_are_scraped_never_fail_a_scrape() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path();
    add(directory, 5);
    let victim = directory.join("1-00000000000000aa.hc");
    let whole = fs::read(&own_files(directory)[0]).unwrap();
    let headcount = serve(directory);
    let _ = headcount.scrape();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Each state that a file can be caught in, over and over.
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                for len in [0, 3, 100, 4096, 5000, 8192, whole.len()] {
                    fs::write(&victim, &whole[..len.min(whole.len())]).unwrap();
                }
                fs::OpenOptions::new().write(true).open(&victim).unwrap().set_len(4096).unwrap();
                fs::write(directory.join("gauge_liveall_77.db"), python_file(&[])).unwrap();
                fs::remove_file(&victim).unwrap();
                fs::remove_file(directory.join("gauge_liveall_77.db")).unwrap();
            }
        });
        let added: Vec<_> = (0..300).map(|_| headcount.value("test_added_total").unwrap()).collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        // With the victim's or without it, but never anything else.
        assert!(added.iter().all(|&value| value == 5.0 || value == 10.0), "{added:?}");
    });
}

#[test]
fn a_file_that_is_truncated_after_it_was_scraped_is_skipped_from_then_on() {
    let temporary = tempfile::tempdir().unwrap();
    add(temporary.path(), 5);
    let headcount = serve(temporary.path());
    assert_eq!(headcount.value("test_added_total"), Some(5.0));
    let file = fs::OpenOptions::new().write(true).open(&own_files(temporary.path())[0]).unwrap();
    file.set_len(4096).unwrap();
    assert_eq!(headcount.value("test_added_total"), None);
    assert_eq!(headcount.value("headcount_skipped_files{reason=\"used_beyond_end\"}"), Some(1.0));
}

#[test]
fn a_worker_on_a_full_file_system_lives_and_counts_what_it_lost() {
    let Some(tmpfs) = Tmpfs::mount("256k") else {
        panic!("mounting a tmpfs needs root, or user namespaces: this test has neither");
    };
    let mut command = Command::new(WORKER);
    let output = command.arg("fill").env("PROMETHEUS_MULTIPROC_DIR", tmpfs.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{:?} {said}", output.status);
    let (created, refusal) = said.trim().split_once(' ').unwrap();
    assert!(refusal.contains("`test_filled` cannot be recorded"), "{refusal}");
    let headcount = serve(tmpfs.path());
    let scraped = headcount.scrape();
    let series = text::samples(&scraped).into_iter().filter(|(key, _)| key.starts_with("test_filled_total"));
    let series: Vec<_> = series.collect();
    assert_eq!(series.len().to_string(), created);
    assert!(series.len() > 100, "{} series", series.len());
    // What was counted while there was space; the first series twice, and ten times more if the thread got
    // the last of the space for its slab.
    let first = series.iter().find(|(key, _)| key.ends_with("x0\"}")).unwrap().1;
    assert!(series.iter().filter(|(key, _)| !key.ends_with("x0\"}")).all(|(_, value)| *value == 1.0));
    assert!(text::value(&scraped, "headcount_lost_series_total").unwrap() >= 2.0);
    // Nothing is unaccounted for: two updates, ten of the thread, one of the series that was refused.
    assert_eq!(first + text::value(&scraped, "headcount_lost_updates_total").unwrap(), 13.0);
}

/// A file system in memory, of a certain size.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        mount(Some("tmpfs"), folder.path(), Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).ok()?;
        Some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = umount2(self.path(), MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_process_that_is_gone_counts_without_its_live_gauges_even_if_nobody_buried_it() {
    let temporary = tempfile::tempdir().unwrap();
    add(temporary.path(), 5);
    let headcount = serve(temporary.path());
    assert_eq!(headcount.value("test_added_total"), Some(5.0));
    assert_eq!(headcount.value("test_alive"), None);
    let mut child = Command::new(WORKER)
        .arg("stubborn")
        .env("PROMETHEUS_MULTIPROC_DIR", temporary.path())
        .spawn()
        .unwrap();
    wait::until_true("it is alive", || headcount.value("test_alive") == Some(1.0));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(headcount.value("test_alive"), None);
}

#[test]
fn marking_a_process_dead_removes_its_live_gauges_and_refuses_the_living() {
    let temporary = tempfile::tempdir().unwrap();
    let mut child = Command::new(WORKER)
        .arg("stubborn")
        .env("PROMETHEUS_MULTIPROC_DIR", temporary.path())
        .spawn()
        .unwrap();
    wait::until_true("it has its file", || own_files(temporary.path()).len() == 1);
    let pid = child.id().to_string();
    let mark = || {
        Command::new(binary::headcount()).args(["mark-dead", &pid]).arg(temporary.path()).output().unwrap()
    };
    let refused = mark();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("is alive: nothing was changed"));
    child.kill().unwrap();
    child.wait().unwrap();
    fs::write(temporary.path().join(format!("gauge_livesum_{pid}.db")), python_file(&[])).unwrap();
    fs::write(temporary.path().join(format!("counter_{pid}.db")), python_file(&[KEY])).unwrap();
    let marked = mark();
    assert_eq!(
        String::from_utf8(marked.stdout).unwrap(),
        format!("process {pid}: 2 files kept as a dead process's, 1 removed\n")
    );
    let mut left: Vec<_> =
        fs::read_dir(temporary.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [format!("counter_{pid}.dead-1.db").into(), std::ffi::OsString::from("dead-0.hc")]);
}

#[test]
fn inspecting_a_file_shows_every_entry() {
    let temporary = tempfile::tempdir().unwrap();
    add(temporary.path(), 5);
    let inspect = |path: &Path| {
        let output =
            Command::new(binary::headcount()).args(["inspect", "--json"]).arg(path).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (_, own) = inspect(&own_files(temporary.path())[0]);
    let entries: Vec<serde_json::Value> =
        own.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries[0][0], r#"["test_added","test_added_created",{},"Added."]"#);
    assert_eq!(entries[1][0], r#"["test_added","test_added_total",{},"Added."]"#);
    assert_eq!(entries[1][1], 5);
    assert_eq!(entries.len(), 3);
    // Any key at all, in a file of any name: what is stored is shown.
    let odd = temporary.path().join("tmpabc");
    fs::write(&odd, python_file(&["abc", KEY])).unwrap();
    let (_, peer) = inspect(&odd);
    assert_eq!(peer.lines().next(), Some(r#"["abc", 1.0, 0.0]"#));
    let second: serde_json::Value = serde_json::from_str(peer.lines().nth(1).unwrap()).unwrap();
    assert_eq!(second[0], KEY);
    let file = fs::OpenOptions::new().write(true).open(&odd).unwrap();
    file.write_all_at(b"somejunk", 8).unwrap();
    assert!(!inspect(&odd).0);
}
