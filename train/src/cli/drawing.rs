//! What the commands that draw have in common: flags, memory, ranking, and what is written.

use std::path::Path;

use clap::Args;
use pipeline::cli::{Common, print};
use pipeline::picture::Picture;
use pipeline::progress::Progress;
use serde_json::{Map, Value, json};

use super::sampling::SamplingArgs;
use crate::bundle::{Bundle, Drawn, Sampling, select};
use crate::draw::{Drawing, Draws, draw};
use crate::machine;
use crate::model::{ModelKind, TokenModel};
use crate::run::{png, save_grid};
use crate::sampling::{GuidanceForm, Preset};
use crate::{Error, Result};

/// How pictures are drawn.
#[derive(Args, Debug)]
pub(super) struct DrawingArgs {
    /// The authors' top-k and top-p [default: the model's own]
    #[arg(long, value_enum, value_name = "NAME", help_heading = "Sampling")]
    preset: Option<Preset>,
    /// What `--guidance` is a number for: `logits`, or RuDOLPH's `mix` and `late-softmax` (there 0.2 if it is left out)
    #[arg(long, value_enum, value_name = "FORM", help_heading = "Sampling", hide_possible_values = true)]
    guidance_form: Option<GuidanceForm>,
    /// Memory to use; a batch that needs more is split [default: what is free, on cpu]
    #[arg(long, value_name = "GiB")]
    memory: Option<f64>,
    #[command(flatten)]
    pub(super) sampling: SamplingArgs,
}

impl DrawingArgs {
    /// Checks what the flags' types cannot.
    pub(super) fn check(&self, keep: usize, candidates: Option<usize>) -> Result<()> {
        if keep == 0 {
            return Err(Error::config("--n: must be at least 1"));
        }
        if let Some(candidates) = candidates.filter(|candidates| *candidates < keep) {
            let why = format!("--candidates: {candidates} are fewer than the {keep} to keep");
            return Err(Error::config(why).with_hint(format!("at least {keep}, or a lower `--n`")));
        }
        match self.memory.filter(|gib| !(*gib > 0.0 && gib.is_finite())) {
            Some(gib) => Err(Error::config(format!("--memory: {gib} is not above 0"))),
            None => Ok(()),
        }
    }

    /// The flags over the preset, and the preset over what suits the model.
    fn how(&self, kind: ModelKind) -> Sampling {
        let usual = match kind {
            ModelKind::Rudolph => Preset::Rudolph,
            ModelKind::Dalle => Preset::Kandinsky,
            ModelKind::ImageGpt => Preset::ImageGpt,
        };
        let mut defaults = self.preset.unwrap_or(usual).config();
        if let Some(form) = self.guidance_form {
            (defaults.guidance_form, defaults.guidance) = (form, form.usual());
        }
        self.sampling.over(defaults)
    }

    /// Bytes that may be used, where they are known.
    fn available(&self) -> Option<u64> {
        let said = self.memory.map(|gib| (gib * f64::from(1 << 30)) as u64);
        said.or_else(|| (self.sampling.device == "cpu").then(machine::free_memory).flatten())
    }
}

/// One thing to draw.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) prompt: String,
    /// Codes that are given, by their places.
    pub(super) given: Vec<(usize, u16)>,
}

/// All that is to be drawn, and where it goes.
pub(super) struct Work<'a> {
    pub(super) bundle: &'a Bundle,
    pub(super) requests: Vec<Request>,
    /// Drawings of each request.
    pub(super) candidates: usize,
    /// How many of them are kept.
    pub(super) keep: usize,
    pub(super) args: &'a DrawingArgs,
    pub(super) out: &'a Path,
    pub(super) common: &'a Common,
}

