//! A gRPC service of tonic's, in several processes behind one port. Its messages are written by hand, so that no
//! compiler of `.proto` files is needed; what tonic generates fits the middleware as well.
//!
//! `grpc client ADDRESS NAME` calls it.

use std::error::Error;
use std::net::TcpListener;

use axum::Router;
use axum::extract::Request;
use axum::routing::post;
use headcount::worker::Worker;
use headcount_tower::{HttpMetrics, Metric, Options};
use hyper::client::conn::http2 as client;
use hyper::http::uri::{PathAndQuery, Uri};
use hyper::server::conn::http2 as server;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpStream, UnixStream};
use tonic::{Response, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

/// A name.
#[derive(Clone, PartialEq, prost::Message)]
struct Question {
    #[prost(string, tag = "1")]
    name: String,
}

/// A greeting.
#[derive(Clone, PartialEq, prost::Message)]
struct Answer {
    #[prost(string, tag = "1")]
    text: String,
}

const GREET: &str = "/greet.Greeter/Greet";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    if let [command, address, name] = &*arguments
        && command == "client"
    {
        return runtime.block_on(call(address, name));
    }
    let mut worker = Worker::from_environment()?;
    let listener = match worker.take_tcp_listener("http") {
        Some(listener) => listener,
        None => TcpListener::bind("127.0.0.1:8000")?,
    };
    runtime.block_on(serve(&worker, listener))
}

async fn serve(worker: &Worker, listener: TcpListener) -> Result<(), Box<dyn Error>> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let drain = UnixStream::from_std(worker.drain()?.into_stream()?)?;
    let metrics = HttpMetrics::builder(Options::new().with(Metric::GrpcResponses)).build()?;
    let app = metrics.around(Router::new().route(GREET, post(answer)));
    let graceful = GracefulShutdown::new();
    worker.ready()?;
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = drain.readable() => break,
        };
        let service = TowerToHyperService::new(app.clone());
        let connection = server::Builder::new(TokioExecutor::new());
        let connection = graceful.watch(connection.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // A client that goes away early is the client's affair; it has been counted.
            let _ = connection.await;
        });
    }
    graceful.shutdown().await;
    Ok(())
}

async fn answer(request: Request) -> hyper::Response<tonic::body::Body> {
    tonic::server::Grpc::new(ProstCodec::default()).unary(service_fn(greet), request).await
}

async fn greet(request: tonic::Request<Question>) -> Result<Response<Answer>, Status> {
    match request.into_inner().name.as_str() {
        "" => Err(Status::invalid_argument("nobody is to be greeted")),
        name => Ok(Response::new(Answer { text: format!("Hello, {name}.") })),
    }
}

#[expect(clippy::print_stdout, reason = "the answer is what it is for")]
async fn call(address: &str, name: &str) -> Result<(), Box<dyn Error>> {
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (sender, connection) = client::handshake(TokioExecutor::new(), stream).await?;
    tokio::spawn(connection);
    let service = service_fn(move |request| sender.clone().send_request(request));
    let origin = Uri::builder().scheme("http").authority(address).path_and_query("/").build()?;
    let mut grpc = tonic::client::Grpc::with_origin(service, origin);
    grpc.ready().await?;
    let question = tonic::Request::new(Question { name: name.to_owned() });
    let codec: ProstCodec<Question, Answer> = ProstCodec::default();
    match grpc.unary(question, PathAndQuery::from_static(GREET), codec).await {
        Ok(answer) => println!("{}", answer.into_inner().text),
        Err(status) => println!("{:?}: {}", status.code(), status.message()),
    }
    Ok(())
}
