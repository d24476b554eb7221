//! `pipeline doctor`: a line per check, the cure below it.

use std::path::Path;

use pipeline::cli::print;
use pipeline::crawl::{Check, CrawlConfig, Verdict, examine};
use pipeline::{Result, settings};
use serde_json::json;

use crate::args::{Doctor, is_toml};

/// The exit code: 1 if a check failed.
pub(crate) fn doctor(args: &Doctor) -> Result<u8> {
    let checks = examine(&config(args)?, &args.site);
    for check in &checks {
        match args.common.json {
            true => print(
                &json!({"type": "check", "version": 1, "name": check.name, "verdict": check.verdict,
                "found": check.found, "cure": check.cure})
                .to_string(),
            )?,
            false => print(&line(check))?,
        }
    }
    Ok(u8::from(checks.iter().any(|check| check.verdict == Verdict::Fail)))
}

/// The config file, or the defaults with the folder that was named.
fn config(args: &Doctor) -> Result<CrawlConfig> {
    let target = args.target.as_deref();
    let file = target.filter(|target| is_toml(target));
    let mut config: CrawlConfig = settings::load(file.map(Path::new), &args.common.sets)?;
    if let (Some(folder), None) = (target, file) {
        folder.clone_into(&mut config.output.path);
    }
    Ok(config)
}

fn line(check: &Check) -> String {
    let cure = check.cure.as_ref().map(|cure| format!("\n      {cure}")).unwrap_or_default();
    format!("{:5} {}: {}{cure}", check.verdict.name(), check.name, check.found)
}
