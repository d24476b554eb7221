//! `metrics.jsonl` and TensorBoard: every number of a run, once.
//!
//! A killed process may have written lines past its last checkpoint. They are cut off at resume, so that the file of a
//! resumed run equals that of an undisturbed one, apart from times.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{Folder, Metrics, State, TensorBoard, sample_name};
use crate::{Error, Result};

/// The open metric files of a run.
pub struct Journal {
    path: PathBuf,
    /// None in a process that does not write.
    files: Option<(File, TensorBoard)>,
}

impl Journal {
    /// Opens the files to continue after `step`.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn open(folder: &Folder, step: u64) -> Result<Self> {
        let path = folder.path().join("metrics.jsonl");
        if !folder.is_written() {
            return Ok(Self { path, files: None });
        }
        // A log grows line by line and a torn last line is cut off at resume.
        let file = File::options().create(true).append(true).open(&path).map_err(Error::io(&path))?;
        let text = std::fs::read(&path).map_err(Error::io(&path))?;
        file.set_len(valid_length(&text, step)).map_err(Error::io(&path))?;
        let board = TensorBoard::create(&folder.path().join("tensorboard"), step)?;
        Ok(Self { path, files: Some((file, board)) })
    }

    /// Writes one line, and a scalar for each metric. `extra` are measurements of time, at the end of the line.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(
        &mut self,
        kind: &str,
        state: &State,
        metrics: &Metrics,
        extra: &[(String, f64)],
    ) -> Result<()> {
        let Some((file, board)) = &mut self.files else { return Ok(()) };
        let mut line = line(kind, state, metrics, extra);
        line.push('\n');
        file.write_all(line.as_bytes()).map_err(Error::io(&self.path))?;
        let extra = extra.iter().map(|(name, value)| (name.as_str(), *value));
        for (name, value) in metrics.iter().chain(extra) {
            board.scalar(&format!("{kind}/{name}"), state.step, value)?;
        }
        Ok(())
    }

    /// Puts the pictures and the words of one step's samples into TensorBoard.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn samples(&mut self, dir: &Path, step: u64) -> Result<()> {
        let Some((_, board)) = &mut self.files else { return Ok(()) };
        let prefix = sample_name(step, "").trim_end_matches(".png").to_owned();
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(Error::io(dir))? {
            paths.push(entry.map_err(Error::io(dir))?.path());
        }
        paths.sort();
        for path in paths {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let Some(what) = stem.strip_prefix(&prefix) else { continue };
            let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
            let tag = if what.is_empty() { "samples" } else { what.trim_start_matches('-') };
            match path.extension().is_some_and(|ending| ending == "txt") {
                true => board.text(tag, step, &lines(&bytes))?,
                false => board.picture(tag, step, &bytes)?,
            }
        }
        Ok(())
    }

    /// Makes the lines durable before a checkpoint claims that they exist.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn sync(&self) -> Result<()> {
        self.files.as_ref().map_or(Ok(()), |(file, _)| file.sync_data().map_err(Error::io(&self.path)))
    }
}

/// Lines as Markdown, in which two blanks at the end of one keep the next from joining it.
fn lines(text: &[u8]) -> String {
    String::from_utf8_lossy(text).lines().map(|line| format!("{line}  \n")).collect()
}

fn line(kind: &str, state: &State, metrics: &Metrics, extra: &[(String, f64)]) -> String {
    let mut map = Map::new();
    map.insert("type".into(), kind.into());
    map.insert("version".into(), 1.into());
    map.insert("step".into(), state.step.into());
    let seconds = [("seconds", (state.seconds * 1e3).round() / 1e3)];
    let extra = extra.iter().map(|(name, value)| (name.as_str(), *value));
    for (name, value) in metrics.iter().chain(extra).chain(seconds) {
        map.insert(name.into(), value.into());
    }
    Value::Object(map).to_string()
}

/// Length of the whole lines up to `step`.
fn valid_length(text: &[u8], step: u64) -> u64 {
    let valid = |line: &[u8]| {
        let value: Option<Value> = serde_json::from_slice(line).ok();
        line.ends_with(b"\n")
            && value.and_then(|value| value.get("step")?.as_u64()).is_some_and(|at| at <= step)
    };
    text.split_inclusive(|byte| *byte == b'\n')
        .take_while(|line| valid(line))
        .map(|line| line.len() as u64)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_like_this() {
        let state = State { step: 20, seconds: 1.23456, ..State::default() };
        let line =
            line("train", &state, &Metrics::new().with("loss", 0.5), &[("steps_per_second".into(), 4.0)]);
        assert_eq!(
            line,
            r#"{"type":"train","version":1,"step":20,"loss":0.5,"steps_per_second":4.0,"seconds":1.235}"#
        );
    }

    #[test]
    fn lines_past_the_checkpoint_and_torn_lines_are_cut_off() {
        let text = b"{\"step\":10}\n{\"step\":20}\n{\"step\":30}\n{\"st";
        assert_eq!(valid_length(text, 20), 24);
        assert_eq!(valid_length(text, 99), 36);
        assert_eq!(valid_length(text, 0), 0);
        assert_eq!(valid_length(b"{\"step\":10}", 20), 0);
    }
}
