//! A port is served by one of several processes, and by another one when that is killed.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use headcount_http::SoleListener;

const ADDRESS: &str = "SOLE_LISTENER_ADDRESS";

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// What each process does: it answers all connections with its PID, when it is its turn.
#[test]
#[ignore = "it is run by the other test, in processes of its own"]
fn serve() {
    let address = std::env::var(ADDRESS).unwrap().parse().unwrap();
    let listener = block_on(SoleListener::new(address)).unwrap();
    listener.set_nonblocking(false).unwrap();
    for connection in listener.incoming() {
        connection.unwrap().write_all(std::process::id().to_string().as_bytes()).unwrap();
    }
}

/// A process, which is over with the test, however that ends.
struct Process(Child);

impl Process {
    fn start(address: SocketAddr) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "sole::serve", "--ignored"]).env(ADDRESS, address.to_string());
        Self(command.stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The PID of the process that serves.
fn who_serves(address: SocketAddr) -> u32 {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let mut answer = String::new();
        let asked = TcpStream::connect(address).and_then(|mut stream| stream.read_to_string(&mut answer));
        match (asked, answer.parse()) {
            (Ok(_), Ok(pid)) => return pid,
            (asked, _) => assert!(Instant::now() < deadline, "nobody serves: {asked:?}"),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn one_process_serves_and_another_one_when_it_is_killed() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut processes: Vec<Process> = (0..3).map(|_| Process::start(address)).collect();
    while !processes.is_empty() {
        let serving = who_serves(address);
        assert!((0..20).all(|_| who_serves(address) == serving), "more than one serves");
        let at = processes.iter().position(|process| process.0.id() == serving);
        // By SIGKILL, and it is waited for.
        drop(processes.swap_remove(at.unwrap()));
    }
}

#[test]
fn what_can_never_be_bound_is_an_error() {
    // Of a network for documents: no machine has it.
    let address = ([192, 0, 2, 1], 9).into();
    assert!(block_on(SoleListener::new(address)).is_err());
}
