//! Who may connect to a Unix socket: the mode and the owner of its file.

use std::fs::Permissions;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::Path;
use std::str::FromStr;

use nix::unistd::{Group, User};

/// The mode and the owner of a socket's file; what is not given is as for any new file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The permissions.
    pub mode: Option<Mode>,
    /// Whose it is.
    pub owner: Option<Owner>,
}

/// Permissions of a file, up to 0777.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(u32);

/// A user, a group, or both, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    user: Option<u32>,
    group: Option<u32>,
}

/// A mode or an owner that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// No octal number, or one beyond 0777.
    #[error("expected permissions such as 0660")]
    Mode,
    /// Neither user nor group.
    #[error("expected USER, USER:GROUP or :GROUP")]
    Owner,
    /// A name that the system does not know.
    #[error("there is no {what} `{name}`")]
    Unknown {
        /// User or group.
        what: &'static str,
        /// The name.
        name: String,
    },
}

impl Access {
    /// To be called before the socket is bound: from its first moment, its file lets in nobody else.
    pub(super) fn restrict(&self, socket: impl AsFd) -> io::Result<()> {
        let Some(Mode(mode)) = self.mode else { return Ok(()) };
        let mode = nix::sys::stat::Mode::from_bits_truncate(mode);
        nix::sys::stat::fchmod(socket, mode).map_err(io::Error::from)
    }

    /// To be called when it is bound. The owner comes first: before, the mode would let in somebody else.
    pub(super) fn grant(&self, path: &Path) -> io::Result<()> {
        if let Some(Owner { user, group }) = self.owner {
            lchown(path, user, group)?;
        }
        match self.mode {
            // The umask has taken something away.
            Some(Mode(mode)) => std::fs::set_permissions(path, Permissions::from_mode(mode)),
            None => Ok(()),
        }
    }
}

impl FromStr for Mode {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        let is_octal = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        let mode = u32::from_str_radix(text, 8).ok().filter(|&mode| is_octal && mode <= 0o777);
        mode.map(Self).ok_or(AccessError::Mode)
    }
}

impl FromStr for Owner {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        if user.is_empty() && group.is_empty() {
            return Err(AccessError::Owner);
        }
        let user_of = |name: &str| User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
        let group_of = |name: &str| Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw());
        Ok(Self { user: number("user", user, user_of)?, group: number("group", group, group_of)? })
    }
}

/// A name's number; a number is its own, and an empty name nobody's.
fn number(
    what: &'static str,
    name: &str,
    find: impl FnOnce(&str) -> Option<u32>,
) -> Result<Option<u32>, AccessError> {
    if name.is_empty() {
        return Ok(None);
    }
    let found = find(name).or_else(|| name.parse().ok());
    found.map(Some).ok_or_else(|| AccessError::Unknown { what, name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_octal() {
        assert_eq!("0660".parse(), Ok(Mode(0o660)));
        assert_eq!("777".parse(), Ok(Mode(0o777)));
        for bad in ["", "8", "0o660", "+7", "1777", "rw"] {
            assert_eq!(bad.parse::<Mode>(), Err(AccessError::Mode), "{bad}");
        }
    }

    #[test]
    fn an_owner_is_a_user_or_a_group_or_both() {
        let check = |text: &str, user, group| assert_eq!(text.parse(), Ok(Owner { user, group }));
        check("root", Some(0), None);
        check("root:root", Some(0), Some(0));
        check(":12345", None, Some(12345));
        check("12345:", Some(12345), None);
        assert_eq!(":".parse::<Owner>(), Err(AccessError::Owner));
        let unknown = "no-such-user".parse::<Owner>().unwrap_err();
        assert_eq!(unknown.to_string(), "there is no user `no-such-user`");
    }
}
