//! `cargo demo` as a user sees it, on a handful of pictures with tiny models.

fn main() {}
