use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use super::*;

fn bind_with(address: &str, options: &ListenOptions) -> Result<Listener, BindError> {
    Listener::bind(&address.parse().unwrap(), options)
}

fn bind(address: &str) -> Result<Listener, BindError> {
    bind_with(address, &ListenOptions::default())
}

#[test]
fn a_port_that_is_taken_is_named_with_its_holder() {
    let first = bind("127.0.0.1:0").unwrap();
    let taken = first.address.to_string();
    assert!(!taken.ends_with(":0"));
    let refused = bind(&taken).unwrap_err().to_string();
    assert!(refused.contains(&taken), "{refused}");
    assert!(refused.contains(&format!("PID {}", std::process::id())), "{refused}");
}

#[test]
fn a_port_that_becomes_free_is_waited_for() {
    let first = bind("127.0.0.1:0").unwrap();
    let taken = first.address.to_string();
    let options = ListenOptions { timeout: Duration::from_secs(30), ..ListenOptions::default() };
    let wanted = taken.parse().unwrap();
    let refused = Listener::bind_in_time(&wanted, &options, &mut |_| false);
    assert!(matches!(refused, Err(BindError::Interrupted { .. })));
    let mut first = Some(first);
    let second = Listener::bind_in_time(&wanted, &options, &mut |_| first.take().is_some()).unwrap();
    assert_eq!(second.address.to_string(), taken);
    let options = ListenOptions { timeout: Duration::ZERO, ..options };
    let refused = Listener::bind_in_time(&wanted, &options, &mut |_| panic!("it is not waited for"));
    assert!(matches!(refused, Err(BindError::Taken { .. })));
}

#[test]
fn a_unix_socket_is_taken_over_from_the_dead_only_and_removed_at_the_end() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("socket");
    let address = format!("unix:{}", path.display());
    let first = bind(&address).unwrap();
    let own = i32::try_from(std::process::id()).unwrap();
    match bind(&address) {
        Err(BindError::Taken { holder: Holder::Processes(found), .. }) => assert_eq!(found[0].0, own),
        other => panic!("{other:?}"),
    }
    std::mem::forget(first.duplicate().unwrap());
    drop(first);
    assert!(!path.exists());
    // A socket whose process is gone leaves its file.
    drop(UnixListener::bind(&path).unwrap());
    drop(bind(&address).unwrap());
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(bind(&address), Err(BindError::NoSocket { .. })));
}

#[test]
fn a_unix_socket_that_is_busy_or_of_another_kind_is_somebodys() {
    let temporary = tempfile::tempdir().unwrap();
    let busy = temporary.path().join("busy");
    let options = ListenOptions { backlog: 0, ..ListenOptions::default() };
    let address = format!("unix:{}", busy.display());
    let _listener = bind_with(&address, &options).unwrap();
    // It takes no more than this one, and does not answer.
    let _waiting = UnixStream::connect(&busy).unwrap();
    assert!(matches!(bind(&address), Err(BindError::Taken { holder: Holder::Unknown, .. })));
    let datagrams = temporary.path().join("datagrams");
    let _datagrams = UnixDatagram::bind(&datagrams).unwrap();
    let address = format!("unix:{}", datagrams.display());
    assert!(matches!(bind(&address), Err(BindError::Taken { .. })));
}

#[test]
fn a_file_that_another_process_has_put_there_is_not_removed() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("socket");
    let first = bind(&format!("unix:{}", path.display())).unwrap();
    std::fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    drop(first);
    assert!(UnixStream::connect(&path).is_ok());
}

#[test]
fn a_unix_socket_has_the_mode_that_was_asked_for() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("socket");
    let own = format!("{}:{}", nix::unistd::geteuid(), nix::unistd::getegid());
    let access = Access { mode: Some("0626".parse().unwrap()), owner: Some(own.parse().unwrap()) };
    let options = ListenOptions { access, ..ListenOptions::default() };
    let _listener = bind_with(&format!("unix:{}", path.display()), &options).unwrap();
    let found = std::fs::metadata(&path).unwrap();
    assert_eq!(found.permissions().mode() & 0o777, 0o626);
    assert_eq!(found.uid(), nix::unistd::geteuid().as_raw());
}

#[test]
fn an_abstract_name_is_one_listeners_and_free_afterwards() {
    let address = format!("unix:@headcount-test-{}", std::process::id());
    let first = bind(&address).unwrap();
    assert_eq!(first.address.to_string(), address);
    assert!(matches!(bind(&address), Err(BindError::Taken { holder: Holder::Processes(_), .. })));
    drop(first);
    drop(bind(&address).unwrap());
}

#[test]
fn a_socket_that_is_inherited_knows_its_address_and_leaves_a_file_that_is_not_its_own() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("socket");
    let bound = bind(&format!("unix:{}", path.display())).unwrap();
    let inherit = |owns| Listener::inherited("http".to_owned(), bound.duplicate().unwrap(), owns);
    let passed = inherit(false).unwrap();
    assert_eq!(passed.address, bound.address);
    drop(passed);
    assert!(path.exists());
    drop(inherit(true).unwrap());
    assert!(!path.exists());
    let connection = UnixStream::pair().unwrap().0.into();
    let refused = Listener::inherited("http".to_owned(), connection, false);
    assert!(matches!(refused, Err(InheritError::DoesNotListen)));
}
