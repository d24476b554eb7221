//! Why a row has no image: one code per cause, the same in shards, progress line, stats files and `pipeline explain`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// img2dataset's status of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The row has an image.
    Success,
    /// The bytes did not arrive.
    FailedToDownload,
    /// The bytes arrived and gave no picture.
    FailedToResize,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Success, Self::FailedToDownload, Self::FailedToResize];

    /// img2dataset's spelling.
    pub fn code(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::FailedToDownload => "failed_to_download",
            Self::FailedToResize => "failed_to_resize",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|status| status.code() == text);
        found.ok_or_else(|| format!("unknown status `{text}`"))
    }
}

/// Makes the enum and its tables from one list, so that no cause lacks a code, a text or a cure.
macro_rules! reasons {
    ($($variant:ident $code:literal $status:ident $text:literal $hint:literal;)*) => {
        /// The cause, one variant each; closed, so that counts add up to the rows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Reason {
            $(#[doc = $text] #[serde(rename = $code)] $variant,)*
        }

        impl Reason {
            /// All of them, in the order in which a row meets them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code in shards and stats.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The status that img2dataset gives such a row.
            pub fn status(self) -> Status {
                match self { $(Self::$variant => Status::$status,)* }
            }

            /// What happened, one sentence.
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// What to do about it.
            pub fn hint(self) -> &'static str {
                match self { $(Self::$variant => $hint,)* }
            }
        }
    };
}

