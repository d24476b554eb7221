//! Where the two halves of a dVAE lie.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Containers, the one that cannot hold code first.
const ENDINGS: [&str; 4] = ["safetensors", "pkl", "pt", "pth"];

/// The encoder's and the decoder's file: those of a folder, or one that was named and its sibling beside it.
///
/// # Errors
/// Names the file that is missing.
pub fn files(path: &Path) -> Result<[PathBuf; 2]> {
    if path.is_dir() {
        return Ok([half(path, "encoder")?, half(path, "decoder")?]);
    }
    std::fs::metadata(path).map_err(Error::io(path))?;
    let refuse = |why: String| Err(Error::Checkpoint { path: path.to_owned(), why });
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let names = [name.replacen("decoder", "encoder", 1), name.replacen("encoder", "decoder", 1)];
    if names[0] == names[1] {
        let why = "half of a dVAE: name its files encoder.* and decoder.*, so that one finds the other";
        return refuse(why.to_owned());
    }
    let both = names.map(|name| path.with_file_name(name));
    match both.iter().find(|file| !file.is_file()) {
        Some(missing) => {
            refuse(format!("the other half of the dVAE is missing: expected {}", missing.display()))
        }
        None => Ok(both),
    }
}

fn half(folder: &Path, name: &str) -> Result<PathBuf> {
    let mut candidates = ENDINGS.iter().map(|ending| folder.join(format!("{name}.{ending}")));
    candidates.find(|path| path.is_file()).ok_or_else(|| Error::Checkpoint {
        path: folder.to_owned(),
        why: format!("no {name} of a dVAE here: expected {name}.safetensors or {name}.pkl"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_or_either_file_finds_both_and_a_lonely_half_names_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str| {
            pipeline::atomic::write(folder.path().join(name), "").unwrap();
            folder.path().join(name)
        };
        let encoder = put("encoder.pkl");
        let lonely = files(&encoder).unwrap_err().to_string();
        assert!(lonely.contains("is missing: expected") && lonely.ends_with("decoder.pkl"), "{lonely}");
        assert!(files(folder.path()).unwrap_err().to_string().contains("no decoder of a dVAE here"));
        let decoder = put("decoder.pkl");
        let both = [encoder.clone(), decoder.clone()];
        for path in [folder.path(), &encoder, &decoder] {
            assert_eq!(files(path).unwrap(), both);
        }
        // In a folder the container without code wins.
        let safe = [put("encoder.safetensors"), put("decoder.safetensors")];
        assert_eq!(files(folder.path()).unwrap(), safe);
        assert!(
            files(&put("half.pkl"))
                .unwrap_err()
                .to_string()
                .contains("name its files encoder.* and decoder.*")
        );
        assert!(files(&folder.path().join("absent")).is_err());
    }
}
