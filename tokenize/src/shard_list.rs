//! Which Parquet files a path means: readers trust commits, and folders of other programs have none.

use std::path::{Path, PathBuf};

use pipeline::store::Store;
use pipeline::unit;

use crate::{Error, Result};

/// The shards at `path`: the file itself, the committed shards of an output folder in unit order, or else every
/// `.parquet` file of the folder by name (as img2dataset leaves them).
///
/// # Errors
/// Nothing there.
pub fn list(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        std::fs::metadata(path).map_err(Error::io(path))?;
        return Ok(vec![path.to_owned()]);
    }
    let shards = match committed(path)? {
        Some(shards) => shards,
        None => parquet_files(path)?,
    };
    if shards.is_empty() {
        if let Some(grids) = grids(path)? {
            let names: Vec<_> = grids.iter().map(|grid| grid.display().to_string()).collect();
            return Err(Error::Table {
                path: path.to_owned(),
                why: "holds several grids, each in a folder of its own".to_owned(),
                cure: Some(format!("name one of them: {}", names.join(", "))),
            });
        }
        return Err(Error::Table {
            path: path.to_owned(),
            why: "no shards in this folder".to_owned(),
            cure: Some(
                "shards appear once the command that writes them has committed its first unit".to_owned(),
            ),
        });
    }
    Ok(shards)
}

/// The committed shards of an output folder, `None` for a folder that is none.
pub(crate) fn committed(folder: &Path) -> Result<Option<Vec<PathBuf>>> {
    if !folder.join("plan.json").is_file() {
        return Ok(None);
    }
    let store = Store::open(&folder.to_string_lossy())?;
    let commits = unit::committed(&store)?;
    Ok(Some(commits.iter().filter_map(|commit| Some(folder.join(commit.table()?))).collect()))
}

/// The folders of a run over several sizes, smallest grid first; `None` for any other folder.
///
/// # Errors
/// A folder that cannot be read.
pub fn grids(path: &Path) -> Result<Option<Vec<PathBuf>>> {
    if !path.is_dir() || path.join("plan.json").is_file() {
        return Ok(None);
    }
    let mut grids = Vec::new();
    for entry in std::fs::read_dir(path).map_err(Error::io(path))? {
        let folder = entry.map_err(Error::io(path))?.path();
        let grid = folder.file_name().and_then(|name| name.to_str()?.parse::<usize>().ok());
        if let (Some(grid), true) = (grid, folder.join("plan.json").is_file()) {
            grids.push((grid, folder));
        }
    }
    grids.sort();
    let folders: Vec<PathBuf> = grids.into_iter().map(|(_, folder)| folder).collect();
    Ok((!folders.is_empty()).then_some(folders))
}

fn parquet_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        if path.extension().is_some_and(|ending| ending == "parquet") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use pipeline::atomic;

    use super::*;

    #[test]
    fn a_foreign_folder_lists_its_parquet_files_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["00001.parquet", "00000.parquet", "00000_stats.json"] {
            atomic::write(folder.path().join(name), "").unwrap();
        }
        let names: Vec<_> =
            list(folder.path()).unwrap().iter().map(|p| p.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["00000.parquet", "00001.parquet"]);
    }

    #[test]
    fn a_folder_of_grids_names_them_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["32/plan.json", "8/plan.json", "notes/plan.json", "64/other.json"] {
            atomic::write(folder.path().join(name), "{}").unwrap();
        }
        let found = grids(folder.path()).unwrap().unwrap();
        assert_eq!(found, [folder.path().join("8"), folder.path().join("32")]);
        let error = list(folder.path()).unwrap_err();
        assert!(error.to_string().ends_with("holds several grids, each in a folder of its own"));
        assert!(error.hint().unwrap().starts_with("name one of them: "));
        assert_eq!(grids(&found[0]).unwrap(), None);
    }

    #[test]
    fn an_empty_folder_and_a_missing_one_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        assert!(list(folder.path()).unwrap_err().to_string().ends_with("no shards in this folder"));
        assert!(list(&folder.path().join("absent")).unwrap_err().to_string().contains("absent"));
    }

    #[test]
    fn files_without_a_commit_are_not_listed() {
        let folder = tempfile::tempdir().unwrap();
        atomic::write(folder.path().join("plan.json"), "{}").unwrap();
        atomic::write(folder.path().join("00000-0123456789abcdef.parquet"), "").unwrap();
        assert!(list(folder.path()).is_err());
    }
}
