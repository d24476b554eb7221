//! The command line of `train`: one file per group of subcommands, each turning flags into a library call.

mod answer;
mod caption;
mod classify;
mod compare;
mod continue_;
mod convert;
mod drawing;
mod export;
mod export_model;
mod parity;
mod pictures;
mod probe;
mod sample;
mod sampling;
mod score;
mod show;
mod show_model;
mod speech;
mod start;
mod write;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use pipeline::cli::Common;

use crate::{Error, Result};

pub use start::train_task;

/// Tokens to models: train them, draw and continue pictures, put pictures into words.
#[derive(Debug, Parser)]
#[command(
    name = "train",
    version,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    after_help = "Examples:
  train rudolph.toml                          start, or continue where the last run stopped
  train resume runs/rudolph
  train sample runs/rudolph --prompt \"рыжий котик\" --n 4 --out drawing.png
  train continue runs/rudolph picture.png --prompt \"red cat\"
  train caption runs/rudolph picture.png
  train show runs/rudolph
  train convert pytorch_model.bin --codec vqgan.ckpt --bpe bpe.model --out models/rudolph

Exit codes: 0 done, 1 diverged or parity failed, 2 usage/config, 75 try again, 130/143 interrupted"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    start: StartArgs,
}

#[derive(Debug, Args)]
struct StartArgs {
    /// What to train: a TOML file whose `kind` is rudolph, dalle, imagegpt or vqgan
    #[arg(value_name = "CONFIG.toml")]
    config: Option<PathBuf>,
    #[command(flatten)]
    how: start::HowArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Continue a run from its folder alone
    Resume(start::ResumeArgs),
    /// Draw pictures from words
    Sample(sample::SampleArgs),
    /// Draw the rest of pictures of which a part is given
    Continue(continue_::ContinueArgs),
    /// Put pictures into words
    Caption(caption::CaptionArgs),
    /// Choose among classes for pictures
    Classify(classify::ClassifyArgs),
    /// Answer questions about pictures and texts
    Answer(answer::AnswerArgs),
    /// Continue texts
    Write(write::WriteArgs),
    /// Make a model folder of a published checkpoint
    Convert(convert::ConvertArgs),
    /// Measure a model: losses, accuracies, FID and CLIPScore of its drawings
    Score(Box<score::ScoreArgs>),
    /// Write a model or a codec to a file, and pictures beside their reconstructions
    Export(export::ExportArgs),
    /// Show the effective configuration of a TOML file, or how a run went
    Show(show::ShowArgs),
    /// Lay the curves of runs over each other, and show what they differ in
    Compare(compare::CompareArgs),
    /// Fit a linear classifier to each layer of an ImageGPT
    Probe(probe::ProbeArgs),
    /// Compare models with stored outputs of a reference implementation
    Parity(parity::ParityArgs),
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

impl Command {
    /// The name and the common flags of a command that has no configuration to change.
    fn without_config(&self) -> Option<(&'static str, &Common)> {
        match self {
            Self::Sample(args) => Some(("sample", &args.common)),
            Self::Continue(args) => Some(("continue", &args.common)),
            Self::Caption(args) => Some(("caption", &args.common)),
            Self::Convert(args) => Some(("convert", &args.common)),
            Self::Classify(args) => Some(("classify", &args.common)),
            Self::Answer(args) => Some(("answer", &args.common)),
            Self::Write(args) => Some(("write", &args.common)),
            Self::Score(args) => Some(("score", &args.common)),
            Self::Export(args) => Some(("export", &args.common)),
            Self::Probe(args) => Some(("probe", &args.common)),
            Self::Parity(args) => Some(("parity", &args.common)),
            Self::Compare(args) => Some(("compare", &args.common)),
            Self::Show(args) if args.path.as_ref().is_none_or(|path| path.is_dir()) => {
                Some(("show RUN", &args.common))
            }
            Self::Resume(_) | Self::Show(_) | Self::Completions { .. } => None,
        }
    }

    /// Refuses `--set`, which all commands share, where nothing would read it.
    fn check_sets(&self) -> Result<()> {
        let Some((name, common)) = self.without_config() else { return Ok(()) };
        let Some(set) = common.sets.first() else { return Ok(()) };
        let why =
            format!("--set has no meaning for `train {name}`, which takes no configuration: --set {set}");
        Err(Error::config(why).with_hint("`--help` lists the command's own flags"))
    }
}

/// Runs the parsed command line and returns the exit code.
///
/// # Errors
/// What the subcommand says.
pub fn run(cli: Cli) -> Result<u8> {
    if let Some(command) = &cli.command {
        command.check_sets()?;
    }
    match cli.command {
        None => start::start(cli.start.config.as_deref(), &cli.start.how, &cli.start.common),
        Some(Command::Resume(args)) => start::resume(&args),
        Some(Command::Sample(args)) => sample::sample(&args),
        Some(Command::Continue(args)) => continue_::continue_(&args),
        Some(Command::Convert(args)) => convert::run(&args),
        Some(Command::Caption(args)) => caption::caption(&args),
        Some(Command::Classify(args)) => classify::classify(&args),
        Some(Command::Answer(args)) => answer::answer(&args),
        Some(Command::Write(args)) => write::write(&args),
        Some(Command::Score(args)) => score::score(&args),
        Some(Command::Export(args)) => export::export(&args),
        Some(Command::Show(args)) => show::show(&args),
        Some(Command::Compare(args)) => compare::compare(&args),
        Some(Command::Probe(args)) => probe::probe(&args),
        Some(Command::Parity(args)) => parity::parity(&args),
        Some(Command::Completions { shell }) => {
            pipeline::cli::completions::<Cli>(shell)?;
            Ok(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_fit_together() {
        Cli::command().debug_assert();
    }
}
