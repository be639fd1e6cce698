//! The file that tells others the supervisor's PID.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::id;

use headcount_store::process::start_time;

/// Removed when it is dropped, unless somebody else's PID is in it by then.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
}

/// The PID cannot be written down.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// Another supervisor has done so, and runs.
    #[error("{} names process {holder}, which runs: stop it, or use another file", path.display())]
    Held {
        /// The file.
        path: PathBuf,
        /// Who runs.
        holder: u32,
    },
    /// The file has something else in it.
    #[error("{} exists and is no PID file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot write the PID file {}", path.display())]
    System {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl PidFile {
    /// Writes this process's PID to a file, all at once. One that a dead supervisor has left is replaced.
    ///
    /// # Errors
    ///
    /// When a supervisor runs whose PID is there, the file is something else, or the system refuses.
    pub fn create(path: &Path) -> Result<Self, PidFileError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let failed = |source| PidFileError::System { path: path.clone(), source };
        match read(&path).map_err(failed)? {
            Content::Nothing => {}
            Content::Pid(pid) if pid == id() || !is_supervisor(pid) => {}
            Content::Pid(holder) => return Err(PidFileError::Held { path, holder }),
            Content::Other => return Err(PidFileError::Foreign { path }),
        }
        let write = || {
            let folder = path.parent().unwrap_or(Path::new("/"));
            let mut file = tempfile::Builder::new()
                .prefix(".headcount-pid-")
                .permissions(Permissions::from_mode(0o644))
                .tempfile_in(folder)?;
            writeln!(file, "{}", id())?;
            file.persist(&path).map_err(|refused| refused.error)
        };
        write().map_err(failed)?;
        Ok(Self { path })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if read(&self.path).is_ok_and(|content| content == Content::Pid(id())) {
            // There is nobody left to tell.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[derive(Debug, PartialEq)]
enum Content {
    Nothing,
    Pid(u32),
    Other,
}

fn read(path: &Path) -> io::Result<Content> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() || found.len() > 32 => return Ok(Content::Other),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::Nothing),
        Err(error) => return Err(error),
    }
    let text = std::fs::read(path)?;
    let text = String::from_utf8_lossy(&text);
    Ok(match text.trim() {
        "" => Content::Nothing,
        text => text.parse().map_or(Content::Other, Content::Pid),
    })
}

/// Whether a process lives and runs the same program as this one, by the names that the system has for them.
fn is_supervisor(pid: u32) -> bool {
    let name = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    start_time(pid).is_some() && name(&pid.to_string()).is_some_and(|found| Some(found) == name("self"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_pid_and_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let file = PidFile::create(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", id()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        drop(file);
        assert!(!path.exists());
        // A successor has written its own: that one stays.
        let file = PidFile::create(&path).unwrap();
        std::fs::write(&path, "1\n").unwrap();
        drop(file);
        assert!(path.exists());
    }

    #[test]
    fn what_a_stranger_or_a_dead_process_has_left_is_replaced_and_anything_else_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        // The highest PID that there can be is one less; this process's own may have come again.
        for left in ["4194304\n", "", &id().to_string()] {
            std::fs::write(&path, left).unwrap();
            drop(PidFile::create(&path).unwrap());
        }
        for precious in ["precious", "-4", "12 34", &"1".repeat(40)] {
            std::fs::write(&path, precious).unwrap();
            assert!(matches!(PidFile::create(&path), Err(PidFileError::Foreign { .. })), "{precious}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), precious);
        }
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/nowhere", &path).unwrap();
        assert!(matches!(PidFile::create(&path), Err(PidFileError::Foreign { .. })));
    }
}
