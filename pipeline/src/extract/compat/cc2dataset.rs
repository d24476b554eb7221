//! What cc2dataset takes from a WAT file: images with an alternative text, under its column names.
//!
//! Learnt from <https://github.com/rom1504/cc2dataset>, revision 28f4883, `cc2dataset/main.py`:
//!
//! | rule | function there |
//! |---|---|
//! | a link counts if its path is `IMG@/src` and its `alt` is not empty (a blank is not empty) | `valid_image_link` |
//! | a URL that begins with `http://` or `https://` stays as it is | `make_link_absolute` |
//! | others are joined with the base by Python's `urljoin`; one that Python refuses stays as it is | `make_link_absolute` |
//! | the base is the page's address, joined with `Head/Base` where there is one that Python takes | `extract_documents_from_wat` |
//! | what does not begin with `http://` or `https://` then is dropped | `extract_documents_from_wat` |
//! | `uid` is the MD5 of alt and URL, one behind the other, as hexadecimal digits | `extract_documents_from_wat` |
//! | `cc_filename` is `Container/Filename`, `page_url` the `WARC-Target-URI` | `extract_documents_from_wat` |
//! | records that are no JSON are passed over | `extract_documents_from_wat` |
//! | columns `uid, url, alt, cc_filename, page_url` | `process_one_part` |
//!
//! Two things are not followed. There, a record without one of the expected keys makes the whole file give nothing; here it
//! is counted and passed over. And there, Spark drops rows of the same `uid` over a whole run and shuffles: `pipeline dedup`
//! does that, or `output.dedup` within a file.

use md5::{Digest, Md5};

use super::super::counts::Malformed;
use super::super::wat::{Found, Record, look};
use super::python_url::{is_web, join};
use crate::unit::hex;

/// The columns.
pub(in crate::extract) const COLUMNS: [&str; 5] = ["uid", "url", "alt", "cc_filename", "page_url"];

/// The rows of a page and what they have in common.
#[derive(Debug, Default, PartialEq)]
pub(in crate::extract) struct Page {
    pub(in crate::extract) cc_filename: String,
    pub(in crate::extract) page_url: String,
    pub(in crate::extract) rows: Vec<Row>,
}

/// One link.
#[derive(Debug, PartialEq)]
pub(in crate::extract) struct Row {
    pub(in crate::extract) uid: String,
    pub(in crate::extract) url: String,
    pub(in crate::extract) alt: String,
}

/// Reads a WAT record; `None` if it is not about a page.
pub(in crate::extract) fn read(json: &[u8]) -> Result<Option<Page>, Malformed> {
    let (is_page, of_use) = look(json, false);
    if !of_use {
        return Ok(is_page.then(Page::default));
    }
    let record = Record::read(json)?;
    let Some(html) = record.response().and_then(|response| response.html.as_ref()) else { return Ok(None) };
    let (Some(page_url), Some(cc_filename)) = (record.target(), record.filename()) else {
        return Err(Malformed::Json);
    };
    let base = html.head.base.as_deref().and_then(|base| join(page_url, base).ok());
    let base = base.as_deref().unwrap_or(page_url);
    let mut page = Page { cc_filename: cc_filename.into(), page_url: page_url.into(), rows: Vec::new() };
    for link in &html.links.0 {
        if let Found::Image { url, alt: Some(alt), .. } = link
            && !alt.is_empty()
            && let Some(url) = absolute(base, url)
        {
            let uid = hex(&Md5::new().chain_update(&**alt).chain_update(&url).finalize());
            page.rows.push(Row { uid, url, alt: (**alt).to_owned() });
        }
    }
    Ok(Some(page))
}

fn absolute(base: &str, url: &str) -> Option<String> {
    let url = if is_web(url) { url.to_owned() } else { join(base, url).ok()? };
    Some(url).filter(|url| is_web(url))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(base: Option<&str>, links: &Value) -> Value {
        json!({
            "Container": {"Filename": "a.warc.gz"},
            "Envelope": {
                "WARC-Header-Metadata": {"WARC-Target-URI": "http://h/dir/page"},
                "Payload-Metadata": {"HTTP-Response-Metadata": {
                    "HTML-Metadata": {"Head": {"Base": base.unwrap_or("")}, "Links": links},
                }},
            },
        })
    }

    fn urls(base: Option<&str>, url: &str) -> Vec<String> {
        let links = json!([{"path": "IMG@/src", "url": url, "alt": "x"}]);
        let page = read(record(base, &links).to_string().as_bytes()).unwrap().unwrap();
        page.rows.into_iter().map(|row| row.url).collect()
    }

    #[test]
    fn a_row_is_an_image_with_an_alternative_text() {
        let links = json!([
            {"path": "IMG@/src", "url": "a b.png?x&amp;y", "alt": " &eacute;"},
            {"path": "IMG@/src", "url": "b.png", "alt": ""},
            {"path": "IMG@/src", "url": "c.png"},
            {"path": "A@/href", "url": "d.png", "alt": "x"},
        ]);
        let page = read(record(None, &links).to_string().as_bytes()).unwrap().unwrap();
        let [row] = &page.rows[..] else { panic!() };
        assert_eq!((row.url.as_str(), row.alt.as_str()), ("http://h/dir/a b.png?x&amp;y", " &eacute;"));
        // python3 -c "import hashlib; print(hashlib.md5(' &eacute;http://h/dir/a b.png?x&amp;y'.encode()).hexdigest())"
        assert_eq!(row.uid, "8b4e4ab8b048da9bbe25d2b5cf34caa1");
        assert_eq!((page.cc_filename.as_str(), page.page_url.as_str()), ("a.warc.gz", "http://h/dir/page"));
    }

    #[test]
    fn urls_are_joined_as_there() {
        assert_eq!(urls(None, "http://o/a b"), ["http://o/a b"]);
        assert_eq!(urls(Some("/base/"), "a"), ["http://h/base/a"]);
        assert_eq!(urls(Some("//[bad/"), "a"), ["http://h/dir/a"], "Python refuses the base");
        assert_eq!(urls(Some("javascript:x"), "a"), [""; 0]);
        assert_eq!(urls(None, "//[bad/a"), [""; 0]);
        assert_eq!(urls(None, "data:image/gif;base64,R0"), [""; 0]);
    }

    #[test]
    fn records_that_lack_something_are_told() {
        let mut lacking = record(None, &json!([{"path": "IMG@/src", "url": "a", "alt": "x"}]));
        lacking["Container"] = json!({});
        assert_eq!(read(lacking.to_string().as_bytes()), Err(Malformed::Json));
        assert_eq!(read(br#"{"Envelope": {"Payload-Metadata": {}}}"#), Ok(None));
        assert_eq!(read(br#"{"HTML-Metadata", IMG@/src"#), Err(Malformed::Json));
    }
}
