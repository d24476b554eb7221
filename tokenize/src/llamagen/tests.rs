//! Against LlamaGen's own `vq_model.py`, with small random weights.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, TensorData, Tolerance};

use super::*;
use crate::parity::Case;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/llamagen-vq16")
}

fn checkpoint() -> Checkpoint {
    Checkpoint::open(&golden().join("vq_ds16.pt")).unwrap()
}

fn near(case: &Case, name: &str, found: Tensor<4>) {
    let (shape, values) = case.reals(name).unwrap();
    let expected = TensorData::new(values.to_vec(), shape.to_vec());
    found.into_data().assert_approx_eq::<f32>(&expected, Tolerance::rel_abs(1e-4, 1e-4));
}

fn codes(case: &Case, name: &str, [height, width]: [usize; 2]) -> Tensor<3, Int> {
    let (_, codes) = case.integers(name).unwrap();
    Tensor::from_data(TensorData::new(codes.to_vec(), [1, height, width]), &Device::flex())
}

#[test]
fn codes_and_pictures_are_the_published_ones() {
    let case = Case::open(golden()).unwrap();
    let file = checkpoint();
    assert!(LlamaGen::recognise(file.keys()));
    let codec = LlamaGen::open(&file, &Device::flex()).unwrap();
    assert_eq!((codec.codebook_size(), codec.downsampling()), (64, 16));
    let (shape, values) = case.reals("input").unwrap();
    let pixels = Tensor::from_data(TensorData::new(values.to_vec(), shape.to_vec()), &Device::flex());
    let pixels: Tensor<4> = pixels * 2.0 - 1.0;
    near(&case, "act.encoder", codec.model().encoder.forward(pixels.clone()));
    near(&case, "act.quant_conv", codec.latents(pixels.clone()));
    let found = codec.encode(pixels);
    near(&case, "quantized", codec.lookup(found.clone()));
    near(&case, "decoded_raw", codec.decode(found.clone()));
    let found = found.into_data().convert_dtype(DType::I64).try_to_vec::<i64>().unwrap();
    assert_eq!(found, case.integers("codes").unwrap().1);
    near(&case, "random_decoded_raw", codec.decode(codes(&case, "random_codes_2x3", [2, 3])));
}

#[test]
fn levels_of_different_width_are_read_from_the_shapes() {
    let device = Device::flex();
    // VQ-8 in small: the widths change twice, as 1, 2, 2, 4 do.
    let small = VqGanConfig {
        ch: 32,
        ch_mult: vec![1, 2, 2, 4],
        num_res_blocks: 1,
        attn_resolutions: vec![32],
        z_channels: 8,
        embed_dim: 8,
        n_embed: 16,
        ..VqGanConfig::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taming.safetensors");
    small.init(&device).unwrap().save(&path, crate::vqgan::Precision::Full).unwrap();
    let theirs = Checkpoint::open(&path).unwrap().renamed(|key| Some(as_published(key)));
    assert_eq!(config(&theirs).unwrap(), small);
    let codec = LlamaGen::open(&theirs, &device).unwrap();
    let picture = codec.decode(Tensor::zeros([1, 2, 2], &device));
    assert_eq!((codec.downsampling(), picture.dims()), (8, [1, 3, 16, 16]));
}

/// LlamaGen's name of a parameter of a model with four levels, written down apart from `names`.
fn as_published(key: &str) -> String {
    let mut name =
        key.replace("mid.block_1", "mid.0").replace("mid.attn_1", "mid.1").replace("mid.block_2", "mid.2");
    name = name.replace(".block.", ".res.").replace("encoder.down.", "encoder.conv_blocks.");
    for level in 0..4 {
        name = name.replace(&format!("decoder.up.{level}."), &format!("decoder.conv_blocks.{}.", 3 - level));
    }
    name
}

#[test]
fn rows_and_latents_have_length_one_whatever_the_weights_are() {
    let device = Device::flex();
    let codec = LlamaGen::open(&checkpoint(), &device).unwrap();
    let rows = codec.model().quantize.codebook().unwrap().val();
    let lengths = rows.powi_scalar(2).sum_dim(1).into_data().try_to_vec::<f32>().unwrap();
    assert!(lengths.iter().all(|length| (length - 1.0).abs() < 1e-5));
    // A latent of nothing stays finite.
    let nothing = unit(Tensor::<2>::zeros([1, 8], &device), 1).into_data().try_to_vec::<f32>().unwrap();
    assert_eq!(nothing, [0.0; 8]);
}

#[test]
fn what_is_missing_is_named() {
    let fault = |file: Checkpoint| LlamaGen::open(&file, &Device::flex()).unwrap_err().to_string();
    let lost = fault(checkpoint().without(&["model.decoder.conv_blocks.0.attn.0.q.bias"]));
    assert!(lost.contains("missing: decoder.up.4.attn.0.q.bias"), "{lost}");
    let none = fault(checkpoint().without(&["model.quantize"]));
    assert!(none.contains("quantize.embedding.weight is missing"), "{none}");
    assert!(fault(checkpoint().without(&["model.encoder"])).contains("not a LlamaGen codec"));
}
