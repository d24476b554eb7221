//! The config of `pipeline score`: which models, what goes in, what comes out, and which vectors are compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::preset::Preset;
use crate::picture::Resampling;
use crate::{Error, Result};

/// `score.toml`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreConfig {
    /// The shards.
    pub input: InputConfig,
    /// The models by a name of your own; they run in the order of the names.
    pub models: BTreeMap<String, ModelConfig>,
    /// Columns of the cosine of two vectors, by their names.
    pub cosine: BTreeMap<String, Cosine>,
    /// The new shards.
    pub output: OutputConfig,
    /// This machine.
    pub run: RunConfig,
}

/// `[input]`: pair shards, or for models of text any table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputConfig {
    /// A folder, a bucket, or a single Parquet file.
    pub path: String,
}

/// `[models.NAME]`: an ONNX model of one input, a picture or a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// The file. Its data may lie in further files beside it, as ONNX allows.
    pub path: String,
    /// What is known of a model: `open-nsfw`, `clip-image`, `clip-text`. It stands for the sections below that are not
    /// there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// A picture goes in, made in this way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageInput>,
    /// A text goes in, made in this way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<TextInput>,
    /// What becomes a column.
    pub columns: Vec<Column>,
    /// Rows that the model takes at a time. A model exported for one cannot take more.
    pub batch: usize,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self { path: String::new(), preset: None, image: None, text: None, columns: Vec::new(), batch: 1 }
    }
}

/// How a picture becomes a tensor of `f32`: resized, cropped to a square, then `(value · scale − mean) / std` per channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageInput {
    /// Side of the square in pixels.
    pub size: u32,
    /// Side to which the picture is resized before it is cropped; 0: `size`.
    pub resize_to: u32,
    /// How it is resized.
    pub resize: Resize,
    /// The filter, as Pillow has it.
    pub filter: Resampling,
    /// Quality of a JPEG that the resized picture is stored as and read from, for models that were trained on such; 0: it
    /// is not.
    pub jpeg_quality: u8,
    /// Factor of the values, which are 0 to 255.
    pub scale: f32,
    /// Taken off, per channel in the order of `channels`.
    pub mean: [f32; 3],
    /// Divided by, likewise.
    pub std: [f32; 3],
    /// Order of the channels.
    pub channels: Channels,
    /// Order of the axes.
    pub layout: Layout,
}

impl Default for ImageInput {
    /// ImageNet's square of 224 pixels, cut from a shorter side of 256, with torchvision's mean and deviation
    /// (`references/classification/presets.py`).
    fn default() -> Self {
        Self {
            size: 224,
            resize_to: 256,
            resize: Resize::ShorterSide,
            filter: Resampling::Bilinear,
            jpeg_quality: 0,
            scale: 1.0 / 255.0,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            channels: Channels::Rgb,
            layout: Layout::Nchw,
        }
    }
}

/// How a picture is resized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// The shorter side becomes `resize_to`; the middle is cut out.
    #[default]
    ShorterSide,
    /// Both sides become `resize_to`, whatever the aspect; the middle is cut out.
    Stretch,
}

/// Order of the channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red: Caffe, OpenCV.
    Bgr,
}

/// Order of the axes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Batch, channel, row, column: PyTorch.
    #[default]
    Nchw,
    /// Batch, row, column, channel: TensorFlow.
    Nhwc,
}

/// How a text becomes a row of ids. An input of the model whose name begins with `attention` gets 1 for each id and 0 for
/// padding, the other one gets the ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextInput {
    /// The text's column.
    pub column: String,
    /// Hugging Face's `tokenizer.json`, which also says what is put before and behind a text.
    pub tokenizer: String,
    /// Ids in a row: longer texts are cut, shorter ones padded.
    pub length: usize,
    /// The padding.
    pub pad: u32,
}

impl Default for TextInput {
    /// CLIP's 77 ids with zeros behind (`clip.tokenize`).
    fn default() -> Self {
        Self { column: "caption".into(), tokenizer: String::new(), length: 77, pad: 0 }
    }
}

/// A column of the output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Column {
    /// Its name; a column of that name that the table has is replaced.
    pub name: String,
    /// Name of the model's output; empty: the first.
    pub output: String,
    /// What is taken of it.
    pub take: Take,
    /// What is done to the whole output before.
    pub activation: Activation,
    /// Whether it is stored, not only compared.
    pub store: bool,
}

