//! Link tables as a web crawl gives them, for `bench/filter.py`: made up, in ten languages, the same rows each time.
//!
//! ```text
//! cargo run --release -p pipeline --example filter_rows FOLDER ROWS
//! ```

use std::error::Error;
use std::fmt::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int32Array, RecordBatch, StringBuilder};
use pipeline::atomic::AtomicFile;
use pipeline::pairs::TableWriter;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

/// Rows of a shard, and rows made at a time.
const SHARD: u64 = 250_000;
const BATCH: u64 = 8192;
/// Hosts; half of all pictures lie on an eighth of them.
const HOSTS: f64 = 200_000.0;

/// Captions of a hundred in each language, and words to make them of.
const LANGUAGES: [(u32, &str); 10] = [
    (
        45,
        "a the of in on with and for by at from red blue small old new vintage modern black white cat dog house street \
        market summer garden woman man city river mountain flower wooden table kitchen leather dress shoes poster \
        print wall art portrait wedding beautiful view during sunset beach girl holding sitting stock vector",
    ),
    (
        15,
        "и в на с для от по из рыжий старый новый красивый большой кот собака дом улица рынок лето сад женщина девушка \
        город река гора цветок деревянный стол кухня чёрный белый платье плакат купить цена интернет магазин фото отзывы",
    ),
    (
        8,
        "und der die das in mit von für auf ein eine rote alte neue kleine große Katze Hund Haus Straße Markt Sommer \
        Garten Frau Mann Stadt Fluss Berg Blume aus Holz Tisch Küche schwarz weiß Kleid Bild kaufen günstig über",
    ),
    (
        7,
        "le la les de des du et à dans sur avec pour une un petit rouge vieux nouveau chat chien maison rue marché été \
        jardin femme homme ville rivière montagne fleur en bois table cuisine noir blanc robe affiche près château",
    ),
    (
        7,
        "el la los las de del y en con para por un una pequeño rojo viejo nuevo gato perro casa calle mercado verano \
        jardín mujer hombre ciudad río montaña flor de madera mesa cocina negro blanco vestido cartel niño año",
    ),
    (
        5,
        "i w na z do dla od po stary nowy mały duży czerwony kot pies dom ulica rynek lato ogród kobieta mężczyzna miasto \
        rzeka góra kwiat drewniany stół kuchnia czarny biały sukienka plakat zdjęcie piękny łódź",
    ),
    (
        4,
        "il la di del e in con per un una piccolo rosso vecchio nuovo gatto cane casa strada mercato estate giardino donna \
        uomo città fiume montagna fiore legno tavolo cucina nero bianco vestito poster perché più",
    ),
    (
        3,
        "і в на з для від по старий новий маленький великий рудий кіт собака будинок вулиця ринок літо сад жінка місто \
        річка гора квітка дерев'яний стіл кухня чорний білий сукня їжак",
    ),
    (
        3,
        "赤い猫 古い家の屋根 新しい 夏の庭 女性 街の市場 山と川 木のテーブル 台所 黒い ドレス ポスター 写真 かわいい 京都の 桜",
    ),
    (
        3,
        "红色的猫 老房子 新款 夏季花园 女士 城市街道 山水风景 木制桌子 厨房 黑色 连衣裙 海报 图片 高清 北京 价格",
    ),
];

/// Texts that many pictures have.
const POPULAR: [&str; 12] = [
    "Image",
    "No photo available",
    "Click to enlarge",
    "logo",
    "Фото отсутствует",
    "Stock photo",
    "Thumbnail",
    "Avatar",
    "Profile picture",
    "Related product",
    "Facebook share button",
    "Image may contain: one or more people and indoor",
];

/// Widths and heights that scripts of web sites cut pictures to.
const SIZES: [(i32, i32); 8] =
    [(150, 150), (300, 225), (300, 300), (236, 354), (640, 480), (800, 800), (1200, 800), (728, 90)];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("which folder?")?;
    let rows: u64 = arguments.next().ok_or("how many rows?")?.parse()?;
    std::fs::create_dir_all(&folder)?;
    let write = |shard: u64| {
        let path = Path::new(&folder).join(format!("{shard:05}.parquet"));
        write(&path, shard, SHARD.min(rows - shard * SHARD)).map_err(|e| e.to_string())
    };
    Ok((0..rows.div_ceil(SHARD)).into_par_iter().try_for_each(write)?)
}

fn write(path: &Path, shard: u64, rows: u64) -> Result<(), Box<dyn Error>> {
    let mut web = Web::new(shard);
    let schema = web.batch(0)?.schema();
    let mut writer = TableWriter::new(AtomicFile::create(path)?, schema, "links/1", &[], "rows")?;
    for start in (0..rows).step_by(BATCH as usize) {
        writer.write(&web.batch(BATCH.min(rows - start))?)?;
    }
    writer.close()?.0.commit()?;
    Ok(())
}

