//! Published codecs as they are downloaded, and files that only look like them.

use std::path::{Path, PathBuf};

use pipeline::picture::{DecodeOptions, decode};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tokenize::checkpoint::Checkpoint;

use crate::place::{Place, png};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// A place with a picture and nothing beside the codec.
fn bare(codec: &str, as_name: &str) -> Place {
    let place = Place::new();
    std::fs::remove_file(place.path("codec.toml")).unwrap();
    std::fs::remove_file(place.path("codec.ckpt")).unwrap();
    std::fs::copy(golden(codec), place.path(as_name)).unwrap();
    place.put("photo.png", png(3, 40, 56));
    place
}

/// Tensors by name, shape and numbers.
type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

/// The weights of the f16 case as safetensors, changed.
fn changed(change: impl FnOnce(&mut Tensors)) -> Place {
    let place = bare("vqgan-f16/model.ckpt", "codec.ckpt");
    let file = Checkpoint::open(&place.path("codec.ckpt")).unwrap().below("encoder.conv_in.weight").unwrap();
    let file = file.without(&["loss."]);
    let read = |key: &str| (key.to_owned(), file.shape(key).unwrap().to_vec(), file.floats(key).unwrap());
    let mut tensors: Tensors = file.keys().map(read).collect();
    change(&mut tensors);
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(.., values)| values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&bytes).map(|((key, shape, _), bytes)| {
        (key.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    place.put("bad.safetensors", safetensors::serialize(views, None).unwrap());
    place
}

const ENCODE: [&str; 4] = ["encode", "photo.png", "--codec", "bad.safetensors"];

#[test]
fn pictures_go_through_published_checkpoints_with_nothing_beside_them() {
    for (codec, name, side, drawn) in [
        ("vqgan-f16/model.ckpt", "last.ckpt", "32", 32),
        ("vqgan-gumbel-f8/vqgan.gumbelf8.model.ckpt", "gumbel.ckpt", "24", 24),
        ("vqgan-sber-dwt/vqgan.gumbelf8-dwt.model.ckpt", "dwt.ckpt", "24", 48),
        ("vqgan-ldm-f8/model.ckpt", "ldm.ckpt", "16", 16),
        ("llamagen-vq16/vq_ds16.pt", "vq_ds16_c2i.pt", "32", 32),
        ("imagegpt-clusters/preprocessor_config.json", "preprocessor_config.json", "8", 8),
    ] {
        let place = bare(codec, name);
        let encoded = place.run(&["encode", "photo.png", "--codec", name, "--image-size", side]);
        assert!(encoded.status.success(), "{encoded:?}");
        let codes = String::from_utf8(encoded.stdout).unwrap();
        let line: Vec<&str> = ["decode", "--codec", name, "--out", "back.png"]
            .into_iter()
            .chain(codes.split_whitespace())
            .collect();
        let decoded = place.run(&line);
        assert!(decoded.status.success(), "{decoded:?}");
        let back =
            decode(&std::fs::read(place.path("back.png")).unwrap(), &DecodeOptions::default()).unwrap();
        assert_eq!((back.width(), back.height()), (drawn, drawn), "{name}");
    }
}

#[test]
fn both_halves_of_the_dvae_are_found_from_one() {
    let place = bare("dvae-openai/encoder.pkl", "encoder.pkl");
    let missing = place.run(&["encode", "photo.png", "--codec", "encoder.pkl"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8(missing.stderr).unwrap().contains("decoder"));
    std::fs::copy(golden("dvae-openai/decoder.pkl"), place.path("decoder.pkl")).unwrap();
    let whole = place.run(&["encode", "photo.png", "--codec", "encoder.pkl", "--image-size", "16"]);
    assert_eq!(String::from_utf8(whole.stdout).unwrap().split_whitespace().count(), 4);
}

#[test]
fn weights_that_do_not_fit_are_named() {
    let missing = changed(|tensors| tensors.retain(|(key, ..)| key != "decoder.mid.attn_1.q.bias"));
    insta::assert_snapshot!(missing.shown(&ENCODE), @r"
    exit 2
    -- out
    -- err
    error: bad.safetensors: the weights do not fit the model; missing: decoder.mid.attn_1.q.bias
    ");
    let wrong = changed(|tensors| {
        let found = tensors.iter_mut().find(|(key, ..)| key == "decoder.norm_out.weight").unwrap();
        (found.1, found.2) = (vec![3], vec![1.0; 3]);
    });
    insta::assert_snapshot!(wrong.shown(&ENCODE), @r"
    exit 2
    -- out
    -- err
    error: bad.safetensors: the weights do not fit the model; wrong shape: decoder.norm_out.weight is [3], the model wants [32]
    ");
    let nan = changed(|tensors| {
        let found = tensors.iter_mut().find(|(key, ..)| key == "encoder.conv_in.bias").unwrap();
        found.2[7] = f32::NAN;
    });
    insta::assert_snapshot!(nan.shown(&ENCODE), @r"
    exit 2
    -- out
    -- err
    error: bad.safetensors: encoder.conv_in.bias holds NaN at index 7; not finite: 1 of 32 values
    ");
}

#[test]
fn code_in_a_checkpoint_is_refused_and_does_not_run() {
    let place = bare("vqgan-f16/model.ckpt", "codec.ckpt");
    place.put("bad.ckpt", b"\x80\x02cos\nsystem\nX\x0a\0\0\0touch evil\x85R.");
    insta::assert_snapshot!(place.shown(&["encode", "photo.png", "--codec", "bad.ckpt"]), @r"
    exit 2
    -- out
    -- err
    error: bad.ckpt: the pickle wants to call os.system, which no weights need; the file is refused, and nothing in it was executed
    ");
    assert!(!place.path("evil").exists());
}

#[test]
fn a_truncated_file_and_a_picture_smaller_than_the_grid_are_refused() {
    let place = bare("vqgan-f16/model.ckpt", "codec.ckpt");
    let whole = std::fs::read(place.path("codec.ckpt")).unwrap();
    place.put("cut.ckpt", &whole[..whole.len() / 2]);
    let cut = place.shown(&["encode", "photo.png", "--codec", "cut.ckpt"]);
    assert!(
        cut.starts_with("exit 2") && cut.contains("error: cut.ckpt: the file is damaged or cut off"),
        "{cut}"
    );
    insta::assert_snapshot!(place.shown(&["encode", "photo.png", "--codec", "codec.ckpt", "--image-size", "8"]), @r"
    exit 2
    -- out
    -- err
    error: image_size: 8 is not a multiple of 16, the codec's downsampling factor
    ");
}

#[test]
fn a_configuration_that_contradicts_the_weights_is_refused() {
    let place = bare("vqgan-f16/model.ckpt", "codec.ckpt");
    place.put("codec.toml", "n_embed = 1024\nz_channels = 256");
    insta::assert_snapshot!(place.shown(&["encode", "photo.png", "--codec", "codec.ckpt"]), @r"
    exit 2
    -- out
    -- err
    error: codec.ckpt: the weights contradict codec.toml: z_channels = 256, the weights have 24; n_embed = 1024, the weights have 128
    ");
}
