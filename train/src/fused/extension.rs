//! The operations as a burn backend extension: forward on `Flex`, backward on `Autodiff<Flex>`.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, AutodiffBackend, Backend, Flex, backend_extension};
use burn::tensor::{DType, TensorData};

use super::attention::{self, Sight, Tiles, cached};
use super::gelu::{self, Gelu};
use super::{cross_entropy, layer_norm, linear, rms_norm};

/// Operations of the transformer that have a kernel of their own.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait GptOps: Backend {
    fn fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn fused_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;
    fn fused_rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self>;
    fn fused_gelu(x: FloatTensor<Self>, form: Gelu) -> FloatTensor<Self>;
    fn fused_attention(qkv: FloatTensor<Self>, heads: usize, tiles: Tiles) -> FloatTensor<Self>;
    fn fused_cached_attention(
        qkv: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        start: usize,
        sight: Sight,
    ) -> FloatTensor<Self>;
    fn fused_cross_entropy(logits: FloatTensor<Self>, targets: IntTensor<Self>) -> FloatTensor<Self>;
}

type Cpu = FloatTensor<Flex>;

fn shape(tensor: &Cpu) -> Vec<usize> {
    tensor.layout().shape().to_vec()
}

fn tensor(values: Vec<f32>, shape: impl Into<Vec<usize>>) -> Cpu {
    Cpu::from_data(TensorData::new(values, shape.into()))
}

fn attention_shape(qkv: &Cpu, heads: usize) -> attention::Shape {
    let shape = shape(qkv);
    attention::Shape { positions: shape[1], heads, width: shape[2] / 3 }
}

/// Targets as indices; a negative one becomes an index outside every row.
fn indices(targets: IntTensor<Flex>) -> Vec<usize> {
    let data = targets.into_data().convert_dtype(DType::I64);
    data.iter::<i64>().map(|target| usize::try_from(target).unwrap_or(usize::MAX)).collect()
}

impl GptOps for Flex {
    fn fused_linear(x: Cpu, weight: Cpu, bias: Cpu) -> Cpu {
        let bias = bias.to_contiguous();
        let mut y = Self::float_matmul(x, weight);
        linear::add_bias(y.storage_mut(), bias.storage());
        y
    }

    fn fused_layer_norm(x: Cpu, weight: Cpu, bias: Cpu, epsilon: f32) -> Cpu {
        let (x, weight, bias) = (x.to_contiguous(), weight.to_contiguous(), bias.to_contiguous());
        tensor(layer_norm::forward(x.storage(), weight.storage(), bias.storage(), epsilon), shape(&x))
    }

    fn fused_rms_norm(x: Cpu, weight: Cpu, epsilon: f32) -> Cpu {
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        tensor(rms_norm::forward(x.storage(), weight.storage(), epsilon), shape(&x))
    }

    fn fused_gelu(x: Cpu, form: Gelu) -> Cpu {
        let x = x.to_contiguous();
        tensor(gelu::forward(x.storage(), form), shape(&x))
    }

    fn fused_attention(qkv: Cpu, heads: usize, tiles: Tiles) -> Cpu {
        let qkv = qkv.to_contiguous();
        let sizes = attention_shape(&qkv, heads);
        let mut out = shape(&qkv);
        out[2] = sizes.width;
        tensor(attention::forward(&sizes, qkv.storage(), &tiles), out)
    }

    fn fused_cached_attention(qkv: Cpu, keys: Cpu, values: Cpu, start: usize, sight: Sight) -> Cpu {
        // The cache's buffers are contiguous, so only `qkv` may be copied here.
        let (qkv, keys, values) = (qkv.to_contiguous(), keys.to_contiguous(), values.to_contiguous());
        let (mut out, cache) = (shape(&qkv), shape(&keys));
        let new = out[1];
        let sizes = cached::Sizes { new, heads: cache[1], capacity: cache[2], head: cache[3], start };
        out[2] /= 3;
        tensor(cached::forward(&sizes, qkv.storage(), keys.storage(), values.storage(), &sight), out)
    }

    fn fused_cross_entropy(logits: Cpu, targets: IntTensor<Self>) -> Cpu {
        let logits = logits.to_contiguous();
        let sizes = shape(&logits);
        tensor(cross_entropy::forward(logits.storage(), &indices(targets), sizes[1]), [sizes[0]])
    }
}

#[derive(Debug)]
struct LinearBackward;

impl Backward<Flex, 3> for LinearBackward {
    type State = (Cpu, Cpu);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let [node_x, node_weight, node_bias] = ops.parents;
        let (x, weight) = ops.state;
        if let Some(node) = node_bias {
            let width = shape(&grad)[1];
            grads.register::<Flex>(node.id, tensor(linear::column_sums(grad.storage(), width), [width]));
        }
        if let Some(node) = node_x {
            grads.register::<Flex>(node.id, Flex::float_matmul(grad.clone(), weight.transpose(0, 1)));
        }
        if let Some(node) = node_weight {
            grads.register::<Flex>(node.id, Flex::float_matmul(x.transpose(0, 1), grad));
        }
    }
}

#[derive(Debug)]
struct LayerNormBackward;

