//! The figures as lines for stdout.

use super::figures::Figures;
use super::report::{bytes, duration, percent, thousands};

impl Figures {
    /// One line for each part of the road.
    pub(super) fn summary(&self) -> String {
        let lines = [
            ("crawl", self.crawl_line()),
            ("codec", self.codec_line()),
            ("model", self.model_line()),
            ("drawing", self.drawing_line()),
            ("captions", self.captions_line()),
            ("time", self.time_line()),
        ];
        lines.map(|(name, text)| format!("{name:>9}  {text}")).join("\n")
    }

    fn crawl_line(&self) -> String {
        let crawl = &self.crawl;
        format!("{} of {} links gave a picture", thousands(crawl.pictures as u64), thousands(crawl.rows))
    }

    fn codec_line(&self) -> String {
        let codec = &self.codec;
        format!(
            "{:.2} dB PSNR on {} held-out pictures, {} of {} codes in use there",
            codec.psnr,
            codec.pictures,
            percent(codec.codes.usage),
            thousands(codec.codes.codebook_size as u64)
        )
    }

    fn model_line(&self) -> String {
        let image =
            self.model.held_out_image.map_or_else(|| "not measured".to_owned(), |loss| format!("{loss:.3}"));
        let baseline = self.model.code_frequency_baseline;
        format!("held-out image loss {image} nats per code; guessing by code frequency: {baseline:.3}")
    }

    fn drawing_line(&self) -> String {
        let retrieval = &self.retrieval;
        format!(
            "nearest of {} training pictures is the right one for {} of {} captions: {} (top 5 {}, median rank {}, chance {})",
            thousands(retrieval.pictures as u64),
            retrieval.right(),
            retrieval.drawings,
            percent(retrieval.top_1),
            percent(retrieval.top_5),
            retrieval.median_rank,
            percent(retrieval.chance)
        )
    }

    fn captions_line(&self) -> String {
        let captions = &self.captions;
        format!(
            "exactly right for {} of {} training and {} of {} held-out pictures",
            captions.training_right, captions.training, captions.held_out_right, captions.held_out
        )
    }

    fn time_line(&self) -> String {
        let memory = self.peak_memory_bytes.map_or_else(|| "unknown".to_owned(), bytes);
        format!("{}; peak memory {memory}", duration(self.seconds))
    }
}
