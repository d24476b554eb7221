//! How well a text-image model completes pictures whose upper half it is given, with and without their caption;
//! `bench/emoji.py` runs it.
//!
//! ```text
//! cargo run -p train --example completion RUN PAIRS OUT.png
//! ```
//! PAIRS are pair shards of the model's image size with a column `split`: `train` rows give the mean image, the others are
//! completed. The upper half is encoded alone, so that nothing of the lower one leaks into its codes. Prints a line of JSON with
//! the mean squared error over the lower half, in units of (colour / 255)², of the mean image and of what the model draws: the
//! likeliest codes one by one, one drawing at the run's own sampling settings, and the mean of eight. OUT.png shows originals,
//! what was given, and drawings.

use std::error::Error;
use std::path::Path;

use burn::tensor::Device;
use pipeline::cli::print;
use pipeline::pairs;
use pipeline::picture::{DecodeOptions, Picture, decode};
use train::bundle::Bundle;
use train::draw::{Drawing, Draws, draw};
use train::run::{Folder, save_grid};
use train::sampling::SamplingConfig;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Drawings that are averaged.
const MANY: u64 = 8;

/// Drawings computed together.
const BATCH: usize = 32;

/// Pictures on the sheet.
const SHOWN: usize = 16;

struct Item {
    caption: String,
    picture: Picture,
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [run, pairs, out] = &arguments[..] else { return Err("RUN PAIRS OUT.png".into()) };
    let bundle = Bundle::open(Path::new(run), &Device::flex())?;
    let (train, held_out) = read(pairs)?;
    let mean = mean_image(&train)?;
    // The caption counts once: guidance makes drawings of known captions bolder, and here the captions are new.
    let sampling = SamplingConfig { guidance: 1.0, ..sampling_of(Path::new(run))? };
    let halves = Halves { bundle: &bundle, items: &held_out, given: upper_codes(&bundle, &held_out)? };
    let with = halves.completed(&sampling, |item| bundle.ids(&item.caption))?;
    let without = halves.completed(&sampling, |_| Vec::new())?;
    let record = serde_json::json!({
        "train": train.len(), "held_out": held_out.len(),
        "mean_image": halves.error(&|_| mean.clone()),
        "caption": halves.errors(&with), "no_caption": halves.errors(&without),
    });
    save_grid(&sheet(&held_out, &with), 8, Path::new(out))?;
    Ok(print(&record.to_string())?)
}

/// Training pictures and the others.
fn read(folder: &str) -> Outcome<(Vec<Item>, Vec<Item>)> {
    let (mut train, mut held_out) = (Vec::new(), Vec::new());
    for pair in pairs::open(folder)? {
        let pair = pair?;
        let Some(image) = &pair.image else { continue };
        let picture = decode(image, &DecodeOptions::default()).map_err(pipeline::reason::Reason::text)?;
        let item = Item { caption: pair.caption.clone().unwrap_or_default(), picture };
        if pair.text("split") == Some("train") { train.push(item) } else { held_out.push(item) }
    }
    Ok((train, held_out))
}

fn values(picture: &Picture) -> Vec<f64> {
    picture.pixels().iter().map(|value| f64::from(*value) / 255.0).collect()
}

fn average(pictures: &[Picture]) -> Vec<f64> {
    let mut sum = vec![0.0; pictures.first().map_or(0, |picture| picture.pixels().len())];
    for picture in pictures {
        sum.iter_mut().zip(values(picture)).for_each(|(sum, value)| *sum += value / pictures.len() as f64);
    }
    sum
}

fn mean_image(items: &[Item]) -> Outcome<Vec<f64>> {
    let first = items.first().ok_or("no row of the split `train`")?.picture.pixels().len();
    let pictures: Vec<_> = items.iter().map(|item| item.picture.clone()).collect();
    if pictures.iter().any(|picture| picture.pixels().len() != first) {
        return Err("pictures of several sizes".into());
    }
    Ok(average(&pictures))
}

/// Mean squared error over the lower half.
fn lower_error(picture: &Picture, found: &[f64]) -> f64 {
    let own = values(picture);
    let lower = own.len() / 2..own.len();
    let squares: f64 =
        own[lower.clone()].iter().zip(&found[lower.clone()]).map(|(a, b)| (a - b).powi(2)).sum();
    squares / lower.len() as f64
}