impl Backward<Flex, 3> for LayerNormBackward {
    type State = (Cpu, Cpu, f32);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (x, weight, epsilon) = ops.state;
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let (dx, dw, db) = layer_norm::backward(grad.storage(), x.storage(), weight.storage(), epsilon);
        let [node_x, node_weight, node_bias] = ops.parents;
        if let Some(node) = node_x {
            grads.register::<Flex>(node.id, tensor(dx, shape(&x)));
        }
        if let Some(node) = node_weight {
            grads.register::<Flex>(node.id, tensor(dw, shape(&weight)));
        }
        if let Some(node) = node_bias {
            grads.register::<Flex>(node.id, tensor(db, shape(&weight)));
        }
    }
}

#[derive(Debug)]
struct RmsNormBackward;

impl Backward<Flex, 2> for RmsNormBackward {
    type State = (Cpu, Cpu, f32);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (x, weight, epsilon) = ops.state;
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let (dx, dw) = rms_norm::backward(grad.storage(), x.storage(), weight.storage(), epsilon);
        let [node_x, node_weight] = ops.parents;
        if let Some(node) = node_x {
            grads.register::<Flex>(node.id, tensor(dx, shape(&x)));
        }
        if let Some(node) = node_weight {
            grads.register::<Flex>(node.id, tensor(dw, shape(&weight)));
        }
    }
}

#[derive(Debug)]
struct GeluBackward;

impl Backward<Flex, 1> for GeluBackward {
    type State = (Cpu, Gelu);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let [node] = ops.parents;
        if let Some(node) = node {
            let (x, form) = ops.state;
            let x = x.to_contiguous();
            let dx = gelu::backward(grad.storage(), x.storage(), form);
            grads.register::<Flex>(node.id, tensor(dx, shape(&x)));
        }
    }
}

#[derive(Debug)]
struct AttentionBackward;

impl Backward<Flex, 1> for AttentionBackward {
    type State = (Cpu, usize, Tiles);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let [node] = ops.parents;
        if let Some(node) = node {
            let (qkv, heads, tiles) = ops.state;
            let qkv = qkv.to_contiguous();
            let sizes = attention_shape(&qkv, heads);
            let dqkv = attention::backward(&sizes, grad.storage(), qkv.storage(), &tiles);
            grads.register::<Flex>(node.id, tensor(dqkv, shape(&qkv)));
        }
    }
}

#[derive(Debug)]
struct CrossEntropyBackward;

impl Backward<Flex, 1> for CrossEntropyBackward {
    type State = (Cpu, Vec<usize>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let [node] = ops.parents;
        if let Some(node) = node {
            let (logits, targets) = ops.state;
            let logits = logits.to_contiguous();
            let sizes = shape(&logits);
            let dx = cross_entropy::backward(grad.storage(), logits.storage(), &targets, sizes[1]);
            grads.register::<Flex>(node.id, tensor(dx, sizes));
        }
    }
}

impl<C: CheckpointStrategy> GptOps for Autodiff<Flex, C> {
    fn fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
        match LinearBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let y = Flex::fused_linear(x.clone(), weight.clone(), bias);
                prep.finish((x, weight), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::fused_linear(x, weight, bias)),
        }
    }

    fn fused_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
        match LayerNormBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let y = Flex::fused_layer_norm(x.clone(), weight.clone(), bias, epsilon);
                prep.finish((x, weight, epsilon), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::fused_layer_norm(x, weight, bias, epsilon)),
        }
    }

    fn fused_rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node()];
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        match RmsNormBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let y = Flex::fused_rms_norm(x.clone(), weight.clone(), epsilon);
                prep.finish((x, weight, epsilon), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::fused_rms_norm(x, weight, epsilon)),
        }
    }

    fn fused_gelu(x: FloatTensor<Self>, form: Gelu) -> FloatTensor<Self> {
        let nodes = [x.node()];
        let x = x.into_primitive();
        match GeluBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x.clone(), form), Flex::fused_gelu(x, form)),
            OpsKind::UnTracked(prep) => prep.finish(Flex::fused_gelu(x, form)),
        }
    }

    fn fused_attention(qkv: FloatTensor<Self>, heads: usize, tiles: Tiles) -> FloatTensor<Self> {
        let nodes = [qkv.node()];
        let qkv = qkv.into_primitive();
        match AttentionBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let out = Flex::fused_attention(qkv.clone(), heads, tiles.clone());
                prep.finish((qkv, heads, tiles), out)
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::fused_attention(qkv, heads, tiles)),
        }
    }

    fn fused_cached_attention(
        qkv: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        start: usize,
        sight: Sight,
    ) -> FloatTensor<Self> {
        let (qkv, keys, values) = (qkv.into_primitive(), keys.into_primitive(), values.into_primitive());
        Self::from_inner(Flex::fused_cached_attention(qkv, keys, values, start, sight))
    }

    fn fused_cross_entropy(logits: FloatTensor<Self>, targets: IntTensor<Self>) -> FloatTensor<Self> {
        let nodes = [logits.node()];
        let logits = logits.into_primitive();
        match CrossEntropyBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let nll = Flex::fused_cross_entropy(logits.clone(), targets.clone());
                prep.finish((logits, indices(targets)), nll)
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::fused_cross_entropy(logits, targets)),
        }
    }
}
