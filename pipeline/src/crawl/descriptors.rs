//! The limit on open files: a crawl has thousands of connections open, and many systems allow 1,024 at first.

/// Raises the limit as far as this process may, and tells what it is now; `None` where there is none.
#[cfg(unix)]
pub(super) fn raise() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return limit.current;
    }
    let most = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // macOS reports no upper limit and then refuses it; its own constant OPEN_MAX is 10,240.
    let modest = Rlimit { current: Some(10_240), maximum: limit.maximum };
    let raised = setrlimit(Resource::Nofile, most).or_else(|_| setrlimit(Resource::Nofile, modest));
    match raised {
        Ok(()) => getrlimit(Resource::Nofile).current,
        Err(_) => limit.current,
    }
}

/// Windows has no such limit.
#[cfg(not(unix))]
pub(super) fn raise() -> Option<u64> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::process::{Resource, getrlimit};

    use super::raise;

    #[test]
    fn the_limit_is_raised_and_never_lowered() {
        let before = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let now = raise().unwrap_or(u64::MAX);
        assert!(now >= before, "{before} became {now}");
        assert_eq!(raise().unwrap_or(u64::MAX), now);
    }
}
