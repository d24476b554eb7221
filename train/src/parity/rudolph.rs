//! Case `rudolph`: states, losses, gradients, drawing, captioning, reranking, classification.

use burn::tensor::{Device, Tensor};
use tokenize::parity::{Case, Comparison, Outputs, compare};

use super::core::{self, GREEDY};
use super::{checked, integers, reals, scalar};
use crate::Result;
use crate::classify::{Classified, classify_images};
use crate::draw::{Drawing, draw};
use crate::gpt::{Batch, MaskKind, ids};
use crate::objective::{LossLayout, LossWeights, Losses, losses};
use crate::rudolph::{Rudolph, RudolphConfig};
use crate::score::{perplexities, rerank};
use crate::weights::KeyNames;
use crate::words::{Captioning, Templates, TokenPair, caption, rank_by_image, write};

pub(super) fn run(case: &Case, device: &Device) -> Result<Vec<Comparison>> {
    let config = config(case)?;
    let model = Rudolph::load(&config, &case.checkpoint()?, device)?;
    let sequences = checked::sequences(case, "input_ids", &config.gpt(), config.loss_layout, 2)?;
    let mut outputs = core::states(&model.gpt, &sequences, 1, device);
    let conv = |kernel| MaskKind::Conv { kernel, wrap: false };
    let kinds = [("row", MaskKind::Row), ("col", MaskKind::Col), ("conv", conv(config.kernel))];
    for (name, kind) in kinds.into_iter().chain([("last_conv", conv(config.last_kernel))]) {
        outputs.insert(format!("mask.{name}"), core::mask(&model.gpt, kind));
    }
    let cuts = case.config::<Vec<usize>>("/expected/cache_cuts")?;
    if let Some(x) = model.gpt.embed(&core::batch(&model.gpt, &sequences[..2], device)) {
        let steps = core::cached(case, &model.gpt, x, &cuts)?;
        outputs.insert("cached_next_logits".to_owned(), core::array(steps));
    }
    generate(case, &model, &sequences, &mut outputs)?;
    score(case, &model, &mut outputs)?;
    let mut lines = compare(case, &outputs)?;
    lines.extend(segment_losses(case, &model, &sequences)?);
    lines.extend(gradients(case, &config, &sequences, device)?);
    lines.push(label(case, &model)?);
    Ok(lines)
}

/// Greedy pictures, with and without given codes, and a greedy caption.
fn generate(case: &Case, model: &Rudolph, sequences: &[Vec<i64>], outputs: &mut Outputs) -> Result<()> {
    let config = model.config();
    let drawing = Drawing { text: bare(config, &sequences[0][..config.left]), ..Drawing::default() };
    let source = image_codes(config, &sequences[1]);
    let forced = checked::places(case, "forced_positions", source.len())?;
    let given = forced.into_iter().map(|place| (place, source[place])).collect();
    let drawings = [drawing.clone(), Drawing { given, ..drawing }];
    let codes = draw(model, &drawings, &GREEDY, 2, &mut |_| ())?;
    outputs.insert("greedy_codes".to_owned(), integers(&codes[0]));
    outputs.insert("greedy_forced_codes".to_owned(), integers(&codes[1]));

    let stored = case.integers("caption_ids")?.1;
    let size = checked::number(case, "/expected/caption_template_size", config.right)?;
    // The template, and at least BOS and the task token.
    let least = config.left + config.grid * config.grid + size.max(2);
    if stored.len() < least {
        return checked::refuse(case, format!("\"caption_ids\" holds {} ids, not {least}", stored.len()));
    }
    let (left, rest) = stored.split_at(config.left);
    let (image, right) = rest.split_at(config.grid * config.grid);
    let templates = Templates { left: bare(config, left), right: bare(config, &right[..size]) };
    let image = Captioning { codes: image.iter().map(|&code| code as u16).collect(), stream: 0 };
    let found = caption(model, &[image], &templates, &GREEDY, 1, &mut |_| ())?;
    let before = stored[..config.left + config.grid * config.grid + 2].iter().copied();
    // The stored ids end before the last one drawn.
    let whole = before.chain(found[0].iter().map(|&id| i64::from(id))).take(stored.len()).collect::<Vec<_>>();
    outputs.insert("caption_ids".to_owned(), integers(&whole));
    if case.tensors().contains_key("text_ids") {
        outputs.insert("text_ids".to_owned(), integers(&continued(case, model)?));
    }
    Ok(())
}