impl Default for Column {
    fn default() -> Self {
        let (take, activation) = (Take::Word(TakeWord::Scalar), Activation::None);
        Self { name: String::new(), output: String::new(), take, activation, store: true }
    }
}

/// What of an output becomes the value: `"scalar"` (there is one number), `"vector"` (all), or the number of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Take {
    /// The entry of this number.
    Index(usize),
    /// The only one, or all.
    Word(TakeWord),
}

/// A word for what is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TakeWord {
    /// The only entry.
    Scalar,
    /// All of them.
    Vector,
}

/// What turns logits into probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// The exponentials, divided by their sum.
    Softmax,
    /// Each by itself.
    Sigmoid,
}

/// `[cosine.NAME]`: the cosine of the angle between two vectors, as CLIP compares a picture with a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cosine {
    /// Two columns of vectors, of models or of the table.
    pub of: [String; 2],
}

/// `[output]`: the new shards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// A folder or a bucket.
    pub path: String,
}

/// `[run]`: this machine; nothing here changes a byte of the output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Threads; 0: one per core.
    pub threads: usize,
}

/// What goes into a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ModelInput {
    Image(ImageInput),
    Text(TextInput),
}

impl ModelConfig {
    /// What goes in, the preset's where the config does not say; `name` is that of the model.
    pub(super) fn input(&self, name: &str) -> Result<ModelInput> {
        let wrong = |message: &str| Err(Error::config(format!("models.{name}"), message));
        match (&self.image, &self.text, self.preset) {
            (Some(_), Some(_), _) => {
                wrong("has an image section and a text section: a model takes one of them")
            }
            (Some(image), None, _) => Ok(ModelInput::Image(image.clone())),
            (None, Some(text), _) => Ok(ModelInput::Text(text.clone())),
            (None, None, Some(preset)) => Ok(preset.input()),
            (None, None, None) => wrong("has neither a preset nor an image or text section"),
        }
    }

    /// The columns, the preset's where the config does not say.
    pub(super) fn columns(&self, name: &str) -> Result<Vec<Column>> {
        match (self.columns.as_slice(), self.preset) {
            ([], Some(preset)) => Ok(vec![preset.column(name)]),
            ([], None) => Err(Error::config(format!("models.{name}.columns"), "names no column")),
            (columns, _) => Ok(columns.to_vec()),
        }
    }
}

impl ScoreConfig {
    /// Refuses what cannot work, naming the key.
    pub fn validate(&self) -> Result<()> {
        if self.input.path.is_empty() {
            let error = Error::config("input.path", "no shards given");
            return Err(
                error.with_hint("pipeline score data/pairs --open-nsfw open_nsfw.onnx --out data/scored")
            );
        }
        if self.output.path.is_empty() {
            return Err(
                Error::config("output.path", "no output folder given").with_hint("add --out data/scored")
            );
        }
        if self.models.is_empty() && self.cosine.is_empty() {
            return Err(Error::config("models", "no model given").with_hint("--open-nsfw open_nsfw.onnx"));
        }
        for (name, model) in &self.models {
            let key = |key: &str| format!("models.{name}.{key}");
            if model.path.is_empty() {
                return Err(Error::config(key("path"), "no model file given"));
            }
            if model.batch == 0 {
                return Err(Error::config(key("batch"), "must be at least 1"));
            }
            match model.input(name)? {
                ModelInput::Image(image) => image.validate(&key("image"))?,
                ModelInput::Text(text) => text.validate(&key("text"))?,
            }
        }
        self.names().map(|_| ())
    }

    /// Names of all new columns, each once.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        for (name, model) in &self.models {
            names.extend(model.columns(name)?.into_iter().map(|column| column.name));
        }
        names.extend(self.cosine.keys().cloned());
        match names.iter().enumerate().find(|(i, name)| name.is_empty() || names[..*i].contains(name)) {
            Some((_, name)) if name.is_empty() => Err(Error::config("models", "a column has no name")),
            Some((_, name)) => Err(Error::config("models", format!("two columns are called `{name}`"))),
            None => Ok(names),
        }
    }
}

