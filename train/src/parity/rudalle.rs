//! Case `rudalle`: ruDALL·E v2 and v3 as configurations of the core.

use burn::tensor::{Device, Int, Tensor, activation};
use tokenize::parity::{Case, Comparison, Outputs, compare};

use super::{checked, core, integers};
use crate::Result;
use crate::draw::{Drawing, draw_codes};
use crate::gpt::{Gpt, GptConfig, MaskKind, MaskSchedule, Start, Vocabulary};
use crate::objective::{LossLayout, LossWeights, Losses, losses};
use crate::weights::{self, KeyNames};

pub(super) fn run(case: &Case, device: &Device) -> Result<Vec<Comparison>> {
    let (config, layout) = config(case)?;
    let kernel = case.config("/config/conv_kernel")?;
    let sequences = checked::sequences(case, "input_ids", &config, layout, 2)?;
    let gpt = weights::load(config.init(device), &case.checkpoint()?, KeyNames::Rudalle)?;
    let mut outputs = core::states(&gpt, &sequences, 0, device);
    let wrap = layout == LossLayout::V2;
    for (name, kind) in
        [("row", MaskKind::Row), ("col", MaskKind::Col), ("conv", MaskKind::Conv { kernel, wrap })]
    {
        outputs.insert(format!("mask.{name}"), core::mask(&gpt, kind));
    }
    draw(case, &gpt, &sequences, &mut outputs)?;
    said(case, &gpt, &sequences, &mut outputs)?;
    let mut lines = compare(case, &outputs)?;
    let of = |rows: &[Vec<i64>]| {
        let batch = core::batch(&gpt, rows, device);
        gpt.embed(&batch).map(|x| losses(&gpt, gpt.forward(x, None), &batch, layout, &LossWeights::default()))
    };
    lines.extend(core::scalars(case, "/expected", &named(of(&sequences)))?);
    for (index, row) in sequences.chunks(1).enumerate() {
        lines.extend(core::scalars(case, &format!("/expected/sample_{index}"), &named(of(row)))?);
    }
    lines.extend(gradients(case, &config, layout, &sequences, device)?);
    Ok(lines)
}

/// Greedy pictures: of the first text, and of the second with codes of the first picture given.
fn draw(case: &Case, gpt: &Gpt, sequences: &[Vec<i64>], outputs: &mut Outputs) -> Result<()> {
    let source = &sequences[0][gpt.config().segments().image_range()];
    let forced = checked::places(case, "forced_positions", source.len())?;
    let given = forced.into_iter().map(|place| (place, source[place] as u16)).collect();
    let drawings = [Drawing::default(), Drawing { given, ..Drawing::default() }];
    let text = core::batch(gpt, &sequences[..2], &gpt.device()).left;
    let codes = draw_codes(gpt, text, &drawings, &core::GREEDY, &mut |_| ())?;
    outputs.insert("greedy_codes".to_owned(), integers(&codes[0]));
    outputs.insert("greedy_forced_codes".to_owned(), integers(&codes[1]));
    Ok(())
}

