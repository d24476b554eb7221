use std::io::Write;

use ::safetensors::tensor::{Dtype, TensorView};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn linear(inputs: usize, outputs: usize) -> Linear {
    LinearConfig::new(inputs, outputs).init(&Device::flex())
}

/// A safetensors file of f32 tensors.
fn saved(path: &Path, tensors: &[(&str, &[usize], &[f32])]) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(.., values)| values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap())
    });
    pipeline::atomic::write(path, ::safetensors::serialize(views, None).unwrap()).unwrap();
}

/// What `torch.save` would write around a pickle.
fn archive(path: &Path, pickle: &[u8], storage: &[u8]) {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in [("model/data.pkl", pickle), ("model/data/0", storage)] {
        zip.start_file(name, SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored))
            .unwrap();
        zip.write_all(bytes).unwrap();
    }
    pipeline::atomic::write(path, zip.finish().unwrap().into_inner()).unwrap();
}

/// `{"w": a strided 2 × 2 view of six floats from the second on}`
const STRIDED: &[u8] =
    b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\n\
    FloatStorage\nX\x01\0\0\0\x30X\x03\0\0\0cpuK\x06tQK\x01K\x02K\x02\x86K\x01K\x03\x86\x89NtRs.";

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn a_lightning_checkpoint_of_taming_gives_its_model() {
    let checkpoint = Checkpoint::open(&golden("vqgan-f16/model.ckpt")).unwrap();
    assert!(
        checkpoint.keys().any(|key| key == "state_dict.loss.perceptual_loss.lin0.model.1.weight")
            || checkpoint.keys().any(|key| key.starts_with("state_dict.loss."))
    );
    let model = checkpoint.below("encoder.conv_in.weight").unwrap().without(&["loss."]);
    assert_eq!(model.shape("encoder.conv_in.weight"), Some(&[32, 3, 3, 3][..]));
    assert_eq!(model.dtype("encoder.conv_in.weight"), Some(DType::F16));
    assert!(model.keys().all(|key| !key.starts_with("loss.") && !key.starts_with("optimizer")));
    assert_eq!(model.floats("encoder.conv_in.weight").unwrap().len(), 32 * 3 * 9);
    let bytes = std::fs::read(golden("vqgan-f16/model.ckpt")).unwrap();
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(checkpoint.sha256(), digest);
}

#[test]
fn strided_views_are_unfolded_and_damage_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.pt");
    archive(&path, STRIDED, &floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
    assert_eq!(Checkpoint::open(&path).unwrap().floats("w").unwrap(), [1.0, 4.0, 2.0, 5.0]);
    archive(&path, STRIDED, &floats(&[0.0, 1.0]));
    let error = Checkpoint::open(&path).unwrap().floats("w").unwrap_err().to_string();
    assert!(error.ends_with("w: storage 0 is shorter than its tensor needs"), "{error}");
    let whole = std::fs::read(&path).unwrap();
    pipeline::atomic::write(&path, &whole[..whole.len() - 30]).unwrap();
    let error = Checkpoint::open(&path).unwrap_err().to_string();
    assert!(error.contains("m.pt: the file is damaged or cut off"), "{error}");
    pipeline::atomic::write(&path, b"<html>").unwrap();
    assert!(Checkpoint::open(&path).unwrap_err().to_string().contains("neither safetensors nor"));
}

#[test]
fn a_stream_of_pickles_is_read_as_pytorch_1_5_wrote_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.pth");
    let magic =
        [&b"\x80\x02\x8a\x0a"[..], &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19], b"."];
    let head = [&magic.concat()[..], b"\x80\x02M\xe9\x03.", b"\x80\x02}."].concat();
    // A legacy id says which part of a storage is meant, if only one is.
    let pickle: Vec<u8> = STRIDED
        .windows(3)
        .position(|window| window == b"tQK")
        .map_or(Vec::new(), |at| [&STRIDED[..at], b"N", &STRIDED[at..]].concat());
    let keys = b"\x80\x02]X\x01\0\0\0\x30a.";
    let storage = [&6_u64.to_le_bytes()[..], &floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])].concat();
    let whole = [&head[..], &pickle, keys, &storage].concat();
    pipeline::atomic::write(&path, &whole).unwrap();
    assert_eq!(Checkpoint::open(&path).unwrap().floats("w").unwrap(), [1.0, 4.0, 2.0, 5.0]);
    pipeline::atomic::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert!(Checkpoint::open(&path).unwrap_err().to_string().contains("cut off in storage 0"));
}

#[test]
fn code_in_a_pickle_is_named_and_not_executed() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("marker");
    let command = format!("touch {}", marker.display());
    let length = u32::try_from(command.len()).unwrap().to_le_bytes();
    let pickle = [&b"\x80\x02cos\nsystem\nX"[..], &length, command.as_bytes(), b"\x85R."].concat();
    let zipped = folder.path().join("evil.ckpt");
    archive(&zipped, &pickle, &[]);
    let plain = folder.path().join("evil.pkl");
    pipeline::atomic::write(&plain, &pickle).unwrap();
    for path in [zipped, plain] {
        let error = Checkpoint::open(&path).unwrap_err().to_string();
        assert!(error.contains("wants to call os.system"), "{error}");
    }
    assert!(!marker.exists());
}

