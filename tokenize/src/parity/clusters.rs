//! The outputs of an ImageGPT case that its palette decides: pixels to codes and back.

use burn::tensor::Device;
use pipeline::picture::{DecodeOptions, Picture, decode};

use super::{Array, Case, Outputs};
use crate::codec::{Codec, Model};
use crate::{Error, Result};

/// Computes every output that the case holds and a palette has a name for; the transformer's are for `train parity`.
///
/// # Errors
/// A folder without a palette, or pictures that cannot be read.
pub(super) fn compute(case: &Case, device: &Device) -> Result<Outputs> {
    let codec = Codec::load(&case.dir, device)?;
    let Model::Clusters(palette) = codec.model() else {
        return Err(
            case.fault(&format!("the folder holds a codec of the kind {}, not a palette", codec.kind()))
        );
    };
    let pictures = pictures(case)?;
    let (height, width) = pictures.first().map_or((0, 0), |first| (first.height(), first.width()));
    let pixels = [pictures.len(), height as usize, width as usize];
    let codes = codec.encode(&pictures)?;
    let drawn: Vec<Picture> =
        codes.iter().map(|codes| palette.decode(codes, pixels[1], pixels[2])).collect::<Result<_>>()?;
    let shape = [pixels[0], pixels[1], pixels[2], 3];
    let bytes = |pictures: &[Picture]| {
        Array::i64(
            &shape,
            pictures
                .iter()
                .flat_map(pipeline::picture::Picture::pixels)
                .map(|byte| i64::from(*byte))
                .collect(),
        )
    };
    let ids = |codes: Vec<i64>| Array::i64(&[pixels[0], pixels[1] * pixels[2]], codes);
    // What the transformer sees: a start token (the number after the last colour), then all pixels but the last.
    let start = i64::try_from(codec.codebook_size()).unwrap_or(i64::MAX);
    let shifted = codes.iter().flat_map(|codes| {
        let before = codes.split_last().map_or(&[][..], |(_, before)| before);
        std::iter::once(start).chain(before.iter().map(|code| i64::from(*code)))
    });
    let colours: Vec<f32> = palette.colours().iter().flatten().map(|value| *value as f32).collect();
    let mut outputs = Outputs::from([
        ("clusters".to_owned(), Array::f32(&[palette.colours().len(), 3], colours)),
        ("image_u8".to_owned(), bytes(&pictures)),
        ("input_ids".to_owned(), ids(shifted.collect())),
        ("pixel_ids".to_owned(), ids(codes.iter().flatten().map(|code| i64::from(*code)).collect())),
        ("dequantized_u8".to_owned(), bytes(&drawn)),
    ]);
    outputs.retain(|name, _| case.tensors().contains_key(name));
    Ok(outputs)
}

fn pictures(case: &Case) -> Result<Vec<Picture>> {
    let names: Vec<String> = case.config("/inputs/images")?;
    let picture = |name: &String| {
        let path = case.dir.join(name);
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        decode(&bytes, &DecodeOptions::default())
            .map_err(|reason| case.fault(&format!("{name}: {}", reason.text())))
    };
    names.iter().map(picture).collect()
}
