use std::io::Write;

use safetensors::SafeTensors;
use safetensors::tensor::{Metadata, TensorInfo};
use serde_json::json;
use tokenize::checkpoint::Checkpoint;
use tokenize::clusters::Clusters;
use tokenize::vqgan::{Precision as CodecPrecision, VqGanConfig};

use super::*;
use crate::bundle::{Bundle, Sampling};
use crate::sampling::SamplingConfig;

const RUDOLPH: &str = "kind = 'rudolph'\nlayers = 8\ndim = 48\nheads = 4\nleft = 14\ngrid = 6\nright = 11\nkernel = 3\n\
    last_kernel = 5\ntext_vocab = 420\ntext_special = 8\nimage_vocab = 96\nimage_special = 4\nloss_layout = 'v3'";
const RUDALLE: &str = "kind = 'dalle'\nlayers = 5\ndim = 48\nheads = 6\ntext = 16\ngrid = 6\nkernel = 5\n\
    text_vocab = 240\nimage_vocab = 96";

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn written(path: PathBuf, text: &str) -> PathBuf {
    pipeline::atomic::write(&path, text).unwrap();
    path
}

/// A conversion of a golden checkpoint with its configuration.
fn wish(dir: &Path, case: &str, config: &str) -> Conversion {
    let model = written(dir.join(format!("{case}.toml")), config);
    Conversion {
        sources: vec![golden(case).join("pytorch_model.bin")],
        model: Some(model.display().to_string()),
        out: dir.join("models").join(case),
        ..Conversion::default()
    }
}

/// The golden ImageGPT as a folder of Hugging Face, with colours as OpenAI publishes them.
fn hugging_face(dir: &Path) -> PathBuf {
    let folder = dir.join("hub");
    for name in ["pytorch_model.bin", "config.json"] {
        let bytes = std::fs::read(golden("imagegpt").join(name)).unwrap();
        pipeline::atomic::write(folder.join(name), bytes).unwrap();
    }
    let colour = |index: i32| [1, 5, 9].map(|step| f64::from((index * step % 512) as f32 / 256.0 - 1.0));
    let colours: Vec<_> = (0..512).map(colour).collect();
    Clusters::new(&colours, 8).unwrap().save(&folder.join("kmeans_centers.npy"), json!({})).unwrap();
    folder
}

/// A new codec of this many codes, with its configuration beside it; a code stands for 2 × 2 pixels.
pub(crate) fn codec(dir: &Path, codes: usize) -> PathBuf {
    let config = VqGanConfig {
        ch: 8,
        ch_mult: vec![1, 2],
        num_res_blocks: 1,
        attn_resolutions: vec![],
        resolution: 8,
        z_channels: 4,
        embed_dim: 4,
        n_embed: codes,
        groups: 4,
        ..VqGanConfig::default()
    };
    let path = dir.join(format!("codec-{codes}.safetensors"));
    config.init(&Device::flex()).unwrap().save(&path, CodecPrecision::Half).unwrap();
    written(path.with_extension("toml"), &pipeline::settings::to_toml(&config).unwrap());
    path
}

fn read(dir: &Path, name: &str) -> Vec<u8> {
    std::fs::read(dir.join(name)).unwrap()
}

fn exported(source: &Path, out: &Path, layout: FileLayout, precision: Option<Precision>) {
    export(&Export { source: source.to_owned(), out: out.to_owned(), layout, precision }).unwrap();
}

fn again(source: &Path, out: &Path) {
    convert(&Conversion { sources: vec![source.to_owned()], out: out.to_owned(), ..Conversion::default() })
        .unwrap();
}

/// Converts, exports and converts again: all three hold the numbers of the published file, bit by bit.
fn round_trip(wish: &Conversion, layout: FileLayout) {
    let converted = convert(wish).unwrap();
    let (out, file) = (wish.out.with_extension("export"), wish.out.with_extension("again"));
    exported(&wish.out, &out, layout, None);
    again(&out, &file);
    for name in ["weights.safetensors", "model.toml"] {
        assert_eq!(read(&wish.out, name), read(&file, name), "{name}");
    }
    let published = Checkpoint::open_unhashed(&wish.sources[0]).unwrap();
    for folder in [wish.out.join("weights.safetensors"), out] {
        let ours = Checkpoint::open_unhashed(&folder).unwrap();
        let wanted = presets::wanted(&converted.config);
        assert_eq!(ours.keys().count(), wanted.len());
        for one in wanted {
            assert_eq!(ours.dtype(&one.key), published.dtype(&one.key));
            assert_eq!(ours.bytes(&one.key).unwrap(), published.bytes(&one.key).unwrap(), "{}", one.key);
        }
    }
}

