//! Top-k and top-p filtering as in Hugging Face's `top_k_top_p_filtering` (transformers 4.10, `generation_utils.py`).

use std::cmp::Ordering;

use super::SamplingConfig;

/// Divides by the temperature, then sets to `-inf` what top-k, and of the rest what top-p, leaves out.
///
/// Top-k keeps every logit not below the k-th largest, ties included. Top-p goes down the sorted rest and drops a token
/// once the probability before it is above `top_p`, so the first is always kept.
pub fn filter(logits: &mut [f32], config: &SamplingConfig) {
    let temperature = config.temperature as f32;
    for logit in logits.iter_mut() {
        *logit /= temperature;
    }
    if config.top_k > 0 && config.top_k < logits.len() {
        keep_top_k(logits, config.top_k);
    }
    if config.top_p < 1.0 {
        keep_top_p(logits, config.top_p);
    }
}

fn keep_top_k(logits: &mut [f32], k: usize) {
    let mut sorted = logits.to_vec();
    let (_, kth, _) = sorted.select_nth_unstable_by(k - 1, |a, b| descending(*a, *b));
    let kth = *kth;
    for logit in logits.iter_mut().filter(|logit| **logit < kth) {
        *logit = f32::NEG_INFINITY;
    }
}

fn keep_top_p(logits: &mut [f32], p: f64) {
    let probabilities = probabilities(logits);
    // What top-k has left out is most of a vocabulary, and need not be sorted.
    let mut order = (0..logits.len()).filter(|&i| logits[i] > f32::NEG_INFINITY).collect::<Vec<_>>();
    order.sort_by(|&a, &b| descending(logits[a], logits[b]));
    let mut before = 0.0;
    for (rank, &index) in order.iter().enumerate() {
        if rank > 0 && before > p {
            logits[index] = f32::NEG_INFINITY;
        }
        before += probabilities[index];
    }
}

fn descending(a: f32, b: f32) -> Ordering {
    b.total_cmp(&a)
}

/// The softmax, in f64.
pub fn probabilities(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp = |&logit: &f32| if logit == f32::NEG_INFINITY { 0.0 } else { f64::from(logit - max).exp() };
    let mut values = logits.iter().map(exp).collect::<Vec<_>>();
    let sum: f64 = values.iter().sum();
    for value in &mut values {
        *value /= sum;
    }
    values
}
