//! Case `masks`: the closed forms at published geometries, by row and column statistics.

use serde::Deserialize;
use tokenize::parity::{Case, Comparison, Outputs, compare};

use super::{checked, integers, scalar};
use crate::Result;
use crate::gpt::{MaskKind, Segments};

#[derive(Deserialize)]
struct Published {
    id: String,
    left: usize,
    grid: usize,
    right: usize,
    kind: String,
    kernel: Option<usize>,
    wraparound: bool,
    allowed: usize,
}

pub(super) fn run(case: &Case) -> Result<Vec<Comparison>> {
    let mut lines = Vec::new();
    for mask in case.config::<Vec<Published>>("/masks")? {
        let segments = Segments { left: mask.left, grid: mask.grid, right: mask.right };
        let kind = match (mask.kind.as_str(), mask.kernel) {
            ("row", _) => MaskKind::Row,
            ("col", _) => MaskKind::Col,
            ("conv", Some(kernel)) => MaskKind::Conv { kernel, wrap: mask.wraparound },
            (other, _) => return checked::refuse(case, format!("{}: no mask kind {other:?}", mask.id)),
        };
        let n = segments.total();
        // A mistyped side is noticed before it fills the memory.
        let stored = case.integers(&format!("{}.row_count", mask.id))?.1.len();
        if n != stored {
            return checked::refuse(case, format!("{}: {n} positions, the counts have {stored}", mask.id));
        }
        let (mut rows, mut columns, mut keys) = (vec![0i64; n], vec![0i64; n], vec![0i64; n]);
        for q in 0..n {
            for p in (0..n).filter(|&p| kind.allows(&segments, q, p)) {
                rows[q] += 1;
                columns[p] += 1;
                keys[q] += p as i64;
            }
        }
        lines.push(scalar(
            case,
            format!("{}.allowed", mask.id),
            rows.iter().sum::<i64>() as f64,
            mask.allowed as f64,
        ));
        let named = [("row_count", rows), ("col_count", columns), ("row_key_sum", keys)];
        let outputs = named.iter().map(|(name, values)| (format!("{}.{name}", mask.id), integers(values)));
        lines.extend(compare(case, &outputs.collect::<Outputs>())?);
    }
    Ok(lines)
}
