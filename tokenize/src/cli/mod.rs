//! The command line of `tokenize`: one file per group of subcommands, each turning flags into a library call.

mod bpe;
mod clusters;
mod decode;
mod encode;
mod parity;
mod shards;
mod show;
mod verify;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::Result;
use crate::json_lines::json_line;

/// Pairs to tokens: train a BPE, encode pictures and captions into token shards, look at them.
#[derive(Debug, Parser)]
#[command(
    name = "tokenize",
    version,
    about,
    after_help = "Examples:
  tokenize bpe texts/ --vocab-size 16384 --out bpe.model
  tokenize shards data/pairs --codec vqgan.safetensors --bpe bpe.model --out data/tokens
  tokenize verify data/tokens --pairs data/pairs --codec vqgan.safetensors --out verify.png
  tokenize show data/tokens

Exit codes: 0 done, 1 below the asked quality, 2 usage or configuration, 75 try again, 130/143 interrupted"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a BPE on text files, tables or pair shards
    Bpe(bpe::Args),
    /// Fit colour clusters to the pictures of pair shards
    Clusters(clusters::Args),
    /// Encode pair shards into token shards
    Shards(shards::Args),
    /// Lay originals beside decoded codes, measure PSNR and codebook use
    Verify(verify::Args),
    /// Show what token shards hold, or the effective configuration of a TOML file
    Show(show::Args),
    /// Print the ids of texts or the codes of pictures
    Encode(encode::EncodeArgs),
    /// Print the text of ids, or write the picture of codes
    Decode(decode::DecodeArgs),
    /// Compare codecs and text tokenizers with stored outputs of a reference implementation
    Parity(parity::Args),
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Runs the parsed command line.
///
/// # Errors
/// What the subcommand says.
pub fn run(cli: Cli) -> Result<u8> {
    match cli.command {
        Command::Bpe(args) => args.run(),
        Command::Clusters(args) => args.run(),
        Command::Shards(args) => args.run(),
        Command::Verify(args) => args.run(),
        Command::Show(args) => args.run(),
        Command::Encode(args) => args.run(),
        Command::Decode(args) => args.run(),
        Command::Parity(args) => args.run(),
        Command::Completions { shell } => {
            pipeline::cli::completions::<Cli>(shell)?;
            Ok(0)
        }
    }
}

/// Prints a record as one line of data.
fn print_json(kind: &str, record: &impl serde::Serialize) -> Result<()> {
    Ok(pipeline::cli::print(&json_line(kind, record))?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_fit_together() {
        Cli::command().debug_assert();
    }
}
