//! What a row of the list asks of its picture, besides what the config asks of all: boxes to blur, the hash that its
//! bytes must have.

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type};

use super::config::CrawlConfig;
use super::list::Block;
use crate::Error;
use crate::picture::BlurBox;
use crate::reason::Reason;

/// What one row asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Asks {
    /// Boxes to blur.
    pub(super) boxes: Vec<BlurBox>,
    /// Whether they could not be read.
    pub(super) bad_boxes: bool,
    /// The hash in the list; empty where the row has none.
    pub(super) hash: String,
}

/// Where the additional columns hold what rows ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AskColumns {
    boxes: Option<usize>,
    hash: Option<usize>,
}

impl AskColumns {
    /// The additional columns that the lists are read with: those of the config, then the boxes, then the hash, which
    /// [`Self::take`] takes away again.
    pub(super) fn of(config: &CrawlConfig) -> (Self, Vec<String>) {
        let mut names = config.input.columns.clone();
        let boxes = config.input.bbox_col.as_ref().map(|name| {
            names.iter().position(|known| known == name).unwrap_or_else(|| {
                names.push(name.clone());
                names.len() - 1
            })
        });
        let hash = config.image.verify_hash.as_ref().map(|(name, _)| {
            names.push(name.clone());
            names.len() - 1
        });
        (Self { boxes, hash }, names)
    }

    /// The same error with the key that names the column which a list lacks.
    pub(super) fn missing(config: &CrawlConfig, error: Error) -> Error {
        let Error::Input { path, message, hint: Some(hint) } = error else { return error };
        let lacks = |name: &String| message.starts_with(&format!("no column `{name}`;"));
        let key = match &config.image.verify_hash {
            _ if config.input.columns.iter().any(lacks) => "input.columns",
            _ if config.input.bbox_col.as_ref().is_some_and(lacks) => "input.bbox_col",
            Some((name, _)) if lacks(name) => "the column of image.verify_hash",
            _ => "input.columns",
        };
        let hint = hint.replace("input.columns", key);
        Error::Input { path, message, hint: Some(hint) }
    }

    /// How many columns of the list do not come into the shard.
    pub(super) fn dropped(&self) -> usize {
        usize::from(self.hash.is_some())
    }

    /// What the rows of a block ask; the column of hashes leaves the block, since the shard has one of its own.
    pub(super) fn take(&self, block: &mut Block) -> Vec<Asks> {
        let mut asks = vec![Asks::default(); block.links.len()];
        if let Some(column) = self.boxes.and_then(|i| block.extra.get(i)) {
            for (ask, boxes) in asks.iter_mut().zip(boxes_of(column)) {
                ask.bad_boxes = boxes.is_err();
                ask.boxes = boxes.unwrap_or_default();
            }
        }
        if let Some(column) = self.hash.filter(|i| *i < block.extra.len()).map(|i| block.extra.remove(i)) {
            let texts = cast(&column, &DataType::Utf8).ok();
            let texts = texts.as_ref().and_then(|texts| texts.as_string_opt::<i32>());
            for (ask, text) in asks.iter_mut().zip(texts.into_iter().flatten()) {
                ask.hash = text.unwrap_or_default().trim().to_owned();
            }
        }
        asks
    }
}

type Boxes = Result<Vec<BlurBox>, Reason>;

/// The boxes of every row, from lists of four numbers or their text in JSON; a row without any is fine.
fn boxes_of(column: &ArrayRef) -> Vec<Boxes> {
    let rows = column.len();
    if matches!(column.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
        let texts = cast(column, &DataType::Utf8).ok();
        let texts = texts.as_ref().and_then(|texts| texts.as_string_opt::<i32>());
        return texts.into_iter().flatten().map(|text| text.map_or(Ok(Vec::new()), from_json)).collect();
    }
    let list = |item| DataType::List(Field::new("item", item, true).into());
    let Ok(lists) = cast(column, &list(list(DataType::Float64))) else {
        return (0..rows)
            .map(|row| if column.is_null(row) { Ok(Vec::new()) } else { Err(Reason::BlurBoxes) })
            .collect();
    };
    match lists.as_list_opt::<i32>() {
        Some(lists) => lists.iter().map(|row| row.map_or(Ok(Vec::new()), |row| from_list(&row))).collect(),
        None => vec![Err(Reason::BlurBoxes); rows],
    }
}

