//! FID and CLIPScore of drawings or of a folder's pictures.

use std::path::PathBuf;

use burn::tensor::Device;
use pipeline::picture::Picture;
use pipeline::progress::Progress;
use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::ScoreArgs;
use super::tokens::expected;
use crate::bundle::Bundle;
use crate::draw::{Drawing, Draws, draw};
use crate::evaluate::clip_score::{ClipScore, Critic, captions};
use crate::evaluate::fid::{Fid, Judge};
use crate::evaluate::frechet::Moments;
use crate::evaluate::{pictures, rows, statistics};
use crate::inception::FEATURES;
use crate::sampling::SamplingConfig;
use crate::{Error, Result, device};

/// Pictures judged together where nothing is asked.
const BATCH: usize = 8;

/// A picture and, where there is one, its caption.
type Captioned = (Picture, Option<String>);

#[derive(Serialize)]
struct Report {
    pictures: usize,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    fid: Option<Fid>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    clip: Option<ClipScore>,
}

pub(super) fn judge(args: &ScoreArgs) -> Result<()> {
    let how = &args.judge;
    if how.fid_weights.is_some() && how.reference.is_none() && how.write_stats.is_none() {
        return Err(Error::config("--fid-weights: compared with what?")
            .with_hint("give --reference, or --write-stats to make such a file"));
    }
    if how.clip_model.is_some() && how.pictures.is_some() && how.captions.is_none() {
        return Err(Error::config("--clip-model: --captions of the folder's pictures are missing"));
    }
    let device = device::open(&args.device)?;
    let batch = args.batch.unwrap_or(BATCH);
    let judge = how.fid_weights.as_ref().map(|path| Judge::open(path, batch, &device)).transpose()?;
    let clip = how.clip_model.as_ref();
    let critic = clip.map(|dir| Critic::open(dir, how.clip_bpe.as_deref(), &device)).transpose()?;
    let mut source = match &how.pictures {
        Some(_) => folder(args)?,
        None => drawings(args, &device, batch)?,
    };
    let progress = Progress::start(args.common.progress_style(), "picture", Some(source.0 as u64), 0);
    let mut seen = Seen { moments: Moments::new(FEATURES), cosines: Vec::new(), cut: 0, pictures: 0 };
    loop {
        let pairs = source.1.by_ref().take(batch).collect::<Result<Vec<_>>>()?;
        if pairs.is_empty() {
            break;
        }
        seen.look(judge.as_ref(), critic.as_ref(), pairs)?;
        progress.set(seen.pictures as u64);
    }
    progress.finish();
    report(args, seen, judge.as_ref(), critic.as_ref())
}

/// What the networks said so far.
struct Seen {
    moments: Moments,
    cosines: Vec<f32>,
    cut: usize,
    pictures: usize,
}

impl Seen {
    fn look(&mut self, judge: Option<&Judge>, critic: Option<&Critic>, pairs: Vec<Captioned>) -> Result<()> {
        self.pictures += pairs.len();
        let (pictures, texts): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        if let Some(judge) = judge {
            self.moments.add(&judge.features(&pictures)?);
        }
        if let Some(critic) = critic {
            let pairs = pictures.into_iter().zip(texts).filter_map(|(picture, text)| Some((picture, text?)));
            let (cosines, cut) = critic.cosines(pairs.collect())?;
            self.cosines.extend(cosines);
            self.cut += cut;
        }
        Ok(())
    }
}

fn report(args: &ScoreArgs, seen: Seen, judge: Option<&Judge>, critic: Option<&Critic>) -> Result<()> {
    let how = &args.judge;
    let mut report = Report { pictures: seen.pictures, fid: None, clip: None };
    if let Some(judge) = judge {
        let measured = seen.moments.finish()?;
        let protocol = judge.protocol(seen.pictures, how.reference.as_deref(), how.seed);
        if let Some(out) = &how.write_stats {
            statistics::write(out, &measured, &serde_json::json!(protocol))?;
            args.common.say(&format!("statistics of {} pictures: {}", seen.pictures, out.display()));
        }
        if let Some(path) = &how.reference {
            let reference = judge.reference(path, &mut |_| ())?;
            report.fid = Some(Fid::new(&measured, &reference, protocol)?);
        }
    }
    report.clip = critic.map(|critic| critic.score(&seen.cosines, seen.cut));
    if let Some(out) = &how.report {
        pipeline::atomic::write(out, format!("{:#}\n", serde_json::json!(report)))?;
    }
    args.tell("judgement", &report, &report.text())
}

