//! A web server on loopback inside this process: the crawl gets its pictures from a real host, and no network is used.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use tokio::sync::oneshot;

use super::data::Data;
use crate::{Error, Result};

type Files = Arc<HashMap<String, Bytes>>;

/// The running server; dropping it ends it.
pub(super) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves the pictures under `/NAME` on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// The system gives no port or no thread.
    pub(super) fn start(data: &Data) -> Result<Self> {
        let file = |(name, bytes): (&String, &Bytes)| (format!("/{name}"), bytes.clone());
        let files: Files = Arc::new(data.pictures.iter().map(file).collect());
        let failed = || Error::io("127.0.0.1:0");
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(failed())?;
        listener.set_nonblocking(true).map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed())?;
        let work = move || runtime.block_on(serve(listener, files, stopped));
        let thread = std::thread::Builder::new().name("demo-server".into()).spawn(work).map_err(failed())?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A server that has ended by itself hears nothing.
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn serve(listener: std::net::TcpListener, files: Files, stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let app = Router::new().fallback(picture).with_state(files);
    // Not a graceful shutdown: kept-alive connections of the crawler would hold it up.
    tokio::select! {
        _ = async { axum::serve(listener, app).await } => {}
        _ = stopped => {}
    }
}

async fn picture(State(files): State<Files>, uri: Uri) -> Response {
    match files.get(uri.path()) {
        Some(bytes) => ([(CONTENT_TYPE, "image/png")], bytes.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: emoji.test\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[test]
    fn pictures_are_served_and_nothing_else() {
        let pictures = [("a.png".to_owned(), Bytes::from_static(b"abc"))].into();
        let data = Data { emoji: Vec::new(), pictures };
        let server = Server::start(&data).unwrap();
        let answer = get(server.address(), "/a.png");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nabc"), "{answer}");
        assert!(answer.to_lowercase().contains("content-type: image/png"), "{answer}");
        assert!(get(server.address(), "/b.png").starts_with("HTTP/1.1 404"));
        let address = server.address();
        drop(server);
        assert!(TcpStream::connect(address).is_err());
    }
}
