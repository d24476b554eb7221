//! What a bundle with a RuDOLPH says about pictures and texts, in words instead of ids.

use pipeline::picture::Picture;

use super::{Bundle, Sampling};
use crate::classify::{Classified, classify_images};
use crate::rudolph::Rudolph;
use crate::words::task::is_cut;
use crate::words::{
    Captioning, Counted, Question, Templates, TokenPair, answer, candidates, caption, count,
    left_perplexities, rank_by_image, write,
};
use crate::{Error, Result};

/// A caption with what speaks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The caption.
    pub text: String,
    /// How often it came.
    pub count: usize,
    /// The perplexity of the text.
    pub text_perplexity: f32,
    /// The perplexity of the picture after the text.
    pub image_perplexity: f32,
    /// What orders candidates, the lowest first: the ranking of both, over how often the text came.
    pub score: f32,
}

/// Classes as right texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    /// Bare BPE ids, one list for each.
    pub texts: Vec<Vec<u32>>,
    /// How many do not fit into the right text and are cut.
    pub cut: usize,
}

impl Bundle<Rudolph> {
    /// The codes of pictures of the model's image size.
    ///
    /// # Errors
    /// A picture of another size.
    pub fn codes(&self, pictures: &[Picture], batch: usize) -> Result<Vec<Vec<u16>>> {
        let mut codes = Vec::with_capacity(pictures.len());
        // A codec's activations at full size take thousands of times the memory of the codes.
        for pictures in pictures.chunks(batch.max(1)) {
            codes.extend(self.codec.encode(pictures)?);
        }
        Ok(codes)
    }

    /// The words of ids: special ids of the vocabulary and of the model are no words.
    #[must_use]
    pub fn words(&self, ids: &[u32]) -> String {
        let specials = self.bpe.as_ref().map(tokenize::bpe::Bpe::specials);
        let is_word = |id: &u32| {
            (*id as usize) < self.model.config().text_vocab
                && specials.is_none_or(|specials| !specials.has(*id))
        };
        self.text(&ids.iter().copied().filter(is_word).collect::<Vec<_>>()).trim().to_owned()
    }

    /// Captions pictures of the model's image size.
    ///
    /// # Errors
    /// A picture of another size, or a sampling setting that is not valid.
    pub fn caption(&self, pictures: &[Picture], how: &Sampling) -> Result<Vec<String>> {
        self.caption_with(pictures, how, &mut |_| ())
    }

    /// The same; `on_step` gets the captions finished so far.
    ///
    /// # Errors
    /// As for [`Bundle::caption`].
    pub fn caption_with(
        &self,
        pictures: &[Picture],
        how: &Sampling,
        on_step: &mut dyn FnMut(usize),
    ) -> Result<Vec<String>> {
        let codes = self.codes(pictures, how.batch)?;
        let images = Captioning::of_images(codes.iter().map(Vec::as_slice));
        let ids = caption(&self.model, &images, &Templates::default(), &how.config, how.batch, on_step)?;
        Ok(ids.iter().map(|ids| self.words(ids)).collect())
    }

