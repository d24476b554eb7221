//! Pictures cut into the tiles that their codes stand for, and an encoder that starts by just passing a tile on.
//!
//! An encoder that sees the whole picture lets every code depend on all of it, so a white corner gets another code in
//! every picture, and a token model has to learn that noise. On tiles a code depends on its own pixels alone. Such an
//! encoder starts as a lossless rearrangement of the tile's `3·f²` values, which makes the codebook begin as a vector
//! quantiser of image blocks (Gersho and Gray 1992, chapter 11) and leaves the rest to training.

use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;

/// Lifts values far into the part where swish is the identity; the convolution behind it takes the lift back.
pub(super) const LIFT: f32 = 10.0;

/// # Shapes
/// `[b, c, h, w]` → `[b·h/f·w/f, c, f, f]`, the tiles of a picture in raster order
pub(super) fn cut(pixels: Tensor<4>, f: usize) -> Tensor<4> {
    let [b, c, h, w] = pixels.dims();
    let (rows, columns) = (h / f, w / f);
    let tiles: Tensor<6> = pixels.reshape([b, c, rows, f, columns, f]).permute([0, 2, 4, 1, 3, 5]);
    tiles.reshape([b * rows * columns, c, f, f])
}

/// # Shapes
/// `[b·h·w, c, 1, 1]` → `[b, c, h, w]`
pub(super) fn join(latents: Tensor<4>, [h, w]: [usize; 2]) -> Tensor<4> {
    let [tiles, c, _, _] = latents.dims();
    latents.reshape([tiles / (h * w), h, w, c]).permute([0, 3, 1, 2])
}

/// Where the first outputs of a convolution get their value from: `(input, tap)` for each.
pub(super) type Wires = Vec<(usize, usize)>;

/// Lets the first outputs of a convolution be copies of single inputs plus `bias`; the other outputs stay as they are.
pub(super) fn wire(mut conv: Conv2d, wires: &[(usize, usize)], bias: f32) -> Conv2d {
    let taps = conv.kernel_size.iter().product::<usize>();
    conv.weight = changed(&conv.weight, |values, [_, inputs, ..]| {
        for (row, (input, tap)) in values.chunks_exact_mut(inputs * taps).zip(wires) {
            row.fill(0.0);
            row[input * taps + tap] = 1.0;
        }
    });
    conv.bias = conv.bias.map(|param| {
        changed(&param, |values, _| values.iter_mut().take(wires.len()).for_each(|v| *v = bias))
    });
    conv
}

/// A convolution that puts out zeros: the residual branch that starts as nothing.
pub(super) fn silent(mut conv: Conv2d) -> Conv2d {
    conv.weight = changed(&conv.weight, |values, _| values.fill(0.0));
    conv.bias = conv.bias.map(|bias| filled(&bias, 0.0));
    conv
}

/// A parameter of the same shape with one value everywhere.
pub(super) fn filled(param: &Param<Tensor<1>>, value: f32) -> Param<Tensor<1>> {
    changed(param, |values, _| values.fill(value))
}

fn changed<const D: usize>(
    param: &Param<Tensor<D>>,
    with: impl FnOnce(&mut [f32], [usize; D]),
) -> Param<Tensor<D>> {
    let tensor = param.val();
    let (device, shape) = (tensor.device(), tensor.dims());
    let mut data = tensor.into_data();
    if let Ok(values) = data.as_mut_slice::<f32>() {
        with(values, shape);
    }
    Param::from_tensor(Tensor::from_data(data, &device))
}

/// One output per input, by the tap of the same place.
pub(super) fn straight(channels: usize, centre: usize) -> Wires {
    (0..channels).map(|channel| (channel, centre)).collect()
}

/// Four outputs per input: its 2×2 pixels, by the taps that stand on them.
pub(super) fn fold(channels: usize) -> Wires {
    (0..channels).flat_map(|channel| [0, 1, 3, 4].map(|tap| (channel, tap))).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::super::VqGanConfig;
    use super::*;

    fn config() -> VqGanConfig {
        VqGanConfig {
            ch: 16,
            ch_mult: vec![1, 3, 4],
            num_res_blocks: 1,
            attn_resolutions: vec![],
            resolution: 16,
            z_channels: 48,
            embed_dim: 48,
            n_embed: 8,
            groups: 8,
            tiles: true,
            ..VqGanConfig::default()
        }
    }

    /// `[h, w, c]` values of the first picture as rows.
    fn places(x: Tensor<4>) -> Vec<Vec<f32>> {
        let [_, c, _, _] = x.dims();
        let values = x.narrow(0, 0, 1).permute([0, 2, 3, 1]).into_data().try_to_vec::<f32>().unwrap();
        values.chunks(c).map(<[f32]>::to_vec).collect()
    }

    #[test]
    fn the_encoder_starts_as_a_rearrangement_of_each_tile() {
        let device = Device::flex();
        let model = config().init(&device).unwrap();
        let pixels = Tensor::<4>::random([2, 3, 8, 12], Distribution::Uniform(-1.0, 1.0), &device);
        let latents = model.latents(pixels.clone());
        assert_eq!(latents.dims(), [2, 48, 2, 3]);
        let tiles = cut(pixels, 4);
        for (tile, latent) in places(latents).iter().enumerate() {
            let mut expected = tiles.clone().narrow(0, tile, 1).into_data().try_to_vec::<f32>().unwrap();
            let mut found = latent.clone();
            expected.sort_by(f32::total_cmp);
            found.sort_by(f32::total_cmp);
            let apart = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 2e-3, "tile {tile}: {apart}");
        }
    }

    #[test]
    fn a_code_depends_on_its_own_tile_alone() {
        let device = Device::flex();
        let model = config().init(&device).unwrap();
        let pixels = Tensor::<4>::random([1, 3, 16, 16], Distribution::Uniform(-1.0, 1.0), &device);
        let changed =
            pixels.clone().slice_assign([0..1, 0..3, 4..8, 8..12], Tensor::ones([1, 3, 4, 4], &device));
        let (before, after) = (places(model.latents(pixels)), places(model.latents(changed)));
        let differ: Vec<usize> = (0..16).filter(|at| before[*at] != after[*at]).collect();
        assert_eq!(differ, [4 + 2]);
    }

    #[test]
    fn layers_without_room_for_a_tile_are_named() {
        let fault = |change: fn(&mut VqGanConfig)| {
            let mut config = config();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert_eq!(
            fault(|c| c.ch_mult = vec![1, 2, 4]),
            "ch_mult: 32 channels cannot hold the 48 values of a tile, as `tiles` asks"
        );
        assert!(fault(|c| c.embed_dim = 8).starts_with("embed_dim: "));
        assert!(config().validate().is_ok());
    }
}
