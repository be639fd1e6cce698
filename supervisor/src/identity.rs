//! As whom workers and the exporter run.
//!
//! Found once, before anything is forked: a child looks nothing up.

use std::ffi::CString;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User, chown, fchown, getegid, geteuid, getgrouplist};

/// The bits of a directory's mode for whoever may create files in it.
const WRITE_AND_ENTER: u32 = 0o3;

/// A user with all groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user: Uid,
    /// The user's first group.
    pub group: Gid,
    /// All groups.
    pub groups: Vec<Gid>,
}

/// There is no such user, or this process cannot become it.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No user has this name.
    #[error("there is no user `{0}`")]
    NoUser(String),
    /// No group has this name.
    #[error("there is no group `{0}`")]
    NoGroup(String),
    /// Nothing says which group the user is in.
    #[error("user {0} is in no user database, so a group must be given")]
    NoGroupOfUser(Uid),
    /// Only root may become somebody else.
    #[error("only root can run workers as another user or group")]
    NotPermitted,
    /// The databases of users and groups cannot be read.
    #[error("cannot look up users and groups")]
    System(#[from] io::Error),
}

impl Identity {
    /// Finds a user and a group by name or number; `None` if this process is that already, or neither is given.
    ///
    /// A user has the groups that the system gives it, and without `group` the first of these; a group alone,
    /// or a number that is no known user's, has only that group.
    ///
    /// # Errors
    ///
    /// When there is none, or this process cannot become it.
    pub fn find(user: Option<&str>, group: Option<&str>) -> Result<Option<Self>, IdentityError> {
        let group = group.map(find_group).transpose()?;
        let found = match (user.map(find_user).transpose()?, group) {
            (None, None) => return Ok(None),
            (None, Some(group)) => Self { user: geteuid(), group, groups: vec![group] },
            (Some(Found::Known(user)), group) => {
                let group = group.unwrap_or(user.gid);
                let name = CString::new(user.name).map_err(io::Error::from)?;
                let groups = getgrouplist(&name, group).map_err(io::Error::from)?;
                Self { user: user.uid, group, groups }
            }
            (Some(Found::Number(user)), Some(group)) => Self { user, group, groups: vec![group] },
            (Some(Found::Number(user)), None) => return Err(IdentityError::NoGroupOfUser(user)),
        };
        if geteuid().is_root() {
            Ok(Some(found))
        } else if (found.user, found.group) == (geteuid(), getegid()) {
            Ok(None)
        } else {
            Err(IdentityError::NotPermitted)
        }
    }

    /// Gives a directory to this user, unless the user can create files in it already.
    ///
    /// # Errors
    ///
    /// When it belongs to a third user, or the system refuses.
    pub fn hand_over(&self, directory: impl AsFd) -> io::Result<()> {
        let directory = File::from(directory.as_fd().try_clone_to_owned()?);
        let found = directory.metadata()?;
        if self.can_create_in(&found) {
            return Ok(());
        }
        if found.uid() != geteuid().as_raw() {
            let refusal = format!("it is user {}'s, and user {} may not write there", found.uid(), self.user);
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, refusal));
        }
        Ok(fchown(&directory, Some(self.user), Some(self.group))?)
    }

    /// Gives this user a socket's file, which nobody else can have replaced.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn hand_over_socket(&self, path: &Path) -> io::Result<()> {
        Ok(chown(path, Some(self.user), Some(self.group))?)
    }

    fn can_create_in(&self, directory: &Metadata) -> bool {
        let shift = match directory {
            _ if self.user.is_root() => return true,
            _ if directory.uid() == self.user.as_raw() => 6,
            _ if self.groups.iter().any(|group| group.as_raw() == directory.gid()) => 3,
            _ => 0,
        };
        (directory.mode() >> shift) & WRITE_AND_ENTER == WRITE_AND_ENTER
    }
}

enum Found {
    Known(User),
    Number(Uid),
}

fn find_user(text: &str) -> Result<Found, IdentityError> {
    let by_name = User::from_name(text).map_err(io::Error::from)?;
    match (by_name, text.parse().map(Uid::from_raw)) {
        (Some(user), _) => Ok(Found::Known(user)),
        (None, Ok(number)) => {
            let known = User::from_uid(number).map_err(io::Error::from)?;
            Ok(known.map_or(Found::Number(number), Found::Known))
        }
        (None, Err(_)) => Err(IdentityError::NoUser(text.to_owned())),
    }
}

fn find_group(text: &str) -> Result<Gid, IdentityError> {
    let by_name = Group::from_name(text).map_err(io::Error::from)?;
    let number = || text.parse().ok().map(Gid::from_raw);
    by_name.map(|group| group.gid).or_else(number).ok_or_else(|| IdentityError::NoGroup(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn who_is_unknown_is_named() {
        let refusal = |user, group| Identity::find(user, group).unwrap_err().to_string();
        assert_eq!(refusal(Some("no-such-user"), None), "there is no user `no-such-user`");
        assert_eq!(refusal(None, Some("no-such-group")), "there is no group `no-such-group`");
        assert!(refusal(Some("3999999999"), None).contains("a group must be given"));
        assert_eq!(Identity::find(None, None).unwrap(), None);
    }

    #[test]
    fn a_user_has_the_systems_groups_and_a_number_only_the_group_given() {
        let root = User::from_uid(Uid::from_raw(0)).unwrap().unwrap();
        let find = |user, group| Identity::find(Some(user), group);
        if !geteuid().is_root() {
            assert!(matches!(find("0", None), Err(IdentityError::NotPermitted)));
            return;
        }
        let by_name = find(&root.name, None).unwrap().unwrap();
        assert_eq!(by_name, find("0", None).unwrap().unwrap());
        assert!(by_name.group == root.gid && by_name.groups.contains(&root.gid));
        let stranger = find("3999999999", Some("3999999998")).unwrap().unwrap();
        assert_eq!(stranger.groups, [Gid::from_raw(3_999_999_998)]);
        let other_group = find("0", Some("3999999998")).unwrap().unwrap();
        assert!(other_group.groups.contains(&other_group.group));
    }

    #[test]
    fn who_can_create_files_in_a_directory_is_told_by_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let owner = folder.path().metadata().unwrap();
        let check = |mode, user: u32, group: u32, expected| {
            std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(mode)).unwrap();
            let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
            let identity = Identity { user, group, groups: vec![group] };
            let found = identity.can_create_in(&folder.path().metadata().unwrap());
            assert_eq!(found, expected, "{mode:o} {user} {group}");
        };
        let stranger = 3_999_999_999;
        check(0o700, stranger, stranger, false);
        check(0o770, stranger, owner.gid(), true);
        check(0o750, stranger, owner.gid(), false);
        check(0o1777, stranger, stranger, true);
        check(0o700, 0, 0, true);
        // The first that fits counts, as for the system.
        if owner.uid() != 0 {
            check(0o577, owner.uid(), owner.gid(), false);
        }
        check(0o700, owner.uid(), owner.gid(), true);
    }
}