/// A greedy continuation of the stored text's beginning, with BOS and task token.
fn continued(case: &Case, model: &Rudolph) -> Result<Vec<i64>> {
    let config = model.config();
    let stored = case.integers("text_ids")?.1;
    let size = checked::number(case, "/expected/text_template_size", stored.len())?;
    let prompt = bare(config, &stored[..size]);
    let found = write(model, &[prompt], 1, &GREEDY, 1, &mut |_| ())?;
    let token = TokenPair::text(config).left.map(i64::from);
    let words = found[0][0].iter().map(|&id| i64::from(id));
    Ok([2].into_iter().chain(token).chain(words).take(stored.len()).collect())
}

/// The text of a framed segment: without BOS, task token, EOS and pads.
fn bare(config: &RudolphConfig, framed: &[i64]) -> Vec<u32> {
    let from = 1 + usize::from(config.text_special > 0);
    let words = framed.iter().skip(from).take_while(|id| !matches!(id, 0 | 3));
    words.filter(|id| **id < config.text_vocab as i64).map(|&id| id as u32).collect()
}

fn image_codes(config: &RudolphConfig, sequence: &[i64]) -> Vec<u16> {
    sequence[config.gpt().segments().image_range()].iter().map(|&code| code as u16).collect()
}

/// Perplexities and what follows from them.
fn score(case: &Case, model: &Rudolph, outputs: &mut Outputs) -> Result<()> {
    let found = perplexities(model, &stored(case, model, "rerank_by_text")?);
    let scores = rerank(&found.right, &found.image, 0.95);
    outputs.insert("rerank_by_text.scores".to_owned(), reals(&scores));
    outputs.insert("rerank_by_text.ppl_text".to_owned(), reals(&found.right));
    outputs.insert("rerank_by_text.ppl_image".to_owned(), reals(&found.image));

    let (texts, codes) =
        (part(case, model, "rerank_by_image", "left_ids")?, codes(case, model, "rerank_by_image")?);
    for found in rank_by_image(model, &[(codes.as_slice(), texts.as_slice())], texts.len(), &mut |_| ())? {
        outputs.insert("rerank_by_image.scores".to_owned(), reals(&found.scores));
        outputs.insert("rerank_by_image.ppl_text".to_owned(), reals(&found.text));
        outputs.insert("rerank_by_image.ppl_image".to_owned(), reals(&found.image));
    }
    let found = zero_shot(case, model)?;
    outputs.insert("zero_shot.scores".to_owned(), reals(&found.scores));
    outputs.insert("zero_shot.ppl_text".to_owned(), reals(&found.perplexities));
    Ok(())
}

/// The one image of the zero-shot case among its classes.
fn zero_shot(case: &Case, model: &Rudolph) -> Result<Classified> {
    let classes = part(case, model, "zero_shot", "right_ids")?;
    let left = single(case, "zero_shot.left_ids", part(case, model, "zero_shot", "left_ids")?)?;
    let codes = codes(case, model, "zero_shot")?;
    let mut found = classify_images(model, &[&codes], &classes, &left, classes.len(), &mut |_| ())?;
    Ok(found.swap_remove(0))
}

/// The bare texts of `NAME.WHAT`.
fn part(case: &Case, model: &Rudolph, name: &str, what: &str) -> Result<Vec<Vec<u32>>> {
    let config = model.config();
    let length = if what == "left_ids" { config.left } else { config.right };
    let rows =
        checked::rows(case, &format!("{name}.{what}"), length, config.text_vocab + config.text_special)?;
    Ok(rows.iter().map(|row| bare(config, row)).collect())
}

/// The one image of `NAME.codes`.
fn codes(case: &Case, model: &Rudolph, name: &str) -> Result<Vec<u16>> {
    let (config, name) = (model.config(), format!("{name}.codes"));
    let rows = checked::rows(case, &name, config.grid * config.grid, config.image_vocab)?;
    Ok(single(case, &name, rows)?.into_iter().map(|code| code as u16).collect())
}

/// The only one of some rows.
fn single<T>(case: &Case, name: &str, rows: Vec<T>) -> Result<T> {
    let n = rows.len();
    match rows.into_iter().next() {
        Some(row) if n == 1 => Ok(row),
        _ => checked::refuse(case, format!("{name:?} has {n} rows, one is compared")),
    }
}

/// The label of the zero-shot case.
fn label(case: &Case, model: &Rudolph) -> Result<Comparison> {
    let found = zero_shot(case, model)?.label as f64;
    Ok(scalar(case, "zero_shot.label", found, case.config("/expected/zero_shot/label")?))
}

