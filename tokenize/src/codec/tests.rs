use super::*;
use crate::vqgan::Precision;

fn tiny() -> VqGanConfig {
    VqGanConfig {
        ch: 8,
        ch_mult: vec![1, 2],
        num_res_blocks: 1,
        attn_resolutions: vec![8],
        resolution: 16,
        z_channels: 4,
        embed_dim: 4,
        n_embed: 32,
        groups: 4,
        ..VqGanConfig::default()
    }
}

fn saved(folder: &Path) -> PathBuf {
    let path = folder.join("codec.safetensors");
    tiny().init(&Device::flex()).unwrap().save(&path, Precision::Half).unwrap();
    let text = pipeline::settings::to_toml(&tiny()).unwrap();
    pipeline::atomic::write(path.with_extension("toml"), text.as_bytes()).unwrap();
    path
}

#[test]
fn codes_survive_saving_in_half_precision_and_do_not_depend_on_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    let codec = Codec::load(&saved(folder.path()), &Device::flex()).unwrap();
    let pictures: Vec<Picture> =
        (0..3).map(|i| Picture::filled(16, 16, [90 * i, 10, 200 - 60 * i])).collect();
    let together = codec.encode(&pictures).unwrap();
    for (picture, codes) in pictures.iter().zip(&together) {
        assert_eq!(codec.encode(std::slice::from_ref(picture)).unwrap(), std::slice::from_ref(codes));
    }
    let decoded = codec.decode(&together, codec.grid(16)).unwrap();
    assert_eq!((decoded.len(), decoded[0].width(), decoded[0].height()), (3, 16, 16));
}

#[test]
fn wrong_codes_and_sizes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let codec = Codec::load(&saved(folder.path()), &Device::flex()).unwrap();
    let error = codec.decode(&[vec![0; 64], vec![32; 64]], 8).unwrap_err().to_string();
    assert_eq!(error, "codes[1]: code 32, the codebook has 32");
    assert!(codec.decode(&[vec![0; 3]], 8).is_err());
    assert!(codec.encode(&[Picture::filled(15, 15, [0; 3])]).is_err());
}

#[test]
fn a_configuration_that_contradicts_the_weights_names_every_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path());
    let other = VqGanConfig { n_embed: 64, num_res_blocks: 2, attn_resolutions: vec![16], ..tiny() };
    let text = pipeline::settings::to_toml(&other).unwrap();
    pipeline::atomic::write(path.with_extension("toml"), text.as_bytes()).unwrap();
    let error = Codec::load(&path, &Device::flex()).unwrap_err().to_string();
    let (_, faults) = error.split_once("the weights contradict ").unwrap();
    assert!(faults.contains("codec.toml: num_res_blocks = 2, the weights have 1; n_embed = 64"), "{error}");
    assert!(faults.ends_with("attn_resolutions puts attention at [16] of 16, the weights at [8]"), "{error}");
}

#[test]
fn what_no_shape_tells_is_asked_for_and_the_rest_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path());
    let toml = path.with_extension("toml");
    pipeline::atomic::write(&toml, "resolution = 16\ngroups = 4").unwrap();
    let codec = Codec::load(&path, &Device::flex()).unwrap();
    assert_eq!(codec.config(), Some(&tiny()));
    assert_eq!((codec.kind(), codec.resolution(), codec.decoded_size(8)), (CodecKind::Vqgan, 16, 16));
    std::fs::remove_file(toml).unwrap();
    let error = Codec::load(&path, &Device::flex()).unwrap_err().to_string();
    assert!(error.ends_with("groups: 32 does not divide the 8 channels of ch"), "{error}");
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

