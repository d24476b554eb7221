//! Ctrl-C and SIGTERM as a flag: the first asks the work to stop at its next safe point, the second ends at once.

use std::io::Write;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::{Error, Result};

/// A flag that a signal sets; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    /// 0 while nothing has come, then the exit code that belongs to the signal.
    code: Arc<AtomicU8>,
}

impl Interrupt {
    /// A flag that no signal sets, for libraries and tests.
    pub fn never() -> Self {
        Self::default()
    }

    /// Whether the work should stop at its next safe point.
    pub fn is_set(&self) -> bool {
        self.code() != 0
    }

    /// 130 after Ctrl-C, 143 after SIGTERM, 0 otherwise.
    pub fn code(&self) -> u8 {
        self.code.load(Ordering::Relaxed)
    }

    /// Sets the flag as a signal would.
    pub fn set(&self, code: u8) {
        self.code.store(code, Ordering::Relaxed);
    }

    /// [`Error::Interrupted`] once the flag is set: call it at safe points.
    pub fn check(&self) -> Result<()> {
        match self.code() {
            0 => Ok(()),
            code => Err(Error::Interrupted { code }),
        }
    }

    fn arrive(&self, code: u8) {
        if self.is_set() {
            end(code);
        }
        self.set(code);
        let note = "stopping at the next safe point (Ctrl-C again stops at once)";
        // Nobody may be reading any more; then there is nobody to tell.
        drop(writeln!(std::io::stderr().lock(), "\n{note}"));
    }
}

/// Starts listening (once per process) and returns the flag.
pub fn install() -> Interrupt {
    static FLAG: OnceLock<Interrupt> = OnceLock::new();
    FLAG.get_or_init(|| {
        let flag = Interrupt::default();
        let seen = flag.clone();
        let listener = std::thread::Builder::new().name("signals".into()).spawn(move || listen(&seen));
        // Without the thread the system's own handling stays: Ctrl-C simply kills, which loses nothing committed.
        drop(listener);
        flag
    })
    .clone()
}

fn listen(flag: &Interrupt) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    runtime.block_on(async {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut int), Ok(mut term)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            loop {
                tokio::select! {
                    _ = int.recv() => flag.arrive(130),
                    _ = term.recv() => flag.arrive(143),
                }
            }
        }
        #[cfg(not(unix))]
        while tokio::signal::ctrl_c().await.is_ok() {
            flag.arrive(130);
        }
    });
}

#[expect(clippy::exit, reason = "the second signal asks for exactly this")]
fn end(code: u8) {
    std::process::exit(i32::from(code));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_flag_and_the_code_reaches_the_error() {
        let flag = Interrupt::never();
        let other = flag.clone();
        assert!(flag.check().is_ok());
        other.set(143);
        assert!(flag.is_set());
        assert_eq!(flag.check().unwrap_err().exit_code(), 143);
    }
}
