//! Whether anything has happened to the files of a directory that neither its names tell nor what is in the files: that
//! somebody who could write to one has closed it, which may have ended a lock, or that one has become longer or shorter.
//!
//! To ask that of each file costs two calls a file. The kernel tells it of all files in one call, to whoever watches the
//! directory (`inotify`), and no process can go by without being seen: a file is closed when the last process is gone that
//! had it open or mapped, by whatever signal and in whatever namespace, and when it becomes another program. What is
//! written through a mapping is not told, and costs its writer nothing.
//!
//! What has happened is a reason to ask, and no more. It is told just before the lock is gone, so whoever asks at once may
//! still find it: for a while everything is to be asked each time.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::Directory;

/// A directory that is watched.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
    /// The process that watches: a forked child would take from its parent what both are to be told.
    process: u32,
    /// When it was last told that something has happened, or began.
    told: Instant,
}

/// Between telling of a close and the end of the lock the kernel does nothing that waits.
const DOUBT: Duration = Duration::from_secs(1);

impl Watch {
    /// Watches a directory from now on.
    ///
    /// # Errors
    ///
    /// When this kernel [does not see](Directory::is_local) all that happens there, or has nothing left to watch with: a
    /// user has few (`fs.inotify.max_user_instances`).
    pub fn new(directory: &Directory) -> io::Result<Self> {
        if !directory.is_local() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let watch = Self { inotify, process: std::process::id(), told: Instant::now() };
        watch.add(directory)?;
        Ok(watch)
    }

    /// Whether nothing has happened to the files since before this was last asked, nor just then. Otherwise, what is asked
    /// of them now is not known to stay so.
    ///
    /// # Errors
    ///
    /// When the directory is not watched any more.
    pub fn is_quiet(&mut self, directory: &Directory) -> io::Result<bool> {
        if self.process != std::process::id() {
            *self = Self::new(directory)?;
        }
        match self.inotify.read_events() {
            Err(Errno::EAGAIN) => Ok(self.told.elapsed() > DOUBT),
            Err(error) => Err(error.into()),
            Ok(_) => {
                // Before anything is asked of the files.
                self.add(directory)?;
                self.told = Instant::now();
                Ok(false)
            }
        }
    }

    /// Asks to be told the next time, and once, however much happens until somebody listens.
    fn add(&self, directory: &Directory) -> nix::Result<()> {
        // Through the descriptor: the path may lead elsewhere by now.
        let path = format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd());
        let what = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MODIFY;
        self.inotify.add_watch(path.as_str(), what | AddWatchFlags::IN_ONESHOT)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::{Read as _, Write as _};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    use memmap2::MmapRaw;

    use super::*;

    /// A directory in which something is about to happen.
    struct Case<'a> {
        what: &'a str,
        temporary: tempfile::TempDir,
        directory: Directory,
        watch: Watch,
        happen: Box<dyn FnOnce() + 'a>,
    }

    impl<'a> Case<'a> {
        fn new<H: FnOnce() + 'a>(what: &'a str, prepare: impl FnOnce(&Path) -> H) -> Self {
            let temporary = tempfile::tempdir().unwrap();
            let path = temporary.path().join("file");
            fs::write(&path, [7; 4096]).unwrap();
            let happen = Box::new(prepare(&path));
            let directory = Directory::open(temporary.path()).unwrap();
            let watch = Watch::new(&directory).unwrap();
            Self { what, temporary, directory, watch, happen }
        }

        fn wait_until_quiet(&mut self) {
            let end = Instant::now() + Duration::from_secs(60);
            while !self.watch.is_quiet(&self.directory).unwrap() {
                assert!(Instant::now() < end, "{}", self.what);
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    fn open(path: &Path) -> File {
        File::options().read(true).write(true).open(path).unwrap()
    }

    /// A process that has a file open until it is told to become another program.
    fn start(path: &Path) -> Child {
        let script = r#"exec 3<>"$0"; echo; read _; exec 3>&- sleep 600"#;
        let mut command = Command::new("sh");
        let command = command.args(["-c", script]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        child
    }

    fn end(mut child: Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn whatever_may_end_a_lock_or_change_a_length_is_told_and_nothing_else_is() {
        let executed = std::cell::RefCell::new(None);
        let mut cases = [
            Case::new("a process dies", |path| {
                let child = start(path);
                || end(child)
            }),
            Case::new("a process becomes another program", |path| {
                let mut child = start(path);
                let executed = &executed;
                move || {
                    child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
                    executed.replace(Some(child));
                }
            }),
            Case::new("a file is unmapped that was closed before", |path| {
                let mapped = MmapRaw::map_raw(&open(path)).unwrap();
                || drop(mapped)
            }),
            Case::new("a file is closed that has another name by now", |path| {
                let file = open(path);
                fs::rename(path, path.with_file_name("renamed")).unwrap();
                || drop(file)
            }),
            Case::new("a file is closed that has no name any more", |path| {
                let file = open(path);
                fs::remove_file(path).unwrap();
                || drop(file)
            }),
            Case::new("a file is truncated", |path| {
                let file = Box::leak(Box::new(open(path)));
                || file.set_len(4095).unwrap()
            }),
            Case::new("a file grows", |path| {
                let file = Box::leak(Box::new(open(path)));
                || fs2::FileExt::allocate(file, 8192).unwrap()
            }),
        ];
        let mut counts = Case::new("somebody counts, and somebody reads", |path| {
            // For as long as the process lives.
            let mapped = Box::leak(Box::new(MmapRaw::map_raw(&open(path)).unwrap()));
            let path = path.to_owned();
            move || {
                mapped.flush().unwrap();
                fs::read(path).unwrap();
            }
        });
        cases.iter_mut().chain([&mut counts]).for_each(Case::wait_until_quiet);
        (counts.happen)();
        assert!(counts.watch.is_quiet(&counts.directory).unwrap());
        for Case { what, temporary, directory, mut watch, happen } in cases {
            happen();
            // What another process does may take it a while.
            let end = Instant::now() + Duration::from_secs(60);
            while watch.is_quiet(&directory).unwrap() {
                assert!(Instant::now() < end, "{what}");
                std::thread::yield_now();
            }
            assert!(!watch.is_quiet(&directory).unwrap(), "{what}: the lock may be there for a moment");
            // It is told again.
            fs::write(temporary.path().join("another"), "").unwrap();
            assert!(!watch.inotify.read_events().unwrap().is_empty(), "{what}");
        }
        executed.take().into_iter().for_each(end);
    }

    #[test]
    fn a_forked_child_takes_nothing_from_its_parent() {
        let mut case = Case::new("a fork", |_| || {});
        case.watch.process = 0;
        let (before, own) = (case.watch.inotify.as_fd().as_raw_fd(), std::process::id());
        assert!(!case.watch.is_quiet(&case.directory).unwrap());
        assert_eq!(case.watch.process, own);
        assert_ne!(case.watch.inotify.as_fd().as_raw_fd(), before);
    }

    #[test]
    fn where_others_may_write_unseen_nothing_is_watched() {
        assert!(Watch::new(&Directory::open(Path::new("/proc/self")).unwrap()).is_err());
    }
}
