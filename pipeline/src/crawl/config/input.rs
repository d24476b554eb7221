//! `[input]`: what is crawled.

use serde::{Deserialize, Serialize};

use crate::crawl::list::{ListFormat, RetryFailed};
use crate::settings::one_or_many;

/// `[input]`: link lists, or images that are there already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputConfig {
    /// Files, folders, patterns (`shards/*.tar`, `**`), on disk or under `s3://`, `gs://`, `az://`, `http(s)://`. Of a
    /// folder its lists or tars are taken in the order of their names, or all images in it and below.
    #[serde(deserialize_with = "one_or_many")]
    pub urls: Vec<String>,
    /// What the files are; unset: by their ending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<ListFormat>,
    /// Column of the URL.
    pub url_col: String,
    /// Column of the caption; unset: `caption` where the list has one. Beside images `txt` is the text, `folder` the name
    /// of the folder around, any other a key of the JSON; unset: the text, else the JSON's `caption`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption_col: Option<String>,
    /// Column of image bytes in a Parquet list, which are then taken instead of a download; unset: `jpg`, `png` or
    /// `webp` (shards), or `image` (Hugging Face's struct); empty: none, everything is downloaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_col: Option<String>,
    /// Columns to carry into the shards, with their types; with images: `folder`, `source_key`, keys of the JSON. Unset, of a
    /// link table of `pipeline extract` all are carried.
    pub columns: Vec<String>,
    /// Whether quotes in CSV and TSV hold cells together; `false` for lists whose captions have quotes as they come.
    pub quoting: bool,
    /// The inputs are outputs of earlier crawls (img2dataset's too), of which only failed rows are fetched: `false`,
    /// `true` (what may come out otherwise: time-outs, DNS, 429, 5xx, …), or classes, `all`, a status, codes of
    /// `pipeline explain`. They go into a new folder with their caption and additional columns; `source_key` holds the
    /// key that a row had. To join both: drop the rows of the old output whose key is the `source_key` of a success in
    /// the new one, and append the successes.
    pub retry_failed: RetryFailed,
    /// Column of the boxes to blur in each picture: a list of `[left, top, right, bottom]` between 0 and 1 of its width
    /// and height as it stands upright, or the same as JSON text. It comes into the shards too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bbox_col: Option<String>,
}

impl Default for InputConfig {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            format: None,
            url_col: "url".into(),
            caption_col: None,
            image_col: None,
            columns: Vec::new(),
            quoting: true,
            retry_failed: RetryFailed::default(),
            bbox_col: None,
        }
    }
}
