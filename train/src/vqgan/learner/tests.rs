use pipeline::picture::Picture;
use tokenize::vqgan::VqGanConfig;

use super::*;
use crate::optim::OptimConfig;
use crate::vqgan::golden::Golden;
use crate::vqgan::{AdversaryConfig, DiscriminatorConfig, LossConfig, NormKind, PicturesConfig};

/// A codec of a few thousand weights on eight pictures.
fn task() -> VqGanTask {
    let mut task = VqGanTask {
        data: PicturesConfig { image_size: 16, batch_size: 4, ..PicturesConfig::default() },
        model: VqGanConfig {
            ch: 8,
            ch_mult: vec![1, 2],
            num_res_blocks: 1,
            attn_resolutions: vec![],
            resolution: 16,
            z_channels: 4,
            embed_dim: 4,
            n_embed: 16,
            groups: 4,
            ..VqGanConfig::default()
        },
        adversary: AdversaryConfig { weight: 0.0, ..AdversaryConfig::default() },
        ..VqGanTask::default()
    };
    task.data.augment.flip = true;
    (task.schedule.lr, task.schedule.warmup) = (2e-3, 0);
    task
}

fn learner(task: &VqGanTask) -> VqGanLearner {
    task.check().unwrap();
    let device = Device::flex();
    let mut train = Pictures::empty(16);
    for picture in 0..8u32 {
        let value = |i: u32| ((i * (picture + 3) * 7 + picture * 31) % 256) as u8;
        train.push(&Picture::new(16, 16, (0..16 * 16 * 3).map(value).collect()).unwrap());
    }
    let valid = train.clone();
    let criterion = Criterion::new(&task.loss, &device).unwrap();
    let pictures = Loaded { train, valid, left_out: LeftOut::default() };
    VqGanLearner::with_pictures(task, pictures, criterion, &device).unwrap()
}

/// All weights of the codec, in order.
fn weights(model: &VqGan) -> Vec<f32> {
    struct All(Vec<f32>);
    impl burn::module::ModuleVisitor for All {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            self.0.extend(param.val().into_data().iter::<f32>());
        }
    }
    let mut all = All(Vec::new());
    model.visit(&mut all);
    all.0
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn micro_batches_are_one_batch() {
    let mut whole = task();
    whole.codebook.kind = CodebookKind::Ema;
    let lpips = Some(Golden::open().lpips());
    whole.loss = LossConfig { l1: 0.0, l2: 1.0, lpips, ..LossConfig::default() };
    // Adam divides by the gradient's size, which blows rounding up where the gradient is nearly nothing.
    (whole.optim.epsilon, whole.schedule.lr) = (1e-2, 2e-4);
    let mut parts = whole.clone();
    (parts.data.batch_size, parts.data.accumulate) = (2, 2);
    let (mut whole, mut parts) = (learner(&whole), learner(&parts));
    // Other tests draw from the same random numbers meanwhile.
    parts.model = whole.model.clone();
    parts.ema = whole.ema.clone();
    for step in 0..2 {
        let (a, b) = (whole.advance(step), parts.advance(step));
        for ((name, a), (_, b)) in a.metrics.iter().zip(b.metrics.iter()) {
            assert!((a - b).abs() <= 1e-4 * a.abs().max(1.0), "step {step}: {name} {a} {b}");
        }
    }
    let off = worst(&weights(&whole.model), &weights(&parts.model));
    assert!(off < 1e-5, "off by {off}");
}

