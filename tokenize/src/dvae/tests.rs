//! Against OpenAI's own encoder and decoder, with small random weights.

use std::path::PathBuf;

use burn::tensor::{DType, TensorData, Tolerance};

use super::*;
use crate::parity::{Array, Case, Values};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/dvae-openai")
}

fn open(path: &Path) -> Result<Dvae> {
    Dvae::open(&Dvae::checkpoint(path)?, &Device::flex())
}

fn reals(case: &Case, name: &str) -> TensorData {
    let (shape, values) = case.reals(name).unwrap();
    TensorData::new(values.to_vec(), shape.to_vec())
}

fn near(case: &Case, name: &str, found: Tensor<4>) {
    found.into_data().assert_approx_eq::<f32>(&reals(case, name), Tolerance::rel_abs(1e-4, 1e-4));
}

fn codes(case: &Case, name: &str, [height, width]: [usize; 2]) -> Tensor<3, Int> {
    let (_, codes) = case.integers(name).unwrap();
    Tensor::from_data(TensorData::new(codes.to_vec(), [1, height, width]), &Device::flex())
}

/// The encoder's input: `map_pixels`.
fn input(case: &Case) -> Tensor<4> {
    Tensor::from_data(reals(case, "input"), &Device::flex()) * 0.8 + 0.1
}

#[test]
fn every_stage_is_openais_and_so_are_the_codes() {
    let case = Case::open(golden()).unwrap();
    let codec = open(&golden()).unwrap();
    assert_eq!((codec.codebook_size(), codec.downsampling()), (96, 8));
    let mut seen = Vec::new();
    let logits = codec.encoder().observed(input(&case), |name, x| {
        seen.push(name);
        let (name, x) = match name {
            "input" => ("encoder.input.ch0".to_owned(), x.clone().narrow(1, 0, 1)),
            name => (format!("encoder.{name}"), x.clone()),
        };
        near(&case, &name, x);
    });
    near(&case, "code_logits", logits);
    assert_eq!(seen, ["input", "group_1", "group_2", "group_3", "group_4"]);
    let found = codec.encode(input(&case)).into_data().convert_dtype(DType::I64).try_to_vec::<i64>().unwrap();
    let Array { values: Values::I64(expected), .. } = case.tensor("codes").unwrap() else { panic!() };
    assert_eq!(&found, expected);
    let decoded = codec.decode(codes(&case, "codes", [4, 6]));
    near(&case, "decoded", ((decoded - 0.1) / 0.8).clamp(0.0, 1.0));
    near(&case, "decoder_stats", codec.decoder().forward(codes(&case, "codes", [4, 6])));
}

#[test]
fn codes_that_no_encoder_gave_decode_too() {
    let case = Case::open(golden()).unwrap();
    let codec = open(&golden().join("encoder.safetensors")).unwrap();
    codec.decoder().observed(codes(&case, "random_codes_4x2", [4, 2]), |name, x| {
        let name = format!("decoder.{name}.random_codes");
        if case.tensors().contains_key(&name) {
            near(&case, &name, x.clone());
        }
    });
    let decoded = codec.decode(codes(&case, "random_codes_4x2", [4, 2]));
    near(&case, "random_decoded", ((decoded - 0.1) / 0.8).clamp(0.0, 1.0));
}

#[test]
fn the_published_pickles_hold_the_same_as_the_safetensors() {
    let case = Case::open(golden()).unwrap();
    let [pickle, safe] =
        ["encoder.pkl", "decoder.safetensors"].map(|name| open(&golden().join(name)).unwrap());
    let logits = |codec: &Dvae| codec.encoder().forward(input(&case)).into_data();
    assert_eq!(logits(&pickle), logits(&safe));
    let drawn = |codec: &Dvae| codec.decode(codes(&case, "codes", [4, 6])).into_data();
    assert_eq!(drawn(&pickle), drawn(&safe));
}

#[test]
fn a_picture_goes_through_the_published_range() {
    use pipeline::picture::Picture;
    let codec = open(&golden()).unwrap();
    let picture = Picture::filled(16, 16, [0, 128, 255]);
    let pixels = codec.preprocess().to_tensor(&[picture], &Device::flex()).unwrap();
    let expected = [0.1, 128.0 / 255.0 * 0.8 + 0.1, 0.9];
    for (channel, value) in expected.into_iter().enumerate() {
        let found = pixels.clone().narrow(1, channel, 1).mean().into_scalar::<f32>();
        assert!((found - value).abs() < 1e-6, "{found} {value}");
    }
    let decoded = codec.decode(codec.encode(pixels));
    assert_eq!(decoded.dims(), [1, 3, 16, 16]);
    assert_eq!(codec.preprocess().to_pictures(decoded).unwrap()[0].width(), 16);
}

#[test]
fn halves_of_two_models_are_refused_and_so_is_a_missing_layer() {
    let device = Device::flex();
    let half = |name: &str| Checkpoint::open(&golden().join(format!("{name}.safetensors"))).unwrap();
    let fault = |encoder: Checkpoint, decoder: Checkpoint| {
        let both = Checkpoint::joined(&golden(), vec![("encoder", encoder), ("decoder", decoder)]);
        assert!(Dvae::recognise(both.keys()));
        Dvae::open(&both, &device).unwrap_err().to_string()
    };
    let swapped = fault(half("decoder"), half("encoder"));
    assert!(swapped.contains("the two do not belong together"), "{swapped}");
    let lost = fault(half("encoder").without(&["blocks.group_3.block_2.res_path.conv_1.w"]), half("decoder"));
    assert!(lost.contains("missing: encoder.blocks.group_3.block_2.res_path.conv_1"), "{lost}");
    let headless = fault(half("encoder").without(&["blocks.output"]), half("decoder"));
    assert!(headless.ends_with("encoder.blocks.output.conv.w is missing or no kernel"), "{headless}");
}
