//! The published models by name: `configs/models/*.toml`, in the program itself so that a name works everywhere.

use std::path::Path;

use burn::tensor::Device;
use pipeline::settings;
use tokenize::checkpoint::Checkpoint;

use crate::error::{Error, Result};
use crate::model::ModelConfig;
use crate::weights::{KeyNames, Misfit, Parameter, parameters};

/// A published model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// What the user types.
    pub name: &'static str,
    /// Its `model.toml`, each number with its source.
    pub text: &'static str,
}

macro_rules! preset {
    ($name:literal) => {
        Preset { name: $name, text: include_str!(concat!("../../configs/models/", $name, ".toml")) }
    };
}

/// All presets, by family and size.
pub const PRESETS: [Preset; 14] = [
    preset!("imagegpt-small"),
    preset!("imagegpt-medium"),
    preset!("imagegpt-large"),
    preset!("openai-dalle"),
    preset!("rudalle-malevich-v2"),
    preset!("rudalle-malevich-v3"),
    preset!("rudalle-emojich"),
    preset!("rudalle-surrealist"),
    preset!("rudalle-kandinsky"),
    preset!("rudolph-350m-v1"),
    preset!("rudolph-350m-v2"),
    preset!("rudolph-1.3b"),
    preset!("rudolph-2.7b"),
    preset!("rudolph-2.7b-fbc2"),
];

impl Preset {
    /// The hyper-parameters.
    ///
    /// # Errors
    /// None: a test reads every preset.
    pub fn config(&self) -> Result<ModelConfig> {
        ModelConfig::parse(self.text, &format!("preset {}", self.name))
    }

    /// What the model is: the first line of its file.
    pub fn about(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches(['#', ' '])
    }
}

/// The hyper-parameters that `--model` names: a preset or a TOML file.
///
/// # Errors
/// Neither, with the nearest name; a file that is no model's.
pub fn named(name: &str) -> Result<ModelConfig> {
    if let Some(preset) = PRESETS.iter().find(|preset| preset.name == name) {
        return preset.config();
    }
    if Path::new(name).is_file() {
        return ModelConfig::read(Path::new(name));
    }
    let names = PRESETS.map(|preset| preset.name);
    let error = Error::config(format!("--model: {name} is neither a preset nor a file"));
    Err(match settings::suggest(name, &names) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint("`train show --models` lists the presets"),
    })
}

/// What a checkpoint of a model holds. No weight is made for it.
pub fn wanted(config: &ModelConfig) -> Vec<Parameter> {
    parameters(&config.gpt().init(&Device::flex()), config.names())
}

/// The presets that a checkpoint's keys and shapes fit.
pub fn fitting(file: &Checkpoint, names: KeyNames) -> Vec<(Preset, ModelConfig)> {
    let file = &file.clone().renamed(|key| names.canonical(key));
    let fits = |preset: &Preset| {
        let config = preset.config().ok().filter(|config| config.names() == names)?;
        // What is quick to see first: most presets differ in it.
        let key = names.published("to_logits.1.weight");
        let (gpt, shape) = (config.gpt(), file.shape(&key)?);
        let likely = shape.get(1) == Some(&gpt.dim) && layers(file, names) == gpt.layers;
        (likely && Misfit::find(file, &wanted(&config)).is_none()).then_some((*preset, config))
    };
    PRESETS.iter().filter_map(fits).collect()
}

/// How many layers the keys name.
pub fn layers(file: &Checkpoint, names: KeyNames) -> usize {
    let first = "transformer.layers.0.input_layernorm.weight";
    (0..)
        .take_while(|index| {
            file.shape(&names.published(&first.replace(".0.", &format!(".{index}.")))).is_some()
        })
        .count()
}