/// What a crawl meets.
struct Web {
    random: ChaCha8Rng,
    languages: Vec<(u32, Vec<&'static str>)>,
}

impl Web {
    fn new(seed: u64) -> Self {
        let languages = LANGUAGES.map(|(share, words)| (share, words.split_whitespace().collect()));
        Self { random: ChaCha8Rng::seed_from_u64(seed), languages: languages.into() }
    }

    fn batch(&mut self, rows: u64) -> Result<RecordBatch, Box<dyn Error>> {
        let (mut urls, mut captions) = (StringBuilder::new(), StringBuilder::new());
        let (mut widths, mut heights, mut scores) = (Vec::new(), Vec::new(), Vec::new());
        let mut text = String::new();
        for _ in 0..rows {
            let (width, height) = self.size();
            text.clear();
            self.address(&mut text, width, height)?;
            urls.append_value(&text);
            text.clear();
            captions.append_option(self.caption(&mut text)?.then_some(&text));
            widths.push(width);
            heights.push(height);
            // About normal: a mean of 0.24, as CLIP scores of web pictures have it.
            scores.push((0..4).map(|_| self.random.random_range(0.02..0.1_f32)).sum::<f32>());
        }
        Ok(RecordBatch::try_from_iter_with_nullable([
            ("url", Arc::new(urls.finish()) as ArrayRef, true),
            ("caption", Arc::new(captions.finish()), true),
            ("original_width", Arc::new(Int32Array::from(widths)), true),
            ("original_height", Arc::new(Int32Array::from(heights)), true),
            ("clip_score", Arc::new(Float32Array::from(scores)), true),
        ])?)
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.random.random_range(0..list.len())]
    }

    fn size(&mut self) -> (i32, i32) {
        match self.random.random_range(0..10) {
            0..6 => self.pick(&SIZES),
            _ => (self.random.random_range(40..2400), self.random.random_range(40..1800)),
        }
    }

    fn address(&mut self, url: &mut String, width: i32, height: i32) -> fmt::Result {
        let host = (HOSTS * self.random.random_range(0.0..1.0_f64).powi(3)) as u32;
        let domain = self.pick(&[
            "com", "com", "com", "net", "org", "ru", "ru", "de", "fr", "es", "pl", "it", "jp", "co.uk",
        ]);
        write!(url, "https://img{}.site{host}.{domain}", host % 4)?;
        let ending = self
            .pick(&["jpg", "jpg", "jpg", "jpg", "jpg", "jpg", "jpeg", "png", "png", "webp", "gif", "svg"]);
        let name: u64 = self.random.random();
        match name % 3 {
            0 => {
                let (year, month) = (self.random.random_range(2009..2024), self.random.random_range(1..13));
                write!(
                    url,
                    "/wp-content/uploads/{year}/{month:02}/photo-{}-{width}x{height}.{ending}",
                    name >> 40
                )
            }
            1 => write!(url, "/images/I/{:012x}._SL{height}_.{ending}", name >> 16),
            _ => write!(
                url,
                "/media/cache/{:02x}/{:02x}/{name:016x}.{ending}?w={width}",
                name >> 8 & 255,
                name >> 16 & 255
            ),
        }
    }

    /// Writes a caption; false: the picture has none.
    fn caption(&mut self, text: &mut String) -> Result<bool, fmt::Error> {
        let number: u32 = self.random.random_range(1..400);
        match self.random.random_range(0..100) {
            0..62 => self.sentence(text, 3..15)?,
            62..72 => {
                self.sentence(text, 2..6)?;
                write!(text, ", {number} x {} cm – {}", number / 2 + 1, number % 90 + 9)?;
            }
            72..78 => write!(text, "Photo {} of {number}", number / 3 + 1)?,
            78..83 => write!(text, "IMG_{:04}.JPG", number * 17)?,
            83..88 => text.push_str(self.pick(&POPULAR)),
            88..90 => write!(text, "{:032x}", self.random.random::<u128>())?,
            90 => write!(text, "contact shop{number}@site{number}.com")?,
            91 => write!(text, "see https://www.site{number}.com/p/{number}")?,
            92..94 => {
                let mut sound = String::new();
                self.sentence(&mut sound, 3..10)?;
                text.extend(sound.bytes().map(char::from));
            }
            94..97 => {
                self.sentence(text, 2..6)?;
                text.push_str(" &amp; ");
                self.sentence(text, 2..6)?;
                text.push_str("&nbsp; &quot;sale&quot;");
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// So many words of one language.
    fn sentence(&mut self, text: &mut String, words: std::ops::Range<usize>) -> fmt::Result {
        let mut at = self.random.random_range(0..100);
        let language = self.languages.iter().position(|(share, _)| {
            let here = at < *share;
            at = at.saturating_sub(*share);
            here
        });
        let language = language.unwrap_or_default();
        for place in 0..self.random.random_range(words) {
            let list = &self.languages[language].1;
            let word = list[self.random.random_range(0..list.len())];
            write!(text, "{}{word}", if place > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}
