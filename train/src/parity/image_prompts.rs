//! Case `image_prompts`: which codes of a picture's borders are given, and what they are.

use std::path::PathBuf;

use burn::tensor::Device;
use pipeline::picture::{DecodeOptions, Picture, decode};
use serde::Deserialize;
use tokenize::codec::Codec;
use tokenize::parity::{Array, Case, Comparison, Outputs, compare};

use super::{checked, scalar};
use crate::Result;
use crate::draw::{Borders, given_codes};

/// One entry of `cases`.
#[derive(Deserialize)]
struct Prompt {
    id: String,
    /// Rows and columns.
    grid: [usize; 2],
    borders: Sides,
    crop_first: bool,
    /// Whether only the places are stored, not the codes.
    #[serde(default)]
    index_set_only: bool,
    forced: Vec<usize>,
}

#[derive(Deserialize)]
struct Sides {
    up: usize,
    down: usize,
    left: usize,
    right: usize,
}

pub(super) fn run(case: &Case, device: &Device) -> Result<Vec<Comparison>> {
    let prompts = case.config::<Vec<Prompt>>("/cases")?;
    let codec = Codec::load(&codec_of(case)?, device)?;
    let picture = picture(case)?;
    let (mut outputs, mut lines) = (Outputs::new(), Vec::new());
    for prompt in &prompts {
        let Sides { up, down, left, right } = prompt.borders;
        let (borders, [rows, columns]) = (Borders { up, down, left, right }, prompt.grid);
        if rows == 0 || columns == 0 || up.max(down) > rows || left.max(right) > columns {
            return checked::refuse(case, format!("{}: borders that no grid has", prompt.id));
        }
        let places = borders.places(rows, columns);
        let odd = places.iter().filter(|place| !prompt.forced.contains(place)).count()
            + prompt.forced.iter().filter(|place| !places.contains(place)).count();
        lines.push(scalar(case, format!("{}.forced (places that differ)", prompt.id), odd as f64, 0.0));
        if !prompt.index_set_only {
            let name = format!("codes.{}", prompt.id);
            outputs.insert(name, codes(case, prompt, &picture, &borders, &codec)?);
        }
    }
    lines.extend(compare(case, &outputs)?);
    Ok(lines)
}

/// The given codes at their places; elsewhere what the case holds: with `crop_first` zeros, which are stored, and
/// otherwise the codes of the whole picture, of which only the given ones are used.
fn codes(case: &Case, prompt: &Prompt, picture: &Picture, borders: &Borders, codec: &Codec) -> Result<Array> {
    let [rows, columns] = prompt.grid;
    let all = Borders { up: rows, ..Borders::default() };
    let mut codes = vec![0i64; rows * columns];
    let given = given_codes(picture, borders, codec, prompt.crop_first)?;
    let whole = if prompt.crop_first { Vec::new() } else { given_codes(picture, &all, codec, false)? };
    for (place, code) in whole.into_iter().chain(given) {
        match codes.get_mut(place) {
            Some(to) => *to = i64::from(code),
            None => return checked::refuse(case, format!("{}: the picture has another grid", prompt.id)),
        }
    }
    Ok(Array::i64(&[1, rows * columns], codes))
}

/// The checkpoint of the case that `tokenizer` names, beside this one or among the fixtures of `tokenize`.
fn codec_of(case: &Case) -> Result<PathBuf> {
    let beside = case.dir.join(case.config::<String>("/tokenizer")?);
    Ok(Case::open(beside)?.checkpoint()?)
}

fn picture(case: &Case) -> Result<Picture> {
    let path = case.dir.join("input.png");
    let bytes = std::fs::read(&path).map_err(crate::Error::io(&path))?;
    decode(&bytes, &DecodeOptions::default())
        .or_else(|reason| checked::refuse(case, format!("input.png: {}", reason.text())))
}
