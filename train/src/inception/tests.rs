//! Against `pytorch-fid`: weights and pictures are functions of names and places, so that neither is stored
//! (`tests/golden/inception/make.py`).

use tokenize::parity::Case;

use super::*;
use crate::evaluate::frechet::{Moments, distance};
use crate::run::tensors::{self, Lazy};
use plan::{Layer, Part, network};

fn mix(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x85EB_CA6B);
    h ^= h >> 13;
    h = h.wrapping_mul(0xC2B2_AE35);
    h ^ (h >> 16)
}

fn uniform(key: &str, count: usize) -> impl Iterator<Item = f64> {
    let seed =
        key.bytes().fold(0x811C_9DC5_u32, |seed, byte| (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (0..count).map(move |place| {
        let place = (place as u32).wrapping_mul(0x9E37_79B9).wrapping_add(seed);
        f64::from(mix(place) >> 8) / f64::from(1 << 23) - 1.0
    })
}

fn values(key: &str, shape: &[usize]) -> Vec<f32> {
    let values = uniform(key, shape.iter().product());
    let scale = (6.0 / shape[1..].iter().product::<usize>() as f64).sqrt();
    let value = |u: f64| match key.rsplit_once('.').map_or(key, |(_, part)| part) {
        "running_var" => 1.0 + 0.5 * u,
        "weight" if shape.len() == 4 => u * scale,
        "weight" => 1.0 + 0.25 * u,
        _ => 0.25 * u,
    };
    values.map(|u| value(u) as f32).collect()
}

/// Every tensor that the network reads, by its name.
fn state() -> Vec<(String, Lazy)> {
    let device = Device::flex();
    let (mut tensors, mut width) = (Vec::new(), 3);
    let mut layer = |block: &str, layer: &Layer, width: usize| {
        let dot = if block.is_empty() { "" } else { "." };
        let name = format!("{block}{dot}{}", layer.name);
        let [h, w] = layer.kernel;
        let parts = ["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"];
        let shapes = parts.map(|part| (part, vec![layer.channels]));
        for (part, shape) in shapes.into_iter().chain([("conv.weight", vec![layer.channels, width, h, w])]) {
            let key = format!("{name}.{part}");
            let data = burn::tensor::TensorData::new(values(&key, &shape), shape.clone());
            let lazy = match shape.len() {
                1 => Lazy::new(Tensor::<1>::from_data(data, &device)),
                _ => Lazy::new(Tensor::<4>::from_data(data, &device)),
            };
            tensors.push((key, lazy));
        }
        layer.channels
    };
    for (block, branches) in network() {
        let ends = branches.iter().map(|parts| {
            parts.iter().fold(width, |width, part| match part {
                Part::Pool(_) => width,
                Part::Layer(one) => layer(block, one, width),
                Part::Fork(layers) => layers.iter().map(|one| layer(block, one, width)).sum(),
            })
        });
        width = ends.sum();
    }
    tensors
}

fn picture(number: u32, width: u32, height: u32) -> Picture {
    let mut pixels = Vec::new();
    for (y, x, c) in (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| (y, x, c)))) {
        let value =
            x * (2 + number) + y * (7 - number) + x * y / (5 + number) * (c + 1) + 40 * c + 29 * number;
        pixels.push((value % 256) as u8);
    }
    Picture::new(width, height, pixels).unwrap()
}

#[test]
fn features_and_distances_are_those_of_pytorch_fid() {
    let case = Case::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/inception")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("inception.safetensors");
    tensors::write(&path, state(), None).unwrap();
    let network = Inception::load(&path, &Device::flex()).unwrap();
    let sizes = case.json["sizes"].as_array().unwrap();
    let pictures = (0..).zip(sizes).map(|(number, size)| {
        let side = |name: &str| u32::try_from(size[name].as_u64().unwrap()).unwrap();
        picture(number, side("width"), side("height"))
    });
    let found = network.features(&pictures.collect::<Vec<_>>()).unwrap();
    let (_, expected) = case.reals("features").unwrap();
    for (row, expected) in found.iter().zip(expected.chunks(FEATURES)) {
        for (found, expected) in row.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-4 + 1e-4 * expected.abs(), "{found} {expected}");
        }
    }
    let gaussian = |rows: &[Vec<f32>]| {
        let mut moments = Moments::new(FEATURES);
        moments.add(rows);
        moments.finish().unwrap()
    };
    let found = distance(&gaussian(&found[..4]), &gaussian(&found[4..])).unwrap();
    for name in ["fid", "fid_pytorch_fid"] {
        let expected = case.json["expected"][name].as_f64().unwrap();
        assert!((found / expected - 1.0).abs() < 1e-4, "{found} {name} {expected}");
    }
}

#[test]
fn another_networks_weights_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.safetensors");
    let fault = |tensors: Vec<(String, Lazy)>| {
        tensors::write(&path, tensors, None).unwrap();
        Inception::load(&path, &Device::flex()).unwrap_err().to_string()
    };
    let one = |key: &str, shape: [usize; 1]| {
        (key.to_owned(), Lazy::new(Tensor::<1>::zeros(shape, &Device::flex())))
    };
    assert!(fault(vec![one("fc.bias", [3])]).contains("no tensor Conv2d_1a_3x3.conv.weight"));
    let misshapen = fault(vec![one("Conv2d_1a_3x3.conv.weight", [32])]);
    assert!(
        misshapen.ends_with("Conv2d_1a_3x3.conv.weight is [32], FID's Inception has [32, 3, 3, 3]"),
        "{misshapen}"
    );
    let first = Tensor::<4>::zeros([32, 3, 3, 3], &Device::flex());
    let missing = fault(vec![("m.Conv2d_1a_3x3.conv.weight".to_owned(), Lazy::new(first))]);
    assert!(missing.contains("no tensor Conv2d_1a_3x3.bn.weight"), "{missing}");
}
