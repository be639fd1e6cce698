//! Many files, which are watched: of those to which nothing happens nothing is asked, and whatever happens is seen at the
//! next merge.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use headcount::{GaugeMode, Registry};
use headcount_merge::{Buckets, Liveness, Merger};
use headcount_store::directory::Directory;

use crate::peer_file::file_bytes;

/// Set in the process that a test starts of itself: its directory.
const CHILD: &str = "HEADCOUNT_TEST_WATCHED";
/// More than as many as are asked one by one.
const FILES: u64 = 20;

fn text(merger: &mut Merger, directory: &Directory) -> String {
    String::from_utf8(merger.merge(directory).unwrap().to_text(Buckets::Cumulative)).unwrap()
}

/// A process's worth of metrics.
fn count(path: &Path) -> Registry {
    let registry = Registry::in_directory(path).unwrap();
    registry.counter("c", "").unwrap().add(1);
    registry.gauge("g", "", GaugeMode::LiveSum).unwrap().set(1.0);
    registry
}

/// The file of another process that lives for as long as what is returned is open.
fn add_file(path: &Path, of: &Path, number: u64) -> File {
    let name = path.join(format!("{}-{number:016x}.hc", number % 7));
    fs::copy(of, &name).unwrap();
    let file = File::options().read(true).write(true).open(&name).unwrap();
    file.lock().unwrap();
    file
}

/// Processes in a directory, and a merger that has looked at them for so long that it asks nothing any more.
struct Watched {
    temporary: tempfile::TempDir,
    directory: Directory,
    written: tempfile::TempDir,
    processes: Vec<Option<File>>,
    merger: Merger,
}

impl Watched {
    fn new() -> Self {
        let [temporary, written] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        count(written.path());
        let directory = Directory::open(temporary.path()).unwrap();
        let merger = Merger::new(Liveness::Auto).keeping_files_open();
        let mut watched = Self { temporary, directory, written, processes: Vec::new(), merger };
        (0..FILES).for_each(|number| watched.add(number));
        watched
    }

    fn add(&mut self, number: u64) {
        let of = fs::read_dir(self.written.path()).unwrap().next().unwrap().unwrap().path();
        self.processes.push(Some(add_file(self.temporary.path(), &of, number)));
    }

    /// A lock that is let go of without closing the file is what nothing tells: no process of ours does so.
    fn wait_until_nothing_is_asked(&mut self) {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let last = self.processes.last().unwrap().as_ref().unwrap();
            last.unlock().unwrap();
            let before = text(&mut self.merger, &self.directory);
            last.lock().unwrap();
            if before == text(&mut self.merger, &self.directory) {
                return;
            }
            assert!(Instant::now() < end, "everything is asked each time");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn check(&mut self, counted: u64, living: u64) {
        let found = text(&mut self.merger, &self.directory);
        assert_eq!(found, text(&mut Merger::new(Liveness::Auto), &self.directory));
        let samples: Vec<_> = found.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(samples, [format!("c_total {counted}"), format!("g {living}")]);
    }
}

#[test]
fn processes_that_end_count_no_more_at_the_next_merge_however_long_they_were_watched() {
    if let Some(path) = std::env::var_os(CHILD) {
        let _registry = count(Path::new(&path));
        std::io::stdout().write_all(b"counted\n").unwrap();
        return std::io::stdin().read_to_end(&mut Vec::new()).map(drop).unwrap();
    }
    let mut watched = Watched::new();
    let test = "watched::processes_that_end_count_no_more_at_the_next_merge_however_long_they_were_watched";
    let mut child = Command::new(std::env::current_exe().unwrap());
    let child = child.args(["--exact", test, "--nocapture"]).env(CHILD, watched.temporary.path());
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut printed = Vec::new();
    while !printed.ends_with(b"counted\n") {
        let mut byte = [0];
        child.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
        printed.extend(byte);
    }
    watched.check(FILES + 1, FILES + 1);
    watched.wait_until_nothing_is_asked();
    watched.check(FILES + 1, FILES + 1);
    watched.wait_until_nothing_is_asked();
    child.kill().unwrap();
    child.wait().unwrap();
    watched.check(FILES + 1, FILES);
    watched.wait_until_nothing_is_asked();
    // One whose PID comes again at once, in another file.
    watched.processes[0] = None;
    watched.add(7 * FILES);
    watched.check(FILES + 2, FILES);
    watched.wait_until_nothing_is_asked();
    watched.processes[1] = None;
    watched.check(FILES + 2, FILES - 1);
    // One of a peer's, whose file holds no lock.
    let peers = watched.temporary.path().join("gauge_livesum_7.db");
    fs::write(&peers, file_bytes([(r#"["g", "g", {}, ""]"#.to_owned(), 100.0, None)])).unwrap();
    let peer = File::options().append(true).open(&peers).unwrap();
    watched.check(FILES + 2, FILES - 1 + 100);
    watched.wait_until_nothing_is_asked();
    drop(peer);
    watched.check(FILES + 2, FILES - 1);
}

#[test]
fn files_that_become_shorter_or_longer_are_seen_to_at_the_next_merge_however_long_they_were_watched() {
    let mut watched = Watched::new();
    let registry = count(watched.temporary.path());
    watched.check(FILES + 1, FILES + 1);
    // What is cut off is a part of a page, a page that is looked at, and all.
    for (cut, len) in [|len| len - 1, |_| 4096, |_| 0].into_iter().enumerate() {
        watched.wait_until_nothing_is_asked();
        let file = watched.processes[cut].as_ref().unwrap();
        let len: fn(u64) -> u64 = len;
        file.set_len(len(file.metadata().unwrap().len())).unwrap();
        let left = FILES - cut as u64;
        watched.check(left, left);
        let skipped = watched.merger.merge(&watched.directory).unwrap().report().skipped.len();
        assert_eq!(skipped, cut + 1);
    }
    watched.wait_until_nothing_is_asked();
    let more = registry.counter_family("d", "x".repeat(20_000).as_str(), ["l"]).unwrap();
    (0..2000).for_each(|n| more.with([&n.to_string()]).add(n));
    let found = text(&mut watched.merger, &watched.directory);
    assert!(found.contains("d_total{l=\"1999\"} 1999\n"));
    assert_eq!(found, text(&mut Merger::default(), &watched.directory));
}
