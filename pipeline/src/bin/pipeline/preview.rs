//! `pipeline show --preview`: the pictures of a shard in the terminal, two pixels to a character.

use std::io::IsTerminal;

use pipeline::Result;
use pipeline::cli::print;
use pipeline::pairs::{self, Pair};
use pipeline::picture::{DecodeOptions, Picture, ResizeOptions, decode, resize};

/// Pixels per side of a thumbnail; half as many lines.
const SIDE: u32 = 20;
/// From dark to light, where colours are not wanted.
const GREYS: &[u8; 10] = b" .:-=+*#%@";

/// Prints the first `count` pictures, as many beside each other as the terminal has room for.
pub(crate) fn preview(path: &str, count: usize) -> Result<()> {
    let ink = Ink::detect();
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(100);
    let beside = (columns / (SIDE as usize + 2)).max(1);
    let mut shown = 0;
    let mut row = Vec::with_capacity(beside);
    for pair in pairs::open(path)? {
        let pair = pair?;
        let Some(thumbnail) = thumbnail(&pair) else { continue };
        row.push((thumbnail, pair.caption.unwrap_or(pair.key)));
        shown += 1;
        if row.len() == beside || shown == count {
            print(&lines(&row, ink).join("\n"))?;
            row.clear();
        }
        if shown == count {
            return Ok(());
        }
    }
    match (row.is_empty(), shown) {
        (true, 0) => print("no pictures"),
        (true, _) => Ok(()),
        (false, _) => print(&lines(&row, ink).join("\n")),
    }
}

/// How pixels become characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ink {
    /// Upper half blocks, the upper pixel as text colour and the lower one behind it, 24 bits each.
    Colours,
    /// One letter by the brightness of both pixels.
    Letters,
}

impl Ink {
    /// Colours on a terminal, unless `NO_COLOR` is set.
    fn detect() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if plain || !std::io::stdout().is_terminal() { Self::Letters } else { Self::Colours }
    }

    fn character(self, above: [u8; 3], below: [u8; 3]) -> String {
        match self {
            Self::Colours => {
                let [[r, g, b], [s, h, c]] = [above, below];
                format!("\x1b[38;2;{r};{g};{b};48;2;{s};{h};{c}m▀")
            }
            Self::Letters => {
                let light = |[r, g, b]: [u8; 3]| 299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b);
                let level = (light(above) + light(below)) as usize * GREYS.len() / (2 * 255_001);
                char::from(GREYS[level]).to_string()
            }
        }
    }

    fn end(self) -> &'static str {
        match self {
            Self::Colours => "\x1b[0m",
            Self::Letters => "",
        }
    }
}

/// The picture of a row, small; `None` where it has none or it cannot be read.
fn thumbnail(pair: &Pair) -> Option<Picture> {
    let picture = decode(pair.image.as_ref()?, &DecodeOptions::default()).ok()?;
    resize(picture, &ResizeOptions { size: SIDE, ..ResizeOptions::default() }).ok()
}

/// Thumbnails beside each other with their captions below.
fn lines(row: &[(Picture, String)], ink: Ink) -> Vec<String> {
    let pixel = |picture: &Picture, x, y| picture.pixel(x, y).unwrap_or([255; 3]);
    let strip = |picture: &Picture, y: u32| -> String {
        let characters =
            (0..SIDE).map(|x| ink.character(pixel(picture, x, 2 * y), pixel(picture, x, 2 * y + 1)));
        characters.collect::<String>() + ink.end()
    };
    let mut lines: Vec<String> = (0..SIDE / 2)
        .map(|y| row.iter().map(|(picture, _)| strip(picture, y)).collect::<Vec<_>>().join("  "))
        .collect();
    let captions = row.iter().map(|(_, caption)| cut(caption)).collect::<Vec<_>>().join("  ");
    lines.push(captions.trim_end().to_owned());
    lines
}

/// The beginning of a caption, as wide as a thumbnail and without what a terminal would obey.
fn cut(caption: &str) -> String {
    let plain: Vec<char> = caption.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let side = SIDE as usize;
    let text: String = match plain.len() > side {
        true => plain[..side - 1].iter().chain(&['…']).collect(),
        false => plain.iter().collect(),
    };
    format!("{text:side$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_beside_each_other_above_their_captions() {
        let half = |top: u8, bottom: u8| {
            let mut picture = Picture::filled(SIDE, SIDE, [bottom; 3]);
            picture.paste(&Picture::filled(SIDE, SIDE / 2, [top; 3]), 0, 0);
            picture
        };
        let row = [(half(0, 255), "a\x1b[2Jb".to_owned()), (half(255, 0), "long ".repeat(9))];
        let lines = lines(&row, Ink::Letters);
        assert_eq!(lines.len(), SIDE as usize / 2 + 1);
        assert_eq!(lines[0], format!("{}  {}", " ".repeat(20), "@".repeat(20)));
        assert_eq!(lines[9], format!("{}  {}", "@".repeat(20), " ".repeat(20)));
        assert_eq!(lines[10], format!("{:20}  {}", "a [2Jb", "long long long long…"));
    }

    #[test]
    fn colours_are_set_per_character_and_ended_per_line() {
        assert_eq!(Ink::Colours.character([1, 2, 3], [4, 5, 6]), "\x1b[38;2;1;2;3;48;2;4;5;6m▀");
        assert_eq!((Ink::Letters.character([255; 3], [255; 3]), Ink::Letters.end()), ("@".to_owned(), ""));
        assert!(
            lines(&[(Picture::filled(1, 1, [9; 3]), String::new())], Ink::Colours)[0].ends_with("\x1b[0m")
        );
    }
}
