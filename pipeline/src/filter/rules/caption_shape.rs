//! `caption-shape`: captions that are no captions, told by how they look.

use std::collections::BTreeSet;

use regex::Regex;
use serde::{Deserialize, Serialize};
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

use super::{Site, Trouble, bad_texts};
use crate::filter::judge::Catcher;

/// A shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Nothing but words such as "image", "photo of", "click to enlarge", and numbers.
    Boilerplate,
    /// The name of a picture's file, or one that a camera or phone gave: `IMG_1234`, `cat.jpg`.
    FileName,
    /// An e-mail address somewhere in it.
    EMail,
    /// A web address somewhere in it.
    Url,
    /// Mostly a hash, a UUID or another random string.
    Hash,
    /// Fewer letters than `letters` asks for.
    Symbols,
}

impl Shape {
    const ALL: [Self; 6] =
        [Self::Boilerplate, Self::FileName, Self::EMail, Self::Url, Self::Hash, Self::Symbols];
}

/// Removes rows whose text has one of the shapes; an empty text has none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptionShape {
    /// The shapes that are not wanted; by default all.
    pub refuse: BTreeSet<Shape>,
    /// Share of letters among the characters that are no spaces, which a text of shape `symbols` does not reach.
    pub letters: f64,
    /// Column of the text; by default that of the captions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

impl Default for CaptionShape {
    /// All shapes; half of the characters must be letters.
    fn default() -> Self {
        Self { refuse: Shape::ALL.into(), letters: 0.5, column: None }
    }
}

/// Words that say nothing of a picture, in English and Russian.
const BOILERPLATE: &str = "a alt an and are at available background banner blank button by caption click close \
    coming default description download empty enlarge enlarged figure file for found full fullscreen gallery go header here hide \
    home icon icons image images img is jpeg jpg larger link loading logo main menu more n na next no none not null of on \
    open original page photo photograph photos pic picture pictures placeholder play png preview previous prev read \
    screenshot see share show size slide slider soon spacer svg text the this thumb thumbnail title to undefined \
    unavailable unnamed untitled user view webp zoom \
    без в вид для добавить доступно загрузка закрыть здесь и изображение изображения иконка картинка картинки \
    кликните кнопка лого логотип меню на название названия нажмите нет обложка описание открыть подробнее превью \
    просмотр просмотреть размер рисунок скачать снимок страница текст увеличения увеличить файл фон фото \
    фотографии фотография чтобы";