#[test]
fn one_pass_from_the_picture_is_the_gradient_of_all_losses() {
    let mut task = task();
    let discriminator = DiscriminatorConfig { channels: 4, layers: 1, norm: NormKind::Group };
    task.adversary = AdversaryConfig { weight: 0.8, start: 0, discriminator, ..AdversaryConfig::default() };
    let mut learner = learner(&task);
    let pixels = learner.train.batch(&[0, 3], 0, &task.data.augment, 1, &learner.device);
    let (grads, metrics) = learner.micro_batch(0, pixels.clone(), &mut Seen::default());
    // The losses written down as they are, with the weight that came out.
    let latents = learner.model.latents(pixels.clone());
    let quantized = Quantized::new(&task, &learner.model.quantize, latents, 0);
    let drawn = learner.model.decode_latents(quantized.decoded);
    let adversarial = learner.adversary.as_mut().unwrap().loss(drawn.clone());
    let weight = metrics.get("adversarial_weight").unwrap();
    assert!(weight > 0.0);
    let loss = task.loss.pixels(pixels, drawn) + quantized.loss + adversarial.mul_scalar(weight);
    assert!((f64::from(loss.clone().into_scalar::<f32>()) - metrics.get("loss").unwrap()).abs() < 1e-5);
    let direct = GradientsParams::from_grads(loss.backward(), &learner.model);
    let config = OptimConfig { epsilon: 1e-2, clip: 0.0, ..OptimConfig::default() };
    let [one, other] = [grads, direct].map(|grads| {
        let mut optim = Optimizer::new(config.clone());
        weights(&optim.step(1e-2, learner.model.clone(), grads).0)
    });
    let off = worst(&one, &other);
    assert!(off < 1e-5, "off by {off}");
    assert!(worst(&one, &weights(&learner.model)) > 1e-4, "nothing moved");
}

#[test]
fn a_codebook_of_running_means_moves_without_a_gradient() {
    let mut task = task();
    task.codebook.kind = CodebookKind::Ema;
    task.restart.after = 0;
    let mut learner = learner(&task);
    let before: Vec<f32> = learner.model.quantize.codebook().unwrap().val().into_data().iter().collect();
    let made = learner.advance(0);
    let after: Vec<f32> = learner.model.quantize.codebook().unwrap().val().into_data().iter().collect();
    assert!(worst(&before, &after) > 0.0);
    assert!(made.metrics.get("perplexity").is_some_and(|value| (1.0..=16.0).contains(&value)));
    learner.task.codebook.decay = 0.0;
    // With no past at all every used row is the mean of its latents, and the loss of the quantisation falls.
    // The same pictures both times: those of two steps may differ by more than that.
    let [first, then] = [(); 2].map(|()| learner.advance(1).metrics.get("quantization").unwrap());
    assert!(then < first, "{first} {then}");
}

#[test]
fn a_gumbel_codec_learns_its_projection() {
    let mut task = task();
    task.model.quantizer = QuantizerKind::Gumbel;
    task.restart.after = 0;
    task.gumbel.temperature.steps = 40;
    let mut learner = learner(&task);
    learner.train = Pictures::empty(16);
    (0..8u8).for_each(|i| learner.train.push(&Picture::filled(16, 16, [32 * i, 255 - 32 * i, 20 * i])));
    let logits = |learner: &VqGanLearner| -> Vec<f32> {
        let latents = Tensor::<4>::ones([1, 4, 1, 1], &learner.device);
        learner.model.quantize.logits(latents).unwrap().into_data().iter().collect()
    };
    let before = logits(&learner);
    let losses: Vec<f64> =
        (0..30).map(|step| learner.advance(step).metrics.get("reconstruction").unwrap()).collect();
    assert!(worst(&before, &logits(&learner)) > 1e-3, "the projection stood still");
    assert!(losses[29] < 0.9 * losses[0], "{losses:?}");
    assert!(learner.advance(30).metrics.get("temperature").is_some_and(|value| value < 0.9));
}

#[test]
fn the_mean_is_what_is_exported() {
    use crate::run::Learner;
    let dir = tempfile::tempdir().unwrap();
    let mut task = task();
    task.average.decay = 0.9;
    let mut learner = learner(&task);
    learner.advance(0);
    let mean = learner.average.mean().unwrap().clone();
    assert!(worst(&weights(&mean), &weights(&learner.model)) > 0.0);
    learner.export(dir.path()).unwrap();
    let path = dir.path().join("vqgan.safetensors");
    let exported = task.model.init(&Device::flex()).unwrap().load(&path).unwrap();
    // Half precision.
    assert!(worst(&weights(&exported), &weights(&mean)) < 1e-3);
}
