//! Listening sockets: bound once by the master, and open as long as it lives.
//!
//! `tcp` and `unix` bind, `access` says who may connect, `holder` who has an address that is taken,
//! `activated` takes what the service manager has passed, `handed` what the supervisor before this one has left. `lanes` binds a port once for each lane, and `steering`
//! tells the kernel which of them are served. [`Sockets`] are all of a run.

mod access;
mod activated;
mod handed;
mod holder;
mod lanes;
mod run;
mod steering;
mod tcp;
mod unix;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt};
use socket2::{SockAddr, Socket};

pub use access::{Access, AccessError, Mode, Owner};
pub use activated::take_passed;
pub(crate) use handed::SocketsState;
pub use holder::Holder;
pub use lanes::LaneSockets;
pub use run::{MetricsSockets, Sockets, WorkerSocket, WorkerSockets};

use crate::address::{Address, NamedAddress};
use unix::SocketFile;

/// Between two tries to bind.
const PAUSE: Duration = Duration::from_millis(50);

/// How sockets are bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// How many connections may wait to be accepted; the system has a limit of its own (`somaxconn`).
    pub backlog: u32,
    /// How long an address that is taken is waited for.
    pub timeout: Duration,
    /// Whether a TCP port of the workers is bound once for each lane.
    pub reuse_port: bool,
    /// Who may connect to Unix sockets.
    pub access: Access,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self { backlog: 2048, timeout: Duration::ZERO, reuse_port: false, access: Access::default() }
    }
}

impl ListenOptions {
    /// Whether each lane has a socket of its own at this address.
    fn is_laned(&self, address: &Address) -> bool {
        self.reuse_port && matches!(address, Address::Tcp(_))
    }

    /// The same for a socket that all have.
    fn shared(&self) -> Self {
        Self { reuse_port: false, ..*self }
    }
}

/// A listening socket. A Unix socket's file is removed when its owner drops it.
#[derive(Debug)]
pub struct Listener {
    /// The name under which workers find it.
    pub name: String,
    /// Where it listens: with the port that the system chose, if it was 0.
    pub address: Address,
    /// What was asked for; `None` if it was passed to this process.
    wanted: Option<NamedAddress>,
    socket: Socket,
    file: Option<SocketFile>,
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The system refused.
    #[error("cannot listen on {address}")]
    System {
        /// The address.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody serves there.
    #[error("cannot listen on {address}: it is taken by {holder}")]
    Taken {
        /// The address.
        address: Address,
        /// Who does, as far as can be seen.
        holder: Holder,
    },
    /// The wait for it was cut short.
    #[error("told to stop while waiting for {address}")]
    Interrupted {
        /// The address.
        address: Address,
    },
    /// The path is a file of another kind.
    #[error("cannot listen on {address}: there is a file of that name which is no socket")]
    NoSocket {
        /// The address.
        address: Address,
    },
    /// What the service manager says that it has passed cannot be.
    #[error("cannot take the sockets of LISTEN_FDS")]
    Environment(#[source] io::Error),
    /// What the service manager has passed is of no use.
    #[error("cannot take the socket `{name}` of LISTEN_FDS")]
    Passed {
        /// Its name.
        name: String,
        /// What is wrong.
        source: InheritError,
    },
    /// What the service manager has passed is not for metrics.
    #[error(
        "no socket for metrics was passed: --web.systemd-socket takes those of LISTEN_FDS, and `run` those of them \
         that LISTEN_FDNAMES calls `metrics`"
    )]
    NonePassed,
    /// What another supervisor has left is of no use.
    #[error("cannot take over the socket `{name}` of the supervisor before this one")]
    Left {
        /// Its name.
        name: String,
        /// What is wrong.
        source: InheritError,
    },
}

/// A socket of another process cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// It cannot be asked, or is no socket.
    #[error(transparent)]
    System(#[from] io::Error),
    /// It is a connection, or takes datagrams.
    #[error("it does not listen")]
    DoesNotListen,
    /// It is neither TCP nor Unix.
    #[error("its address is of no known kind")]
    Address,
}

/// Why an address could not be had, before it is known whose fault that is.
enum Refusal {
    /// It is taken: by whom, if that is known already.
    InUse(Option<Holder>),
    NoSocket,
    System(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::InUse(None),
            _ => Self::System(error),
        }
    }
}

impl Listener {
    /// Binds and listens. The socket does not survive an exec unless it is passed on.
    ///
    /// # Errors
    ///
    /// When the address is taken, or the system refuses.
    pub fn bind(wanted: &NamedAddress, options: &ListenOptions) -> Result<Self, BindError> {
        Self::try_bind(wanted, options).map_err(|refusal| refusal.of(&wanted.address))
    }

