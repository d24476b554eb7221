//! Palettes in files: Hugging Face's `preprocessor_config.json`, OpenAI's `kmeans_centers.npy`, and safetensors.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Clusters, Colour, numpy};
use crate::pixels::{Filter, Preprocess};
use crate::{Error, Result};

/// The tensor's name in safetensors, and the list's in Hugging Face's file.
pub(super) const NAME: &str = "clusters";

/// Files that a folder is searched for.
const FILES: [&str; 3] = ["clusters.safetensors", "preprocessor_config.json", "kmeans_centers.npy"];

/// Side of the published models' smallest pictures, where the file says nothing.
const SIDE: usize = 32;

/// Bytes of the largest file that can be a palette: 65,536 colours in decimal. Weights are larger, and not read for it.
const LARGEST: u64 = 8 << 20;

pub(super) fn find(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        return FILES.iter().map(|name| path.join(name)).find(|file| file.is_file() && is_palette(file));
    }
    is_palette(path).then(|| path.to_owned())
}

/// Whether a file claims to hold a palette; whether it can be used is seen when it is opened.
fn is_palette(path: &Path) -> bool {
    let small = || std::fs::metadata(path).is_ok_and(|data| data.len() <= LARGEST);
    let bytes = || std::fs::read(path).unwrap_or_default();
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("npy") => true,
        Some("json") => {
            small() && serde_json::from_slice::<Claim>(&bytes()).is_ok_and(|claim| claim.clusters.is_some())
        }
        Some("safetensors") => {
            small() && SafeTensors::deserialize(&bytes()).is_ok_and(|file| Clusters::recognise(file.names()))
        }
        _ => false,
    }
}

#[derive(Deserialize)]
struct Claim {
    clusters: Option<IgnoredAny>,
}

pub(super) fn open(path: &Path) -> Result<Clusters> {
    let named = || path.is_file().then(|| path.to_owned());
    std::fs::metadata(path).map_err(Error::io(path))?;
    let file = find(path).or_else(named).ok_or_else(|| Error::Checkpoint {
        path: path.to_owned(),
        why: format!("no palette in this folder; known are {}", FILES.join(", ")),
    })?;
    let bytes = std::fs::read(&file).map_err(Error::io(&file))?;
    let read = match file.extension().and_then(|ending| ending.to_str()) {
        Some("json") => from_json(&bytes),
        Some("npy") => from_numpy(&bytes),
        _ => from_safetensors(&bytes),
    };
    read.map_err(|why| Error::Checkpoint { path: file, why })
}

/// What matters of Hugging Face's file.
#[derive(Deserialize)]
struct Processor {
    clusters: Option<Vec<[Exact; 3]>>,
    size: Option<Size>,
    resample: Option<u8>,
}

/// A number read to its last bit, as Python reads it; serde_json may be one unit in the last place off.
struct Exact(f64);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        text.parse().map(Self).map_err(|_| D::Error::custom(format!("clusters: {text} is no number")))
    }
}

/// Old files give a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Size {
    Square(usize),
    Sides { height: usize, width: usize },
}

type Read<T> = std::result::Result<T, String>;

fn from_json(bytes: &[u8]) -> Read<Clusters> {
    let processor: Processor = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let side = match processor.size {
        // The class's default.
        None => 256,
        Some(Size::Square(side)) => side,
        Some(Size::Sides { height, width }) if height == width => width,
        Some(Size::Sides { height, width }) => return Err(format!("size: {height}x{width} is no square")),
    };
    let filter = match processor.resample {
        None | Some(2) => Filter::Bilinear,
        Some(1) => Filter::Lanczos,
        Some(3) => Filter::Bicubic,
        Some(other) => {
            return Err(format!("resample: {other}; known are 1 (Lanczos), 2 (bilinear), 3 (bicubic)"));
        }
    };
    let colours = processor.clusters.ok_or("it has no `clusters`")?.into_iter();
    let colours = colours.map(|colour| colour.map(|Exact(value)| value));
    let clusters = build(&colours.collect::<Vec<_>>(), side)?;
    Ok(Clusters { preprocess: Preprocess { filter, ..clusters.preprocess }, ..clusters })
}

fn from_numpy(bytes: &[u8]) -> Read<Clusters> {
    let colours = numpy::read(bytes);
    let expected = "no array of [colours, 3] in little-endian f32 or f64, as numpy.save writes it";
    build(&colours.ok_or(expected)?, SIDE)
}

fn from_safetensors(bytes: &[u8]) -> Read<Clusters> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let about = header.metadata().as_ref().and_then(|about| about.get(NAME));
    let about = about.and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or_default();
    let side = about.get("image_size").and_then(Value::as_u64).and_then(|side| usize::try_from(side).ok());
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let tensor = file.tensor(NAME).map_err(|error| error.to_string())?;
    if tensor.dtype() != Dtype::F32 || tensor.shape().get(1) != Some(&3) || tensor.shape().len() != 2 {
        return Err(format!("{NAME} is {:?} {:?}, not F32 [colours, 3]", tensor.dtype(), tensor.shape()));
    }
    build(floats(tensor.data()).as_chunks::<3>().0, side.unwrap_or(SIDE))
}

fn build(colours: &[Colour], side: usize) -> Read<Clusters> {
    Clusters::new(colours, side).map_err(|error| error.to_string())
}

fn floats(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks::<4>().0.iter().map(|value| f64::from(f32::from_le_bytes(*value))).collect()
}

pub(super) fn save(clusters: &Clusters, path: &Path, about: Value) -> Result<()> {
    let colours = clusters.colours();
    let data: Vec<u8> =
        colours.as_flattened().iter().flat_map(|value| (*value as f32).to_le_bytes()).collect();
    let bytes = if path.extension().is_some_and(|ending| ending == "npy") {
        numpy::write(colours.len(), &data)
    } else {
        let mut text = json!({"format": "clusters/1", "image_size": clusters.preprocess.size});
        if let (Value::Object(text), Value::Object(about)) = (&mut text, about) {
            text.extend(about);
        }
        // One key: several would be written in an order of their own each time.
        let metadata = HashMap::from([(NAME.to_owned(), text.to_string())]);
        let fault = |error: safetensors::SafeTensorError| Error::Checkpoint {
            path: path.to_owned(),
            why: error.to_string(),
        };
        let view = TensorView::new(Dtype::F32, vec![colours.len(), 3], &data).map_err(fault)?;
        safetensors::serialize([(NAME, view)], Some(metadata)).map_err(fault)?
    };
    Ok(pipeline::atomic::write(path, bytes)?)
}