#[test]
fn rudolph_and_rudalle_come_back_bit_by_bit() {
    let dir = tempfile::tempdir().unwrap();
    round_trip(&wish(dir.path(), "rudolph", RUDOLPH), FileLayout::Published);
    round_trip(&wish(dir.path(), "rudalle-v2", RUDALLE), FileLayout::Published);
}

#[test]
fn image_gpt_needs_its_folder_alone_and_comes_back_in_both_layouts() {
    let dir = tempfile::tempdir().unwrap();
    let hub = hugging_face(dir.path());
    for (name, layout) in [("a", FileLayout::Published), ("b", FileLayout::HuggingFace)] {
        let out = dir.path().join(name);
        round_trip(&Conversion { sources: vec![hub.clone()], out, ..Conversion::default() }, layout);
    }
    let palette =
        |folder: &Path| Clusters::open(&Clusters::find(folder).unwrap()).unwrap().colours().to_vec();
    let folder = dir.path().join("b.export");
    assert_eq!(palette(&folder), palette(&hub));
    let second = dir.path().join("b.second");
    exported(&dir.path().join("b.again"), &second, FileLayout::HuggingFace, None);
    for name in ["config.json", "preprocessor_config.json", "model.safetensors"] {
        assert_eq!(read(&folder, name), read(&second, name), "{name}");
    }
    let bundle = Bundle::open(&dir.path().join("b.again"), &Device::flex()).unwrap();
    assert_eq!(bundle.codec.codebook_size(), 512);
    let bytes = read(&folder, "model.safetensors");
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt", "transformers refuses a file without it");
}

#[test]
fn a_converted_folder_draws() {
    let dir = tempfile::tempdir().unwrap();
    let mut wish = wish(dir.path(), "rudolph", RUDOLPH);
    wish.codec = Some(codec(dir.path(), 96));
    wish.bpe = Some(golden("rudolph/bpe.model"));
    let converted = convert(&wish).unwrap();
    assert_eq!((converted.precisions.as_slice(), converted.notes.len()), (&[Precision::F16][..], 0));
    let bundle = Bundle::open(&wish.out, &Device::flex()).unwrap();
    assert!(bundle.bpe.as_ref().unwrap().lowercase());
    let how = Sampling { config: SamplingConfig::default(), batch: 2 };
    let pictures = bundle.draw(&["рыжий котик".to_owned()], 2, &how).unwrap();
    assert_eq!((pictures.len(), pictures[0].width()), (2, 12));
    // The folder is a source as well, with all that it holds.
    let copy = dir.path().join("copy");
    again(&wish.out, &copy);
    for name in ["weights.safetensors", "model.toml", "bpe.model", "bpe.toml", "codec.safetensors"] {
        assert_eq!(read(&wish.out, name), read(&copy, name), "{name}");
    }
    let twice = convert(&wish).unwrap_err().to_string();
    assert!(twice.contains("holds a model already"), "{twice}");
}

#[test]
fn a_single_file_has_its_configuration_beside_it_and_halves_are_rounded() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("full");
    convert(&Conversion {
        sources: vec![hugging_face(dir.path())],
        out: out.clone(),
        ..Conversion::default()
    })
    .unwrap();
    let file = dir.path().join("half.safetensors");
    exported(&out, &file, FileLayout::Published, Some(Precision::Bf16));
    let (half, full) = (dir.path().join("half"), out.join("weights.safetensors"));
    again(&file, &half);
    let (half, full) = (half.join("weights.safetensors"), Checkpoint::open_unhashed(&full).unwrap());
    let half = Checkpoint::open_unhashed(&half).unwrap();
    for key in full.keys() {
        let (half, full) = (half.floats(key).unwrap(), full.floats(key).unwrap());
        assert!(half.iter().zip(&full).all(|(a, b)| (a - b).abs() <= b.abs() / 256.0), "{key}");
    }
    assert_eq!(half.dtype("lm_head.weight"), Some(burn::tensor::DType::BF16));
}

