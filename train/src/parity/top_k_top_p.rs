//! Case `sampling`: which logits top-k and top-p keep, and the probabilities of the rest.

use std::collections::HashMap;

use serde::Deserialize;
use tokenize::parity::{Case, Comparison};

use super::{checked, scalar};
use crate::Result;
use crate::sampling::{SamplingConfig, filter, probabilities};

#[derive(Deserialize)]
struct Setting {
    id: usize,
    temperature: f64,
    top_k: usize,
    top_p: f64,
    /// Rows where the border goes through equal logits (`tie`) or rounding decides (`near`).
    ambiguous_rows: HashMap<String, String>,
    kept_count: Vec<usize>,
}

pub(super) fn run(case: &Case) -> Result<Vec<Comparison>> {
    let (shape, logits) = case.reals("logits")?;
    let (rows, vocabulary) = match *shape {
        [rows, vocabulary] if rows > 0 && vocabulary > 0 => (rows, vocabulary),
        _ => return checked::refuse(case, "\"logits\" is not [rows, vocabulary], or is empty"),
    };
    let expected = case.reals("probabilities")?.1;
    let mut lines = Vec::new();
    for setting in case.config::<Vec<Setting>>("/settings")? {
        let Setting { temperature, top_k, top_p, .. } = setting;
        let sampling = SamplingConfig { top_k, top_p, temperature, ..SamplingConfig::default() };
        let expected = expected.chunks_exact(logits.len()).nth(setting.id);
        let Some(expected) = expected.filter(|_| setting.kept_count.len() == rows) else {
            return checked::refuse(case, format!("setting {} has not one result for each row", setting.id));
        };
        let (mut miscounted, mut furthest) = (0, 0f64);
        for row in 0..rows {
            let mut found = logits[row * vocabulary..][..vocabulary].to_vec();
            filter(&mut found, &sampling);
            let kept = found.iter().filter(|logit| **logit > f32::NEG_INFINITY).count();
            let ambiguous = setting.ambiguous_rows.get(&row.to_string()).map(String::as_str);
            if ambiguous != Some("near") && kept != setting.kept_count[row] {
                miscounted += 1;
            }
            if ambiguous.is_none() {
                let expected = &expected[row * vocabulary..][..vocabulary];
                let gaps =
                    probabilities(&found).into_iter().zip(expected).map(|(a, b)| (a - f64::from(*b)).abs());
                furthest = gaps.fold(furthest, f64::max);
            }
        }
        lines.push(scalar(
            case,
            format!("{}.rows with another count", setting.id),
            f64::from(miscounted),
            0.0,
        ));
        lines.push(scalar(case, format!("{}.probabilities", setting.id), furthest, 0.0));
    }
    Ok(lines)
}
