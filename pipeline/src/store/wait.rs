//! Store operations are asynchronous, their callers are not: one background thread runs them.

use std::sync::OnceLock;

use tokio::runtime::Runtime;

/// Runs a store operation to its end; also when the caller itself runs inside an async runtime.
pub(crate) fn wait<F: Future + Send>(operation: F) -> F::Output
where
    F::Output: Send,
{
    match runtime() {
        Some(runtime) if tokio::runtime::Handle::try_current().is_ok() => std::thread::scope(|scope| {
            let thread = scope.spawn(|| runtime.block_on(operation));
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        }),
        Some(runtime) => runtime.block_on(operation),
        // No thread to be had: the local store then works in this one.
        None => poll_in_place(operation),
    }
}

fn poll_in_place<F: Future>(operation: F) -> F::Output {
    let mut operation = std::pin::pin!(operation);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(output) = operation.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::yield_now();
    }
}

fn runtime() -> Option<&'static Runtime> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let start = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store")
            .enable_all()
            .build()
    };
    RUNTIME.get_or_init(|| start().ok()).as_ref()
}