#[test]
fn a_checkpoint_of_dalle_pytorch_says_itself_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    for case in ["dalle-pytorch-plain", "dalle-pytorch-full"] {
        let out = dir.path().join(case);
        let wish = Conversion {
            sources: vec![golden(case).join("dalle.pt")],
            out: out.clone(),
            ..Conversion::default()
        };
        let converted = convert(&wish).unwrap();
        assert_eq!(converted.found, "as its own hparams say");
        let (export, second) = (out.with_extension("export"), out.with_extension("again"));
        exported(&out, &export, FileLayout::Published, None);
        again(&export, &second);
        for name in ["weights.safetensors", "model.toml"] {
            assert_eq!(read(&out, name), read(&second, name), "{case}: {name}");
        }
        let published = Checkpoint::open_unhashed(&wish.sources[0]).unwrap();
        let published = published.below("to_logits.1.weight").unwrap();
        let published = published.renamed(|key| converted.config.names().canonical(key));
        let ours = Checkpoint::open_unhashed(&export).unwrap();
        for one in presets::wanted(&converted.config) {
            assert_eq!(published.shape(&one.key), Some(one.shape.as_slice()), "{case}: {}", one.key);
            assert_eq!(ours.bytes(&one.key).unwrap(), published.bytes(&one.key).unwrap(), "{}", one.key);
        }
    }
}

#[test]
fn a_converted_dalle_pytorch_draws() {
    let dir = tempfile::tempdir().unwrap();
    let words = dir.path().join("bpe.model");
    Bpe::train(["red cat", "blue cat"].iter(), 20).unwrap().save(&words).unwrap();
    let wish = Conversion {
        sources: vec![golden("dalle-pytorch-full/dalle.pt")],
        codec: Some(codec(dir.path(), 30)),
        bpe: Some(words),
        out: dir.path().join("model"),
        ..Conversion::default()
    };
    assert_eq!(convert(&wish).unwrap().notes, ["the vocabulary has 20 ids, the model has room for 40"]);
    let bundle = Bundle::open(&wish.out, &Device::flex()).unwrap();
    let of = |guidance| {
        let config = SamplingConfig { guidance, ..SamplingConfig::default() };
        bundle.draw(&["red cat".to_owned()], 2, &Sampling { config, batch: 2 }).unwrap()
    };
    assert_eq!((of(1.0).len(), of(1.0)[0].width()), (2, 8));
    assert_ne!(of(1.0)[0].pixels(), of(9.0)[0].pixels());
}

/// What a conversion says that must fail, and that it leaves no model behind.
fn fault(wish: &Conversion) -> Error {
    let error = convert(wish).unwrap_err();
    assert!(!bundle::is_model(&wish.out));
    error
}

#[test]
fn another_models_checkpoint_is_called_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut wish = wish(dir.path(), "rudolph", RUDOLPH);
    wish.sources = vec![golden("rudalle-v2/pytorch_model.bin")];
    let error = fault(&wish);
    let text = error.to_string();
    assert!(text.contains("pytorch_model.bin: keys of ruDALL-E, not of RuDOLPH; wrong shape: "), "{text}");
    let Error::Misfit { misfit, .. } = error else { panic!("{error:?}") };
    let named = misfit.lines();
    for line in ["missing: l_text_pos_embeddings.weight", "unexpected: text_pos_embeddings.weight"] {
        assert!(named.iter().any(|named| named == line), "{named:?}");
    }
    wish.model = None;
    let unknown = fault(&wish);
    assert!(unknown.to_string().contains("a ruDALL-E with 5 layers of width 48, the size of no preset"));
    wish.sources = vec![codec(dir.path(), 96)];
    std::fs::remove_file(wish.sources[0].with_extension("toml")).unwrap();
    let codec = fault(&wish).to_string();
    assert!(codec.contains("keys of no model that is known here"), "{codec}");
}

#[test]
fn files_that_are_damaged_or_no_checkpoints_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut wish = wish(dir.path(), "rudolph", RUDOLPH);
    let bytes = std::fs::read(&wish.sources[0]).unwrap();
    let mut of = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        pipeline::atomic::write(&path, bytes).unwrap();
        wish.sources = vec![path];
        fault(&wish).to_string()
    };
    let cut = of("cut.bin", &bytes[..bytes.len() / 2]);
    assert!(cut.contains("cut.bin: the file is damaged or cut off"), "{cut}");
    let text = of("notes.bin", b"not a checkpoint at all");
    assert!(text.contains("notes.bin: neither safetensors nor a file of torch.save"), "{text}");
    let header = br#"{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#;
    let short = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 8]].concat();
    let short = of("cut.safetensors", &short);
    assert!(short.contains("cut.safetensors: "), "{short}");
    let mut wrong = bytes;
    // One number of a tensor: the archive's checksum tells.
    let place = wrong.len() / 2;
    wrong[place] ^= 0x55;
    let wrong = of("flipped.bin", &wrong);
    assert!(wrong.contains("flipped.bin: ") && wrong.contains("damaged"), "{wrong}");
}

