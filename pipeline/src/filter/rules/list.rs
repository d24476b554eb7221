//! Lists of words or hosts, in the config or in a file.

use std::path::Path;

use super::Trouble;
use crate::Error;

/// The entries of a config and of a file together: one a line, blank lines and what follows a `#` left out.
///
/// # Errors
/// A file that cannot be read, or not a single entry.
pub(super) fn entries(list: &[String], file: Option<&Path>) -> Result<Vec<String>, Trouble> {
    let text = match file {
        Some(path) => std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?,
        None => String::new(),
    };
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let all: Vec<String> = list
        .iter()
        .map(String::as_str)
        .chain(lines)
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(str::to_owned)
        .collect();
    match all.is_empty() {
        true => Err(Trouble::Wrong("the list is empty".to_owned())),
        false => Ok(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_entry_a_line_and_comments() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.txt");
        crate::atomic::write(&path, "# hosts\n\n a.example \nb.example # why\n").unwrap();
        let list = entries(&["c".to_owned()], Some(&path)).unwrap();
        assert_eq!(list, ["c", "a.example", "b.example"]);
        assert!(matches!(entries(&[], None), Err(Trouble::Wrong(_))));
        let error = entries(&[], Some(Path::new("absent.txt"))).unwrap_err();
        assert!(matches!(error, Trouble::Failed(error) if error.to_string().starts_with("absent.txt: ")));
    }
}
