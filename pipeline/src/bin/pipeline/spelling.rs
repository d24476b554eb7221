//! Spellings of flags that img2dataset's users are used to (it takes its command line from Python's `fire`).

use std::ffi::OsString;

/// Flags with underscores get dashes, and a following `True` or `False` is joined to its flag: `--skip_reencode True`
/// becomes `--skip-reencode=true`. What comes after `--` is left alone.
pub(crate) fn dashed(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut spelled: Vec<OsString> = Vec::new();
    let mut flags = true;
    for argument in arguments {
        let Some(text) = argument.to_str().filter(|_| flags) else {
            spelled.push(argument);
            continue;
        };
        flags = text != "--";
        let after_flag = spelled.last_mut().filter(|last| is_flag(last));
        match (text, after_flag) {
            ("True" | "False", Some(flag)) => flag.push(format!("={}", text.to_ascii_lowercase())),
            _ => spelled.push(flag(text).into()),
        }
    }
    spelled
}

/// Whether it is a long flag without a value.
fn is_flag(argument: &OsString) -> bool {
    argument.to_str().is_some_and(|text| text.len() > 2 && text.starts_with("--") && !text.contains('='))
}

fn flag(text: &str) -> String {
    if !text.starts_with("--") {
        return text.to_owned();
    }
    match text.split_once('=') {
        Some((name, "True")) => format!("{}=true", name.replace('_', "-")),
        Some((name, "False")) => format!("{}=false", name.replace('_', "-")),
        Some((name, value)) => format!("{}={value}", name.replace('_', "-")),
        None => text.replace('_', "-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(arguments: &str) -> String {
        let words = dashed(arguments.split(' ').map(OsString::from));
        words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn underscores_become_dashes_in_names_alone() {
        assert_eq!(spelled("--image_size 64 --url_col=my_url"), "--image-size 64 --url-col=my_url");
        assert_eq!(
            spelled("crawl my_list.csv --resize_mode keep_ratio"),
            "crawl my_list.csv --resize-mode keep_ratio"
        );
        assert_eq!(
            spelled("--set image.max_pixels=9 -- --a_b True"),
            "--set image.max_pixels=9 -- --a_b True"
        );
    }

    #[test]
    fn pythons_truth_is_joined_to_its_flag() {
        assert_eq!(spelled("--skip_reencode True --q False x"), "--skip-reencode=true --q=false x");
        assert_eq!(spelled("--extract_exif=False a True"), "--extract-exif=false a True");
    }
}
