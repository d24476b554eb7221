//! A token model of any kind: what the folder of a finished model holds.

use std::path::Path;

use burn::tensor::Device;
use pipeline::settings;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::dalle::{Dalle, DalleConfig};
use crate::draw::Draws;
use crate::error::{Error, Result};
use crate::gpt::{Framed, Gpt};
use crate::image_gpt::{ImageGpt, ImageGptConfig};
use crate::rudolph::{Rudolph, RudolphConfig};
use crate::weights::KeyNames;

/// Which model it is: the key `kind` of `model.toml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// Text, image, text. Folders of before there were others do not name it.
    #[default]
    Rudolph,
    /// Text, image.
    Dalle,
    /// Pixels.
    ImageGpt,
}

impl ModelKind {
    /// Every kind, by its name.
    pub const ALL: [(&str, Self); 3] =
        [("rudolph", Self::Rudolph), ("dalle", Self::Dalle), ("imagegpt", Self::ImageGpt)];

    /// Its name in `model.toml`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rudolph => "rudolph",
            Self::Dalle => "dalle",
            Self::ImageGpt => "imagegpt",
        }
    }
}

/// The hyper-parameters of a model of any kind.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelConfig {
    /// Of RuDOLPH.
    Rudolph(RudolphConfig),
    /// Of DALL·E.
    Dalle(DalleConfig),
    /// Of ImageGPT.
    ImageGpt(ImageGptConfig),
}

impl ModelConfig {
    /// Which model it is.
    pub const fn kind(&self) -> ModelKind {
        match self {
            Self::Rudolph(_) => ModelKind::Rudolph,
            Self::Dalle(_) => ModelKind::Dalle,
            Self::ImageGpt(_) => ModelKind::ImageGpt,
        }
    }

    /// Reads `model.toml`.
    ///
    /// # Errors
    /// The file cannot be read, or it holds what its kind has not.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// The same from its text; `file` is how errors name it.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            kind: Option<Spanned<String>>,
        }
        // What is no TOML at all gets its place from the typed reading below.
        let kind = toml::from_str::<Head>(text).ok().and_then(|head| head.kind);
        let Some(kind) = kind else { return Ok(Self::Rudolph(settings::parse(text, file)?)) };
        let names = ModelKind::ALL.map(|(name, _)| name);
        let Some((_, known)) = ModelKind::ALL.iter().find(|(name, _)| name == kind.get_ref()) else {
            let why = format!("{file}: unknown kind {:?}; known: {}", kind.get_ref(), names.join(", "));
            return Err(match settings::suggest(kind.get_ref(), &names) {
                Some(near) => Error::config(why).with_hint(format!("did you mean `{near}`?")),
                None => Error::config(why),
            });
        };
        // Blanks in place of the line keep the lines and columns of the others.
        let start = text[..kind.span().start].rfind('\n').map_or(0, |at| at + 1);
        let rest =
            format!("{}{}{}", &text[..start], " ".repeat(kind.span().end - start), &text[kind.span().end..]);
        Ok(match known {
            ModelKind::Rudolph => Self::Rudolph(settings::parse(&rest, file)?),
            ModelKind::Dalle => Self::Dalle(settings::parse(&rest, file)?),
            ModelKind::ImageGpt => Self::ImageGpt(settings::parse(&rest, file)?),
        })
    }

    /// The text of `model.toml`, every key written out.
    ///
    /// # Errors
    /// Never for what [`Self::read`] accepts.
    pub fn to_toml(&self) -> Result<String> {
        let rest = match self {
            Self::Rudolph(config) => settings::to_toml(config),
            Self::Dalle(config) => settings::to_toml(config),
            Self::ImageGpt(config) => settings::to_toml(config),
        };
        Ok(format!("kind = \"{}\"\n{}", self.kind().name(), rest?))
    }

    /// Whose key names its checkpoints have.
    pub fn names(&self) -> KeyNames {
        match self {
            Self::Rudolph(_) => KeyNames::Rudolph,
            Self::Dalle(config) => config.key_names(),
            Self::ImageGpt(_) => KeyNames::ImageGpt,
        }
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`Error::Config`] with the key and the reason.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Rudolph(config) => config.validate(),
            Self::Dalle(config) => config.validate(),
            Self::ImageGpt(config) => config.validate(),
        }
    }

    /// The core's configuration.
    pub fn gpt(&self) -> crate::gpt::GptConfig {
        match self {
            Self::Rudolph(config) => config.gpt(),
            Self::Dalle(config) => config.gpt(),
            Self::ImageGpt(config) => config.gpt(),
        }
    }

    /// The model with weights from a file under its published key names.
    ///
    /// # Errors
    /// The configuration is not valid, or the file does not hold exactly its weights.
    pub fn load(&self, weights: &Path, device: &Device) -> Result<Model> {
        Ok(match self {
            Self::Rudolph(config) => Model::Rudolph(Rudolph::load(config, weights, device)?),
            Self::Dalle(config) => Model::Dalle(Dalle::load(config, weights, device)?),
            Self::ImageGpt(config) => Model::ImageGpt(ImageGpt::load(config, weights, device)?),
        })
    }
}

