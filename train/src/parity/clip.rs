//! Case `clip`: both towers of a `CLIPModel`.

use burn::tensor::{Device, Tensor, TensorData};
use tokenize::parity::{Case, Comparison, Outputs, compare};

use super::{checked, core, scalar};
use crate::Result;
use crate::clip::Clip;

pub(super) fn run(case: &Case, device: &Device) -> Result<Vec<Comparison>> {
    let clip = Clip::open(&case.dir, device)?;
    let config = clip.config();
    let (length, vocabulary) = (config.text_config.max_position_embeddings, config.text_config.vocab_size);
    let (shape, pixels) = case.reals("pixel_values")?;
    let side = config.vision_config.image_size;
    let &[b, 3, h, w] = shape else { return checked::refuse(case, "\"pixel_values\" is not [b, 3, h, w]") };
    if (h, w) != (side, side) || b == 0 {
        return checked::refuse(
            case,
            format!("\"pixel_values\" are {h} x {w}, the model sees {side} x {side}"),
        );
    }
    let pixels = Tensor::<4>::from_data(TensorData::new(pixels.to_vec(), [b, 3, h, w]), device);
    let texts = clip.texts(&checked::rows(case, "input_ids", length, vocabulary)?)?;
    let images = clip.images(pixels);
    let logits = images.vector.clone().matmul(texts.vector.clone().transpose()) * clip.logit_scale();
    let outputs = [
        ("image_embeds", core::array(images.vector)),
        ("logits_per_image", core::array(logits.clone())),
        ("logits_per_text", core::array(logits.transpose())),
        ("text_embeds", core::array(texts.vector)),
        ("text_hidden", core::array(texts.hidden)),
        ("text_pooled", core::array(texts.pooled)),
        ("vision_hidden", core::array(images.hidden)),
        ("vision_pooled", core::array(images.pooled)),
    ];
    let outputs = outputs.map(|(name, array)| (name.to_owned(), array));
    let mut lines = compare(case, &Outputs::from(outputs))?;
    let scale = f64::from(clip.logit_scale());
    lines.push(scalar(case, "logit_scale_exp", scale, case.config("/expected/logit_scale_exp")?));
    Ok(lines)
}