impl ImageInput {
    fn validate(&self, key: &str) -> Result<()> {
        let wrong = |name: &str, message: &str| Err(Error::config(format!("{key}.{name}"), message));
        match self {
            _ if !(1..=4096).contains(&self.size) => wrong("size", "lies between 1 and 4096"),
            _ if self.resize_to > 4096 || self.resize_to != 0 && self.resize_to < self.size => {
                wrong("resize_to", "lies between size and 4096")
            }
            _ if self.std.contains(&0.0) => wrong("std", "is not 0"),
            _ if self.jpeg_quality > 100 => wrong("jpeg_quality", "lies between 0 and 100"),
            _ => Ok(()),
        }
    }
}

impl TextInput {
    fn validate(&self, key: &str) -> Result<()> {
        match self {
            _ if self.tokenizer.is_empty() => {
                let error = Error::config(format!("{key}.tokenizer"), "no tokenizer given");
                Err(error.with_hint("the tokenizer.json that belongs to the model"))
            }
            _ if self.length == 0 => Err(Error::config(format!("{key}.length"), "must be at least 1")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    fn fault(sets: &[&str]) -> String {
        let base = ["input.path=a", "output.path=b"];
        let sets: Vec<String> = base.iter().chain(sets).map(|set| (*set).to_owned()).collect();
        let config = settings::load::<ScoreConfig>(None, &sets);
        config.and_then(|config| config.validate()).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_work_is_named() {
        assert_eq!(fault(&[]), "models: no model given");
        assert_eq!(fault(&["models.m.batch=2"]), "models.m.path: no model file given");
        let model = "models.m.path=m.onnx";
        assert!(fault(&[model]).starts_with("models.m: has neither a preset nor"));
        assert!(fault(&[model, "models.m.image.size=0"]).starts_with("models.m.image.size: "));
        assert!(fault(&[model, "models.m.image.resize_to=100"]).starts_with("models.m.image.resize_to: "));
        assert_eq!(fault(&[model, "models.m.image.size=9"]), "models.m.columns: names no column");
        assert_eq!(
            fault(&[model, "models.m.preset=clip-text"]),
            "models.m.text.tokenizer: no tokenizer given"
        );
        let preset = "models.m.preset=open-nsfw";
        assert_eq!(fault(&[model, preset, "models.m.batch=0"]), "models.m.batch: must be at least 1");
        let twice = ["models.n.path=n.onnx", "models.n.preset=open-nsfw", r#"models.n.columns=[{name="m"}]"#];
        assert_eq!(
            fault(&[[model, preset].as_slice(), &twice].concat()),
            "models: two columns are called `m`"
        );
        assert!(fault(&[model, "models.m.columns=[{name=\"x\",take=\"first\"}]"]).contains("models.m"));
    }

    #[test]
    fn a_section_of_its_own_stands_for_the_presets() {
        let sets = ["models.m.preset=clip-image", "models.m.image.size=336"].map(str::to_owned);
        let config: ScoreConfig = settings::load(None, &sets).unwrap();
        let ModelInput::Image(image) = config.models["m"].input("m").unwrap() else { panic!("no image") };
        assert_eq!(image, ImageInput { size: 336, ..ImageInput::default() });
        assert_eq!(config.models["m"].columns("m").unwrap()[0].name, "m");
    }

    #[test]
    fn the_shipped_configuration_is_complete() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/score.toml");
        let config: ScoreConfig = settings::load(Some(&path), &[]).unwrap();
        config.validate().unwrap();
        let whole =
            ScoreConfig { models: BTreeMap::new(), cosine: BTreeMap::new(), ..ScoreConfig::default() };
        let text = std::fs::read_to_string(path).unwrap();
        for section in toml::Table::try_from(&whole).unwrap().keys() {
            assert!(text.contains(&format!("[{section}")), "[{section}] is not in configs/score.toml");
        }
        let image = toml::Table::try_from(ImageInput::default()).unwrap();
        let parts = [image, toml::Table::try_from(TextInput::default()).unwrap()];
        for key in parts.iter().flat_map(toml::Table::keys) {
            assert!(text.contains(&format!("{key} = ")), "{key} is not in configs/score.toml");
        }
    }
}
