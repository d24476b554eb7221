//! Which operator updates a parameter, and what it remembers of it.

use burn::tensor::{Device, Tensor};

use super::adafactor::{Second, Squares};
use super::adamw::Moments;
use super::place::Place;
use super::{AdafactorConfig, LionConfig, MuonConfig, OptimConfig, OptimKind};
use crate::Result;
use crate::run::tensors::{Lazy, Stored};

/// What updates one parameter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operator<'a> {
    AdamW,
    Lion(&'a LionConfig),
    Adafactor(&'a AdafactorConfig),
    Muon(&'a MuonConfig),
}

impl OptimConfig {
    /// What updates a parameter of so many axes.
    pub(super) fn operator(&self, dims: usize, place: &Place, path: &str) -> Operator<'_> {
        let hidden = |muon: &&MuonConfig| {
            let excepted = muon.except.iter().any(|part| path.contains(part.as_str()));
            dims == 2 && !place.in_embedding() && !excepted
        };
        match (self.muon.as_ref().filter(hidden), self.kind) {
            (Some(muon), _) => Operator::Muon(muon),
            (None, OptimKind::AdamW) => Operator::AdamW,
            (None, OptimKind::Lion) => Operator::Lion(&self.lion),
            (None, OptimKind::Adafactor) => Operator::Adafactor(&self.adafactor),
        }
    }
}

impl Operator<'_> {
    /// Numbers that are remembered of a parameter of this shape.
    pub(super) fn floats(self, shape: &[usize]) -> usize {
        let all = shape.iter().product::<usize>();
        match self {
            Self::AdamW => 2 * all,
            Self::Lion(_) | Self::Muon(_) => all,
            Self::Adafactor(config) => config.floats(shape),
        }
    }
}

/// What is remembered of one parameter's gradients, flat.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one for each parameter: hundreds, not millions")]
pub(super) enum State {
    AdamW(Moments),
    /// Lion's running mean.
    Lion(Tensor<1>),
    Adafactor(Squares),
    /// Muon's running sum.
    Muon(Tensor<1>),
}

impl State {
    /// Its tensors by the names that they are saved under.
    pub(super) fn parts(&self) -> Vec<(&'static str, Lazy)> {
        let of = |name, tensor: &Tensor<1>| (name, Lazy::new(tensor.clone()));
        match self {
            Self::AdamW(moments) => vec![of("first", &moments.first), of("second", &moments.second)],
            Self::Lion(momentum) => vec![of("momentum", momentum)],
            Self::Muon(velocity) => vec![of("velocity", velocity)],
            Self::Adafactor(squares) => {
                let mut parts = match &squares.second {
                    Second::Factored { rows, columns } => vec![of("rows", rows), of("columns", columns)],
                    Second::Full(squares) => vec![of("squares", squares)],
                };
                parts.extend(squares.mean.as_ref().map(|mean| of("mean", mean)));
                parts
            }
        }
    }

    /// The state of parameter `name` of which `part` is the first tensor; none where it is another one.
    pub(super) fn read(stored: &Stored<'_>, name: &str, part: &str, device: &Device) -> Result<Option<Self>> {
        let get = |part: &str| stored.get::<1>(&format!("{name}.{part}"), device);
        let squares = |second| -> Result<Self> {
            let kept = stored.names().contains(&format!("{name}.mean").as_str());
            Ok(Self::Adafactor(Squares { second, mean: kept.then(|| get("mean")).transpose()? }))
        };
        Ok(Some(match part {
            "first" => Self::AdamW(Moments { first: get("first")?, second: get("second")? }),
            "momentum" => Self::Lion(get("momentum")?),
            "velocity" => Self::Muon(get("velocity")?),
            "rows" => squares(Second::Factored { rows: get("rows")?, columns: get("columns")? })?,
            "squares" => squares(Second::Full(get("squares")?))?,
            _ => return Ok(None),
        }))
    }
}
