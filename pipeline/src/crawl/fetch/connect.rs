//! How long connections take to open, told to the download for which they were opened.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tower_layer::Layer;
use tower_service::Service;

use crate::crawl::timings::{Phase, Timings};

tokio::task_local! {
    /// The download that is being polled; the client opens connections inside of it.
    static METER: Arc<Meter>;
}

/// Where a download's connections are told.
#[derive(Debug)]
pub(super) struct Meter {
    timings: Arc<Timings>,
    /// Microseconds spent so far.
    spent: AtomicU64,
}

impl Meter {
    pub(super) fn new(timings: &Arc<Timings>) -> Arc<Self> {
        Arc::new(Self { timings: Arc::clone(timings), spent: AtomicU64::new(0) })
    }

    /// Runs a request, whose connection is then measured.
    pub(super) async fn watch<T>(self: &Arc<Self>, request: impl Future<Output = T>) -> T {
        METER.scope(Arc::clone(self), request).await
    }

    /// Takes the time that connections took since the last call.
    pub(super) fn take(&self) -> Duration {
        Duration::from_micros(self.spent.swap(0, Ordering::Relaxed))
    }

    fn connected(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.spent.fetch_add(micros, Ordering::Relaxed);
        self.timings.record(Phase::Connect, time);
    }
}

/// Wraps the client's connector.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured;

impl<S> Layer<S> for Measured {
    type Service = Connector<S>;

    fn layer(&self, inner: S) -> Connector<S> {
        Connector { inner }
    }
}

/// A connector that measures.
#[derive(Clone, Debug)]
pub(super) struct Connector<S> {
    inner: S,
}

impl<S, R> Service<R> for Connector<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        // Asked here: a connection that comes second to one that has become free is opened on another task.
        let meter = METER.try_with(Arc::clone).ok();
        let started = Instant::now();
        let connecting = self.inner.call(request);
        Box::pin(async move {
            let connection = connecting.await;
            if let (Ok(_), Some(meter)) = (&connection, meter) {
                meter.connected(started.elapsed());
            }
            connection
        })
    }
}