fn from_list(row: &ArrayRef) -> Boxes {
    let boxes: &GenericListArray<i32> = row.as_list_opt().ok_or(Reason::BlurBoxes)?;
    let one = |sides: Option<ArrayRef>| {
        let sides = sides.ok_or(Reason::BlurBoxes)?;
        let sides = sides.as_primitive_opt::<Float64Type>().ok_or(Reason::BlurBoxes)?;
        sides.iter().collect::<Option<Vec<f64>>>().and_then(four).ok_or(Reason::BlurBoxes)
    };
    boxes.iter().map(one).collect()
}

fn from_json(text: &str) -> Boxes {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let boxes: Vec<Vec<f64>> = serde_json::from_str(text).map_err(|_| Reason::BlurBoxes)?;
    boxes.into_iter().map(|sides| four(sides).ok_or(Reason::BlurBoxes)).collect()
}

fn four(sides: Vec<f64>) -> Option<BlurBox> {
    BlurBox::new(sides.try_into().ok()?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float32Builder, Int64Array, ListBuilder, StringArray};

    use super::*;
    use crate::crawl::{ImageConfig, InputConfig};
    use crate::pairs::HashKind;

    fn config(boxes: Option<&str>, hash: Option<&str>) -> CrawlConfig {
        let columns = vec!["id".to_owned()];
        CrawlConfig {
            input: InputConfig { columns, bbox_col: boxes.map(str::to_owned), ..InputConfig::default() },
            image: ImageConfig {
                verify_hash: hash.map(|name| (name.to_owned(), HashKind::Sha256)),
                ..ImageConfig::default()
            },
            ..CrawlConfig::default()
        }
    }

    fn block(extra: Vec<ArrayRef>) -> Block {
        let rows = extra[0].len();
        Block { links: vec![Ok("http://h/".into()); rows], captions: vec![None; rows], extra, stored: vec![] }
    }

    fn ids(rows: usize) -> ArrayRef {
        Arc::new(Int64Array::from(vec![0; rows]))
    }

    #[test]
    fn columns_are_read_for_it_and_the_hash_is_taken_away() {
        let (asked, names) = AskColumns::of(&config(Some("faces"), Some("sha")));
        assert_eq!(
            (names.as_slice(), asked.dropped()),
            (["id", "faces", "sha"].map(str::to_owned).as_slice(), 1)
        );
        let faces: ArrayRef = Arc::new(StringArray::from(vec![Some("[[0, 0, 1, 0.5]]"), None]));
        let hashes: ArrayRef = Arc::new(StringArray::from(vec![Some("ab"), None]));
        let mut block = block(vec![ids(2), faces, hashes]);
        let asks = asked.take(&mut block);
        assert_eq!((asks[0].boxes.len(), asks[0].hash.as_str()), (1, "ab"));
        assert_eq!(asks[1], Asks::default());
        assert_eq!(block.extra.len(), 2);
        let (asked, names) = AskColumns::of(&config(Some("id"), None));
        assert_eq!((names.len(), asked), (1, AskColumns { boxes: Some(0), hash: None }));
    }

    #[test]
    fn boxes_may_be_lists_or_text() {
        let mut lists = ListBuilder::new(ListBuilder::new(Float32Builder::new()));
        lists.append_value([Some([0.0, 0.0, 0.5, 0.5].map(Some)), Some([0.5, 0.5, 1.0, 1.0].map(Some))]);
        lists.append_null();
        lists.append_value([Some([Some(0.5), Some(0.5), Some(1.0), None])]);
        let found = boxes_of(&(Arc::new(lists.finish()) as ArrayRef));
        assert_eq!(found[0].as_ref().unwrap().len(), 2);
        assert_eq!((&found[1], &found[2]), (&Ok(vec![]), &Err(Reason::BlurBoxes)));
        let texts = ["[]", " ", "[[0,0,1]]", "[[0,0,40,50]]", "face", "[[0,0,1,1],[0.2,0.2,0.4,0.4]]"];
        let found = boxes_of(&(Arc::new(StringArray::from(texts.to_vec())) as ArrayRef));
        let lengths: Vec<_> = found.iter().map(|boxes| boxes.as_ref().map(Vec::len).ok()).collect();
        assert_eq!(lengths, [Some(0), Some(0), None, None, None, Some(2)]);
        assert_eq!(boxes_of(&ids(1)), [Err(Reason::BlurBoxes)]);
    }
}
