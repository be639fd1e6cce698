//! Sockets that the service manager has bound and passed to the supervisor: `LISTEN_FDS` of its own environment.

use super::{BindError, Listener};
use crate::address::DEFAULT_NAME;
use crate::process::inherit;

/// Takes them, if there are any and they are meant for this process. To be called once, before this process
/// opens anything else.
///
/// They are the service manager's: their files are not removed at the end.
///
/// # Errors
///
/// When what was passed is not what the environment says, or does not listen.
pub fn take_passed() -> Result<Vec<Listener>, BindError> {
    let passed = sd_notify::listen_fds_with_names().map_err(BindError::Environment)?;
    let take = |(descriptor, name): (_, String)| {
        let name = name_of(name);
        let taken = inherit(descriptor).map_err(Into::into);
        let taken = taken.and_then(|socket| Listener::inherited(name.clone(), socket, false));
        taken.map_err(|source| BindError::Passed { name, source })
    };
    passed.map(take).collect()
}

/// A socket to which nobody has given a name is called `unknown`, or as its unit is.
fn name_of(given: String) -> String {
    let has_none = given.is_empty() || given == "unknown" || given.ends_with(".socket");
    if has_none { DEFAULT_NAME.to_owned() } else { given }
}
