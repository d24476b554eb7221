//! The discrete cosine transform of 32 numbers in the order of operations of SciPy's `fftpack.dct` (pocketfft,
//! `T_dcst23` over the backward passes of `rfftp` with radices 2, 4, 4), so that every result has the same bits.
//!
//! The order matters: in a picture that is flat, or symmetrical, or a gradient, most coefficients are zero but for what
//! rounding leaves of them, and it is those remains that a hash compares.

/// Numbers in a transform.
pub(super) const LENGTH: usize = 32;

/// cos(π (k + 1) / 64) with pocketfft's bits, which are not always those of the nearest number.
const COSINES: [u64; LENGTH - 1] = [
    0x3fef_f621_e379_6d7e,
    0x3fef_d88d_a3d1_2526,
    0x3fef_a755_7f08_a517,
    0x3fef_6297_cff7_5cb0,
    0x3fef_0a7e_fb92_30d7,
    0x3fee_9f41_56c6_2dda,
    0x3fee_2121_04f6_86e5,
    0x3fed_906b_cf32_8d46,
    0x3fec_ed7a_f43c_c773,
    0x3fec_38b2_f180_bdb1,
    0x3feb_7283_4519_6e3e,
    0x3fea_9b66_290e_a1a3,
    0x3fe9_b3e0_47f3_8741,
    0x3fe8_bc80_6b15_1741,
    0x3fe7_b5df_226a_afaf,
    0x3fe6_a09e_667f_3bcc,
    0x3fe5_7d69_348c_ec9f,
    0x3fe4_4cf3_2509_1dd6,
    0x3fe3_0ff7_fce1_7034,
    0x3fe1_c73b_39ae_68c8,
    0x3fe0_7387_9922_ffed,
    0x3fde_2b5d_3806_f639,
    0x3fdb_5d10_09e1_5cbf,
    0x3fd8_7de2_a6ae_a961,
    0x3fd5_8f9a_75ab_1fdb,
    0x3fd2_9406_2ed5_9f04,
    0x3fcf_19f9_7b21_5f1c,
    0x3fc8_f8b8_3c69_a60a,
    0x3fc2_c810_6e8e_6136,
    0x3fb9_17a6_bc29_b424,
    0x3fa9_1f65_f10d_d810,
];

/// cos and sin of π k / 16 for k from 1, with pocketfft's bits.
const ROOTS: [(u64, u64); 7] = [
    (0x3fef_6297_cff7_5cb0, 0x3fc8_f8b8_3c69_a60a),
    (0x3fed_906b_cf32_8d46, 0x3fd8_7de2_a6ae_a963),
    (0x3fea_9b66_290e_a1a3, 0x3fe1_c73b_39ae_68c8),
    (0x3fe6_a09e_667f_3bcc, 0x3fe6_a09e_667f_3bcd),
    (0x3fe1_c73b_39ae_68c8, 0x3fea_9b66_290e_a1a3),
    (0x3fd8_7de2_a6ae_a963, 0x3fed_906b_cf32_8d46),
    (0x3fc8_f8b8_3c69_a60a, 0x3fef_6297_cff7_5cb0),
];

/// The transform of type 2, not normalised: `2 Σ x[n] cos(π k (2 n + 1) / 64)`.
pub(super) fn dct(mut x: [f64; LENGTH]) -> [f64; LENGTH] {
    x[0] *= 2.0;
    x[LENGTH - 1] *= 2.0;
    for k in (1..LENGTH - 1).step_by(2) {
        (x[k], x[k + 1]) = sum_and_difference(x[k + 1], x[k]);
    }
    x = radix4::<1>(&radix4::<4>(&radix2(&x)));
    let half = LENGTH / 2;
    for k in 1..half {
        let (a, b) = (cosine(k - 1), cosine(LENGTH - k - 1));
        let (low, high) = (x[k], x[LENGTH - k]);
        let (sum, difference) = sum_and_difference(a * high + b * low, a * low - b * high);
        (x[k], x[LENGTH - k]) = (0.5 * sum, 0.5 * difference);
    }
    x[half] *= cosine(half - 1);
    x
}

fn cosine(k: usize) -> f64 {
    f64::from_bits(COSINES[k])
}

fn sum_and_difference(a: f64, b: f64) -> (f64, f64) {
    (a + b, a - b)
}

/// The real and the imaginary part, turned by π k / 16.
fn turned(k: usize, (real, imaginary): (f64, f64)) -> (f64, f64) {
    let (cos, sin) = ROOTS[k - 1];
    let (cos, sin) = (f64::from_bits(cos), f64::from_bits(sin));
    (cos * real - sin * imaginary, cos * imaginary + sin * real)
}

/// The first pass: 16 × 2 numbers, halves of a spectrum, to two spectra of 16.
fn radix2(x: &[f64; LENGTH]) -> [f64; LENGTH] {
    const ROW: usize = LENGTH / 2;
    let mut out = [0.0; LENGTH];
    (out[0], out[ROW]) = sum_and_difference(x[0], x[LENGTH - 1]);
    out[ROW - 1] = 2.0 * x[ROW - 1];
    out[LENGTH - 1] = -2.0 * x[ROW];
    for i in (2..ROW).step_by(2) {
        let mirror = ROW - i;
        let (real, real_1) = sum_and_difference(x[i - 1], x[ROW + mirror - 1]);
        let (imaginary_1, imaginary) = sum_and_difference(x[i], x[ROW + mirror]);
        (out[i - 1], out[i]) = (real, imaginary);
        (out[ROW + i - 1], out[ROW + i]) = turned(i / 2, (real_1, imaginary_1));
    }
    out
}

