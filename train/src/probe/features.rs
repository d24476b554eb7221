//! One vector per picture and layer.

use burn::module::Module;
use burn::tensor::Device;

use crate::Result;
use crate::image_gpt::ImageGpt;

/// Features of pictures by layer: `[layers + 1][pictures · d]`, on the host. A bidirectional model sees every pixel.
/// `on_step` gets the number of pictures done.
///
/// # Errors
/// A picture that does not fit the model.
pub fn features(
    model: &ImageGpt,
    pictures: &[&[u16]],
    batch: usize,
    on_step: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<f32>>> {
    let model = model.clone().valid();
    let device: Device = model.gpt.device();
    let config = model.config();
    let mut features = vec![Vec::with_capacity(pictures.len() * config.dim); config.layers + 1];
    let mut done = 0;
    for pictures in pictures.chunks(batch.max(1)) {
        let batch = config.batch(pictures, &device)?;
        let Some(x) = model.gpt.embed(&batch) else { continue };
        for (features, state) in features.iter_mut().zip(model.gpt.normalised_states(x)) {
            let mean = state.mean_dim(1).into_data().convert::<f32>();
            features.extend(mean.iter::<f32>());
        }
        done += pictures.len();
        on_step(done);
    }
    Ok(features)
}