impl Report {
    fn text(&self) -> String {
        let mut lines = vec![format!("{} pictures", self.pictures)];
        if let Some(Fid { fid, protocol }) = &self.fid {
            let reference =
                protocol.reference.as_ref().map_or_else(String::new, |path| path.display().to_string());
            lines.push(format!("FID {fid:.4} to {reference}"));
            lines.push(format!(
                "  protocol: Inception {}…, {} features, {}, seed {}",
                protocol.weights_sha256.get(..12).unwrap_or_default(),
                protocol.features,
                protocol.resize,
                protocol.seed
            ));
            if protocol.pictures <= FEATURES {
                lines.push(format!(
                    "  {} pictures are fewer than {FEATURES} features: compare only with distances of as many",
                    protocol.pictures
                ));
            }
        }
        if let Some(score) = &self.clip {
            lines.push(format!(
                "CLIPScore {:.4} (Hessel et al.: 2.5·max(cos, 0)), {:.3} (100·max(cos, 0)), {} pictures",
                score.clip_score_hessel, score.clip_score_100, score.pictures
            ));
            lines.push(format!(
                "  protocol: CLIP {}…, {}, {} captions cut",
                score.weights_sha256.get(..12).unwrap_or_default(),
                score.resize,
                score.captions_cut
            ));
        }
        lines.join("\n")
    }
}

/// How many pictures there will be, and the pictures.
type Source = (usize, Box<dyn Iterator<Item = Result<Captioned>>>);

fn folder(args: &ScoreArgs) -> Result<Source> {
    let how = &args.judge;
    let Some(dir) = &how.pictures else { return Ok((0, Box::new(std::iter::empty()))) };
    let files = pictures::list(dir, how.n, how.seed)?;
    let texts = how.captions.as_deref().map(captions).transpose()?;
    let caption = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        texts.as_ref().map(|texts| {
            texts.get(name.as_ref()).cloned().ok_or_else(|| Error::data(file, "no caption for this picture"))
        })
    };
    let captions = files.iter().map(|file| caption(file).transpose()).collect::<Result<Vec<_>>>()?;
    let count = files.len();
    let open = |(file, caption): (PathBuf, _)| Ok((pictures::open(&file)?, caption));
    Ok((count, Box::new(files.into_iter().zip(captions).map(open))))
}

/// Drawings of the shard's captions, `--n` of them chosen by the seed; of nothing in a model without text.
fn drawings(args: &ScoreArgs, device: &Device, batch: usize) -> Result<Source> {
    let (how, run) = (&args.judge, args.run()?);
    let bundle = Bundle::open(run, device)?;
    let mut asked = asked(args, &bundle)?;
    if let Some(n) = how.n {
        if n > asked.len() {
            return Err(Error::config(format!("--n {n}: only {} captions to draw", asked.len())));
        }
        let mut chosen = sample(&mut ChaCha8Rng::seed_from_u64(how.seed), asked.len(), n).into_vec();
        chosen.sort_unstable();
        asked = chosen.into_iter().map(|at| asked[at].clone()).collect();
    }
    let defaults = SamplingConfig::default();
    let config = SamplingConfig {
        top_k: how.top_k.unwrap_or(defaults.top_k),
        top_p: how.top_p.unwrap_or(defaults.top_p),
        seed: how.seed,
        ..defaults
    };
    let count = asked.len();
    let asked = (0..)
        .zip(asked)
        .map(|(stream, (text, caption))| (Drawing { text, stream, ..Drawing::default() }, caption));
    let asked = asked.collect::<Vec<_>>();
    let grid = bundle.model.gpt().config().grid;
    let mut at = 0;
    // A batch is drawn when its first picture is asked for.
    let batches = std::iter::from_fn(move || {
        let part = asked.get(at..asked.len().min(at + batch)).filter(|part| !part.is_empty())?;
        at += part.len();
        let (drawings, captions): (Vec<_>, Vec<_>) = part.iter().cloned().unzip();
        let codes = draw(&bundle.model, &drawings, &config, batch, &mut |_| ());
        let pictures = codes.and_then(|codes| Ok(bundle.codec.decode(&codes, grid)?));
        Some(match pictures {
            Ok(pictures) => pictures.into_iter().zip(captions).map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
    });
    Ok((count, Box::new(batches.flatten())))
}

/// Ids and captions to draw.
fn asked(args: &ScoreArgs, bundle: &Bundle) -> Result<Vec<(Vec<u32>, Option<String>)>> {
    if bundle.model.gpt().config().total_text() == 0 {
        let Some(n) = args.judge.n else {
            return Err(Error::config("--n: how many pictures shall a model without text draw?"));
        };
        return Ok(vec![(Vec::new(), None); n]);
    }
    let Some(path) = &args.what.tokens else {
        return Err(Error::config("--tokens: the captions to draw are missing")
            .with_hint("give token shards, or --pictures for pictures that are there"));
    };
    let expected = expected(bundle, args.run()?);
    let mut asked = Vec::new();
    for placed in rows::read(path, &args.filter()?, &expected, args.what.rows)? {
        let row = placed?.row;
        if let Some(ids) = row.text_ids {
            asked.push((ids, row.caption));
        }
    }
    if asked.is_empty() {
        return Err(Error::data(path, "no captions to draw"));
    }
    Ok(asked)
}
