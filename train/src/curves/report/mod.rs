//! `report.html` in a run folder: what was trained, on what, how, and how it went.

mod contents;
mod files;
mod pictures;

use std::path::{Path, PathBuf};

use super::page::{Section, charts, page, values};
use super::read::Curves;
use crate::run::Folder;
use crate::{Error, Result};
use files::{Kept, ModelFile};
use pictures::Album;

/// The name of the page in the run folder.
const NAME: &str = "report.html";

/// What a run folder tells about itself.
pub struct Report {
    /// The folder as it was named.
    run: PathBuf,
    /// `run.toml` as it stands there.
    text: String,
    config: toml::Table,
    curves: Curves,
    checkpoints: Vec<Kept>,
    albums: Vec<Album>,
    prompts: Vec<String>,
    model: Vec<ModelFile>,
}

impl Report {
    /// Reads a run folder, in which another process may be training.
    ///
    /// # Errors
    /// It has no `run.toml`, or a file in it cannot be read.
    pub fn read(run: &Path) -> Result<Self> {
        let path = Folder::config_of(run);
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let config = toml::from_str(&text).map_err(|error| Error::weights(&path, error.message()))?;
        let samples = run.join("samples");
        Ok(Self {
            run: run.to_owned(),
            text,
            config,
            curves: Curves::read(run)?,
            checkpoints: files::checkpoints(run)?,
            albums: pictures::albums(&samples)?,
            prompts: pictures::prompts(&samples)?,
            model: files::model(&run.join("model"))?,
        })
    }

    /// Writes the page into the run folder, and says where.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self) -> Result<PathBuf> {
        let path = self.run.join(NAME);
        pipeline::atomic::write(&path, self.page())?;
        Ok(path)
    }

    fn page(&self) -> String {
        let measured = !self.curves.series().is_empty();
        let drawn = !self.albums.is_empty();
        let parts = [
            ("curves", "How it went", measured.then(|| charts(&self.curves))),
            ("numbers", "In numbers", measured.then(|| values(&self.curves))),
            ("pictures", "Pictures over time", drawn.then(|| pictures::gallery(&self.albums, &self.prompts))),
            ("data", "On what", Some(self.data())),
            ("config", "What and how", Some(self.how())),
            ("files", "What there is", Some(self.files())),
        ];
        let section = |(id, title, body): (_, _, Option<_>)| body.map(|body| Section { id, title, body });
        page(&self.name(), &self.first(), &parts.into_iter().filter_map(section).collect::<Vec<_>>())
    }

    /// The folder's own name, also where it was given as `.`.
    fn name(&self) -> String {
        let whole = self.run.canonicalize().unwrap_or_else(|_| self.run.clone());
        whole
            .file_name()
            .map_or_else(|| self.run.display().to_string(), |name| name.to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(files: &[(&str, &[u8])]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("cats & <dogs>");
        for (name, bytes) in files {
            pipeline::atomic::write(run.join(name), bytes).unwrap();
        }
        (dir, run)
    }

    #[test]
    fn a_run_that_has_only_begun_has_a_page() {
        let (_dir, run) =
            run(&[("run.toml", b"kind = 'rudolph'\n[run]\nsteps = 12\n[data]\ntokens = 'a/b'\n")]);
        let path = Report::read(&run).unwrap().write().unwrap();
        let html = std::fs::read_to_string(path).unwrap();
        assert!(html.contains("<h1>cats &amp; &lt;dogs&gt;</h1>"), "{html}");
        assert!(html.contains("data.tokens") && html.contains("a/b") && !html.contains("id=\"curves\""));
    }

    #[test]
    fn the_page_holds_everything_and_loads_nothing() {
        let line =
            b"{\"type\":\"train\",\"step\":10,\"loss\":5.5,\"seconds\":61.0,\"tokens_per_second\":4600.0}\n\
                     {\"type\":\"valid\",\"step\":10,\"loss\":5.25}\n";
        let state = b"step = 10\nseconds = 61.0\nvalidation = 5.25\nfingerprint = \"abc\"\nmeans = []\n";
        let (_dir, run) = run(&[
            ("run.toml", b"kind = 'rudolph'\n[run]\nsteps = 12\n"),
            ("metrics.jsonl", line),
            ("checkpoints/step-0000010/state.toml", state),
            ("samples/step-0000010.png", b"png"),
            ("samples/prompts.txt", "рыжий <кот>\n".as_bytes()),
            ("model/codec.safetensors", b""),
            ("model/model.toml", b"layers = 2"),
        ]);
        let html = Report::read(&run).unwrap().page();
        for part in [
            "5.500",
            "5.250",
            "tokens/s at the end",
            "1m01s",
            "abc",
            "рыжий &lt;кот&gt;",
            "image/png;base64,cG5n",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        // The hash of an empty file.
        assert!(html.contains("e3b0c44298fc1c149afbf4c8996fb924"));
        assert!(!html.contains("http") && !html.contains("<script") && !html.contains("<link"), "{html}");
    }

    #[test]
    fn a_folder_without_a_configuration_is_named() {
        let error = Report::read(Path::new("nowhere")).err().unwrap().to_string();
        assert!(error.starts_with("nowhere/run.toml: "), "{error}");
    }
}
