//! A streaming endpoint of a language model: tokens are counted as they come, and a reader who leaves is seen.
//!
//! The model is one that knows a single answer.

use std::convert::Infallible;
use std::error::Error;
use std::net::TcpListener;
use std::time::Duration;

use axum::Router;
use axum::response::sse::{Event, Sse};
use axum::routing::post;
use futures_util::stream::{self, Stream, StreamExt};
use headcount::worker::Worker;
use headcount_tower::{HttpMetrics, Metric, Options, TokenUsage, track_tokens};
use tokio::net::UnixStream;

const MODEL: &str = "parrot-1";
const ANSWER: &str = "That is a very good question and I am glad that you have asked it";
/// How long the model thinks about a word.
const THOUGHT: Duration = Duration::from_millis(20);

fn main() -> Result<(), Box<dyn Error>> {
    let mut worker = Worker::from_environment()?;
    let listener = match worker.take_tcp_listener("http") {
        Some(listener) => listener,
        None => TcpListener::bind("127.0.0.1:8000")?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(serve(&worker, listener))
}

async fn serve(worker: &Worker, listener: TcpListener) -> Result<(), Box<dyn Error>> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let drain = UnixStream::from_std(worker.drain()?.into_stream()?)?;
    let options = Options::new().with_streams().with(Metric::Tokens);
    let app = HttpMetrics::builder(options).build()?.around(Router::new().route("/chat", post(chat)));
    worker.ready()?;
    axum::serve(listener, app).with_graceful_shutdown(async move { drop(drain.readable().await) }).await?;
    Ok(())
}

async fn chat(question: String) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    track_tokens(&TokenUsage::new(MODEL, question.split_whitespace().map(|_| 1).sum(), 0));
    Sse::new(stream::iter(ANSWER.split(' ')).then(async |word| {
        tokio::time::sleep(THOUGHT).await;
        // While the answer is being sent, it still belongs to the request.
        track_tokens(&TokenUsage::new(MODEL, 0, 1));
        Ok(Event::default().data(word))
    }))
}
