//! The discriminator's norms: batch norm with running statistics, ActNorm, or group norm.

use burn::module::{Module, Param};
use burn::nn::{GroupNorm, GroupNormConfig, Initializer};
use burn::tensor::module::{batch_norm, batch_norm_train};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Groups of a group norm, where a layer has that many channels.
pub(super) const GROUPS: usize = 8;
/// Under the root of a variance, and the share of a new batch in the running statistics (both `torch.nn.BatchNorm2d`).
const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// Which norm stands between the discriminator's convolutions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormKind {
    /// Batch norm, as taming trains it.
    #[default]
    Batch,
    /// A scale and a shift that the first batch sets to normalise itself (taming `use_actnorm`; Kingma and Dhariwal
    /// 2018): batches do not mix, so that it may be as small as memory asks.
    ActNorm,
    /// Group norm: the same answer for any batch size, and no statistics at all.
    Group,
}

impl NormKind {
    pub(super) fn init(self, width: usize, device: &Device) -> PatchNorm {
        match self {
            Self::Batch => PatchNorm::Batch(BatchNorm::new(width, device)),
            Self::ActNorm => PatchNorm::ActNorm(ActNorm::new(width, device)),
            Self::Group => PatchNorm::Group(GroupNormConfig::new(width.min(GROUPS), width).init(device)),
        }
    }
}

/// One norm of the discriminator.
#[derive(Module, Debug)]
pub(super) enum PatchNorm {
    Batch(BatchNorm),
    ActNorm(ActNorm),
    Group(GroupNorm),
}

impl PatchNorm {
    /// As in training: batch norm by the batch's own statistics, which come out beside the result.
    pub(super) fn forward(&self, x: Tensor<4>) -> (Tensor<4>, Option<Seen>) {
        match self {
            Self::Batch(norm) => {
                let (x, seen) = norm.forward(x);
                (x, Some(seen))
            }
            Self::ActNorm(norm) => (norm.forward(x), None),
            Self::Group(norm) => (norm.forward(x), None),
        }
    }

    /// As in validation: batch norm by the running statistics.
    pub(super) fn judge(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Batch(norm) => norm.judge(x),
            Self::ActNorm(norm) => norm.forward(x),
            Self::Group(norm) => norm.forward(x),
        }
    }

    /// Takes the statistics of a batch into the running ones.
    pub(super) fn observe(self, seen: Option<Seen>) -> Self {
        match (self, seen) {
            (Self::Batch(norm), Some(seen)) => Self::Batch(norm.observe(seen)),
            (norm, _) => norm,
        }
    }

    /// Lets an ActNorm that has seen nothing normalise `x`.
    pub(super) fn begin(self, x: &Tensor<4>) -> Self {
        match self {
            Self::ActNorm(norm) if !norm.is_initialized() => Self::ActNorm(norm.initialize(x)),
            norm => norm,
        }
    }

    /// Whether [`Self::begin`] would change it.
    pub(super) fn awaits_data(&self) -> bool {
        matches!(self, Self::ActNorm(norm) if !norm.is_initialized())
    }
}

/// Mean and unbiased variance of a batch, by channel.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    mean: Tensor<1>,
    variance: Tensor<1>,
}

/// `torch.nn.BatchNorm2d`, its running statistics beside its weights, so that a checkpoint keeps them.
#[derive(Module, Debug)]
pub(super) struct BatchNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    running_mean: Param<Tensor<1>>,
    running_var: Param<Tensor<1>>,
}

impl BatchNorm {
    /// taming `weights_init`: scales from N(1, 0.02).
    fn new(width: usize, device: &Device) -> Self {
        Self {
            weight: Initializer::Normal { mean: 1.0, std: 0.02 }.init([width], device),
            bias: Initializer::Zeros.init([width], device),
            running_mean: buffer(Tensor::zeros([width], device)),
            running_var: buffer(Tensor::ones([width], device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> (Tensor<4>, Seen) {
        let [b, _, h, w] = x.dims();
        let normed = batch_norm_train(x, self.weight.val(), self.bias.val(), EPSILON);
        let samples = (b * h * w) as f64;
        let variance = normed.variance.detach().mul_scalar(samples / (samples - 1.0).max(1.0));
        (normed.output, Seen { mean: normed.mean.detach(), variance })
    }

    fn judge(&self, x: Tensor<4>) -> Tensor<4> {
        let (mean, variance) = (self.running_mean.val(), self.running_var.val());
        batch_norm(x, self.weight.val(), self.bias.val(), mean, variance, EPSILON)
    }

    fn observe(mut self, seen: Seen) -> Self {
        let moved = |old: Param<Tensor<1>>, new: Tensor<1>| {
            old.map(|old| (old.mul_scalar(1.0 - MOMENTUM) + new.mul_scalar(MOMENTUM)).detach())
        };
        self.running_mean = moved(self.running_mean, seen.mean);
        self.running_var = moved(self.running_var, seen.variance);
        self
    }
}

/// taming `ActNorm`: y = scale · (x + loc).
#[derive(Module, Debug)]
pub(super) struct ActNorm {
    loc: Param<Tensor<1>>,
    scale: Param<Tensor<1>>,
    /// 1 once the first batch has set the others.
    initialized: Param<Tensor<1>>,
}

impl ActNorm {
    fn new(width: usize, device: &Device) -> Self {
        Self {
            loc: Initializer::Zeros.init([width], device),
            scale: Initializer::Ones.init([width], device),
            initialized: buffer(Tensor::zeros([1], device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, c, _, _] = x.dims();
        let wide = |values: &Param<Tensor<1>>| values.val().reshape([1, c, 1, 1]);
        wide(&self.scale) * (x + wide(&self.loc))
    }

    fn is_initialized(&self) -> bool {
        self.initialized.val().into_scalar::<f32>() > 0.0
    }

    fn initialize(mut self, x: &Tensor<4>) -> Self {
        let [b, c, h, w] = x.dims();
        let rows: Tensor<2> = x.clone().detach().permute([1, 0, 2, 3]).reshape([c, b * h * w]);
        let mean = rows.clone().mean_dim(1);
        let samples = (b * h * w) as f64;
        let variance = (rows - mean.clone()).powi_scalar(2).sum_dim(1).div_scalar((samples - 1.0).max(1.0));
        let set = |old: Param<Tensor<1>>, new: Tensor<1>| {
            old.map(|old| new.set_require_grad(old.is_require_grad()))
        };
        self.loc = set(self.loc, mean.neg().reshape([c]));
        self.scale = set(self.scale, variance.sqrt().add_scalar(1e-6).recip().reshape([c]));
        self.initialized = self.initialized.map(|old| old.ones_like());
        self
    }
}

/// A number that a checkpoint keeps and no optimizer changes.
fn buffer(values: Tensor<1>) -> Param<Tensor<1>> {
    Param::from_tensor(values).set_require_grad(false)
}
