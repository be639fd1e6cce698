//! A little traffic, so that there is something to see.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The routes in turn; the slot decides where a worker begins.
const ROUTES: [&str; 8] = ["/", "/", "/slow", "/", "/missing", "/", "/slow", "/broken"];
const PAUSE: Duration = Duration::from_millis(50);

/// Asks for something twenty times a second, as long as this process lives.
pub(super) async fn send(target: SocketAddr, slot: u32) {
    let mut turn = slot as usize;
    loop {
        // An answer that does not come is part of the picture.
        let _ = ask(target, ROUTES[turn % ROUTES.len()]).await;
        turn += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn ask(target: SocketAddr, route: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(target).await?;
    let request = format!("GET {route} HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.read_to_end(&mut Vec::new()).await?;
    Ok(())
}