/// A file's name with the ending of a picture; a name that a camera, phone or program numbers.
const FILE_NAME: &str = r"(?ix)
    \.(jpe?g|png|gif|webp|bmp|tiff?|svg|avif|heic|jfif|ico)$
    | ^(img|dscn?|dscf|pict?|gopr|dji|pxl|sam|mvi|vid|image|photo|foto|scan|screen\ ?shot|whatsapp\ image|unnamed
        |download|untitled|снимок|фото|изображение)
      [-_\ .]*\(?[0-9][0-9\ \-_.():at]*$
    | ^[0-9]{8}[-_][0-9]{6}\w*$";

const E_MAIL: &str = r"(?i)\b[a-z0-9._%+-]+@[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}\b";

const URL: &str = r"(?i)\b(https?://|www\.)\S+\.\S+";

/// [`RANDOM`] hex digits (half an MD5) or a UUID.
const HEX: &str = r"(?i)\b([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,})\b";

/// Characters that a word of letters and digits must have to pass for a random string.
const RANDOM: usize = 16;

impl CaptionShape {
    pub(super) fn catcher(&self, site: &mut Site<'_>) -> Result<Catcher, Trouble> {
        if !(0.0..=1.0).contains(&self.letters) {
            return Err(Trouble::Wrong("letters lies between 0 and 1".to_owned()));
        }
        let shapes = Shapes::new(self.letters)?;
        let refuse: Vec<Shape> = self.refuse.iter().copied().collect();
        let column = site.caption_or(self.column.as_deref())?;
        Ok(bad_texts(column, move |text| {
            let text = text.trim();
            !text.is_empty() && refuse.iter().any(|shape| shapes.is(*shape, text))
        }))
    }
}

struct Shapes {
    boilerplate: BTreeSet<&'static str>,
    file_name: Regex,
    e_mail: Regex,
    url: Regex,
    hex: Regex,
    letters: f64,
}

impl Shapes {
    fn new(letters: f64) -> Result<Self, Trouble> {
        let regex = |pattern: &str| Regex::new(pattern).map_err(|e| Trouble::Wrong(e.to_string()));
        Ok(Self {
            boilerplate: BOILERPLATE.split_whitespace().collect(),
            file_name: regex(FILE_NAME)?,
            e_mail: regex(E_MAIL)?,
            url: regex(URL)?,
            hex: regex(HEX)?,
            letters,
        })
    }

    fn is(&self, shape: Shape, text: &str) -> bool {
        match shape {
            Shape::Boilerplate => self.is_boilerplate(text),
            // Most captions lack what each expression needs, and are spared it.
            Shape::FileName => {
                text.bytes().any(|byte| byte == b'.' || byte.is_ascii_digit())
                    && self.file_name.is_match(text)
            }
            Shape::EMail => text.contains('@') && self.e_mail.is_match(text),
            Shape::Url => text.contains('.') && self.url.is_match(text),
            Shape::Hash => self.is_hash(text),
            Shape::Symbols => letters(text) < self.letters,
        }
    }

    fn is_boilerplate(&self, text: &str) -> bool {
        let empty = |word: &str| {
            let digits = word.chars().all(char::is_numeric);
            digits || self.boilerplate.contains(word.to_lowercase().as_str())
        };
        text.unicode_words().all(empty) && text.chars().any(char::is_alphabetic)
    }

    /// Whether random strings make up more than half of it.
    fn is_hash(&self, text: &str) -> bool {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
        let mut long = words.filter(|word| word.len() >= RANDOM).peekable();
        if long.peek().is_none() {
            return false;
        }
        let random: usize = long.filter(|word| is_random(word)).map(str::len).sum();
        let hex: usize = self.hex.find_iter(text).map(|found| found.len()).sum();
        2 * hex.max(random) > text.chars().filter(|c| !c.is_whitespace()).count()
    }
}

/// Letters of both cases and digits in disorder, as base64 and the names of stored objects have them; of a long word.
fn is_random(word: &str) -> bool {
    let class = |byte: u8| match byte {
        b'0'..=b'9' => 0,
        b'A'..=b'Z' => 1,
        _ => 2,
    };
    let changes = word.as_bytes().windows(2).filter(|two| class(two[0]) != class(two[1])).count();
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    digits >= 2 && 3 * changes >= word.len()
}

/// Share of letters, with their accents and vowel signs, among the characters that are no spaces.
fn letters(text: &str) -> f64 {
    let mut counts = [0_u32; 2];
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        counts[0] += u32::from(c.is_alphabetic() || (!c.is_ascii() && is_combining_mark(c)));
        counts[1] += 1;
    }
    f64::from(counts[0]) / f64::from(counts[1].max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(shape: Shape, text: &str) -> bool {
        Shapes::new(0.5).unwrap().is(shape, text)
    }

    #[test]
    fn each_shape_knows_its_own() {
        for (kind, texts) in [
            (Shape::Boilerplate, ["image", "Photo of", "Click to enlarge", "No image available", "фото 12"]),
            (
                Shape::FileName,
                ["IMG_1234", "my cat.JPG", "DSC01234", "20190203_123456", "Screenshot 2020-01-02"],
            ),
            (Shape::EMail, ["a@b.org", "write: me.too@mail.example.com!", "A@B.RU", "x+y@z.io", "(q@w.co)"]),
            (
                Shape::Url,
                ["www.example.org", "see https://h.example/a", "HTTP://A.B/c", "(www.a.b)", "http://a.b?c"],
            ),
            (
                Shape::Hash,
                [
                    "d41d8cd98f00b204e9800998ecf8427e",
                    "pic d41d8cd98f00b204e9800998ecf8427e",
                    "123e4567-e89b-12d3-a456-426614174000",
                    "aGVsbG8gd29ybGQ5Z2Q4",
                    "0123456789abcdef",
                ],
            ),
            (Shape::Symbols, ["12345", "***", "- 2019 -", "a 1234", "★★★★☆ (12)"]),
        ] {
            for text in texts {
                assert!(shape(kind, text), "{kind:?} {text}");
            }
        }
    }

    #[test]
    fn captions_have_no_shape() {
        for text in [
            "Photo of a red cat",
            "Картинка: рыжий кот на крыше",
            "Boeing 747 over London, 12 May 1999",
            "a cat at @home",
            "internationalization",
            "हिन्दी में एक बिल्ली",
            "赤い猫",
            "Screenshot of the game Doom",
            "the .jpg format explained",
            "DSC Ultra shaver",
            "Ferrari F430 Spider, 2007",
            "Supercalifragilistic2000",
            "ул. Ленина, 5",
        ] {
            let found: Vec<_> = Shape::ALL.into_iter().filter(|kind| shape(*kind, text)).collect();
            assert!(found.is_empty(), "{text}: {found:?}");
        }
    }

    #[test]
    fn only_the_shapes_that_are_named_are_refused() {
        use crate::filter::rules::testing::{captions, caught};
        let table = captions(&[Some("image"), Some("cat.jpg"), Some(""), None, Some("12 34 cat")]);
        assert_eq!(caught("kind = \"caption-shape\"", &table), [0, 1, 4]);
        assert_eq!(caught("kind = \"caption-shape\"\nletters = 0.4", &table), [0, 1]);
        assert_eq!(caught("kind = \"caption-shape\"\nrefuse = [\"file-name\"]", &table), [1]);
    }
}
