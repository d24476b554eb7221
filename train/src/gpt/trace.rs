//! Where NaN or infinity first appears: asked for only after a result was bad, so that a good one costs nothing.

use burn::tensor::Tensor;

use super::{Batch, Gpt, Vocabulary};

impl Gpt {
    /// Computes a batch once more up to the first tensor that is not finite, and names it as RuDOLPH's checkpoints name
    /// its layer: `transformer.layers.7.attention: NaN`. `None` if there is none.
    ///
    /// A branch counts as it is added to the residual stream, with its norms and factors.
    pub fn first_bad(&self, batch: &Batch) -> Option<String> {
        let mut x = self.embed(batch)?;
        let found = |name: &str, x: &Tensor<3>| bad(x).map(|value| format!("{name}: {value}"));
        if let Some(bad) = found("embeddings", &x) {
            return Some(bad);
        }
        for (index, layer) in self.transformer.layers.iter().enumerate() {
            let around = self.around(index)?;
            let named = |part: &str, x: &Tensor<3>| found(&format!("transformer.layers.{index}{part}"), x);
            let attended = layer.attended(x.clone(), around, 0, None);
            if let Some(bad) = named(".attention", &attended) {
                return Some(bad);
            }
            x = x + attended;
            let fed_forward = layer.fed_forward(x.clone(), around, 0, None);
            if let Some(bad) = named(".mlp", &fed_forward) {
                return Some(bad);
            }
            x = x + fed_forward;
            if let Some(bad) = named("", &x) {
                return Some(bad);
            }
        }
        let x = self.finish(x);
        found("transformer.final_layernorm", &x)
            .or_else(|| found("to_logits", &self.logits(x, Vocabulary::All)))
    }
}

/// What a tensor holds that is no number; NaN before infinity.
fn bad(x: &Tensor<3>) -> Option<&'static str> {
    let any = |is: Tensor<3, burn::tensor::Bool>| is.any().into_scalar::<bool>();
    if any(x.clone().is_nan()) {
        Some("NaN")
    } else if any(x.clone().is_inf()) {
        Some("infinity")
    } else {
        None
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use burn::module::{Module, ModuleMapper, Param};

    use super::*;

    struct Poison(Vec<String>, &'static str);

    impl ModuleMapper for Poison {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.0.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.0.pop();
        }

        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if self.0.join(".") == self.1 { param.map(|value| value * f32::INFINITY) } else { param }
        }
    }

    /// A model with one of its parameters times infinity.
    pub(crate) fn poison(gpt: Gpt, name: &'static str) -> Gpt {
        gpt.map(&mut Poison(Vec::new(), name))
    }
}