    /// Binds and listens. An address that is taken is tried again until the time is over, or `pause` says that it
    /// is: whoever was killed there a moment ago may have workers that still finish.
    ///
    /// # Errors
    ///
    /// When the address stays taken, or the system refuses.
    pub fn bind_in_time(
        wanted: &NamedAddress,
        options: &ListenOptions,
        pause: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Self, BindError> {
        let deadline = Instant::now() + options.timeout;
        let mut is_told = false;
        loop {
            let holder = match Self::try_bind(wanted, options) {
                Ok(listener) => return Ok(listener),
                Err(Refusal::InUse(holder)) => holder,
                Err(refusal) => return Err(refusal.of(&wanted.address)),
            };
            let taken = || Refusal::InUse(holder).of(&wanted.address);
            if Instant::now() >= deadline {
                return Err(taken());
            }
            if !is_told {
                tracing::warn!("{}; trying again for {:?}", taken(), options.timeout);
                is_told = true;
            }
            if !pause(PAUSE) {
                return Err(BindError::Interrupted { address: wanted.address.clone() });
            }
        }
    }

    fn try_bind(wanted: &NamedAddress, options: &ListenOptions) -> Result<Self, Refusal> {
        let (socket, file) = match &wanted.address {
            Address::Tcp(address) => (tcp::bind(*address)?, None),
            Address::Unix(path) => unix::bind(path, options).map(|(socket, file)| (socket, Some(file)))?,
            Address::Abstract(name) => (unix::bind_abstract(name)?, None),
        };
        // From here on the file goes with it.
        let name = wanted.name.clone();
        let address = wanted.address.clone();
        let mut listener = Self { name, address, wanted: Some(wanted.clone()), socket, file };
        if options.is_laned(&wanted.address) {
            // Only now: to bind it was to be sure that nobody else has it.
            listener.socket.set_reuse_port(true)?;
        }
        listener.socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
        if let Some(bound) = listener.socket.local_addr().ok().and_then(|bound| bound.as_socket()) {
            listener.address = Address::Tcp(bound);
        }
        Ok(listener)
    }

    /// Takes over a socket that listens already, from whoever has passed it to this process. Its address is
    /// asked of the system.
    ///
    /// With `owns_file`, a Unix socket's file is removed at the end as if it had been bound here.
    ///
    /// # Errors
    ///
    /// When it is no socket that listens.
    pub fn inherited(name: String, socket: OwnedFd, owns_file: bool) -> Result<Self, InheritError> {
        if !getsockopt(&socket, sockopt::AcceptConn).map_err(io::Error::from)? {
            return Err(InheritError::DoesNotListen);
        }
        let socket = Socket::from(socket);
        let address = address_of(&socket.local_addr()?).ok_or(InheritError::Address)?;
        let file = match &address {
            Address::Unix(path) if owns_file => Some(SocketFile::of(path)?),
            _ => None,
        };
        Ok(Self { name, address, wanted: None, socket, file })
    }

    /// Gives the socket away; a Unix socket's file stays with whoever has the original.
    ///
    /// # Errors
    ///
    /// When the process has too many descriptors.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone().map(OwnedFd::from)
    }

    /// Whether a file is removed when this is dropped.
    #[must_use]
    pub fn owns_file(&self) -> bool {
        self.file.is_some()
    }
}

impl Refusal {
    fn of(self, address: &Address) -> BindError {
        let address = address.clone();
        match (self, &address) {
            (Self::InUse(None), Address::Tcp(tcp)) => {
                let holder = Holder::of_tcp(*tcp);
                BindError::Taken { address, holder }
            }
            (Self::InUse(holder), _) => {
                BindError::Taken { address, holder: holder.unwrap_or(Holder::Unknown) }
            }
            (Self::NoSocket, _) => BindError::NoSocket { address },
            (Self::System(source), _) => BindError::System { address, source },
        }
    }
}

fn address_of(bound: &SockAddr) -> Option<Address> {
    let tcp = bound.as_socket().map(Address::Tcp);
    let file = || bound.as_pathname().map(|path| Address::Unix(path.to_owned()));
    let name = || {
        let name = bound.as_abstract_namespace()?;
        Some(Address::Abstract(String::from_utf8_lossy(name).into_owned()))
    };
    tcp.or_else(file).or_else(name)
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            file.remove();
        }
    }
}

#[cfg(test)]
mod tests;
