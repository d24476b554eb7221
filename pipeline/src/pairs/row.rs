//! One row of a pair shard, as it is written and as it is read, and the schema between them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;

use super::HashKind;
use crate::picture::EncodeFormat;
use crate::reason::{Reason, Status};

/// Names that additional columns may not have, since the shard has them or img2dataset reserves them.
const RESERVED: [&str; 19] = [
    "key",
    "caption",
    "url",
    "width",
    "height",
    "original_width",
    "original_height",
    "status",
    "error_message",
    "exif",
    "md5",
    "sha256",
    "sha512",
    "reason",
    "rule",
    "jpg",
    "png",
    "webp",
    "txt",
];

/// Whether an additional column may not have this name.
#[cfg(feature = "crawl")]
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// What a shard holds besides the fixed columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Additional columns, with their input types, in front.
    pub extra: Vec<Field>,
    /// Whether there is a `caption` column.
    pub caption: bool,
    /// Whether there is an `exif` column.
    pub exif: bool,
    /// The hash column.
    pub hash: HashKind,
    /// Whether the hash was held against one in the list: the column then stands where that one does, before `url`.
    pub hash_verified: bool,
    /// Format of the images, and name of their column.
    pub format: EncodeFormat,
    /// Metadata of the file, after `troika.format` and `troika.version`.
    pub metadata: Vec<(String, String)>,
}

impl Default for Layout {
    /// No additional columns, no caption, no EXIF; SHA-256 and JPEG.
    fn default() -> Self {
        Self {
            extra: Vec::new(),
            caption: false,
            exif: false,
            hash: HashKind::default(),
            hash_verified: false,
            format: EncodeFormat::default(),
            metadata: Vec::new(),
        }
    }
}

impl Layout {
    /// The first additional column whose name is taken.
    pub fn reserved(&self) -> Option<&str> {
        self.extra.iter().map(|field| field.name().as_str()).find(|name| RESERVED.contains(name))
    }
}

/// The schema of a shard.
pub fn schema(layout: &Layout) -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let number = |name: &str| Field::new(name, DataType::Int32, true);
    let mut fields = layout.extra.clone();
    if layout.caption {
        fields.push(text("caption"));
    }
    let hash = layout.hash.column().map(text);
    fields.extend(hash.clone().filter(|_| layout.hash_verified));
    fields.extend(["url", "key", "status", "error_message"].map(text));
    fields.extend(["width", "height", "original_width", "original_height"].map(number));
    fields.extend(layout.exif.then(|| text("exif")));
    fields.extend(hash.filter(|_| !layout.hash_verified));
    fields.extend(["reason", "rule"].map(text));
    fields.push(Field::new(layout.format.name(), DataType::Binary, true));
    Arc::new(Schema::new(fields))
}

/// A row to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `None` where the list has none.
    pub url: Option<String>,
    /// `None` where the list has none.
    pub caption: Option<String>,
    /// Unique in the dataset: shard number, then row number, zero-padded as in img2dataset.
    pub key: String,
    /// [`Reason::Ok`] for a row with an image.
    pub reason: Reason,
    /// What img2dataset's `error_message` says; `None` for a success.
    pub error_message: Option<String>,
    /// The line of robots.txt or the header that decided against the row.
    pub rule: Option<String>,
    /// Width and height of the stored image; `None` too where it is stored as it came.
    pub size: Option<(u32, u32)>,
    /// Width and height before resizing.
    pub original_size: Option<(u32, u32)>,
    /// A JSON object of EXIF names and values, for a success.
    pub exif: Option<String>,
    /// The hash of the downloaded bytes in hex, for a success.
    pub hash: Option<String>,
    /// The encoded image.
    pub image: Option<Bytes>,
}

impl Row {
    /// A row of which nothing else is known.
    pub fn new(key: impl Into<String>, reason: Reason) -> Self {
        Self {
            url: None,
            caption: None,
            key: key.into(),
            reason,
            error_message: None,
            rule: None,
            size: None,
            original_size: None,
            exif: None,
            hash: None,
            image: None,
        }
    }
}

/// A row that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Unique in the dataset.
    pub key: String,
    /// Empty where the list had none.
    pub url: String,
    /// The text.
    pub caption: Option<String>,
    /// Whether there is an image, and which stage failed otherwise.
    pub status: Status,
    /// The cause; `None` in shards of img2dataset.
    pub reason: Option<Reason>,
    /// The encoded image, in the format that names its column.
    pub image: Option<Bytes>,
    /// Width and height of the image.
    pub size: Option<(u32, u32)>,
    /// All other columns as text, in file order.
    pub extra: Columns,
}

/// Additional columns of a row by name; values that are no text are given in their usual spelling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns(pub Vec<(Arc<str>, Option<String>)>);

impl Columns {
    /// The value of a column; `None` if it is null or not there.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(column, _)| **column == *name).and_then(|(_, value)| value.as_deref())
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }
}

impl Pair {
    /// Any text column of the row by its name in the shard: the caption, the url, or an additional column.
    pub fn text(&self, column: &str) -> Option<&str> {
        match column {
            "caption" => self.caption.as_deref(),
            "url" => Some(&self.url),
            "key" => Some(&self.key),
            _ => self.extra.get(column),
        }
    }
}
