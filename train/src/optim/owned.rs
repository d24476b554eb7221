//! A module without other owners, so that its weights can be updated where they lie.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

/// Takes a module out of its place and leaves one of the same shape with numbers of no meaning there, until the updated
/// one comes back. A second owner would make the update copy every weight: as much memory again, and as much time.
pub fn taken<M: Module>(place: &mut M) -> M {
    let hollow = place.clone().map(&mut Hollow);
    std::mem::replace(place, hollow)
}

struct Hollow;

impl ModuleMapper for Hollow {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // To look at a parameter that nobody has used yet would draw its first numbers.
        if !param.is_initialized() {
            return param;
        }
        let (id, tensor, mapper) = param.consume();
        let device = tensor.device().without_autodiff();
        Param::from_mapped_value(id, Tensor::zeros([1; D], &device), mapper)
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_module_is_moved_and_its_place_holds_nothing() {
        let mut place: Linear = LinearConfig::new(300, 200).init(&Device::flex().autodiff());
        let before = place.weight.val().into_data();
        let module = taken(&mut place);
        assert_eq!(module.weight.val().into_data(), before);
        assert!(module.weight.val().is_require_grad());
        assert_eq!((place.weight.val().dims(), place.weight.id), ([1, 1], module.weight.id));
    }
}