/// Why a checkpoint does not fit a model with key names `wanted`, where the whole file tells: it is another model's.
pub fn likely(file: &Checkpoint, wanted: KeyNames) -> Option<String> {
    let found = KeyNames::of(&file.keys().collect::<Vec<_>>())?;
    if found != wanted {
        return Some(format!("keys of {}, not of {}", found.model(), wanted.model()));
    }
    let names: Vec<&str> = fitting(file, found).iter().map(|(preset, _)| preset.name).collect();
    (!names.is_empty()).then(|| format!("it fits the preset {}", names.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpt::GptConfig;
    use crate::model::ModelKind;

    /// The same sum by hand: `models.md` §§1a, 3a, 4a.
    fn by_hand(gpt: &GptConfig, kind: ModelKind) -> usize {
        let (d, text) = (gpt.dim, gpt.left + gpt.right > 0);
        let linear = 12 * d * d + 9 * d;
        let head = (gpt.total_text() + gpt.total_image()) * d;
        if kind == ModelKind::ImageGpt {
            let tables = (gpt.image_vocab + 1 + gpt.grid * gpt.grid) * d;
            return gpt.layers * (linear + 2 * d) + d + tables + head;
        }
        let positions = |n: usize| if n > 0 { (n + 1) * d } else { 0 };
        let tables = (gpt.total_text() + gpt.total_image() + 2 * gpt.grid) * d;
        assert!(text);
        // Layer norms: two or, with the sandwich, four in a layer, and one or two after them.
        let (inside, after) = (if gpt.sandwich { 4 } else { 2 }, if gpt.head_norm { 2 } else { 1 });
        gpt.layers * (linear + inside * 2 * d)
            + after * 2 * d
            + tables
            + positions(gpt.left)
            + positions(gpt.right)
            + head
            + gpt.total_text()
            + gpt.total_image()
    }

    #[test]
    fn presets_have_the_published_numbers_of_parameters() {
        // Millions; the papers' ImageGPTs have no biases, which Hugging Face stores as zeros.
        let published = [
            ("imagegpt-small", 76.57),
            ("imagegpt-medium", 455.16),
            ("imagegpt-large", 1362.25),
            ("rudalle-malevich-v2", 1310.4),
            ("rudalle-malevich-v3", 1310.4),
            ("rudalle-emojich", 1310.4),
            ("rudalle-surrealist", 1310.4),
            ("rudalle-kandinsky", 11519.3),
            ("rudolph-350m-v1", 353.1),
            ("rudolph-350m-v2", 354.6),
            ("rudolph-1.3b", 1319.3),
            ("rudolph-2.7b", 2657.7),
            ("rudolph-2.7b-fbc2", 2657.7),
        ];
        for preset in &PRESETS {
            let config = preset.config().unwrap();
            let (gpt, kind) = (config.gpt(), config.kind());
            gpt.validate().unwrap();
            let count: usize = wanted(&config).iter().map(Parameter::elements).sum();
            assert_eq!(count, by_hand(&gpt, kind), "{}", preset.name);
            let biases = if kind == ModelKind::ImageGpt { gpt.layers * 9 * gpt.dim } else { 0 };
            let millions = (count - biases) as f64 / 1e6;
            match published.iter().find(|(name, _)| *name == preset.name) {
                Some((name, wanted)) => assert!((millions - wanted).abs() <= 0.05, "{name}: {millions}"),
                // "12 billion" is all that is published of OpenAI's.
                None => assert!((11_500.0..12_500.0).contains(&millions), "{}: {millions}", preset.name),
            }
        }
    }

    #[test]
    fn a_name_is_a_preset_or_a_file() {
        assert_eq!(named("rudolph-350m-v2").unwrap().gpt().total_text(), 16832);
        let error = named("rudolf-350m-v2").unwrap_err();
        assert_eq!(error.hint().unwrap(), "did you mean `rudolph-350m-v2`?");
        assert!(error.to_string().contains("neither a preset nor a file"));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.toml");
        pipeline::atomic::write(&path, "kind = \"imagegpt\"\nlayers = 3").unwrap();
        assert_eq!(named(path.to_str().unwrap()).unwrap().gpt().layers, 3);
    }
}
