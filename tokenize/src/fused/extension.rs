//! The operations as a burn backend extension: forward on `Flex`, backward on `Autodiff<Flex>`.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::ModuleOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};
use burn::tensor::TensorData;
use burn::tensor::ops::ConvOptions;

use super::halving::Halving;
use super::pointwise::Pointwise;
use super::product::LANES;
use super::strips::{self, Size};
use super::{conv3x3, group_norm, upsample};

/// Operations of the codec that have a kernel of their own.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait CodecOps: Backend {
    fn conv3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>)
    -> FloatTensor<Self>;
    fn halve(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;
    fn conv1x1(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>)
    -> FloatTensor<Self>;
    fn group_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
        swish: bool,
    ) -> FloatTensor<Self>;
    fn upsample2x(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

type Cpu = FloatTensor<Flex>;

/// The dimensions of a rank-4 tensor.
fn dims(tensor: &Cpu) -> [usize; 4] {
    let shape = tensor.layout().shape();
    [shape[0], shape[1], shape[2], shape[3]]
}

fn tensor(values: Vec<f32>, shape: impl Into<Vec<usize>>) -> Cpu {
    Cpu::from_data(TensorData::new(values, shape.into()))
}

fn conv_shape(x: &Cpu, weight: &Cpu) -> conv3x3::Shape {
    let [batch, channels_in, height, width] = dims(x);
    conv3x3::Shape { batch, channels_in, channels_out: dims(weight)[0], height, width }
}

fn norm_shape(x: &Cpu, groups: usize, epsilon: f32, swish: bool) -> group_norm::Shape {
    let [batch, channels, height, width] = dims(x);
    group_norm::Shape { batch, channels, groups, area: height * width, epsilon, swish }
}

impl CodecOps for Flex {
    fn conv3x3(x: Cpu, weight: Cpu, bias: Cpu) -> Cpu {
        let shape = conv_shape(&x, &weight);
        let (x, weight, bias) = (x.to_contiguous(), weight.to_contiguous(), bias.to_contiguous());
        let y = conv3x3::forward(&shape, x.storage(), weight.storage(), Some(bias.storage()));
        tensor(y, [shape.batch, shape.channels_out, shape.height, shape.width])
    }

    fn halve(x: Cpu, weight: Cpu, bias: Cpu) -> Cpu {
        let [batch, channels_in, height, width] = dims(&x);
        let to = [height / 2, width / 2];
        let size = Size { batch, channels_in, channels_out: dims(&weight)[0], from: [height, width], to };
        let (x, weight, bias) = (x.to_contiguous(), weight.to_contiguous(), bias.to_contiguous());
        let y = strips::forward::<Halving>(&size, x.storage(), weight.storage(), Some(bias.storage()));
        tensor(y, [batch, size.channels_out, to[0], to[1]])
    }

    fn conv1x1(x: Cpu, weight: Cpu, bias: Cpu) -> Cpu {
        let [batch, channels_in, height, width] = dims(&x);
        // Strips must not end short: a plane of another width is one long row.
        let side = if width.is_multiple_of(LANES) { [height, width] } else { [1, height * width] };
        let size = Size { batch, channels_in, channels_out: dims(&weight)[0], from: side, to: side };
        let (x, weight, bias) = (x.to_contiguous(), weight.to_contiguous(), bias.to_contiguous());
        let y = strips::forward::<Pointwise>(&size, x.storage(), weight.storage(), Some(bias.storage()));
        tensor(y, [batch, size.channels_out, height, width])
    }

    fn group_norm(x: Cpu, weight: Cpu, bias: Cpu, groups: usize, epsilon: f32, swish: bool) -> Cpu {
        let shape = norm_shape(&x, groups, epsilon, swish);
        let (x, weight, bias) = (x.to_contiguous(), weight.to_contiguous(), bias.to_contiguous());
        tensor(group_norm::forward(&shape, x.storage(), weight.storage(), bias.storage()), dims(&x))
    }

    fn upsample2x(x: Cpu) -> Cpu {
        let [batch, channels, height, width] = dims(&x);
        let x = x.to_contiguous();
        let y = upsample::forward(x.storage(), batch * channels * height, width);
        tensor(y, [batch, channels, 2 * height, 2 * width])
    }
}

#[derive(Debug)]
struct Conv3x3Backward;

impl Backward<Flex, 3> for Conv3x3Backward {
    type State = (Cpu, Cpu);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let [node_x, node_weight, node_bias] = ops.parents;
        let (x, weight) = ops.state;
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let shape = conv_shape(&x, &weight);
        if let Some(node) = node_x {
            let dx = conv3x3::backward_input(&shape, grad.storage(), weight.storage());
            grads.register::<Flex>(node.id, tensor(dx, dims(&x)));
        }
        if let Some(node) = node_weight {
            let dw = conv3x3::backward_weight(&shape, grad.storage(), x.storage());
            grads.register::<Flex>(node.id, tensor(dw, dims(&weight)));
        }
        if let Some(node) = node_bias {
            let db = conv3x3::backward_bias(&shape, grad.storage());
            grads.register::<Flex>(node.id, tensor(db, [shape.channels_out]));
        }
    }
}