/// A later pass: spectra of `4 × ROW` numbers to four of `ROW` each.
fn radix4<const ROW: usize>(x: &[f64; LENGTH]) -> [f64; LENGTH] {
    let spectra = LENGTH / (4 * ROW);
    let root_2 = std::f64::consts::SQRT_2;
    let mut out = [0.0; LENGTH];
    for k in 0..spectra {
        let from = |i: usize, part: usize| x[i + ROW * (part + 4 * k)];
        let to = |i: usize, part: usize| i + ROW * (k + spectra * part);
        let (a, b) = sum_and_difference(from(0, 0), from(ROW - 1, 3));
        let (c, d) = (2.0 * from(ROW - 1, 1), 2.0 * from(0, 2));
        (out[to(0, 0)], out[to(0, 2)]) = sum_and_difference(a, c);
        (out[to(0, 3)], out[to(0, 1)]) = sum_and_difference(b, d);
        if ROW == 1 {
            continue;
        }
        let (a, b) = sum_and_difference(from(0, 3), from(0, 1));
        let (c, d) = sum_and_difference(from(ROW - 1, 0), from(ROW - 1, 2));
        out[to(ROW - 1, 0)] = c + c;
        out[to(ROW - 1, 1)] = root_2 * (d - a);
        out[to(ROW - 1, 2)] = b + b;
        out[to(ROW - 1, 3)] = -root_2 * (d + a);
        for i in (2..ROW).step_by(2) {
            let mirror = ROW - i;
            let (a, b) = sum_and_difference(from(i - 1, 0), from(mirror - 1, 3));
            let (c, d) = sum_and_difference(from(i, 0), from(mirror, 3));
            let (e, f) = sum_and_difference(from(i, 2), from(mirror, 1));
            let (g, h) = sum_and_difference(from(i - 1, 2), from(mirror - 1, 1));
            let (real_0, real_2) = sum_and_difference(a, g);
            let (imaginary_0, imaginary_2) = sum_and_difference(d, f);
            let (real_3, real_1) = sum_and_difference(b, e);
            let (imaginary_1, imaginary_3) = sum_and_difference(c, h);
            (out[to(i - 1, 0)], out[to(i, 0)]) = (real_0, imaginary_0);
            let parts = [(real_1, imaginary_1), (real_2, imaginary_2), (real_3, imaginary_3)];
            for (part, value) in (1..).zip(parts) {
                (out[to(i - 1, part)], out[to(i, part)]) = turned(part * spectra * i / 2, value);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, with its own roundings.
    fn plain(x: &[f64; LENGTH]) -> [f64; LENGTH] {
        std::array::from_fn(|k| {
            let term = |(n, x): (usize, &f64)| {
                x * (std::f64::consts::PI * k as f64 * (2 * n + 1) as f64 / 64.0).cos()
            };
            2.0 * x.iter().enumerate().map(term).sum::<f64>()
        })
    }

    #[test]
    fn it_is_the_cosine_transform() {
        let mut state = 1_u32;
        for _ in 0..50 {
            let x = std::array::from_fn(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f64::from(state >> 24)
            });
            for (found, expected) in dct(x).iter().zip(plain(&x)) {
                assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
            }
        }
    }

    /// `scipy.fftpack.dct([n * n % 251 for n in range(32)])` of SciPy 1.17.1, bit by bit.
    #[test]
    fn the_bits_are_scipys() {
        let x = std::array::from_fn(|n| (n * n % 251) as f64);
        assert_eq!(dct(x).map(f64::to_bits), GOLDEN);
    }

    const GOLDEN: [u64; LENGTH] = [
        0x40b8_8200_0000_0000,
        0xc09c_a3f1_0ed9_7ee0,
        0xc08f_7c96_266c_ea76,
        0xc087_60e3_505a_f5ca,
        0x403e_6354_2880_bf18,
        0x407e_9843_7b00_bdf2,
        0x407d_6ef1_cad9_1a5b,
        0xc088_b111_64d2_cf97,
        0xc070_5e93_1c08_b0f3,
        0x4088_caab_4320_fb82,
        0x4069_f604_657e_1308,
        0xc092_767d_e1ed_8065,
        0x408d_db1a_ac47_14d8,
        0xc079_9b1c_356f_b992,
        0x407a_26bd_25e1_e718,
        0xc074_a9c2_41e3_ca3d,
        0xc073_5b67_81ae_d828,
        0x4084_2afa_eace_08da,
        0xc060_88fb_fb8b_83c9,
        0xc074_8026_9c39_6780,
        0x4005_e4c0_9083_bc80,
        0x407c_861b_5c21_e110,
        0xc075_3f88_d83e_0334,
        0x4056_2cbd_62fa_959c,
        0xc066_3853_2eb8_63e0,
        0x405f_a9fb_7297_3778,
        0x4079_db42_670f_8d35,
        0xc087_8b71_232d_c57f,
        0x4076_857b_5ec4_dbfe,
        0x4060_c904_8244_9480,
        0xc050_76f5_0a4a_5254,
        0xc063_5797_73d6_085c,
    ];
}
