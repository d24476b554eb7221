//! WARC records (ISO 28500), and the WAT records that Common Crawl makes of them.
//!
//! | module | what it holds |
//! |---|---|
//! | [`gzip`] | the members of a gzip file, one after the other, around damaged ones |
//! | [`records`] | records by their Content-Length, around malformed ones |
//! | [`headers`] | header lines of WARC and of HTTP |
//! | [`http`] | the HTTP answer inside a response record |

mod buffer;
mod gzip;
mod headers;
mod http;
mod records;

pub(super) use headers::Headers;
pub(super) use http::Answer;
pub(super) use records::{Kind, Next, Records};
