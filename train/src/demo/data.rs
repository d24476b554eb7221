//! The demo's data in `configs/demo/data`: pictures with their names in two languages.

use std::collections::HashMap;
use std::path::Path;

use bytes::Bytes;
use pipeline::pairs::tar::TarReader;

use crate::{Error, Result};

/// Host of the links. `.test` is reserved (RFC 6761), so no such host exists; `net.resolve` says where it is found.
pub(super) const HOST: &str = "emoji.test";

/// Names of the two caption columns of the link list: English, then Russian.
pub(super) const CAPTIONS: [&str; 2] = ["caption", "caption_ru"];

/// One line of `captions.tsv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Emoji {
    /// Name in the archive, made of code points.
    pub(super) file: String,
    /// English, Russian.
    pub(super) captions: [String; 2],
    /// `train` or `test`.
    pub(super) split: String,
}

/// The pictures and their names.
#[derive(Clone, Debug)]
pub(super) struct Data {
    pub(super) emoji: Vec<Emoji>,
    /// By their names in the archive.
    pub(super) pictures: HashMap<String, Bytes>,
}

impl Data {
    /// Reads the folder; `limit` keeps the first lines only.
    ///
    /// # Errors
    /// A missing or damaged file, or a line without a picture.
    pub(super) fn read(folder: &Path, limit: Option<usize>) -> Result<Self> {
        let (list, pictures) = (folder.join("captions.tsv"), folder.join("emoji.tar"));
        let text = std::fs::read_to_string(&list).map_err(Error::io(&list))?;
        let mut emoji = parse(&list, &text)?;
        emoji.truncate(limit.unwrap_or(usize::MAX));
        let archive = unpack(&pictures)?;
        match emoji.iter().find(|emoji| !archive.contains_key(&emoji.file)) {
            Some(emoji) => Err(Error::data(&pictures, format!("no {} in the archive", emoji.file))),
            None => Ok(Self { emoji, pictures: archive }),
        }
    }

    /// The link list: `url`, the captions, `split` and `file`, tab-separated.
    pub(super) fn links(&self) -> String {
        let mut list = format!("url\t{}\t{}\tsplit\tfile\n", CAPTIONS[0], CAPTIONS[1]);
        for Emoji { file, captions: [english, russian], split } in &self.emoji {
            list += &format!("http://{HOST}/{file}\t{english}\t{russian}\t{split}\t{file}\n");
        }
        list
    }
}

/// The files of the archive: the repository carries one file instead of 1,369.
fn unpack(path: &Path) -> Result<HashMap<String, Bytes>> {
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    let mut tar = TarReader::new(std::io::BufReader::new(file));
    let mut files = HashMap::new();
    while let Some((name, content)) = tar.next_file().map_err(Error::io(path))? {
        files.insert(name, content.into());
    }
    Ok(files)
}

fn parse(path: &Path, text: &str) -> Result<Vec<Emoji>> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let column = |name: &str| {
        let missing = || Error::data(path, format!("no column `{name}`"));
        names.iter().position(|known| *known == name).ok_or_else(missing)
    };
    let (file, split) = (column("file")?, column("split")?);
    let captions = [column("caption_en")?, column("caption_ru")?];
    let read = |(line, number): (&str, usize)| {
        let fields: Vec<&str> = line.split('\t').collect();
        // A quote would need quoting in the link list.
        if fields.len() != names.len() || captions.iter().any(|i| fields[*i].contains('"')) {
            return Err(Error::data(path, format!("line {number}: not {} plain fields", names.len())));
        }
        let own = |i: usize| fields[i].to_owned();
        Ok(Emoji { file: own(file), captions: captions.map(own), split: own(split) })
    };
    lines.zip(2..).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "file\temoji\tcaption_en\tcaption_ru\tkeywords_en\tkeywords_ru\tsplit\n\
        1f408.png\tX\tcat\tкошка\tcat|pet\tкот|кошка\ttrain\n";

    #[test]
    fn a_line_becomes_a_link() {
        let emoji = parse(Path::new("c.tsv"), LIST).unwrap();
        let data = Data { emoji, pictures: HashMap::new() };
        assert_eq!(
            data.links(),
            "url\tcaption\tcaption_ru\tsplit\tfile\nhttp://emoji.test/1f408.png\tcat\tкошка\ttrain\t1f408.png\n"
        );
    }

    #[test]
    fn a_torn_line_is_named() {
        let error = parse(Path::new("c.tsv"), &format!("{LIST}1f409.png\tX\tdog")).unwrap_err();
        assert_eq!(error.to_string(), "c.tsv: line 3: not 7 plain fields");
        assert_eq!(
            parse(Path::new("c.tsv"), "file\tsplit").unwrap_err().to_string(),
            "c.tsv: no column `caption_en`"
        );
    }

    #[test]
    fn the_folder_in_the_repository_is_whole() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/demo/data");
        let data = Data::read(&folder, None).unwrap();
        let held_out = data.emoji.iter().filter(|emoji| emoji.split == "test").count();
        assert_eq!((data.emoji.len(), held_out), (1369, 57));
        assert_eq!(Data::read(&folder, Some(8)).unwrap().emoji[7].split, "test");
    }
}