    /// `number` captions of each image, equal ones counted; a caption begins with the words of `template`. `on_step`
    /// gets the captions drawn so far.
    ///
    /// # Errors
    /// Codes that do not fit the model, or a sampling setting that is not valid.
    pub fn candidates(
        &self,
        codes: &[Vec<u16>],
        template: &str,
        number: usize,
        how: &Sampling,
        on_step: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<Counted>>> {
        let images = Captioning::of_images(codes.iter().map(Vec::as_slice));
        let templates = Templates { left: Vec::new(), right: self.ids(template) };
        let said = candidates(&self.model, &images, &templates, number, &how.config, how.batch, on_step)?;
        Ok(said.into_iter().map(|texts| count(texts.iter().map(|ids| self.words(ids)))).collect())
    }

    /// Orders the counted captions of each image, the best first, as `image_captioning` of ruDOLPH does. `on_step` gets
    /// the captions ranked so far.
    ///
    /// # Errors
    /// Codes that do not fit the model, or NaN logits.
    pub fn rank(
        &self,
        codes: &[Vec<u16>],
        counted: &[Vec<Counted>],
        batch: usize,
        on_step: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<Candidate>>> {
        let encode =
            |counted: &Vec<Counted>| counted.iter().map(|one| self.ids(&one.text)).collect::<Vec<_>>();
        let texts = counted.iter().map(encode).collect::<Vec<_>>();
        let images = codes.iter().zip(&texts).map(|(codes, texts)| (codes.as_slice(), texts.as_slice()));
        let rankings = rank_by_image(&self.model, &images.collect::<Vec<_>>(), batch, on_step)?;
        let ranked = counted.iter().zip(rankings).map(|(counted, ranking)| {
            let candidate = |(at, one): (usize, &Counted)| Candidate {
                text: one.text.clone(),
                count: one.count,
                text_perplexity: ranking.text[at],
                image_perplexity: ranking.image[at],
                score: ranking.scores[at] / one.count as f32,
            };
            let mut candidates = counted.iter().enumerate().map(candidate).collect::<Vec<_>>();
            candidates.sort_by(|a, b| a.score.total_cmp(&b.score));
            candidates
        });
        Ok(ranked.collect())
    }

    /// The right texts of classes: `{}` in the template is the class.
    ///
    /// # Errors
    /// A template without `{}`, or a class without words.
    pub fn classes(&self, classes: &[String], template: &str) -> Result<Classes> {
        if !template.contains("{}") {
            return Err(Error::config(format!("--template: {template:?} does not say where the class goes"))
                .with_hint("write {} in its place, as in --template 'на картинке {}'"));
        }
        if let Some(place) = classes.iter().position(|class| class.trim().is_empty()) {
            return Err(Error::config(format!("class {} is empty", place + 1)));
        }
        let texts = classes.iter().map(|class| self.ids(template.replace("{}", class).trim()));
        let texts = texts.collect::<Vec<_>>();
        let (config, token) = (self.model.config(), TokenPair::caption(self.model.config()).right);
        let cut = texts.iter().filter(|ids| is_cut(ids, token, config.right)).count();
        Ok(Classes { texts, cut })
    }

    /// Classifies images by classes from [`Self::classes`].
    ///
    /// # Errors
    /// As for [`classify_images`].
    pub fn classify(
        &self,
        codes: &[Vec<u16>],
        classes: &Classes,
        batch: usize,
        on_step: &mut dyn FnMut(usize),
    ) -> Result<Vec<Classified>> {
        let images = codes.iter().map(Vec::as_slice).collect::<Vec<_>>();
        classify_images(&self.model, &images, &classes.texts, &[], batch, on_step)
    }

    /// `number` answers to each question, equal ones counted, the most frequent first.
    ///
    /// # Errors
    /// A text or codes that do not fit the model, or a sampling setting that is not valid.
    pub fn answer(
        &self,
        tokens: TokenPair,
        questions: &[Question],
        number: usize,
        how: &Sampling,
        on_step: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<Counted>>> {
        let said = answer(&self.model, tokens, questions, number, &how.config, how.batch, on_step)?;
        let counted = said.into_iter().map(|texts| {
            let mut counted = count(texts.iter().map(|ids| self.words(ids)));
            counted.sort_by_key(|one| std::cmp::Reverse(one.count));
            counted
        });
        Ok(counted.collect())
    }

    /// Continues each prompt `number` times: equal texts counted, each with its perplexity, the lowest first.
    ///
    /// # Errors
    /// A sampling setting that is not valid, or NaN logits.
    pub fn write(
        &self,
        prompts: &[String],
        number: usize,
        how: &Sampling,
        on_step: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<(Counted, f32)>>> {
        let prompts = prompts.iter().map(|prompt| self.ids(prompt.trim())).collect::<Vec<_>>();
        let said = write(&self.model, &prompts, number, &how.config, how.batch, on_step)?;
        let mut written = Vec::with_capacity(said.len());
        for texts in said {
            let counted = count(texts.iter().map(|ids| self.words(ids)));
            let ids = counted.iter().map(|one| self.ids(&one.text)).collect::<Vec<_>>();
            let perplexities = left_perplexities(&self.model, &ids, how.batch)?;
            let mut texts = counted.into_iter().zip(perplexities).collect::<Vec<_>>();
            texts.sort_by(|a, b| a.1.total_cmp(&b.1));
            written.push(texts);
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::folder::tests::bundle;
    use crate::sampling::SamplingConfig;

    #[test]
    fn pictures_are_captioned_a_batch_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let (bundle, _) = bundle(dir.path());
        let pictures = [0, 90, 200].map(|red| Picture::filled(32, 32, [red, 50, 90]));
        let steps = |batch| {
            let (how, mut steps) = (Sampling { config: SamplingConfig::text(), batch }, Vec::new());
            let captions = bundle.caption_with(&pictures, &how, &mut |done| steps.push(done)).unwrap();
            assert_eq!(captions.len(), 3);
            steps
        };
        assert_eq!([steps(2), steps(9), steps(0)], [vec![2, 3], vec![3], vec![1, 2, 3]]);
    }

    #[test]
    fn the_best_candidate_comes_first_and_counts_add_up() {
        let dir = tempfile::tempdir().unwrap();
        let (bundle, _) = bundle(dir.path());
        let pictures = [0, 90].map(|red| Picture::filled(32, 32, [red, 50, 90]));
        let codes = bundle.codes(&pictures, 2).unwrap();
        let how = Sampling { config: SamplingConfig::text(), batch: 7 };
        let counted = bundle.candidates(&codes, "red", 12, &how, &mut |_| ()).unwrap();
        for counted in &counted {
            assert_eq!(counted.iter().map(|one| one.count).sum::<usize>(), 12);
            assert!(counted.iter().all(|one| one.text.starts_with("red")), "{counted:?}");
        }
        let ranked = bundle.rank(&codes, &counted, 5, &mut |_| ()).unwrap();
        for (ranked, counted) in ranked.iter().zip(&counted) {
            assert!(ranked.is_sorted_by(|a, b| a.score <= b.score) && ranked.len() == counted.len());
        }
    }

    #[test]
    fn classes_need_words_and_a_place() {
        let dir = tempfile::tempdir().unwrap();
        let (bundle, _) = bundle(dir.path());
        let classes = ["red cat".to_owned(), "blue dog blue dog blue dog".to_owned()];
        assert_eq!(bundle.classes(&classes, "{}").unwrap().cut, 1);
        let fault = bundle.classes(&classes, "a").unwrap_err();
        assert!(fault.to_string().contains("where the class goes"), "{fault}");
        let fault = bundle.classes(&[" ".into()], "{}").unwrap_err();
        assert_eq!(fault.to_string(), "class 1 is empty");
    }
}
