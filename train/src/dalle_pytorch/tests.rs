use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, activation};
use proptest::prelude::*;

use super::*;
use crate::dalle::{Dalle, DalleConfig};
use crate::gpt::{Batch, Cache, ids};
use crate::rudolph::tests::{Flat, fill};

fn tiny(form: DallePytorch) -> DalleConfig {
    let dalle_pytorch = Some(DallePytorch { dim_head: 10, ..form });
    DalleConfig { layers: 4, kernel: 2, dalle_pytorch, ..crate::dalle::tests::tiny() }
}

fn forms() -> impl Strategy<Value = DallePytorch> {
    use AttentionType::{AxialCol, AxialRow, ConvLike, Full};
    let flags = any::<[bool; 5]>();
    let types =
        proptest::collection::vec(prop_oneof![Just(Full), Just(AxialRow), Just(AxialCol), Just(ConvLike)], 4);
    (flags, types).prop_map(|([stable, sandwich_norm, shift_tokens, rotary_emb, shared], attn_types)| {
        let shared_attn_ids = if shared { vec![0, 1] } else { Vec::new() };
        let attn_types = if shared { attn_types[..2].to_vec() } else { attn_types };
        DallePytorch {
            stable,
            sandwich_norm,
            shift_tokens,
            rotary_emb,
            attn_types,
            shared_ff_ids: shared_attn_ids.clone(),
            shared_attn_ids,
            share_input_output_emb: shared,
            ..DallePytorch::default()
        }
    })
}

fn batch(device: &Device) -> Batch {
    Batch {
        left: ids(&[vec![5u32, 7, 9, 0, 0, 0], vec![4, 4, 18, 6, 11, 3]], device),
        image: ids(&[vec![1u16, 11, 3, 4, 0, 6, 7, 8, 2], vec![9, 8, 7, 6, 5, 4, 3, 2, 1]], device),
        right: None,
    }
}

fn largest<const D: usize>(x: Tensor<D>) -> f32 {
    x.abs().max().into_scalar()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn cached_steps_equal_the_whole_sequence(
        form in forms(), cuts in proptest::collection::btree_set(1usize..15, 1..6), back in 1usize..7,
    ) {
        let device = Device::flex();
        let gpt = fill(tiny(form).init(&device)).gpt;
        let x = gpt.embed(&batch(&device)).unwrap();
        let total = x.dims()[1];
        prop_assert_eq!(total, 15);
        let whole = gpt.forward(x.clone(), None);
        let mut cache = Cache::new(gpt.config(), 2, &device);
        // Positions that another continuation had used come again.
        gpt.forward(x.clone().narrow(1, 0, back + 3) * 2.0, Some(&mut cache));
        cache.truncate(0);
        let mut from = 0;
        for cut in cuts.into_iter().chain([total]) {
            let part = gpt.forward(x.clone().narrow(1, from, cut - from), Some(&mut cache));
            let apart = largest(part - whole.clone().narrow(1, from, cut - from));
            prop_assert!(apart < 1e-5, "{from}..{cut}: {apart}");
            from = cut;
        }
        cache.truncate(total - back);
        let again = gpt.forward(x.narrow(1, total - back, back), Some(&mut cache));
        prop_assert!(largest(again - whole.narrow(1, total - back, back)) < 1e-5);
    }

    #[test]
    fn a_file_comes_back(form in forms()) {
        let (dir, device) = (tempfile::tempdir().unwrap(), Device::flex());
        let path = dir.path().join("w.safetensors");
        let config = tiny(form);
        let model = fill(config.init(&device));
        model.save(&path).unwrap();
        let back = Dalle::load(&config, &path, &device).unwrap();
        prop_assert_eq!(largest(model.hidden(&batch(&device)) - back.hidden(&batch(&device))), 0.0);
        let settings = pipeline::settings::to_toml(&config).unwrap();
        let read: DalleConfig = pipeline::settings::parse(&settings, "model.toml").unwrap();
        prop_assert_eq!(read, config);
    }
}

/// The published objective, word for word: all logits, -max on those of the other part, labels moved by the text's size.
fn joint(gpt: &Gpt, batch: &Batch, image_weight: f64) -> Tensor<1> {
    let logits = super::masked_logits(gpt, gpt.hidden(batch));
    let [b, n, v] = logits.dims();
    let (text, total_text) = (gpt.config().left, gpt.config().total_text());
    let left = gpt.left_targets(batch.left.clone().unwrap());
    let labels: Tensor<2, Int> = Tensor::cat(vec![left, batch.image.clone().unwrap() + total_text as i64], 1);
    let chosen = activation::log_softmax(logits.reshape([b * n, v]), 1).gather(1, labels.reshape([b * n, 1]));
    let nll = chosen.neg().reshape([b, n]);
    let mean = |from: usize, count: usize| nll.clone().narrow(1, from, count).mean();
    (mean(0, text) + mean(text, n - text) * image_weight) / (1.0 + image_weight)
}

#[test]
fn one_softmax_with_a_mask_is_the_softmax_of_a_slice() {
    let device = Device::flex().autodiff();
    let model = fill(tiny(DallePytorch { stable: true, ..DallePytorch::default() }).init(&device));
    let batch = batch(&device);
    let (ours, theirs) = (model.losses(&batch).total, joint(&model.gpt, &batch, 7.0));
    assert!((ours.clone().into_scalar::<f32>() - theirs.clone().into_scalar::<f32>()).abs() < 1e-5);
    let gradients = |loss: Tensor<1>| {
        let mut flat = Flat(GradientsParams::from_grads(loss.backward(), &model.gpt), Vec::new());
        model.gpt.visit(&mut flat);
        flat.1
    };
    let (ours, theirs) = (gradients(ours), gradients(theirs));
    assert!(ours.iter().any(|value| value.abs() > 1e-2));
    let apart = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart < 1e-5, "{apart}");
}
