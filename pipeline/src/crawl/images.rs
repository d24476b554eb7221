//! Images that are there already, for stages that do not crawl: what a crawl would take for its input without a download.

use bytes::Bytes;

use super::config::{CrawlConfig, InputConfig};
use super::list::{Columns, ListFile, ListFormat};
use crate::unit::{InputFile, Unit};
use crate::{Error, Result};

/// A folder of images, a tar, or a table with a column of images.
#[derive(Debug)]
pub(crate) struct Images {
    list: ListFile,
    columns: Columns,
}

/// One image.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// Where it lies in its folder or tar; of a table the URL. Empty where there is none.
    pub(crate) name: String,
    /// `None` where it cannot be read.
    pub(crate) bytes: Option<Bytes>,
}

impl Images {
    /// What lies at `location`: the files of a folder in the order of their names.
    ///
    /// # Errors
    /// Nothing there, or a table or list without images.
    pub(crate) fn find(location: &str) -> Result<Vec<Self>> {
        let input = InputConfig { urls: vec![location.to_owned()], ..InputConfig::default() };
        let config = CrawlConfig { input, ..CrawlConfig::default() };
        let images = |list: ListFile| {
            let columns = match list.format() {
                ListFormat::Parquet | ListFormat::Images | ListFormat::Webdataset => {
                    Some(list.columns(&config.input)?)
                }
                _ => None,
            };
            let table = list.format() == ListFormat::Parquet;
            match columns.filter(|columns| !table || columns.image.is_some()) {
                Some(columns) => Ok(Self { list, columns }),
                None => Err(Error::input(&list.name, "there are no images in it").with_hint(
                    "name a folder of images, a tar, or a Parquet file with a column jpg, png, webp or image",
                )),
            }
        };
        ListFile::find(&config)?.into_iter().map(images).collect()
    }

    /// As an input of a plan.
    pub(crate) fn input(&self, rows_per_unit: u64) -> Result<InputFile> {
        let (bytes, digest) = self.list.digest()?;
        let (rows, offsets) = self.list.scan(rows_per_unit)?;
        Ok(InputFile { path: self.list.name.clone(), rows, bytes, digest, offsets })
    }

    /// Hands the images of a unit to `each`, some at a time, until it says `false`.
    pub(crate) fn read(&self, unit: &Unit, each: &mut dyn FnMut(Vec<Image>) -> bool) -> Result<()> {
        self.list.read(&self.columns, unit, &mut |block| {
            let names = block.links.into_iter().map(Result::unwrap_or_default);
            let images = names.zip(block.stored);
            each(images.map(|(name, stored)| Image { name, bytes: stored.now().ok() }).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{EncodeOptions, Picture, encode};

    #[test]
    fn images_of_a_folder_come_by_their_names_and_lists_have_none() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b/2.png", "a.png", "b/1.png"] {
            let png = encode(&Picture::filled(2, 1, [1, 2, 3]), &EncodeOptions::png()).unwrap();
            crate::atomic::write(folder.path().join(name), png).unwrap();
        }
        let found = Images::find(folder.path().to_str().unwrap()).unwrap();
        let input = found[0].input(2).unwrap();
        assert_eq!((found.len(), input.rows), (1, 3));
        let mut names = Vec::new();
        let unit = Unit { index: 1, file: input.path, start: 1, rows: 2, offset: None };
        found[0]
            .read(&unit, &mut |images| {
                names.extend(images.into_iter().map(|image| (image.name, image.bytes.is_some())));
                true
            })
            .unwrap();
        assert_eq!(names, [("b/1.png".to_owned(), true), ("b/2.png".to_owned(), true)]);
        let list = folder.path().join("links.csv");
        crate::atomic::write(&list, "url\nhttp://h/1\n").unwrap();
        let error = Images::find(list.to_str().unwrap()).unwrap_err();
        assert!(error.to_string().ends_with("there are no images in it"), "{error}");
    }
}
