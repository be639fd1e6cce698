//! Who has an address that is taken, as far as it can be known.
//!
//! `/proc` shows the sockets of this network namespace, and whose descriptors they are if this process may look
//! at those: as root, or at the same user's.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt};

/// More than these are counted, not named.
const NAMED: usize = 3;
/// The state of a listening socket in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// Who holds an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Processes with the socket open: PID and command name.
    Processes(Vec<(i32, String)>),
    /// Somebody's socket whose processes cannot be seen; the user's number.
    User(u32),
    /// Nothing can be seen.
    Unknown,
}

impl Holder {
    /// Who listens on a TCP port.
    pub(super) fn of_tcp(address: SocketAddr) -> Self {
        let tables =
            ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
        let found = tables.iter().flat_map(|table| table.lines()).filter_map(parse);
        let mut found = found.filter(|listening| collide(listening.address, address));
        let Some(Listening { user, inode, .. }) = found.next() else { return Self::Unknown };
        match processes_with(&format!("socket:[{inode}]")) {
            processes if processes.is_empty() => Self::User(user),
            processes => Self::Processes(processes),
        }
    }

    /// Who has called listen on the Unix socket to which this one is connected.
    pub(super) fn of_peer(connected: impl AsFd) -> Self {
        let peer = getsockopt(&connected, sockopt::PeerCredentials).ok();
        match peer.map(|peer| (peer.pid(), peer.uid())) {
            Some((pid @ 1.., _)) => Self::Processes(vec![(pid, command(pid))]),
            // A process of another namespace has no number here.
            Some((_, user)) => Self::User(user),
            None => Self::Unknown,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processes(all) => {
                for (index, (pid, command)) in all.iter().take(NAMED).enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}PID {pid} ({command})")?;
                }
                match all.len().saturating_sub(NAMED) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
            Self::User(user) => write!(f, "a process of user {user} that cannot be seen from here"),
            Self::Unknown => f.write_str("a process that cannot be seen from here"),
        }
    }
}

/// A line of `/proc/net/tcp`.
struct Listening {
    address: SocketAddr,
    user: u32,
    inode: u64,
}

fn parse(line: &str) -> Option<Listening> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = fields.next()?;
    let state = fields.nth(1)?;
    let user = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    let (host, port) = local.split_once(':')?;
    let address = SocketAddr::new(parse_host(host)?, u16::from_str_radix(port, 16).ok()?);
    (state == LISTENING).then_some(Listening { address, user, inode })
}

/// An address is printed as numbers of four bytes each, in this machine's order.
fn parse_host(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => word(0).map(IpAddr::from),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            <[u8; 16]>::try_from(words.concat()).ok().map(IpAddr::from)
        }
        _ => None,
    }
}

/// Whether two sockets cannot listen side by side.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (is_any || one.ip() == other.ip())
}

/// All processes that have such a descriptor, and that this one may look at.
fn processes_with(descriptor: &str) -> Vec<(i32, String)> {
    let has_it = |pid: &i32| {
        let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        let mut links = descriptors.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
        links.any(|link| link.as_os_str() == descriptor)
    };
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut found: Vec<i32> = pids.filter(has_it).collect();
    found.sort_unstable();
    found.into_iter().map(|pid| (pid, command(pid))).collect()
}

fn command(pid: i32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_understood() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0";
        let found = parse(line).unwrap();
        assert_eq!(found.address.to_string(), "127.0.0.1:8080");
        assert_eq!((found.user, found.inode), (1000, 4711));
        assert!(parse(&line.replace(" 0A ", " 01 ")).is_none(), "a connection is no listener");
        let host = parse_host("00000000000000000000000001000000").unwrap();
        assert_eq!(host.to_string(), "::1");
        assert!(parse("  sl  local_address rem_address   st").is_none());
    }

    #[test]
    fn a_listener_of_this_process_is_found_under_its_address_and_under_any() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        for asked in [address, SocketAddr::new("::".parse().unwrap(), address.port())] {
            let Holder::Processes(found) = Holder::of_tcp(asked) else { panic!("nobody is found") };
            assert!(found.contains(&(own, command(own))), "{found:?}");
        }
        drop(listener);
        assert_eq!(Holder::of_tcp(address), Holder::Unknown);
    }

    #[test]
    fn many_holders_are_counted() {
        let some = (1..=5).map(|pid| (pid, "server".to_owned())).collect();
        let named = "PID 1 (server), PID 2 (server), PID 3 (server) and 2 more";
        assert_eq!(Holder::Processes(some).to_string(), named);
    }
}
