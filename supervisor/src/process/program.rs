//! A program, and becoming it.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, execve};

use super::descriptors::{AtExec, leave_open, pass_descriptors, redirect_output};
use super::signal::listen_to_broken_pipes;

/// A program with its arguments, found and ready to be executed.
#[derive(Debug)]
pub struct Program {
    path: CString,
    arguments: Vec<CString>,
}

/// A program cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// There is no such file, here or in `PATH`.
    #[error("cannot find the program `{}`", .0.display())]
    NotFound(PathBuf),
    /// The file cannot be executed.
    #[error("cannot execute {}", path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A zero byte in an argument.
    #[error("an argument has a zero byte in it")]
    ZeroByte,
}

impl Program {
    /// Finds a program, as a shell in `folder` would.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be executed.
    pub fn find(command: &[OsString], folder: &Path) -> Result<Self, ProgramError> {
        let name = command.first().ok_or_else(|| ProgramError::NotFound(PathBuf::new()))?;
        let path = find_in_path(name, folder)?;
        let to_c = |text: &OsStr| CString::new(text.as_bytes()).map_err(|_| ProgramError::ZeroByte);
        let arguments = command.iter().map(|argument| to_c(argument)).collect::<Result<_, _>>()?;
        Ok(Self { path: to_c(path.as_os_str())?, arguments })
    }

    /// This process's own program as it is now, with the same arguments.
    ///
    /// By the name under which it was started, so that a link leads to the newest one.
    ///
    /// # Errors
    ///
    /// When it is not there any more.
    pub fn own() -> Result<Self, ProgramError> {
        let arguments: Vec<OsString> = std::env::args_os().collect();
        Self::find(&arguments, Path::new(""))
    }

    /// Replaces this process by the program, with these variables, with `outputs` as its standard output and
    /// error instead of this process's, and with `sockets` as its descriptors from 3 on. Returns only if that
    /// fails.
    pub fn execute(
        &self,
        environment: &[(OsString, OsString)],
        outputs: Option<[BorrowedFd<'_>; 2]>,
        sockets: &[BorrowedFd<'_>],
    ) -> io::Error {
        let prepare = || {
            listen_to_broken_pipes()?;
            redirect_output(outputs)?;
            pass_descriptors(sockets)
        };
        prepare().err().unwrap_or_else(|| self.become_with(environment))
    }

    fn become_with(&self, environment: &[(OsString, OsString)]) -> io::Error {
        let variable = |(name, value): &(OsString, OsString)| {
            let mut variable = name.clone().into_vec();
            variable.push(b'=');
            variable.extend(value.as_bytes());
            CString::new(variable)
        };
        let Ok(environment) = environment.iter().map(variable).collect::<Result<Vec<_>, _>>() else {
            return io::ErrorKind::InvalidInput.into();
        };
        match execve::<CString, CString>(&self.path, &self.arguments, &environment) {
            Err(error) => error.into(),
            Ok(never) => match never {},
        }
    }

    /// Replaces this process by the program, which keeps the descriptors `kept` under their numbers. Returns
    /// only if that fails, and then nothing has changed.
    pub fn replace_this(&self, environment: &[(OsString, OsString)], kept: &[RawFd]) -> io::Error {
        let leave = |to| kept.iter().try_for_each(|&number| leave_open(number, to));
        let error = leave(AtExec::Open).err().unwrap_or_else(|| self.become_with(environment));
        // What cannot be marked again is passed on to workers, which exec closes it for all the same.
        let _ = leave(AtExec::Closed);
        error
    }

    /// The program's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(CStr::to_bytes(&self.path)))
    }
}

fn find_in_path(name: &OsStr, folder: &Path) -> Result<PathBuf, ProgramError> {
    if name.as_bytes().contains(&b'/') {
        let path = folder.join(name);
        if !path.exists() {
            return Err(ProgramError::NotFound(name.into()));
        }
        return match access(&path, AccessFlags::X_OK) {
            Ok(()) if path.is_dir() => {
                Err(ProgramError::NotExecutable { path, source: io::ErrorKind::IsADirectory.into() })
            }
            Ok(()) => Ok(path),
            Err(error) => Err(ProgramError::NotExecutable { path, source: error.into() }),
        };
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders)
        .map(|listed| folder.join(listed).join(name))
        .find(|candidate| candidate.is_file() && access(candidate, AccessFlags::X_OK).is_ok());
    found.ok_or_else(|| ProgramError::NotFound(name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_as_a_shell_would_find_it() {
        let from = |folder: &str, name: &str| Program::find(&[name.into()], Path::new(folder));
        let find = |name: &str| from("", name);
        assert_eq!(find("sh").unwrap().path().file_name().unwrap(), "sh");
        assert!(find("/bin/sh").is_ok());
        assert_eq!(from("/bin", "./sh").unwrap().path(), Path::new("/bin/./sh"));
        assert!(matches!(find("no-such-program"), Err(ProgramError::NotFound(_))));
        assert!(matches!(find("./no-such-program"), Err(ProgramError::NotFound(_))));
        assert!(matches!(find("/etc/passwd"), Err(ProgramError::NotExecutable { .. })));
        assert!(matches!(find("/etc"), Err(ProgramError::NotExecutable { .. })));
    }
}