/// A model of any kind.
#[derive(Debug)]
pub enum Model {
    /// RuDOLPH.
    Rudolph(Rudolph),
    /// DALL·E.
    Dalle(Dalle),
    /// ImageGPT.
    ImageGpt(ImageGpt),
}

impl Model {
    fn any(&self) -> &dyn TokenModel {
        match self {
            Self::Rudolph(model) => model,
            Self::Dalle(model) => model,
            Self::ImageGpt(model) => model,
        }
    }
}

impl Draws for Model {
    fn gpt(&self) -> &Gpt {
        self.any().gpt()
    }

    fn asks(&self, text: &[u32]) -> Option<Framed> {
        self.any().asks(text)
    }

    fn asks_nothing(&self) -> Option<Framed> {
        self.any().asks_nothing()
    }
}

impl TokenModel for Model {
    fn config_of(&self) -> ModelConfig {
        self.any().config_of()
    }

    fn save_to(&self, path: &Path) -> Result<()> {
        self.any().save_to(path)
    }
}

/// What every kind of model can be asked; a trained model and [`Model`] have it.
pub trait TokenModel: Draws {
    /// The hyper-parameters, with their kind.
    fn config_of(&self) -> ModelConfig;

    /// Writes safetensors with the published key names.
    ///
    /// # Errors
    /// The file cannot be written.
    fn save_to(&self, path: &Path) -> Result<()>;
}

impl TokenModel for Rudolph {
    fn config_of(&self) -> ModelConfig {
        ModelConfig::Rudolph(self.config().clone())
    }

    fn save_to(&self, path: &Path) -> Result<()> {
        self.save(path)
    }
}

impl TokenModel for Dalle {
    fn config_of(&self) -> ModelConfig {
        ModelConfig::Dalle(self.config().clone())
    }

    fn save_to(&self, path: &Path) -> Result<()> {
        self.save(path)
    }
}

impl TokenModel for ImageGpt {
    fn config_of(&self) -> ModelConfig {
        ModelConfig::ImageGpt(self.config().clone())
    }

    fn save_to(&self, path: &Path) -> Result<()> {
        self.save(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_its_kind_and_comes_back() {
        let configs = [
            ModelConfig::Rudolph(crate::rudolph::tests::tiny()),
            ModelConfig::Dalle(crate::dalle::tests::tiny()),
            ModelConfig::ImageGpt(crate::image_gpt::tests::tiny()),
        ];
        for config in configs {
            let text = config.to_toml().unwrap();
            assert_eq!(ModelConfig::parse(&text, "model.toml").unwrap(), config);
        }
        let before = ModelConfig::parse("layers = 3", "model.toml").unwrap();
        assert_eq!(before.kind(), ModelKind::Rudolph);
    }

    #[test]
    fn faults_have_their_place() {
        let fault = |text: &str| ModelConfig::parse(text, "model.toml").unwrap_err();
        let unknown = fault("# a comment\nkind = 'dalle'\nlayer = 3\n");
        assert!(unknown.to_string().starts_with("model.toml:3:1: unknown key `layer`"), "{unknown}");
        assert_eq!(fault("kind = 'dale'").hint().unwrap(), "did you mean `dalle`?");
        assert!(fault("kind = 'dalle'\n = 3").to_string().starts_with("model.toml:2:2"));
    }
}