impl Work<'_> {
    /// Draws, ranks and decodes.
    pub(super) fn draw(&self) -> Result<(Vec<Drawn>, Vec<Picture>)> {
        self.say_what_is_odd();
        let mut how = self.args.how(self.bundle.model.config_of().kind());
        let drawings = self.drawings();
        let decoding = self.fit(&mut how, drawings.len());
        let codes = drawings.len() * self.bundle.model.gpt().config().segments().image();
        let progress = Progress::start(self.common.progress_style(), "code", Some(codes as u64), 0);
        let mut on_step = |done: usize| progress.set(done as u64);
        let codes = draw(&self.bundle.model, &drawings, &how.config, how.batch, &mut on_step)?;
        progress.finish();
        let counts = (self.candidates, self.keep);
        let drawn = select(&self.bundle.model, &drawings, codes, counts, how.batch)?;
        let pictures = self.bundle.pictures(&drawn, decoding)?;
        Ok((drawn, pictures))
    }

    fn drawings(&self) -> Vec<Drawing> {
        let repeated = self.requests.iter().flat_map(|request| {
            let text = self.bundle.ids(&request.prompt);
            std::iter::repeat_n((text, request.given.clone()), self.candidates)
        });
        repeated.zip(0..).map(|((text, given), stream)| Drawing { text, given, stream }).collect()
    }

    /// How many prompts do not fit into the model's text.
    fn cut(&self) -> usize {
        self.requests.iter().filter(|request| self.bundle.is_cut(&request.prompt)).count()
    }

    fn say_what_is_odd(&self) {
        let (cut, all) = (self.cut(), self.requests.len());
        if cut > 0 {
            let places = self.bundle.model.gpt().config().left;
            self.common.say(&format!(
                "{cut} of {all} prompts do not fit into the model's text of {places} positions and are cut"
            ));
        }
        let empty =
            self.requests.iter().filter(|request| self.bundle.ids(&request.prompt).is_empty()).count();
        if empty > 0 && self.bundle.bpe.is_some() {
            self.common.say(&format!("{empty} of {all} prompts are empty: nothing is said of what to draw"));
        }
    }

    /// Splits the batch where memory is short, and gives how many pictures may be decoded at a time.
    fn fit(&self, how: &mut Sampling, drawings: usize) -> usize {
        let (footprint, wanted) =
            (self.bundle.footprint(how.config.is_guided()), how.batch.clamp(1, drawings.max(1)));
        let available = self.args.available();
        how.batch = available.map_or(wanted, |bytes| footprint.fitting(wanted, bytes));
        self.common.say(&footprint.words(how.batch, available));
        if how.batch < wanted {
            self.common.say(&format!("{} at a time and not {wanted}, to fit into memory", how.batch));
        }
        if available.is_some_and(|bytes| footprint.batch(how.batch) > bytes) {
            self.common.say("even one drawing may not fit into memory; it is tried all the same");
        }
        available.map_or(how.batch, |bytes| footprint.decoding(how.batch, bytes))
    }

    /// Writes the pictures and says where; `more` adds fields to the record of a drawing.
    pub(super) fn write(
        &self,
        drawn: &[Drawn],
        pictures: &[Picture],
        more: impl Fn(usize) -> Map<String, Value>,
    ) -> Result<()> {
        if is_folder(self.out) {
            return self.write_folder(drawn, pictures, more);
        }
        save_grid(pictures, self.keep, self.out)?;
        let out = self.out.display().to_string();
        if !self.common.json {
            print(&out)?;
            return Ok(());
        }
        let record = |at: usize| self.record(&drawn[at], more(at));
        let drawings = (0..drawn.len()).map(record).collect::<Vec<_>>();
        let record = json!({
            "type": "drawing", "version": 1, "file": out, "prompts": self.prompts(), "n": self.keep,
            "seed": self.args.sampling.seed, "truncated": self.cut(),
            "drawings": drawings,
        });
        Ok(print(&record.to_string())?)
    }

    fn write_folder(
        &self,
        drawn: &[Drawn],
        pictures: &[Picture],
        more: impl Fn(usize) -> Map<String, Value>,
    ) -> Result<()> {
        let keys = (0..drawn.len()).map(|at| format!("{at:05}")).collect::<Vec<_>>();
        let table = self.out.join("drawings.parquet");
        let seed = self.args.sampling.seed;
        self.bundle.save_drawings(drawn, (&keys, &self.prompts()), seed, &table)?;
        for (at, picture) in pictures.iter().enumerate() {
            let file = self.out.join(format!("{}.png", keys[at]));
            pipeline::atomic::write(&file, png(picture)?)?;
            let file = file.display().to_string();
            if self.common.json {
                let mut record = self.record(&drawn[at], more(at));
                record.extend([
                    ("type".to_owned(), "drawing".into()),
                    ("version".to_owned(), 1.into()),
                    ("file".to_owned(), file.into()),
                    ("seed".to_owned(), seed.into()),
                ]);
                print(&Value::from(record).to_string())?;
            } else {
                print(&file)?;
            }
        }
        self.common.say(&format!("{}: codes and scores", table.display()));
        Ok(())
    }

    fn prompts(&self) -> Vec<String> {
        self.requests.iter().map(|request| request.prompt.clone()).collect()
    }

    fn record(&self, drawn: &Drawn, more: Map<String, Value>) -> Map<String, Value> {
        let prompt = &self.requests[drawn.prompt].prompt;
        let mut record = Map::new();
        record.insert("prompt".to_owned(), prompt.clone().into());
        record.insert("truncated".to_owned(), self.bundle.is_cut(prompt).into());
        record.insert("stream".to_owned(), drawn.stream.into());
        if let Some(score) = drawn.score {
            record.insert("score".to_owned(), score.score.into());
            record.insert("text_perplexity".to_owned(), score.text.into());
            record.insert("image_perplexity".to_owned(), score.image.into());
        }
        record.extend(more);
        record
    }
}

/// A folder that is there, or a name that ends like one.
fn is_folder(out: &Path) -> bool {
    out.is_dir() || out.to_string_lossy().ends_with('/')
}
