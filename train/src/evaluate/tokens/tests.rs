use proptest::prelude::*;

use super::*;
use crate::rudolph::tests::fill;

fn models() -> [Model; 4] {
    let device = Device::flex();
    let old = crate::dalle::DalleConfig { loss_layout: LossLayout::V3, ..crate::dalle::tests::tiny() };
    [
        Model::Rudolph(crate::rudolph::tests::model(&crate::rudolph::tests::tiny())),
        Model::Dalle(fill(crate::dalle::tests::tiny().init(&device))),
        Model::Dalle(fill(old.init(&device))),
        Model::ImageGpt(fill(crate::image_gpt::tests::tiny().init(&device))),
    ]
}

fn items(model: &Model, rows: &[(Vec<u32>, u16)]) -> Vec<Item> {
    let config = model.gpt().config();
    let codes = |start: u16| {
        let code = |at| (usize::from(start) + 3 * at) % config.image_vocab;
        (0..config.segments().image()).map(|at| code(at) as u16).collect()
    };
    rows.iter().map(|(text, start)| Item { text: text.clone(), codes: codes(*start), right: None }).collect()
}

fn all(model: &Model, items: &[Item], batch: usize) -> Vec<RowScore> {
    let score = |items: &[Item]| score(model, Task::TextToImage, items, &Device::flex()).unwrap().0;
    items.chunks(batch).flat_map(score).collect()
}

fn value(loss: Option<Tensor<1>>) -> f64 {
    f64::from(loss.unwrap().into_scalar::<f32>())
}

#[test]
fn losses_are_those_of_training_and_pads_are_no_words() {
    for model in models() {
        let items = items(&model, &[(vec![7, 8], 1)]);
        let found = all(&model, &items, 1)[0];
        let (batch, _) = batch(&model, Task::TextToImage, &items, &Device::flex()).unwrap();
        let image = match &model {
            Model::Rudolph(model) => value(model.losses(&batch).image),
            Model::Dalle(model) => value(model.losses(&batch).image),
            Model::ImageGpt(model) => value(model.loss(&batch)),
        };
        let scored = found.image.unwrap();
        assert!((scored.loss() - image).abs() < 1e-5, "{} {image}", scored.loss());
        assert!(scored.mean_exponential() >= scored.perplexity() - 1e-9);
        // BOS, a task token, two ids and EOS; the first is a target only after a start token.
        let words = match &model {
            Model::Rudolph(_) => Some(4),
            Model::Dalle(dalle) => Some(3 + dalle.gpt.shift() as u64),
            Model::ImageGpt(_) => None,
        };
        assert_eq!(found.left.map(|left| left.tokens), words);
        assert_eq!((found.right, found.broken()), (None, None));
    }
}

#[test]
fn accuracies_are_those_of_the_drawn_codes() {
    // Greedy drawings are the model's own first guesses: all of them must count.
    use crate::draw::{Drawing, draw};
    use crate::sampling::SamplingConfig;
    for model in models() {
        let greedy = SamplingConfig { top_k: 1, ..SamplingConfig::default() };
        let drawing = Drawing { text: vec![7, 8], ..Drawing::default() };
        let codes = draw(&model, &[drawing], &greedy, 1, &mut |_| ()).unwrap().remove(0);
        let mut item = Item { text: vec![7, 8], codes, right: None };
        let found = all(&model, std::slice::from_ref(&item), 1)[0];
        let trained = found.image.unwrap().tokens;
        assert_eq!((found.first, found.five), (trained, trained));
        // Another last code is not the first guess.
        let last = item.codes.last_mut().unwrap();
        *last = (*last + 1) % model.gpt().config().image_vocab as u16;
        assert_eq!(all(&model, &[item], 1)[0].first, trained - 1);
    }
}

#[test]
fn both_texts_of_a_picture_are_scored_together() {
    let [model, ..] = models();
    let mut items = items(&model, &[(vec![7], 1)]);
    items[0].right = Some(vec![8, 9]);
    let found = all(&model, &items, 1)[0];
    assert!(found.left.is_some() && found.right.is_some_and(|right| right.tokens > 0));
}

#[test]
fn what_does_not_fit_is_refused() {
    let [model, ..] = models();
    let mut items = items(&model, &[(vec![7], 1)]);
    items[0].codes[0] = u16::MAX;
    let error = score(&model, Task::TextToImage, &items, &Device::flex()).unwrap_err().to_string();
    assert!(error.starts_with("code 65535 is not below image_vocab"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_row_does_not_depend_on_its_batch(
        rows in proptest::collection::vec((proptest::collection::vec(5u32..12, 0..4), 0u16..8), 1..6),
        batch in 1usize..5,
        which in 0usize..4,
    ) {
        let model = &models()[which];
        let items = items(model, &rows);
        for (together, alone) in all(model, &items, batch).iter().zip(all(model, &items, 1)) {
            for ((_, a), (_, b)) in together.segments().into_iter().zip(alone.segments()) {
                prop_assert_eq!(a.map(|a| a.tokens), b.map(|b| b.tokens));
                if let (Some(a), Some(b)) = (a, b) {
                    prop_assert!((a.loss() - b.loss()).abs() <= 1e-5 * (1.0 + b.loss()));
                }
            }
            prop_assert_eq!((together.first, together.five), (alone.first, alone.five));
        }
    }
}