reasons! {
    Ok "ok" Success "the picture is in the shard" "nothing to do";
    RowInvalid "row_invalid" FailedToDownload "the line of the link list could not be read"
        "look at that line of the list: it is no JSON object";
    UrlMissing "url_missing" FailedToDownload "the row has no URL"
        "check input.url_col; rows without a URL can be dropped from the list";
    UrlInvalid "url_invalid" FailedToDownload "the URL cannot be parsed"
        "check the list for cut or doubly quoted URLs";
    UrlScheme "url_scheme" FailedToDownload "the URL is neither http nor https"
        "only http and https are fetched; data:, file: and ftp: are refused";
    AddressRefused "address_refused" FailedToDownload "the host is a private, local or reserved address"
        "name hosts of your own network in net.allow = [\"HOST:PORT\"]";
    Robots "robots" FailedToDownload "the site's robots.txt disallows it"
        "the site does not want this file crawled; the column `rule` holds the line that says so";
    RobotsUnreachable "robots_unreachable" FailedToDownload "the site's robots.txt could not be read, which means no (RFC 9309)"
        "the site fails or is gone: fetch these rows again later";
    OptOut "opt_out" FailedToDownload "the answer opts out of collection (X-Robots-Tag)"
        "the site does not want this file used; the column `rule` holds the header that says so";
    TdmReserved "tdm_reserved" FailedToDownload "the site reserves its rights against text and data mining (TDMRep)"
        "ask for a licence at the policy in the column `rule`, or leave the site out";
    HostStopped "host_stopped" FailedToDownload "its host opted out or failed so often that it is left alone"
        "fetch these rows again later, if the host did not opt out";
    Dns "dns" FailedToDownload "the host name does not exist, or has no address"
        "the site is gone; if that is said of sites that are there, ask others: --dns system, or --dns 1.1.1.1,8.8.8.8";
    DnsFailed "dns_failed" FailedToDownload "no name server gave an answer about the host"
        "your resolver fails or is too slow: choose others with --dns 1.1.1.1,8.8.8.8, or lower net.concurrency";
    Connect "connect" FailedToDownload "the host refused or dropped the connection"
        "the server is gone, or a firewall stands between";
    Tls "tls" FailedToDownload "the TLS handshake failed"
        "the server's certificate has run out or is not for this host; on all hosts: install ca-certificates";
    TimeoutConnect "timeout_connect" FailedToDownload "no connection within net.connect_timeout"
        "raise net.connect_timeout, or lower net.concurrency if the line is full";
    TimeoutFirstByte "timeout_first_byte" FailedToDownload "no answer within net.first_byte_timeout"
        "raise net.first_byte_timeout, or lower net.concurrency if the line is full";
    TooSlow "too_slow" FailedToDownload "the body came slower than net.min_bytes_per_second"
        "lower net.min_bytes_per_second, or net.concurrency if the line is full";
    Timeout "timeout" FailedToDownload "the download did not end within net.timeout"
        "raise net.timeout, or lower net.concurrency if the line is full";
    ConnectionLost "connection_lost" FailedToDownload "the connection ended before the body did"
        "fetch these rows again later";
    Redirects "redirects" FailedToDownload "more redirects than net.max_redirects"
        "usually a loop or a login page; raise net.max_redirects if the chain is honest";
    RedirectInvalid "redirect_invalid" FailedToDownload "a redirect without a usable target"
        "the server is broken; nothing to do here";
    HttpForbidden "http_forbidden" FailedToDownload "the server forbids it (HTTP 401, 403, 407, 451)"
        "the host does not want crawlers or needs a login";
    HttpNotFound "http_not_found" FailedToDownload "the image is gone (HTTP 404, 410)"
        "the link is dead; drop it from the list";
    HttpTooMany "http_too_many" FailedToDownload "the server asks for fewer requests (HTTP 429)"
        "lower net.concurrency";
    HttpClient "http_4xx" FailedToDownload "the server rejects the request (another HTTP 4xx)"
        "check the URL; there is nothing to gain from fetching it again";
    HttpServer "http_5xx" FailedToDownload "the server failed (HTTP 5xx)"
        "fetch these rows again later";
    HttpOther "http_other" FailedToDownload "an HTTP status that carries no image"
        "the server is broken; nothing to do here";
    ContentEncoding "content_encoding" FailedToDownload "the body is packed in a way that nobody asked for (Content-Encoding)"
        "the server is broken; gzip, deflate and zstd are unpacked, br is not";
    TooLarge "too_large" FailedToDownload "the body is larger than net.max_bytes"
        "raise net.max_bytes if such images are wanted";
    HashMismatch "hash_mismatch" FailedToDownload "the bytes are not those that the list's hash names"
        "the image behind the URL has changed since the list was made";
    FileUnreadable "file_unreadable" FailedToDownload "the file of the row could not be read"
        "look whether it is there, and whose it is";
    NoImage "no_image" FailedToDownload "the row of the input holds no image"
        "an earlier crawl failed here (--retry-failed fetches such rows), or a tar's members are not in order";
    Empty "empty" FailedToResize "the body is empty"
        "the server is broken; nothing to do here";
    NotImage "not_image" FailedToResize "the body is no image (an HTML page, text, …)"
        "a placeholder or login page behind the image's URL";
    Format "format" FailedToResize "an image format that is not read (AVIF, HEIC, SVG, …)"
        "jpeg, png, webp, gif, bmp and tiff are read";
    TooManyPixels "too_many_pixels" FailedToResize "the picture has more pixels than image.max_pixels"
        "raise image.max_pixels and run.memory_budget if such pictures are wanted";
    Truncated "truncated" FailedToResize "the image file is cut short"
        "fetch these rows again later";
    Decode "decode" FailedToResize "the image file is damaged"
        "nothing to do here";
    TooSmall "too_small" FailedToResize "a side is shorter than image.min_side"
        "lower image.min_side if small pictures are wanted";
    AspectRatio "aspect_ratio" FailedToResize "the picture is longer than image.max_aspect_ratio allows"
        "raise image.max_aspect_ratio if banners are wanted";
    TooLargeArea "too_large_area" FailedToResize "the picture has more pixels than image.max_area"
        "raise image.max_area if such pictures are wanted";
    BlurBoxes "blur_boxes" FailedToResize "the row's blur boxes cannot be read"
        "each box is [left, top, right, bottom] between 0 and 1; see input.bbox_col";
    Encode "encode" FailedToResize "the resized picture does not fit the output format"
        "choose another image.encode_format or a smaller image.size";
}