/// Logits right after two texts, then step by step with a cache, and the pipeline's ranking scores.
fn said(case: &Case, gpt: &Gpt, sequences: &[Vec<i64>], outputs: &mut Outputs) -> Result<()> {
    let codes = gpt.config().segments().image();
    if codes < 2 {
        return checked::refuse(case, format!("config: an image of {codes} codes has no score"));
    }
    let two = core::batch(gpt, &sequences[..2], &gpt.device());
    if let (Some(text), Some(x)) = (two.left.clone().and_then(|text| gpt.embed_left(text)), gpt.embed(&two)) {
        let last = text.dims()[1] - 1;
        let first = gpt.logits(gpt.forward(text, None).narrow(1, last, 1), Vocabulary::Image);
        outputs.insert("first_image_logits".to_owned(), core::array(first.squeeze_dim::<2>(1)));
        let prefix = last + 1 + checked::number(case, "/inputs/prefix_image_tokens", codes)?;
        let chunk = prefix + 5 + checked::number(case, "/inputs/chunk", codes)?;
        let cuts = (prefix..prefix + 6).chain([chunk]).collect::<Vec<_>>();
        let steps = core::cached(case, gpt, x, &cuts)?;
        outputs.insert("cached_next_logits".to_owned(), core::array(steps.clone().narrow(1, 0, 6)));
        outputs.insert(
            "cached_chunk_next_logits".to_owned(),
            core::array(steps.narrow(1, 6, 1).squeeze_dim::<2>(1)),
        );
    }
    let all = core::batch(gpt, sequences, &gpt.device());
    if let (Some(codes), Some(x)) = (all.image.clone(), gpt.embed(&all)) {
        let (n, total) = (gpt.config().segments().image(), x.dims()[1]);
        let logits = gpt.logits(gpt.forward(x, None), Vocabulary::Image).narrow(1, total - n, n);
        let score = |logits: Tensor<3>, codes: Tensor<2, Int>| {
            let targets = codes.unsqueeze_dim::<3>(2);
            let inverse = activation::log_softmax(logits, 2).gather(2, targets).neg().exp();
            core::array(inverse.mean_dim(1).reshape([sequences.len()]))
        };
        // The published score takes this slice in v2 too, where it is one position late.
        outputs.insert(
            "ppl_image".to_owned(),
            score(logits.clone().narrow(1, 0, n - 1), codes.clone().narrow(1, 1, n - 1)),
        );
        if case.tensors().contains_key("ppl_image_aligned") {
            outputs.insert("ppl_image_aligned".to_owned(), score(logits, codes));
        }
    }
    Ok(())
}

fn named(losses: Option<Losses>) -> [(&'static str, Option<f64>); 3] {
    let value = |loss: Option<Tensor<1>>| Some(f64::from(loss?.into_scalar::<f32>()));
    let Some(losses) = losses else { return [("loss", None), ("loss_text", None), ("loss_image", None)] };
    [
        ("loss", value(Some(losses.total))),
        ("loss_text", value(losses.left)),
        ("loss_image", value(losses.image)),
    ]
}

fn gradients(
    case: &Case,
    config: &GptConfig,
    layout: LossLayout,
    sequences: &[Vec<i64>],
    device: &Device,
) -> Result<Vec<Comparison>> {
    let device = device.clone().autodiff();
    let gpt = weights::load(config.init(&device), &case.checkpoint()?, KeyNames::Rudalle)?;
    let batch = core::batch(&gpt, sequences, &device);
    let x = gpt.embed(&batch).ok_or_else(|| case.fault("no input"))?;
    let losses = losses(&gpt, gpt.forward(x, None), &batch, layout, &LossWeights::default());
    core::gradients(case, &gpt, losses.total, KeyNames::Rudalle)
}

fn config(case: &Case) -> Result<(GptConfig, LossLayout)> {
    let number = |key: &str| case.config::<usize>(&format!("/config/{key}"));
    let v2 = case.config::<String>("/config/hf_version")? == "v2";
    let config = GptConfig {
        layers: number("num_layers")?,
        dim: number("hidden_size")?,
        heads: number("num_attention_heads")?,
        left: number("text_seq_length")?,
        grid: number("image_tokens_per_dim")?,
        right: 0,
        text_vocab: number("bpe_vocab_size")?,
        text_special: 0,
        image_vocab: number("image_vocab_size")?,
        image_special: 0,
        epsilon: case.config("/config/layernorm_epsilon")?,
        sandwich: case.config("/config/cogview_sandwich_layernorm")?,
        masks: MaskSchedule::Dalle { kernel: number("conv_kernel")?, wrap: v2 },
        start: if v2 { Start::Text } else { Start::None },
        ..GptConfig::default()
    };
    Ok((checked::model(case, config)?, if v2 { LossLayout::V2 } else { LossLayout::V3 }))
}
