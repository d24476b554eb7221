//! Case `rudalle`: ruDALL·E v2 and v3.

use burn::tensor::{Device, Int, Tensor, activation};
use tokenize::parity::{Case, Comparison, Outputs, compare};

use super::{checked, core, integers};
use crate::Result;
use crate::dalle::{Dalle, DalleConfig};
use crate::draw::{Drawing, draw_codes};
use crate::gpt::{Gpt, MaskKind, Vocabulary};
use crate::objective::LossLayout;
use crate::weights::KeyNames;

pub(super) fn run(case: &Case, device: &Device) -> Result<Vec<Comparison>> {
    let config = config(case)?;
    let sequences = checked::sequences(case, "input_ids", &config.gpt(), config.loss_layout, 2)?;
    let model = Dalle::load(&config, &case.checkpoint()?, device)?;
    let gpt = &model.gpt;
    let mut outputs = core::states(gpt, &sequences, 0, device);
    let conv = MaskKind::Conv { kernel: config.kernel, wrap: config.loss_layout == LossLayout::V2 };
    for (name, kind) in [("row", MaskKind::Row), ("col", MaskKind::Col), ("conv", conv)] {
        outputs.insert(format!("mask.{name}"), core::mask(gpt, kind));
    }
    draw(case, gpt, &sequences, &mut outputs)?;
    said(case, gpt, &sequences, &mut outputs)?;
    let mut lines = compare(case, &outputs)?;
    let of = |rows: &[Vec<i64>]| core::text_image(model.losses(&core::batch(gpt, rows, device)));
    lines.extend(core::scalars(case, "/expected", &of(&sequences))?);
    for (index, row) in sequences.chunks(1).enumerate() {
        lines.extend(core::scalars(case, &format!("/expected/sample_{index}"), &of(row))?);
    }
    lines.extend(gradients(case, &config, &sequences, device)?);
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

fn gradients(
    case: &Case,
    config: &DalleConfig,
    sequences: &[Vec<i64>],
    device: &Device,
) -> Result<Vec<Comparison>> {
    let device = device.clone().autodiff();
    let model = Dalle::load(config, &case.checkpoint()?, &device)?;
    let batch = core::batch(&model.gpt, sequences, &device);
    core::gradients(case, &model.gpt, model.losses(&batch).total, KeyNames::Rudalle)
}

fn config(case: &Case) -> Result<DalleConfig> {
    let number = |key: &str| case.config::<usize>(&format!("/config/{key}"));
    let v2 = case.config::<String>("/config/hf_version")? == "v2";
    let config = DalleConfig {
        layers: number("num_layers")?,
        dim: number("hidden_size")?,
        heads: number("num_attention_heads")?,
        text: number("text_seq_length")?,
        grid: number("image_tokens_per_dim")?,
        kernel: number("conv_kernel")?,
        text_vocab: number("bpe_vocab_size")?,
        image_vocab: number("image_vocab_size")?,
        loss_layout: if v2 { LossLayout::V2 } else { LossLayout::V3 },
        ..DalleConfig::default()
    };
    checked::model(case, config.gpt())?;
    Ok(config)
}
