//! Products of small matrices in registers: 4 rows by 16 columns of the result at a time.
//!
//! The result's width must be a multiple of 8; whoever calls fills up with zeros. Eight accumulators hide the latency of
//! the multiply-add, and each step loads two vectors and four numbers for eight of them.

use wide::f32x8;

/// Values in a vector; widths are multiples of it.
pub(super) const LANES: usize = 8;
/// Rows of the result that stay in registers.
const ROWS: usize = 4;

/// `a·b`: `a` is `[m, k]`, `b` is `[k, n]`, `out` is `[m, n]` and is overwritten.
pub(super) fn rows(a: &[f32], k: usize, b: &[f32], n: usize, out: &mut [f32]) {
    let blocks = a.chunks(ROWS * k).zip(out.chunks_mut(ROWS * n));
    for (a, out) in blocks {
        if let Some(rows) = split::<ROWS>(a, k) {
            each_column(n, |columns| columns.write(out, n, |r, p| rows[r][p], k, b));
        } else {
            for (row, out) in a.chunks_exact(k).zip(out.chunks_exact_mut(n)) {
                each_column(n, |columns| columns.write_one(out, n, |p| row[p], k, b));
            }
        }
    }
}

/// `aᵀ·b`: `a` is `[k, m]`, `b` is `[k, n]`, `out` is `[m, n]` and is overwritten; `m` is a multiple of 4.
pub(super) fn columns(a: &[f32], m: usize, b: &[f32], n: usize, out: &mut [f32]) {
    let k = a.len() / m;
    for (block, out) in out.chunks_exact_mut(ROWS * n).enumerate() {
        let a = &a[block * ROWS..];
        each_column(n, |columns| columns.write(out, n, |r, p| a[p * m + r], k, b));
    }
}

/// `N` rows of `k` values, or `None` where there are fewer.
fn split<const N: usize>(a: &[f32], k: usize) -> Option<[&[f32]; N]> {
    (a.len() == N * k).then(|| std::array::from_fn(|r| &a[r * k..][..k]))
}

/// Where a block of the result begins, and whether it is two vectors wide or one.
#[derive(Clone, Copy)]
struct Columns {
    from: usize,
    double: bool,
}

#[inline(always)]
fn each_column(n: usize, mut work: impl FnMut(Columns)) {
    let mut from = 0;
    while from < n {
        let double = from + 2 * LANES <= n;
        work(Columns { from, double });
        from += if double { 2 * LANES } else { LANES };
    }
}

impl Columns {
    #[inline(always)]
    fn write(self, out: &mut [f32], n: usize, a: impl Fn(usize, usize) -> f32, k: usize, b: &[f32]) {
        if self.double {
            store(&tile::<ROWS, 2>(&a, k, b, n, self.from), out, n, self.from);
        } else {
            store(&tile::<ROWS, 1>(&a, k, b, n, self.from), out, n, self.from);
        }
    }

    #[inline(always)]
    fn write_one(self, out: &mut [f32], n: usize, a: impl Fn(usize) -> f32, k: usize, b: &[f32]) {
        let a = |_: usize, p: usize| a(p);
        if self.double {
            store(&tile::<1, 2>(&a, k, b, n, self.from), out, n, self.from);
        } else {
            store(&tile::<1, 1>(&a, k, b, n, self.from), out, n, self.from);
        }
    }
}

/// `M` rows by `V` vectors of the result.
#[inline(always)]
fn tile<const M: usize, const V: usize>(
    a: &impl Fn(usize, usize) -> f32,
    k: usize,
    b: &[f32],
    n: usize,
    from: usize,
) -> [[f32x8; V]; M] {
    let mut sums = [[f32x8::ZERO; V]; M];
    for (p, b) in b.chunks_exact(n).take(k).enumerate() {
        let (vectors, _) = b[from..].as_chunks::<LANES>();
        let Some(vectors) = vectors.first_chunk::<V>() else { break };
        let vectors = vectors.map(f32x8::new);
        for (r, sums) in sums.iter_mut().enumerate() {
            let factor = f32x8::splat(a(r, p));
            for (sum, vector) in sums.iter_mut().zip(vectors) {
                *sum = vector.mul_add(factor, *sum);
            }
        }
    }
    sums
}

#[inline(always)]
fn store<const M: usize, const V: usize>(sums: &[[f32x8; V]; M], out: &mut [f32], n: usize, from: usize) {
    for (row, sums) in out.chunks_exact_mut(n).zip(sums) {
        let (vectors, _) = row[from..].as_chunks_mut::<LANES>();
        for (to, sum) in vectors.iter_mut().zip(sums) {
            *to = sum.to_array();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_forms_are_the_product(m in 1usize..23, k in 1usize..20, n in 1usize..6) {
            let n = n * LANES;
            let value = |i: usize| ((i * 37 + 11) % 23) as f32 - 11.0;
            let (a, b) = ((0..m * k).map(value).collect::<Vec<_>>(), (0..k * n).map(value).collect::<Vec<_>>());
            let sum = |i: usize, j: usize| (0..k).map(|p| a[i * k + p] * b[p * n + j]).sum::<f32>();
            let expected: Vec<f32> = (0..m * n).map(|at| sum(at / n, at % n)).collect();
            let mut out = vec![f32::NAN; m * n];
            rows(&a, k, &b, n, &mut out);
            prop_assert_eq!(&out, &expected);
            let padded = m.next_multiple_of(ROWS);
            let transposed: Vec<f32> = (0..k * padded)
                .map(|at| if at % padded < m { a[at % padded * k + at / padded] } else { 0.0 })
                .collect();
            let mut out = vec![f32::NAN; padded * n];
            columns(&transposed, padded, &b, n, &mut out);
            prop_assert_eq!(&out[..m * n], &expected[..]);
        }
    }
}