#[test]
fn every_published_kind_is_recognised_without_a_configuration_and_survives_being_copied() {
    use CodecKind::{Clusters, Dvae, Gumbel, LlamaGen, SberDwt, Vqgan};
    let cases = [
        ("vqgan-f16/model.ckpt", Vqgan, 16, 128, 32),
        ("vqgan-ldm-f8/model.ckpt", Vqgan, 8, 96, 16),
        ("vqgan-gumbel-f8/vqgan.gumbelf8.model.ckpt", Gumbel, 8, 160, 16),
        ("vqgan-sber-dwt/vqgan.gumbelf8-dwt.model.ckpt", SberDwt, 8, 96, 32),
        ("dvae-openai", Dvae, 8, 96, 16),
        ("dvae-openai/encoder.pkl", Dvae, 8, 96, 16),
        ("llamagen-vq16/vq_ds16.pt", LlamaGen, 16, 64, 32),
        ("imagegpt-clusters", Clusters, 1, 512, 2),
    ];
    for (file, kind, factor, codes, drawn) in cases {
        let codec = Codec::load(&golden(file), &Device::flex()).unwrap();
        assert_eq!((codec.kind(), codec.downsampling()), (kind, factor), "{file}");
        assert_eq!((codec.codebook_size(), codec.decoded_size(2)), (codes, drawn), "{file}");
        let side = u32::try_from(2 * factor).unwrap();
        let ids = codec.encode(&[Picture::filled(side, side, [200, 30, 90])]).unwrap();
        let pictures = codec.decode(&ids, 2).unwrap();
        assert_eq!(pictures[0].width() as usize, drawn, "{file}");
        let folder = tempfile::tempdir().unwrap();
        codec.save_to(folder.path()).unwrap();
        let mut entries = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let copy = entries.find(|path| path.extension().is_none_or(|ending| ending != "yaml")).unwrap();
        let again = Codec::load(&copy, &Device::flex()).unwrap();
        assert_eq!(
            (&again.sha256, again.config(), again.preprocess()),
            (&codec.sha256, codec.config(), codec.preprocess())
        );
        assert_eq!(again.decode(&ids, 2).unwrap(), pictures, "{file}");
    }
}

#[test]
fn squares_are_made_as_the_published_programs_make_them() {
    let cases = [
        ("vqgan-f16/model.ckpt", Preprocess::taming(0)),
        ("vqgan-gumbel-f8/vqgan.gumbelf8.model.ckpt", Preprocess::rudalle(0)),
        ("vqgan-sber-dwt/vqgan.gumbelf8-dwt.model.ckpt", Preprocess::rudalle(0)),
        ("dvae-openai", Preprocess::openai(0)),
        ("llamagen-vq16/vq_ds16.pt", Preprocess::llamagen(0)),
    ];
    for (file, expected) in cases {
        let codec = Codec::load(&golden(file), &Device::flex()).unwrap();
        assert_eq!(*codec.preprocess(), Preprocess { size: codec.resolution(), ..expected }, "{file}");
    }
}

#[test]
fn a_file_that_changed_since_it_was_loaded_is_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path());
    let codec = Codec::load(&path, &Device::flex()).unwrap();
    pipeline::atomic::write(&path, "another").unwrap();
    let target = folder.path().join("bundle");
    let error = codec.save_to(&target).unwrap_err().to_string();
    assert!(error.contains("codec.safetensors: changed since it was loaded (sha256 "), "{error}");
    assert!(!target.exists());
}

#[test]
fn files_that_are_no_codec_say_what_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path());
    let whole = Checkpoint::open(&path).unwrap();
    let error = |keep: &dyn Fn(&str) -> bool, also: &[(&str, &str)]| {
        let part = folder.path().join("part.safetensors");
        let name = |key: &str| {
            let renamed = also.iter().find(|(from, _)| *from == key).map_or(key, |(_, to)| to);
            keep(key).then(|| renamed.to_owned())
        };
        let part_of = whole.clone().renamed(name);
        let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = part_of
            .keys()
            .map(|key| {
                let bytes = part_of.floats(key).unwrap().iter().flat_map(|v| v.to_le_bytes()).collect();
                (key.to_owned(), part_of.shape(key).unwrap().to_vec(), bytes)
            })
            .collect();
        let views = tensors.iter().map(|(key, shape, bytes)| {
            let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
            (key.as_str(), view.unwrap())
        });
        pipeline::atomic::write(&part, safetensors::serialize(views, None).unwrap()).unwrap();
        std::fs::copy(path.with_extension("toml"), part.with_extension("toml")).unwrap();
        Codec::load(&part, &Device::flex()).unwrap_err().to_string()
    };
    let none = error(&|key| key.starts_with("decoder."), &[]);
    assert!(none.contains("no codec that is known here") && none.contains("decoder.conv_in.bias"), "{none}");
    let continuous = error(&|key| !key.starts_with("quantize."), &[]);
    assert!(continuous.contains("no codebook"), "{continuous}");
    let lost = error(&|key| key != "decoder.conv_out.bias", &[]);
    assert!(lost.ends_with("missing: decoder.conv_out.bias"), "{lost}");
    let renamed = error(&|_| true, &[("decoder.conv_out.bias", "decoder.conv_out.offset")]);
    assert!(renamed.contains("unexpected: decoder.conv_out.offset"), "{renamed}");
}
