//! Palettes in their three containers, and the ids that Hugging Face's processor gives.

use burn::tensor::{DType, Device};
use pipeline::atomic;
use serde_json::json;

use super::*;
use crate::parity::Case;
use crate::pixels::{Crop, Filter};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/imagegpt-clusters")
}

fn case() -> Case {
    Case::open(golden()).unwrap()
}

fn pictures(case: &Case) -> Vec<Picture> {
    let (shape, bytes) = case.integers("image_u8").unwrap();
    let (height, width) = (u32::try_from(shape[1]).unwrap(), u32::try_from(shape[2]).unwrap());
    let bytes: Vec<u8> = bytes.iter().map(|byte| u8::try_from(*byte).unwrap()).collect();
    bytes.chunks(bytes.len() / shape[0]).map(|b| Picture::new(width, height, b.to_vec()).unwrap()).collect()
}

#[test]
fn ids_and_colours_are_hugging_faces() {
    let case = case();
    let codec = Clusters::open(&golden()).unwrap();
    assert_eq!((codec.codebook_size(), codec.downsampling(), codec.preprocess().size), (512, 1, 8));
    assert_eq!((codec.preprocess().crop, codec.preprocess().filter), (Crop::Stretch, Filter::Bilinear));
    let found = codec.encode(&pictures(&case));
    let (_, expected) = case.integers("pixel_ids").unwrap();
    let flat: Vec<i64> = found.iter().flatten().map(|code| i64::from(*code)).collect();
    assert_eq!(flat, expected);
    let drawn = found.iter().map(|codes| codec.decode(codes, 8, 8).unwrap());
    let drawn: Vec<i64> = drawn.flat_map(Picture::into_pixels).map(i64::from).collect();
    assert_eq!(drawn, case.integers("dequantized_u8").unwrap().1);
}

#[test]
fn a_palette_is_the_same_in_every_container() {
    let folder = tempfile::tempdir().unwrap();
    let codec = Clusters::open(&golden()).unwrap();
    let pictures = pictures(&case());
    let codes = codec.encode(&pictures);
    for name in ["clusters.safetensors", "kmeans_centers.npy"] {
        let path = folder.path().join(name);
        codec.save(&path, json!({"seed": 3})).unwrap();
        let again = Clusters::open(folder.path()).unwrap();
        // The JSON holds f32 numbers in decimal, so nothing is lost.
        assert!(again.colours() == codec.colours() && again.encode(&pictures) == codes, "{name}");
        assert_eq!(again.preprocess().size, if name.ends_with("npy") { 32 } else { 8 });
        let first = std::fs::read(&path).unwrap();
        codec.save(&path, json!({"seed": 3})).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first, "{name}: the same bytes");
        std::fs::remove_file(path).unwrap();
    }
    assert!(Clusters::find(folder.path()).is_none());
}

#[test]
fn what_cannot_be_used_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("preprocessor_config.json");
    let fault = |json: serde_json::Value| {
        atomic::write(&path, json.to_string()).unwrap();
        Clusters::open(folder.path()).unwrap_err().to_string()
    };
    assert!(fault(json!({"size": 32})).contains("no palette in this folder; known are clusters.safetensors"));
    let colours = json!([[0.0, 0.5, -1.0]]);
    assert!(fault(json!({"clusters": colours, "resample": 0})).contains("resample: 0; known are"));
    let tall = json!({"clusters": colours, "size": {"height": 32, "width": 16}});
    assert!(fault(tall).ends_with("size: 32x16 is no square"));
    assert!(fault(json!({"clusters": [["red", 0, 0]]})).contains("clusters: \"red\" is no number"));
    assert!(
        fault(json!({"clusters": colours, "size": {"shortest_edge": 32}}))
            .contains("preprocessor_config.json: ")
    );
    assert!(fault(json!({"clusters": []})).contains("clusters: 0 colours"));
    assert!(fault(json!({"clusters": colours, "size": 0})).contains("pictures of 0 pixels"));
    atomic::write(&path, json!({"clusters": colours, "size": 48, "resample": 3}).to_string()).unwrap();
    let codec = Clusters::open(&path).unwrap();
    atomic::write(&path, "{}").unwrap();
    assert!(Clusters::open(&path).unwrap_err().to_string().ends_with("it has no `clusters`"));
    assert!(Clusters::open(&folder.path().join("absent.npy")).is_err());
    assert_eq!((codec.preprocess().size, codec.preprocess().filter), (48, Filter::Bicubic));
    let numpy = folder.path().join("kmeans_centers.npy");
    atomic::write(&numpy, "PK").unwrap();
    assert!(Clusters::open(&numpy).unwrap_err().to_string().contains("no array of [colours, 3]"));
    assert!(Clusters::new(&[[f64::NAN, 0.0, 0.0]], 8).unwrap_err().to_string().contains("colour 0 is [NaN"));
    assert!(codec.decode(&[1], 1, 1).unwrap_err().to_string().ends_with("1; there are 1 colours"));
    assert!(codec.decode(&[0, 0], 1, 1).unwrap_err().to_string().ends_with("2 codes for 1x1 pixels"));
}

#[test]
fn the_range_of_the_codec_is_that_of_the_palette() {
    let codec = Clusters::open(&golden()).unwrap();
    let pictures = pictures(&case());
    let tensor = codec.preprocess().to_tensor(&pictures[..1], &Device::flex()).unwrap();
    let data = tensor.permute([0, 2, 3, 1]).into_data().convert_dtype(DType::F32);
    let numbers = data.try_to_vec::<f32>().unwrap();
    let pixels = pictures[0].pixels().as_chunks::<3>().0;
    for (pixel, numbers) in pixels.iter().zip(numbers.as_chunks::<3>().0) {
        assert_eq!(codec.nearest.numbers(*pixel), *numbers);
    }
}