/// The batch `NAME.left_ids`, `NAME.codes`, `NAME.right_ids`, where a single row stands for all.
fn stored(case: &Case, model: &Rudolph, name: &str) -> Result<Batch> {
    let (config, device) = (model.config(), model.gpt.device());
    let text = config.text_vocab + config.text_special;
    let part = |what: &str, length, limit| {
        let name = format!("{name}.{what}");
        // Some scores have no right text.
        let absent = what == "right_ids" && !case.tensors().contains_key(&name);
        if absent { Ok(Vec::new()) } else { checked::rows(case, &name, length, limit) }
    };
    let left = part("left_ids", config.left, text)?;
    let codes = part("codes", config.grid * config.grid, config.image_vocab)?;
    let right = part("right_ids", config.right, text)?;
    let n = left.len().max(codes.len()).max(right.len());
    let all = |rows: Vec<Vec<i64>>| match rows.len() {
        1 => Ok(ids(&vec![rows[0].clone(); n], &device)),
        rows_here if rows_here == 0 || rows_here == n => Ok(ids(&rows, &device)),
        rows_here => {
            checked::refuse(case, format!("{name} has a part of {rows_here} rows beside one of {n}"))
        }
    };
    Ok(Batch { left: all(left)?, image: all(codes)?, right: all(right)? })
}

fn segment_losses(case: &Case, model: &Rudolph, sequences: &[Vec<i64>]) -> Result<Vec<Comparison>> {
    let device = model.gpt.device();
    let mut lines = Vec::new();
    for (left, image, right) in [(1.0, 7.0, 1.0), (0.01, 1.0, 7.0), (0.0, 1.0, 7.0)] {
        let weights = LossWeights { left, image, right };
        for segments in ["full", "left_image", "left"] {
            let mut batch = core::batch(&model.gpt, sequences, &device);
            batch.right = batch.right.filter(|_| segments == "full");
            batch.image = batch.image.filter(|_| segments != "left");
            let pointer = format!("/expected/{segments}.w_{left}_{image}_{right}");
            if case.json.pointer(&pointer).is_some() {
                lines.extend(core::scalars(case, &pointer, &named(of(model, &batch, &weights)))?);
            }
        }
    }
    for (index, row) in sequences.chunks(1).enumerate() {
        let batch = core::batch(&model.gpt, row, &device);
        let found = named(of(model, &batch, &LossWeights::default()));
        lines.extend(core::scalars(case, &format!("/expected/full.sample_{index}"), &found)?);
    }
    Ok(lines)
}

fn of(model: &Rudolph, batch: &Batch, weights: &LossWeights) -> Losses {
    losses(&model.gpt, model.hidden(batch), batch, model.config().loss_layout, weights)
}

fn named(losses: Losses) -> [(&'static str, Option<f64>); 4] {
    let value = |loss: Option<Tensor<1>>| Some(f64::from(loss?.into_scalar::<f32>()));
    [
        ("loss", value(Some(losses.total))),
        ("l_text_loss", value(losses.left)),
        ("image_loss", value(losses.image)),
        ("r_text_loss", value(losses.right)),
    ]
}

fn gradients(
    case: &Case,
    config: &RudolphConfig,
    sequences: &[Vec<i64>],
    device: &Device,
) -> Result<Vec<Comparison>> {
    let device = device.clone().autodiff();
    let model = Rudolph::load(config, &case.checkpoint()?, &device)?;
    let batch = core::batch(&model.gpt, sequences, &device);
    core::gradients(case, &model.gpt, model.losses(&batch).total, KeyNames::Rudolph)
}

fn config(case: &Case) -> Result<RudolphConfig> {
    let number = |key: &str| case.config::<usize>(&format!("/config/{key}"));
    Ok(RudolphConfig {
        layers: number("num_layers")?,
        dim: number("hidden_size")?,
        heads: number("num_attention_heads")?,
        left: number("l_text_seq_length")?,
        grid: number("image_tokens_per_dim")?,
        right: number("r_text_seq_length")?,
        kernel: number("kernel_size")?,
        last_kernel: number("last_kernel_size")?,
        text_vocab: number("bpe_vocab_size")?,
        text_special: number("text_special_tokens")?,
        image_vocab: number("image_vocab_size")?,
        image_special: number("image_special_tokens")?,
        loss_layout: LossLayout::V3,
        ..RudolphConfig::default()
    })
}