#[test]
fn numbers_that_are_not_finite_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let good = wish(dir.path(), "rudalle-v2", RUDALLE);
    convert(&good).unwrap();
    let mut bytes = read(&good.out, "weights.safetensors");
    // The last tensor by name: the norm after the layers, all of it infinite in f16.
    let end = bytes.len();
    bytes[end - 2..].copy_from_slice(&0x7c00u16.to_le_bytes());
    let path = dir.path().join("infinite.safetensors");
    pipeline::atomic::write(&path, bytes).unwrap();
    let error = fault(&Conversion { sources: vec![path], out: dir.path().join("bad"), ..good }).to_string();
    assert!(error.contains("holds inf at index ") && error.contains("weight"), "{error}");
}

#[test]
fn a_codec_or_vocabulary_of_another_size_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut wish = wish(dir.path(), "rudalle-v2", RUDALLE);
    wish.codec = Some(codec(dir.path(), 128));
    let codes = fault(&wish).to_string();
    assert!(codes.ends_with("codec-128.safetensors has 128 codes, the model wants 96"), "{codes}");
    wish.codec = None;
    wish.bpe = Some(golden("rudolph/bpe.model"));
    let ids = fault(&wish).to_string();
    assert!(ids.ends_with("bpe.model has 420 ids, the model wants 240"), "{ids}");
}

#[test]
fn a_trainers_prefix_is_cut_off_and_several_files_are_one_model() {
    let dir = tempfile::tempdir().unwrap();
    let first = wish(dir.path(), "rudalle-v2", RUDALLE);
    convert(&first).unwrap();
    let bytes = read(&first.out, "weights.safetensors");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let parts = [0, 1].map(|part| {
        let of = |(index, (key, view))| (index % 2 == part).then(|| (format!("module.{key}"), view));
        let tensors = file.tensors().into_iter().enumerate().filter_map(of);
        let path = dir.path().join(format!("part-{part}.safetensors"));
        pipeline::atomic::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
        path
    });
    let out = dir.path().join("joined");
    let second = Conversion { sources: parts.to_vec(), out: out.clone(), ..first };
    convert(&second).unwrap();
    assert_eq!(read(&out, "weights.safetensors"), bytes);
}

/// A checkpoint of a preset's shapes whose numbers are a hole in the file.
fn hollow(preset: &str, path: &Path) {
    let (mut end, mut infos) = (0, Vec::new());
    for one in presets::wanted(&presets::named(preset).unwrap()) {
        let start = end;
        end += 2 * one.elements();
        let info =
            TensorInfo { dtype: safetensors::Dtype::F16, shape: one.shape, data_offsets: (start, end) };
        infos.push((one.key, info));
    }
    let mut header = serde_json::to_vec(&Metadata::new(None, infos).unwrap()).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).open(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(&header).unwrap();
    file.set_len((8 + header.len() + end) as u64).unwrap();
}

#[test]
fn shapes_tell_which_preset_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let open = |preset: &str, name: &str| {
        let path = dir.path().join(name);
        hollow(preset, &path);
        Source::open(&[path], None)
    };
    for preset in ["rudolph-350m-v2", "rudolph-1.3b", "imagegpt-medium"] {
        let source = open(preset, "model.safetensors").unwrap();
        assert_eq!(source.found, format!("preset {preset}, by its keys and shapes"));
    }
    let error = open("rudalle-malevich-v2", "model.safetensors").unwrap_err().to_string();
    assert!(error.contains("rudalle-malevich-v2, rudalle-malevich-v3"), "{error}");
    let named = open("rudalle-malevich-v3", "pytorch_model_v3.safetensors").unwrap();
    assert_eq!(named.config, presets::named("rudalle-malevich-v3").unwrap());
    // A file that fits another preset than the one asked for.
    let other = Source::open(&[dir.path().join("model.safetensors")], Some("rudalle-kandinsky")).unwrap();
    let wanted = presets::wanted(&other.config);
    let error = weights::fitted(other.file, &wanted, other.config.names()).unwrap_err().to_string();
    assert!(error.contains("it fits the preset rudalle-malevich-v2 or rudalle-malevich-v3"), "{error}");
}
