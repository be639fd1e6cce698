//! The exporter: `headcount serve` in a process of its own, and clients that scrape it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use headcount_tests::supervisor::Headcount;

/// See the module.
pub(super) struct Exporter {
    process: Headcount,
    address: String,
}

/// A client that keeps its connection, as Prometheus does.
pub(super) struct Client {
    connection: BufReader<TcpStream>,
    body: Vec<u8>,
}

impl Exporter {
    pub(super) fn start(directory: &Path) -> Self {
        let arguments = ["serve", "--web.listen-address", "127.0.0.1:0", "--dir"].map(AsRef::as_ref);
        let process = Headcount::start(arguments.into_iter().chain([directory.as_os_str()]));
        let address = process.metrics();
        Self { process, address }
    }

    pub(super) fn client(&self) -> Client {
        let connection = TcpStream::connect(&self.address).unwrap();
        connection.set_nodelay(true).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Client { connection: BufReader::with_capacity(64 * 1024, connection), body: Vec::new() }
    }

    /// Resident memory in bytes.
    pub(super) fn memory(&self) -> u64 {
        super::memory::resident(self.process.pid())
    }
}

impl Client {
    /// Scrapes, and returns how long the compressed body is.
    pub(super) fn scrape(&mut self) -> usize {
        let request = b"GET /metrics HTTP/1.1\r\nHost: bench\r\nAccept-Encoding: gzip\r\n\r\n";
        self.connection.get_mut().write_all(request).unwrap();
        let mut len = 0;
        loop {
            let mut line = String::new();
            self.connection.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(("content-length", value)) = line.to_ascii_lowercase().trim().split_once(": ") {
                len = value.parse().unwrap();
            }
        }
        assert!(len > 0, "there is a body");
        self.body.resize(len, 0);
        self.connection.read_exact(&mut self.body).unwrap();
        len
    }
}
