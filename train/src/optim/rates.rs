//! `optim.rates`: which parameters learn slower, faster or not at all.

use std::collections::BTreeSet;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::OptimConfig;
use super::place::Place;
use crate::{Error, Result};

impl OptimConfig {
    /// The factor of the learning rate of the parameter with this path: those of the names on it, and those of the patterns
    /// that it matches.
    pub(crate) fn rate(&self, path: &str) -> f64 {
        let names: f64 = path.split('.').filter_map(|name| self.rates.get(name)).product();
        let patterns = self.rates.iter().filter(|(key, _)| is_pattern(key) && on_path(key, path));
        names * patterns.map(|(_, rate)| rate).product::<f64>()
    }

    /// Refuses rates that touch nothing of what is trained, and those that leave nothing to train. `paths` are those of
    /// [`paths`].
    ///
    /// # Errors
    /// Names the key, and the name that may have been meant.
    pub(crate) fn fits(&self, paths: &[String]) -> Result<()> {
        for key in self.rates.keys() {
            let touches = |path: &String| match is_pattern(key) {
                true => on_path(key, path),
                false => path.split('.').any(|name| name == key),
            };
            if !paths.iter().any(touches) {
                return Err(Error::config(format!("optim.rates.{key:?}: no parameter of the model has it"))
                    .with_hint(cure(key, paths)));
            }
        }
        if !paths.is_empty() && paths.iter().all(|path| self.rate(path) == 0.0) {
            return Err(Error::config("optim.rates: they freeze every parameter"));
        }
        Ok(())
    }

    /// The module that is to be trained: [`Self::fits`], and frozen parameters are off the graph, so that their gradients cost
    /// nothing and do not count in the norm that is clipped.
    ///
    /// # Errors
    /// As for [`Self::fits`].
    pub(crate) fn prepare<M: Module>(&self, module: M) -> Result<M> {
        self.fits(&paths(&module))?;
        Ok(self.freeze(module))
    }

    fn freeze<M: Module>(&self, module: M) -> M {
        if self.rates.values().all(|rate| *rate != 0.0) {
            return module;
        }
        module.map(&mut Freeze { place: Place::default(), config: self })
    }
}

/// The paths of a module's parameters.
pub(crate) fn paths<M: Module>(module: &M) -> Vec<String> {
    let mut collect = Paths { place: Place::default(), found: Vec::new() };
    module.visit(&mut collect);
    collect.found
}

/// Other keys are one name.
fn is_pattern(key: &str) -> bool {
    key.contains(['*', '.'])
}

/// Whether some names in a row on a path fit a pattern.
fn on_path(pattern: &str, path: &str) -> bool {
    runs(path).any(|run| matches(pattern, run))
}

/// Every run of names of a path.
fn runs(path: &str) -> impl Iterator<Item = &str> {
    let dots = || path.match_indices('.').map(|(dot, _)| dot);
    let starts = std::iter::once(0).chain(dots().map(|dot| dot + 1));
    starts.flat_map(move |start| {
        let ends = dots().filter(move |dot| *dot > start).chain([path.len()]);
        ends.map(move |end| &path[start..end])
    })
}

/// Whether a pattern is a whole text; a `*` stands for any part of it.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    let ends = text.char_indices().map(|(end, _)| end).chain([text.len()]);
    ends.into_iter().any(|end| matches(rest, &text[end..]))
}

/// What to write in place of a key that nothing has.
fn cure(key: &str, paths: &[String]) -> String {
    let names: BTreeSet<String> = match is_pattern(key) {
        false => paths.iter().flat_map(|path| path.split('.')).map(str::to_owned).collect(),
        true => paths.iter().flat_map(|path| runs(path).map(general)).collect(),
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match pipeline::settings::suggest(key, &names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let example = paths.first().map_or("", String::as_str);
            format!("a key is a name on a parameter's path, such as {example}, or a pattern of it with `*`")
        }
    }
}

/// Names with a `*` for the numbers of layers.
fn general(run: &str) -> String {
    let star = |name| if str::parse::<usize>(name).is_ok() { "*" } else { name };
    run.split('.').map(star).collect::<Vec<_>>().join(".")
}

struct Paths {
    place: Place,
    found: Vec<String>,
}

impl ModuleVisitor for Paths {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.leave();
    }

    fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
        self.found.push(self.place.path());
    }
}

struct Freeze<'a> {
    place: Place,
    config: &'a OptimConfig,
}

impl ModuleMapper for Freeze<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.leave();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.config.rate(&self.place.path()) == 0.0 {
            true => param.set_require_grad(false),
            false => param,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(rates: &[(&str, f64)]) -> OptimConfig {
        let rates = rates.iter().map(|(key, rate)| ((*key).to_owned(), *rate)).collect();
        OptimConfig { rates, ..OptimConfig::default() }
    }

    const PATHS: [&str; 3] =
        ["gpt.layers.0.attention.query.weight", "gpt.layers.11.mlp.bias", "gpt.norm.bias"];

    #[test]
    fn a_pattern_is_a_run_of_names_on_the_path() {
        let rate = |key: &str| PATHS.map(|path| config(&[(key, 0.5)]).rate(path));
        assert_eq!(rate("gpt.layers.*.attention"), [0.5, 1.0, 1.0]);
        assert_eq!(rate("*.bias"), [1.0, 0.5, 0.5]);
        assert_eq!(rate("gpt.layers.11"), [1.0, 0.5, 1.0]);
        assert_eq!(rate("gpt.layers.1"), [1.0; 3], "11 is another layer");
        assert_eq!(rate("layers.*"), [0.5, 0.5, 1.0]);
        assert_eq!(rate("layers.*.bias"), [1.0, 0.5, 1.0]);
        assert_eq!(rate("ayers.*"), [1.0; 3], "whole names");
        assert_eq!(rate("*layers*"), [0.5, 0.5, 1.0]);
        assert_eq!(rate("*"), [0.5; 3]);
        assert_eq!(rate("bias"), [1.0, 0.5, 0.5]);
        let both = config(&[("*.bias", 0.5), ("norm", 0.25)]);
        assert_eq!(both.rate(PATHS[2]), 0.125);
    }

    #[test]
    fn a_key_that_nothing_has_is_named_with_what_may_have_been_meant() {
        let paths = PATHS.map(str::to_owned);
        let fault = |rates: &[(&str, f64)]| config(rates).fits(&paths).unwrap_err();
        let error = fault(&[("atention", 0.5)]);
        assert_eq!(error.to_string(), "optim.rates.\"atention\": no parameter of the model has it");
        assert_eq!(error.hint().unwrap(), "did you mean `attention`?");
        assert_eq!(
            fault(&[("gpt.layers.*.atention", 0.5)]).hint().unwrap(),
            "did you mean `gpt.layers.*.attention`?"
        );
        assert!(fault(&[("xyzzy", 0.0)]).hint().unwrap().contains("gpt.layers.0.attention.query.weight"));
        assert!(fault(&[("*", 0.0)]).to_string().starts_with("optim.rates: they freeze every"));
        config(&[("*.bias", 0.0), ("attention", 2.0), ("gpt.layers.11", 1.0)]).fits(&paths).unwrap();
        config(&[]).fits(&paths).unwrap();
    }
}