impl Reason {
    /// What img2dataset writes into `error_message`, where it knows the case; else our own sentence.
    pub fn error_message(self) -> &'static str {
        match self {
            Self::UrlMissing => "unknown url type: 'None'",
            Self::Dns => "<urlopen error [Errno -2] Name or service not known>",
            Self::DnsFailed => "<urlopen error [Errno -3] Temporary failure in name resolution>",
            Self::Connect => "<urlopen error [Errno 111] Connection refused>",
            Self::TimeoutConnect => "<urlopen error timed out>",
            Self::Timeout | Self::TimeoutFirstByte | Self::TooSlow => "timed out",
            Self::NotImage | Self::Truncated | Self::Decode | Self::Format => "Image decoding error",
            Self::TooSmall => "image too small",
            Self::TooLargeArea => "image area too large",
            Self::OptOut => "Use of image disallowed by X-Robots-Tag directive",
            Self::HashMismatch => "hash mismatch",
            Self::AspectRatio => "aspect ratio too large",
            _ => self.text(),
        }
    }

    /// Whether the same request may have another answer in a moment. A resolver that failed is among them, a name that
    /// does not exist is not; nor is a picture that is cut short: its download was whole.
    pub fn is_transient(self) -> bool {
        use Reason::{Connect, ConnectionLost, DnsFailed, HttpServer, HttpTooMany};
        use Reason::{Timeout, TimeoutConnect, TimeoutFirstByte, TooSlow};
        matches!(
            self,
            DnsFailed
                | Connect
                | ConnectionLost
                | HttpServer
                | HttpTooMany
                | Timeout
                | TimeoutConnect
                | TimeoutFirstByte
                | TooSlow
        )
    }

    /// The reason of an HTTP status that brought no image.
    pub fn of_http_status(status: u16) -> Self {
        match status {
            401 | 403 | 407 | 451 => Self::HttpForbidden,
            404 | 410 => Self::HttpNotFound,
            429 => Self::HttpTooMany,
            400..=499 => Self::HttpClient,
            500..=599 => Self::HttpServer,
            _ => Self::HttpOther,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().copied().find(|reason| reason.code() == text);
        found.ok_or_else(|| format!("unknown reason `{text}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_read_back() {
        for (i, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.code().parse::<Reason>().unwrap(), *reason);
            assert_eq!(Reason::ALL.iter().position(|r| r.code() == reason.code()), Some(i));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
            assert!(!reason.text().is_empty() && !reason.hint().is_empty());
        }
    }

    #[test]
    fn only_ok_is_a_success() {
        let good: Vec<_> = Reason::ALL.iter().filter(|r| r.status() == Status::Success).collect();
        assert_eq!(good, [&Reason::Ok]);
    }

    #[test]
    fn what_is_gone_stays_gone() {
        assert!(
            [Reason::Timeout, Reason::HttpServer, Reason::ConnectionLost]
                .into_iter()
                .all(Reason::is_transient)
        );
        let lasting = [
            Reason::Dns,
            Reason::HttpNotFound,
            Reason::Tls,
            Reason::TooLarge,
            Reason::Truncated,
            Reason::OptOut,
        ];
        assert!(!lasting.into_iter().any(Reason::is_transient));
    }

    #[test]
    fn http_statuses_fall_into_classes() {
        let of = Reason::of_http_status;
        assert_eq!(
            [of(403), of(410), of(429)],
            [Reason::HttpForbidden, Reason::HttpNotFound, Reason::HttpTooMany]
        );
        assert_eq!([of(418), of(503), of(304)], [Reason::HttpClient, Reason::HttpServer, Reason::HttpOther]);
    }
}
