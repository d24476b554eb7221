//! Pictures drawn while training: of each held-out picture what it is, what is given of it, and what the model makes of
//! that.

use burn::tensor::Device;
use pipeline::picture::Picture;
use tokenize::codec::Codec;

use super::config::ImageGptTask;
use super::mask;
use crate::Result;
use crate::draw::{Drawing, draw};
use crate::gpt::Vocabulary;
use crate::image_gpt::ImageGpt;

/// What stands where nothing is given: no grey, so that no picture of greys has it.
const ABSENT: [u8; 3] = [96, 120, 160];

/// The pictures of a sheet, row by row, with so many in a row.
///
/// # Errors
/// The model's logits are NaN, or the codec cannot decode.
pub(super) fn sheet(
    task: &ImageGptTask,
    model: &ImageGpt,
    codec: &Codec,
    originals: &[&[u16]],
    device: &Device,
) -> Result<(Vec<Picture>, usize)> {
    if model.config().bidirectional {
        filled(task, model, codec, originals, device)
    } else {
        completed(task, model, codec, originals)
    }
}

/// Original, given, completions; below them as many drawn from nothing.
fn completed(
    task: &ImageGptTask,
    model: &ImageGpt,
    codec: &Codec,
    originals: &[&[u16]],
) -> Result<(Vec<Picture>, usize)> {
    let (grid, columns) = (task.model.grid, task.samples.columns);
    let told = (task.samples.given * grid as f64).round() as usize * grid;
    let given = |codes: &[u16]| codes.iter().take(told).copied().enumerate().collect::<Vec<_>>();
    let prefixes = originals.iter().flat_map(|codes| std::iter::repeat_n(given(codes), columns));
    let all = prefixes.chain(std::iter::repeat_n(Vec::new(), columns + 2));
    let drawings: Vec<_> =
        all.zip(0..).map(|(given, stream)| Drawing { given, stream, ..Drawing::default() }).collect();
    let drawn = draw(model, &drawings, &task.samples.sampling, drawings.len(), &mut |_| ())?;
    let (completions, free) = drawn.split_at(originals.len() * columns);
    let seen: Vec<bool> = (0..grid * grid).map(|pixel| pixel < told).collect();
    let mut pictures = Vec::new();
    for (original, completions) in originals.iter().zip(completions.chunks(columns.max(1))) {
        let picture = codec.decode(&[original.to_vec()], grid)?;
        pictures.extend(picture.iter().map(|picture| without(picture, &seen, grid)).collect::<Vec<_>>());
        pictures.splice(pictures.len() - 1..pictures.len() - 1, picture);
        pictures.extend(codec.decode(completions, grid)?);
    }
    pictures.extend(codec.decode(free, grid)?);
    Ok((pictures, columns + 2))
}

/// Original, given, and each hidden pixel as the colour that the model finds most probable.
fn filled(
    task: &ImageGptTask,
    model: &ImageGpt,
    codec: &Codec,
    originals: &[&[u16]],
    device: &Device,
) -> Result<(Vec<Picture>, usize)> {
    let grid = task.model.grid;
    if originals.is_empty() {
        return Ok((Vec::new(), 3));
    }
    let seen = mask::seen(originals.len(), grid * grid, task.hidden, (task.run.seed, u64::MAX));
    let batch = task.model.batch(originals, device)?;
    let hidden = model.hidden(&batch, Some(mask::tensor(&seen, device)));
    let best = model.gpt.logits(hidden, Vocabulary::Image).argmax(2).into_data();
    let best: Vec<u16> = best.iter::<i64>().map(|code| code as u16).collect();
    let mut pictures = Vec::new();
    for ((original, seen), best) in originals.iter().zip(&seen).zip(best.chunks(grid * grid)) {
        let pick = |((own, best), seen): ((&u16, &u16), &bool)| if *seen { *own } else { *best };
        let filled: Vec<u16> = original.iter().zip(best).zip(seen).map(pick).collect();
        let both = codec.decode(&[original.to_vec(), filled], grid)?;
        pictures.extend([both[0].clone(), without(&both[0], seen, grid), both[1].clone()]);
    }
    Ok((pictures, 3))
}

/// The picture without what is not given.
fn without(picture: &Picture, seen: &[bool], grid: usize) -> Picture {
    let (width, side) = (picture.width() as usize, (picture.width() as usize / grid).max(1));
    let mut pixels = picture.pixels().to_vec();
    for (at, pixel) in pixels.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let code = at / width / side * grid + at % width / side;
        if !seen.get(code).copied().unwrap_or(true) {
            *pixel = ABSENT;
        }
    }
    Picture::new(picture.width(), picture.height(), pixels).unwrap_or_else(|| picture.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_painted_over_code_by_code() {
        let picture = without(&Picture::filled(4, 4, [9; 3]), &[true, false, false, true], 2);
        let at = |x, y| picture.pixel(x, y).unwrap();
        assert_eq!([at(1, 1), at(2, 1), at(1, 2), at(3, 3)], [[9; 3], ABSENT, ABSENT, [9; 3]]);
    }
}
