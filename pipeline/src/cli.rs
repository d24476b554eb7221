//! What the three programs share on the command line: common flags, output, and how an error becomes an exit code.

use std::error::Error as StdError;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::progress::ProgressStyle;

/// The flags that every subcommand takes; flatten it with `#[command(flatten)]`.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// Override a config key; VALUE is a TOML value, a bare word a string, a list replaces the list
    #[arg(long = "set", value_name = "KEY=VALUE", help_heading = "Common")]
    pub sets: Vec<String>,
    /// JSON lines on stdout
    #[arg(long, help_heading = "Common")]
    pub json: bool,
    /// No progress, no talk; errors remain
    #[arg(short, long, help_heading = "Common")]
    pub quiet: bool,
    /// Say more (each failed row)
    #[arg(short, long, help_heading = "Common", conflicts_with = "quiet")]
    pub verbose: bool,
}

impl Common {
    /// How progress is to be shown.
    pub fn progress_style(&self) -> ProgressStyle {
        ProgressStyle::detect(self.json, self.quiet)
    }

    /// A line of talk on stderr, unless `-q`.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            // Talk: if stderr is closed, the work goes on.
            drop(writeln!(io::stderr().lock(), "{text}"));
        }
    }
}

/// An error that knows what the program's exit code is and what the user can do.
pub trait Failure: StdError + 'static {
    /// 1 below the asked quality, 2 usage or config, 75 try again, 130/143 interrupted.
    fn exit_code(&self) -> u8;

    /// The cure, where known.
    fn hint(&self) -> Option<String> {
        None
    }
}

impl Failure for crate::Error {
    fn exit_code(&self) -> u8 {
        crate::Error::exit_code(self)
    }

    fn hint(&self) -> Option<String> {
        crate::Error::hint(self)
    }
}

/// Runs a program's body: its value is the exit code, its error becomes `error: …` and `hint: …` on stderr.
///
/// A closed stdout (`pipeline show … | head`) is no error.
pub fn run_main<E: Failure>(body: impl FnOnce() -> Result<u8, E>) -> ExitCode {
    match body() {
        Ok(code) => ExitCode::from(code),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let hint = error.hint().map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
            let text = format!("error: {}\n{hint}", one_line(&error));
            // Nowhere left to report to.
            drop(io::stderr().lock().write_all(text.as_bytes()));
            ExitCode::from(error.exit_code())
        }
    }
}

/// The error and its causes, leaving out those that the text before already repeats.
fn one_line(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text
}

fn is_broken_pipe(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(next) = cause {
        if next.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
            return true;
        }
        cause = next.source();
    }
    false
}

/// Writes data to stdout, with a newline.
pub fn print(text: &str) -> crate::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|e| crate::Error::io("stdout", e))
}

/// Writes the completion script of a program to stdout.
pub fn completions<C: CommandFactory>(shell: Shell) -> crate::Result<()> {
    let mut command = C::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    print(String::from_utf8_lossy(&script).trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn causes_are_told_once() {
        let error = Error::io("a.txt", io::Error::other("device on fire"));
        assert_eq!(one_line(&error), "a.txt: device on fire");
    }

    #[test]
    fn a_closed_pipe_is_found_behind_other_errors() {
        assert!(is_broken_pipe(&Error::io("stdout", io::ErrorKind::BrokenPipe.into())));
        assert!(!is_broken_pipe(&Error::io("stdout", io::ErrorKind::StorageFull.into())));
    }
}
