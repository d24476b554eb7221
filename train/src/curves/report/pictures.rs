//! Sample pictures over the steps, with the words that they were drawn from.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::ImageReader;
use maud::{Markup, html};
use pipeline::page::thousands;

use crate::{Error, Result};

/// Pictures of one series that a page shows.
const MOST: usize = 12;
/// Pictures narrower than this are enlarged without smoothing: their pixels are what there is to see.
const SMALL: u32 = 400;

/// One series of samples.
pub(super) struct Album {
    /// Which of several it is; empty where there is one.
    what: String,
    /// How many there are in the folder.
    all: usize,
    /// Step and PNG, the first and the last among them.
    shown: Vec<(u64, Vec<u8>)>,
}

/// The series in a folder of samples; none where there is no such folder.
pub(super) fn albums(samples: &Path) -> Result<Vec<Album>> {
    let mut found: BTreeMap<String, Vec<(u64, PathBuf)>> = BTreeMap::new();
    if !samples.is_dir() {
        return Ok(Vec::new());
    }
    for entry in std::fs::read_dir(samples).map_err(Error::io(samples))? {
        let path = entry.map_err(Error::io(samples))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some((step, what)) = parts(&name) else { continue };
        found.entry(what.to_owned()).or_default().push((step, path.clone()));
    }
    found.into_iter().map(|(what, pictures)| album(what, pictures)).collect()
}

/// Step and series of a sample's file, as [`crate::run::sample_name`] makes it.
fn parts(name: &str) -> Option<(u64, &str)> {
    let rest = name.strip_prefix("step-")?.strip_suffix(".png")?;
    let (step, what) = rest.split_once('-').unwrap_or((rest, ""));
    Some((step.parse().ok()?, what))
}

fn album(what: String, mut pictures: Vec<(u64, PathBuf)>) -> Result<Album> {
    pictures.sort();
    let read = |place: usize| {
        let (step, path) = &pictures[place];
        Ok((*step, std::fs::read(path).map_err(Error::io(path))?))
    };
    let shown = thinned(pictures.len(), MOST).into_iter().map(read).collect::<Result<_>>()?;
    Ok(Album { what, all: pictures.len(), shown })
}

/// At most so many places, evenly spread, from the first to the last.
fn thinned(count: usize, most: usize) -> Vec<usize> {
    if count <= most {
        return (0..count).collect();
    }
    (0..most).map(|i| (i * (count - 1) + (most - 1) / 2) / (most - 1)).collect()
}

/// What the samples were drawn from; a model without text has no such file.
pub(super) fn prompts(samples: &Path) -> Result<Vec<String>> {
    let path = samples.join("prompts.txt");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// The pictures in the order of their steps.
pub(super) fn gallery(albums: &[Album], prompts: &[String]) -> Markup {
    html! {
        @if !prompts.is_empty() {
            p.text { "Each row of a picture is drawn from one of these, from the top:" }
            ol { @for prompt in prompts { li { bdi { (prompt) } } } }
        }
        @for album in albums {
            @if !album.what.is_empty() { h3 { (album.what) } }
            @if album.all > album.shown.len() {
                p.text { (format!("{} of {}, from the first to the last.", album.shown.len(), thousands(album.all as u64))) }
            }
            div.pictures { @for (step, png) in &album.shown {
                figure {
                    img.small[is_small(png)] alt=(format!("samples after step {step}"))
                        src=(format!("data:image/png;base64,{}", STANDARD.encode(png)));
                    figcaption { "step " (thousands(*step)) }
                }
            } }
        }
    }
}

fn is_small(png: &[u8]) -> bool {
    let size = ImageReader::new(Cursor::new(png)).with_guessed_format().ok();
    size.and_then(|reader| reader.into_dimensions().ok()).is_some_and(|(width, _)| width < SMALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_picture_are_always_there() {
        assert_eq!(thinned(3, 12), [0, 1, 2]);
        for count in [13, 100, 9999] {
            let places = thinned(count, 12);
            assert_eq!((places.len(), places[0], places[11]), (12, 0, count - 1));
            assert!(places.is_sorted() && places.windows(2).all(|pair| pair[0] < pair[1]), "{places:?}");
        }
    }

    #[test]
    fn names_say_which_series_a_picture_belongs_to() {
        assert_eq!(parts("step-0000500.png"), Some((500, "")));
        assert_eq!(parts("step-0000500-held-out.png"), Some((500, "held-out")));
        assert_eq!(parts("prompts.txt"), None);
    }
}
