//! Samples that are there already: an image with the text and the JSON beside it, from folders and from tars.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::Field;
use serde_json::{Map, Value};

use super::json::as_text;
use super::lines::text_field;
use super::records::Records;
use super::{Block, Columns};
use crate::Result;
use crate::crawl::local::Stored;

/// Samples that are looked at for the names of the columns.
const LOOKED_AT: usize = 100;
/// Columns that every sample has, whatever its JSON holds.
const OWN: [&str; 4] = ["caption", "txt", "folder", "source_key"];

/// One image and what lies beside it.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Where it lies in its folder or tar; stands for a URL where the JSON has none.
    pub(super) name: String,
    /// What its files have in common: the name without the ending.
    pub(super) key: String,
    pub(super) image: Stored,
    pub(super) text: Option<String>,
    pub(super) json: Option<Map<String, Value>>,
}

impl Sample {
    fn cell(&self, column: &str) -> Option<String> {
        let of_json = || self.json.as_ref().and_then(|json| as_text(json.get(column)?));
        match column {
            "caption" => self.text.clone().or_else(of_json),
            "txt" => self.text.clone(),
            "folder" => self.folder(),
            "source_key" => Some(self.key.clone()),
            _ => of_json(),
        }
    }

    /// The name of the folder around it: the class, in an ImageFolder.
    fn folder(&self) -> Option<String> {
        let (above, _) = self.key.rsplit_once('/')?;
        Some(above.rsplit('/').next().unwrap_or(above).to_owned())
    }
}

/// The names that may be asked for: own ones, and the keys of the first samples' JSON.
pub(super) fn fields(mut samples: impl Records<Record = Sample>) -> Result<Vec<Field>> {
    let mut names: Vec<String> = OWN.map(str::to_owned).into();
    for _ in 0..LOOKED_AT {
        let Some((_, sample)) = samples.next()? else { break };
        for key in sample.json.unwrap_or_default().keys() {
            if !names.contains(key) {
                names.push(key.clone());
            }
        }
    }
    Ok(names.iter().map(|name| text_field(name)).collect())
}

pub(super) fn block(samples: Vec<Sample>, columns: &Columns) -> Block {
    let cells = |name: &str| samples.iter().map(|sample| sample.cell(name)).collect::<Vec<_>>();
    let url = |sample: &Sample| {
        let known = sample.json.as_ref().and_then(|json| as_text(json.get(&columns.url)?));
        known.unwrap_or_else(|| sample.name.clone())
    };
    Block {
        links: samples.iter().map(|sample| Ok(url(sample))).collect(),
        captions: columns.caption.as_deref().map_or_else(|| vec![None; samples.len()], cells),
        extra: columns
            .extra
            .iter()
            .map(|f| Arc::new(StringArray::from(cells(f.name()))) as ArrayRef)
            .collect(),
        stored: samples.into_iter().map(|sample| sample.image).collect(),
    }
}

/// A text beside an image, as a caption: without the line end that editors add.
pub(super) fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_start_matches('\u{feff}').trim_end().to_owned()
}

/// A JSON beside an image; what is no object is as good as none.
pub(super) fn json_of(bytes: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(bytes).ok()
}
