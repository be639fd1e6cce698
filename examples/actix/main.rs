//! An actix-web server that runs in several processes behind one port.

use std::error::Error;
use std::net::TcpListener;

use actix_web::{App, HttpServer, web};
use headcount::worker::Worker;
use headcount_actix::HttpMetrics;
use tokio::net::UnixStream;

fn main() -> Result<(), Box<dyn Error>> {
    let mut worker = Worker::from_environment()?;
    let listener = match worker.take_tcp_listener("http") {
        Some(listener) => listener,
        None => TcpListener::bind("127.0.0.1:8000")?,
    };
    actix_web::rt::System::new().block_on(serve(&worker, listener))
}

async fn serve(worker: &Worker, listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let drain = UnixStream::from_std(worker.drain()?.into_stream()?)?;
    // Made once, before the applications, of which each thread makes its own.
    let metrics = HttpMetrics::new().expect("GET", "/hello/{name}", &[200]);
    let app = move || App::new().route("/hello/{name}", web::get().to(hello)).wrap(metrics);
    // One thread for each process: there are as many processes as processors. Signals are for the worker to hear.
    let server = HttpServer::new(app).workers(1).disable_signals().listen(listener)?.run();
    let handle = server.handle();
    actix_web::rt::spawn(async move {
        // An error here would mean that nobody can tell: then it is time, too.
        let _ = drain.readable().await;
        handle.stop(true).await;
    });
    worker.ready()?;
    Ok(server.await?)
}

async fn hello(name: web::Path<String>) -> String {
    format!("Hello, {name}.\n")
}
