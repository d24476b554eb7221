//! Case `imagegpt`: ImageGPT as a configuration of the core.

use burn::tensor::{Device, Tensor};
use tokenize::parity::{Case, Comparison, Outputs, compare};

use super::{checked, core};
use crate::Result;
use crate::draw::{Drawing, draw_codes};
use crate::gpt::{Batch, Gpt, Vocabulary, ids};
use crate::image_gpt::{ImageGpt, ImageGptConfig};
use crate::objective::LossLayout;
use crate::parity::integers;
use crate::weights::KeyNames;

pub(super) fn run(case: &Case, device: &Device) -> Result<Vec<Comparison>> {
    let config = config(case)?;
    let model = ImageGpt::load(&config, &case.checkpoint()?, device)?;
    let pixels = checked::sequences(case, "pixel_ids", &config.gpt(), LossLayout::V2, 1)?;
    let mut lines = compare(case, &outputs(case, &model.gpt, &pixels)?)?;
    let mut found = vec![("loss_all_pixels", value(model.loss(&batch(&pixels, device))))];
    for (name, row) in
        ["loss_all_pixels_sample_0", "loss_all_pixels_sample_1"].into_iter().zip(pixels.chunks(1))
    {
        found.push((name, value(model.loss(&batch(row, device)))));
    }
    lines.extend(core::scalars(case, "/expected", &found)?);
    let device = device.clone().autodiff();
    let model = ImageGpt::load(&config, &case.checkpoint()?, &device)?;
    let loss = model.loss(&batch(&pixels, &device)).ok_or_else(|| case.fault("no pixels"))?;
    lines.extend(core::gradients(case, &model.gpt, loss, KeyNames::ImageGpt)?);
    Ok(lines)
}

fn value(loss: Option<Tensor<1>>) -> Option<f64> {
    Some(f64::from(loss?.into_scalar::<f32>()))
}

fn outputs(case: &Case, gpt: &Gpt, pixels: &[Vec<i64>]) -> Result<Outputs> {
    let mut outputs = Outputs::new();
    let device = gpt.device();
    if let Some(x) = gpt.embed(&batch(&pixels[..1], &device)) {
        outputs.insert("hidden.0".to_owned(), core::array(x.clone()));
        let mut states = gpt.hidden_states(x);
        if let Some(last) = states.pop() {
            outputs.insert(format!("hidden.{}", states.len()), core::array(last.clone()));
            outputs.insert("logits".to_owned(), core::array(gpt.logits(last, Vocabulary::All)));
        }
        // The last layer's output is only stored after the norm.
        states.pop();
        outputs
            .extend((1..).zip(states).map(|(index, state)| (format!("hidden.{index}"), core::array(state))));
    }
    if let Some(x) = gpt.embed(&batch(pixels, &device)) {
        let logits = gpt.logits(gpt.forward(x.clone(), None), Vocabulary::All);
        outputs.insert("logits_mean".to_owned(), core::array(logits.mean_dim(1).squeeze_dim::<2>(1)));
        let steps = core::cached(case, gpt, x, &[9, 10, 13, 14])?;
        outputs.insert("cached_next_logits".to_owned(), core::array(steps));
    }
    // The first half is given, without the pixel that the start token takes the place of.
    let half = (pixels[0].len() / 2).saturating_sub(1);
    let given = pixels[0].iter().take(half).zip(0..).map(|(&pixel, place)| (place, pixel as u16)).collect();
    let drawing = Drawing { given, ..Drawing::default() };
    let codes = draw_codes(gpt, None, &[drawing], &core::GREEDY, &mut |_| ())?;
    let stored = case.integers("greedy_completion_ids")?.1.len();
    let Some(drawn) = codes[0].get(..stored) else {
        return checked::refuse(
            case,
            format!("\"greedy_completion_ids\" holds {stored} ids, an image fewer"),
        );
    };
    outputs.insert("greedy_completion_ids".to_owned(), integers(drawn));
    Ok(outputs)
}

fn batch(pixels: &[Vec<i64>], device: &Device) -> Batch {
    Batch { left: None, image: ids(pixels, device), right: None }
}

fn config(case: &Case) -> Result<ImageGptConfig> {
    let number = |key: &str| case.config::<usize>(&format!("/config/{key}"));
    let (positions, vocabulary) = (number("n_positions")?, number("vocab_size")?);
    if positions.isqrt().pow(2) != positions || vocabulary == 0 {
        return checked::refuse(
            case,
            format!(
                "config: {positions} positions of {vocabulary} ids: a square of at least one id is needed"
            ),
        );
    }
    let config = ImageGptConfig {
        layers: number("n_layer")?,
        dim: number("n_embd")?,
        heads: number("n_head")?,
        grid: positions.isqrt(),
        // The vocabulary of the published models counts the start token.
        colours: vocabulary - 1,
        epsilon: case.config("/config/layer_norm_epsilon")?,
        ..ImageGptConfig::default()
    };
    checked::model(case, config.gpt())?;
    Ok(config)
}