/// Backward of [`CodecOps::halve`] and [`CodecOps::conv1x1`] by burn's own convolutions: they take a small part of a step.
#[derive(Debug)]
struct ConvBackward;

/// What a convolution of `stride` was told.
fn options(stride: usize) -> ConvOptions<2> {
    let padding = if stride == 2 { (0, 1) } else { (0, 0) };
    ConvOptions::new_with_padding([stride; 2], [padding; 2], [1; 2], 1)
}

impl Backward<Flex, 3> for ConvBackward {
    type State = (Cpu, Cpu, Cpu, usize);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node);
        let [node_x, node_weight, node_bias] = ops.parents;
        let (x, weight, bias, stride) = ops.state;
        if let Some(node) = node_x {
            let dx = Flex::conv2d_x_backward(x.clone(), weight.clone(), grad.clone(), options(stride));
            grads.register::<Flex>(node.id, dx);
        }
        if let Some(node) = node_weight {
            let dw = Flex::conv2d_weight_backward(x.clone(), weight, grad.clone(), options(stride));
            grads.register::<Flex>(node.id, dw);
        }
        if let Some(node) = node_bias {
            grads.register::<Flex>(node.id, Flex::conv2d_bias_backward(x, bias, grad));
        }
    }
}

/// A convolution of `stride` on the tape.
fn tracked<C: CheckpointStrategy>(
    [x, weight, bias]: [FloatTensor<Autodiff<Flex, C>>; 3],
    stride: usize,
    forward: fn(Cpu, Cpu, Cpu) -> Cpu,
) -> FloatTensor<Autodiff<Flex, C>> {
    let nodes = [x.node(), weight.node(), bias.node()];
    let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
    match ConvBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let y = forward(x.clone(), weight.clone(), bias.clone());
            prep.finish((x, weight, bias, stride), y)
        }
        OpsKind::UnTracked(prep) => prep.finish(forward(x, weight, bias)),
    }
}

#[derive(Debug)]
struct GroupNormBackward;

/// Input, gain and bias with the parameters of the operation.
type NormState = (Cpu, Cpu, Cpu, usize, f32, bool);

impl Backward<Flex, 3> for GroupNormBackward {
    type State = NormState;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (x, weight, bias, groups, epsilon, swish) = ops.state;
        let (x, weight, bias) = (x.to_contiguous(), weight.to_contiguous(), bias.to_contiguous());
        let shape = norm_shape(&x, groups, epsilon, swish);
        let result =
            group_norm::backward(&shape, grad.storage(), x.storage(), weight.storage(), bias.storage());
        let [node_x, node_weight, node_bias] = ops.parents;
        if let Some(node) = node_x {
            grads.register::<Flex>(node.id, tensor(result.input, dims(&x)));
        }
        if let Some(node) = node_weight {
            grads.register::<Flex>(node.id, tensor(result.weight, [shape.channels]));
        }
        if let Some(node) = node_bias {
            grads.register::<Flex>(node.id, tensor(result.bias, [shape.channels]));
        }
    }
}

#[derive(Debug)]
struct UpsampleBackward;

impl Backward<Flex, 1> for UpsampleBackward {
    type State = [usize; 4];

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let [batch, channels, height, width] = ops.state;
        let [node] = ops.parents;
        if let Some(node) = node {
            let dx = upsample::backward(grad.storage(), batch * channels * height, width);
            grads.register::<Flex>(node.id, tensor(dx, ops.state));
        }
    }
}

impl<C: CheckpointStrategy> CodecOps for Autodiff<Flex, C> {
    fn conv3x3(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
        match Conv3x3Backward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let y = Flex::conv3x3(x.clone(), weight.clone(), bias);
                prep.finish((x, weight), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::conv3x3(x, weight, bias)),
        }
    }

    fn halve(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        tracked::<C>([x, weight, bias], 2, Flex::halve)
    }

    fn conv1x1(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        tracked::<C>([x, weight, bias], 1, Flex::conv1x1)
    }

    fn group_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
        swish: bool,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
        match GroupNormBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let y = Flex::group_norm(x.clone(), weight.clone(), bias.clone(), groups, epsilon, swish);
                prep.finish((x, weight, bias, groups, epsilon, swish), y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(Flex::group_norm(x, weight, bias, groups, epsilon, swish))
            }
        }
    }

    fn upsample2x(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [x.node()];
        let x = x.into_primitive();
        let shape = dims(&x);
        match UpsampleBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(shape, Flex::upsample2x(x)),
            OpsKind::UnTracked(prep) => prep.finish(Flex::upsample2x(x)),
        }
    }
}
