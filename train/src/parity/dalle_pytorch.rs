//! Case `dalle-pytorch`: a checkpoint of lucidrains' DALLE-pytorch, configured by its own `hparams`.

use burn::tensor::Device;
use tokenize::checkpoint::Checkpoint;
use tokenize::parity::{Case, Comparison, Outputs, compare};

use super::{checked, core, integers};
use crate::Result;
use crate::dalle::{Dalle, DalleConfig};
use crate::dalle_pytorch::masked_logits;
use crate::draw::{Drawing, draw_codes};
use crate::gpt::{Batch, Gpt, Vocabulary, ids};
use crate::sampling::SamplingConfig;

pub(super) fn run(case: &Case, device: &Device) -> Result<Vec<Comparison>> {
    let path = case.checkpoint()?;
    let config = DalleConfig::from_dalle_pytorch(&Checkpoint::open(&path)?)?;
    let (texts, codes) = rows(case, &config)?;
    let model = Dalle::load(&config, &path, device)?;
    let mut outputs = states(&model.gpt, &texts, &codes, device);
    draw(case, &model.gpt, &texts, &codes, &mut outputs)?;
    let mut lines = compare(case, &outputs)?;
    let of = |from: usize, to: usize| {
        core::text_image(model.losses(&batch(&texts[from..to], &codes[from..to], device)))
    };
    lines.extend(core::scalars(case, "/expected", &of(0, texts.len()))?);
    for index in 0..texts.len() {
        lines.extend(core::scalars(case, &format!("/expected/sample_{index}"), &of(index, index + 1))?);
    }
    let device = device.clone().autodiff();
    let model = Dalle::load(&config, &path, &device)?;
    let loss = model.losses(&batch(&texts, &codes, &device)).total;
    lines.extend(core::gradients(case, &model.gpt, loss, config.key_names())?);
    Ok(lines)
}

/// Texts and codes, row by row.
type Rows = (Vec<Vec<i64>>, Vec<Vec<i64>>);

fn rows(case: &Case, config: &DalleConfig) -> Result<Rows> {
    let texts = checked::rows(case, "text", config.text, config.text_vocab)?;
    let codes = checked::rows(case, "codes", config.grid * config.grid, config.image_vocab)?;
    match texts.len() == codes.len() {
        true => Ok((texts, codes)),
        false => checked::refuse(case, format!("{} texts and {} images", texts.len(), codes.len())),
    }
}

fn batch(texts: &[Vec<i64>], codes: &[Vec<i64>], device: &Device) -> Batch {
    Batch { left: ids(texts, device), image: ids(codes, device), right: None }
}

/// Embeddings, layers and logits of the first row, logits of every row's codes, and of the null condition.
fn states(gpt: &Gpt, texts: &[Vec<i64>], codes: &[Vec<i64>], device: &Device) -> Outputs {
    let mut outputs = Outputs::new();
    let mut insert = |name: &str, tensor| drop(outputs.insert(name.to_owned(), tensor));
    if let Some(x) = gpt.embed(&batch(&texts[..1], &codes[..1], device)) {
        insert("embeddings", core::array(x.clone()));
        let mut states = gpt.hidden_states(x);
        if let Some(last) = states.pop() {
            insert("logits", core::array(masked_logits(gpt, last)));
        }
        for (index, state) in states.into_iter().enumerate() {
            insert(&format!("hidden.{index}"), core::array(state));
        }
    }
    let (text, image) = (gpt.config().left, gpt.config().segments().image());
    let hidden = gpt.hidden(&batch(texts, codes, device)).narrow(1, text, image);
    insert("image_logits", core::array(gpt.logits(hidden, Vocabulary::Image)));
    let null = gpt.hidden(&batch(&[vec![0; text]], &[], device)).narrow(1, text, 1);
    insert("null_logits", core::array(gpt.logits(null, Vocabulary::Image).squeeze_dim::<2>(1)));
    outputs
}

/// Greedy pictures of the first text, all with a cache: free, after the first codes of its image, and guided.
fn draw(case: &Case, gpt: &Gpt, texts: &[Vec<i64>], codes: &[Vec<i64>], outputs: &mut Outputs) -> Result<()> {
    let primed = checked::number(case, "/inputs/num_init_img_tokens", codes[0].len())?;
    let given = codes[0].iter().take(primed).enumerate().map(|(place, code)| (place, *code as u16));
    let drawings = [Drawing::default(), Drawing { given: given.collect(), ..Drawing::default() }];
    let text = |rows: &[Vec<i64>]| ids(rows, &gpt.device());
    let twice = [texts[0].clone(), texts[0].clone()];
    let found = draw_codes(gpt, text(&twice), &drawings, &core::GREEDY, &mut |_| ())?;
    outputs.insert("greedy_codes".to_owned(), integers(&found[0]));
    outputs.insert("primed_codes".to_owned(), integers(&found[1]));
    let guided = SamplingConfig { guidance: case.config("/inputs/cond_scale")?, ..core::GREEDY };
    let null = [texts[0].clone(), vec![0; texts[0].len()]];
    let found = draw_codes(gpt, text(&null), &drawings[..1], &guided, &mut |_| ())?;
    outputs.insert("guided_codes".to_owned(), integers(&found[0]));
    Ok(())
}