/// The codes of each picture's upper half.
fn upper_codes(bundle: &Bundle, items: &[Item]) -> Outcome<Vec<Vec<u16>>> {
    let mut codes = Vec::new();
    for items in items.chunks(BATCH) {
        let half = |picture: &Picture| picture.crop(0, 0, picture.width(), picture.height() / 2);
        let halves: Vec<_> = items.iter().map(|item| half(&item.picture)).collect();
        codes.extend(bundle.codec.encode(&halves)?);
    }
    Ok(codes)
}

/// Pictures of which the upper half is given.
struct Halves<'a> {
    bundle: &'a Bundle,
    items: &'a [Item],
    /// The codes of their upper halves.
    given: Vec<Vec<u16>>,
}

/// What a model makes of them.
struct Completed {
    /// The likeliest codes one by one.
    greedy: Vec<Picture>,
    /// [`MANY`] drawings of each.
    sampled: Vec<Picture>,
}

impl Halves<'_> {
    fn completed(&self, sampling: &SamplingConfig, text: impl Fn(&Item) -> Vec<u32>) -> Outcome<Completed> {
        let greedy = SamplingConfig { top_k: 1, ..*sampling };
        Ok(Completed { greedy: self.drawn(&greedy, &text, 1)?, sampled: self.drawn(sampling, &text, MANY)? })
    }

    /// `streams` drawings of each picture.
    fn drawn(
        &self,
        sampling: &SamplingConfig,
        text: &impl Fn(&Item) -> Vec<u32>,
        streams: u64,
    ) -> Outcome<Vec<Picture>> {
        let Self { bundle, items, given } = self;
        let mut drawings = Vec::new();
        for (item, given) in items.iter().zip(given) {
            let given: Vec<_> = given.iter().copied().enumerate().collect();
            let text = text(item);
            drawings.extend((0..streams).map(|stream| Drawing {
                text: text.clone(),
                given: given.clone(),
                stream,
            }));
        }
        let codes = draw(&bundle.model, &drawings, sampling, BATCH, &mut |_| ())?;
        let mut pictures = Vec::new();
        for codes in codes.chunks(BATCH) {
            pictures.extend(bundle.codec.decode(codes, bundle.model.gpt().config().grid)?);
        }
        Ok(pictures)
    }

    /// The mean error of what `found` gives for each picture.
    fn error(&self, found: &dyn Fn(usize) -> Vec<f64>) -> f64 {
        let errors = (0..self.items.len()).map(|i| lower_error(&self.items[i].picture, &found(i)));
        errors.sum::<f64>() / self.items.len() as f64
    }

    fn errors(&self, of: &Completed) -> serde_json::Value {
        let many = |i: usize| &of.sampled[i * MANY as usize..(i + 1) * MANY as usize];
        serde_json::json!({
            "greedy": self.error(&|i| values(&of.greedy[i])),
            "sampled": self.error(&|i| values(&many(i)[0])),
            "mean_of_8": self.error(&|i| average(many(i))),
        })
    }
}

/// What the run draws its samples with.
fn sampling_of(run: &Path) -> Outcome<SamplingConfig> {
    let text = std::fs::read_to_string(Folder::config_of(run))?;
    let table: toml::Table = toml::from_str(&text)?;
    let sampling = table.get("samples").and_then(|samples| samples.get("sampling"));
    Ok(sampling.cloned().map(toml::Value::try_into).transpose()?.unwrap_or_default())
}

/// Eight columns: originals, what was given, the likeliest drawing, one of the others.
fn sheet(items: &[Item], completed: &Completed) -> Vec<Picture> {
    let mut rows: [Vec<Picture>; 4] = Default::default();
    let shown = SHOWN.min(items.len());
    let mut sheet = Vec::new();
    for place in (0..shown).map(|i| i * items.len() / shown) {
        let picture = &items[place].picture;
        let mut given = picture.clone();
        let half = Picture::filled(picture.width(), picture.height() / 2, [128; 3]);
        given.paste(&half, 0, picture.height() / 2);
        let drawn = [completed.greedy[place].clone(), completed.sampled[place * MANY as usize].clone()];
        for (row, picture) in rows.iter_mut().zip([picture.clone(), given].into_iter().chain(drawn)) {
            row.push(picture);
        }
        if rows[0].len() == 8 {
            sheet.extend(rows.iter_mut().flat_map(std::mem::take));
        }
    }
    sheet
}