#[test]
fn modules_are_filled_or_every_fault_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    saved(&path, &[("weight", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), ("bias", &[2], &[0.0, 1.0])]);
    let filled = Checkpoint::open(&path).unwrap().fill(linear(3, 2)).unwrap();
    let weight = filled.weight.val().into_data().try_to_vec::<f32>().unwrap();
    assert_eq!(weight, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0], "[in, out] in memory");
    saved(&path, &[("weight", &[3, 2], &[0.0; 6]), ("extra", &[1], &[0.0])]);
    let error = Checkpoint::open(&path).unwrap().fill(linear(3, 2)).unwrap_err().to_string();
    assert!(error.contains("wrong shape: weight is ") && error.contains("missing: bias"), "{error}");
    assert!(error.contains("unexpected: extra"), "{error}");
    saved(&path, &[("weight", &[2, 3], &[0.0; 6]), ("bias", &[2], &[1.0, f32::NAN])]);
    let error = Checkpoint::open(&path).unwrap().fill(linear(3, 2)).unwrap_err().to_string();
    assert!(error.ends_with("bias holds NaN at index 1; not finite: 1 of 2 values"), "{error}");
}

#[test]
fn a_truncated_safetensors_file_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    saved(&path, &[("w", &[2], &[1.0, 2.0])]);
    let whole = std::fs::read(&path).unwrap();
    for length in [whole.len() - 1, 12] {
        pipeline::atomic::write(&path, &whole[..length]).unwrap();
        let error = Checkpoint::open(&path).unwrap_err().to_string();
        assert!(error.contains("damaged or cut off"), "{error}");
    }
}

#[test]
fn folders_of_hugging_face_are_one_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("none of model.safetensors"), "{error}");
    let [a, b] = ["a.safetensors", "b.safetensors"].map(|name| folder.path().join(name));
    saved(&a, &[("weight", &[2, 3], &[1.0; 6])]);
    saved(&b, &[("bias", &[2], &[0.0; 2])]);
    let index = folder.path().join("model.safetensors.index.json");
    let map = |text: &str| {
        pipeline::atomic::write(&index, format!(r#"{{"metadata":{{}},"weight_map":{{{text}}}}}"#)).unwrap();
    };
    map(r#""weight":"a.safetensors","bias":"b.safetensors""#);
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.files(), [a.clone(), b.clone()]);
    checkpoint.fill(linear(3, 2)).unwrap();
    let parts = [sha256(&a).unwrap(), sha256(&b).unwrap()].concat();
    assert_eq!(checkpoint.sha256(), hex(Sha256::new_with_prefix(parts)));
    map(r#""weight":"a.safetensors","bias":"a.safetensors""#);
    let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(error.ends_with("bias is not in a.safetensors, where the index puts it"), "{error}");
    map(r#""weight":"../a.safetensors""#);
    assert!(Checkpoint::open(folder.path()).unwrap_err().to_string().contains("not the name of a file"));
}

#[test]
fn the_part_with_the_anchor_is_found_under_every_nesting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let at = |prefixes: &[&str]| {
        let keys: Vec<String> = prefixes.iter().map(|prefix| format!("{prefix}in.weight")).collect();
        let values: Vec<f32> = (0..keys.len()).map(|i| i as f32).collect();
        let tensors: Vec<(&str, &[usize], &[f32])> =
            keys.iter().zip(values.chunks(1)).map(|(key, value)| (key.as_str(), &[1][..], value)).collect();
        saved(&path, &tensors);
        let part = Checkpoint::open(&path).unwrap().below("in.weight").unwrap();
        (part.keys().map(str::to_owned).collect::<Vec<_>>(), part.floats("in.weight").unwrap()[0])
    };
    assert_eq!(at(&["state_dict.first_stage_model."]), (vec!["in.weight".to_owned()], 0.0));
    assert_eq!(at(&["ema.", "model."]).1, 1.0, "the model, not its average");
    assert_eq!(at(&["state_dict.model.decoder.", "state_dict.model."]).1, 1.0);
    saved(&path, &[("main.weight", &[1], &[0.0])]);
    assert!(Checkpoint::open(&path).unwrap().below("in.weight").is_none());
}

#[test]
fn settings_beside_the_tensors_are_handed_out() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../train/tests/golden");
    let checkpoint = Checkpoint::open(&golden.join("dalle-pytorch-full/dalle.pt")).unwrap();
    let hparams = checkpoint.plain("hparams").unwrap().unwrap();
    assert_eq!(hparams["stable"], true);
    assert_eq!(hparams["reversible"], false);
    assert_eq!(hparams["ff_dropout"], 0.0);
    assert_eq!(hparams["shared_attn_ids"], serde_json::json!([0, 1, 2, 3]));
    assert_eq!(hparams["attn_types"][3], "conv_like");
    assert_eq!(checkpoint.plain("version").unwrap().unwrap(), "1.6.6");
    assert_eq!(checkpoint.plain("scheduler_state").unwrap().unwrap(), serde_json::Value::Null);
    assert!(checkpoint.plain("no such key").unwrap().is_none());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    saved(&path, &[("w", &[1], &[1.0])]);
    assert!(Checkpoint::open(&path).unwrap().plain("hparams").unwrap().is_none());
}
