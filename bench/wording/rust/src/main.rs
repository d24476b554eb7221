//! One crate at encoding, in a process of its own.
//!
//! ```text
//! wording encode CRATE TEXTS MODEL IDS    # encodes the lines of TEXTS on one thread, writes their ids to IDS, prints JSON
//! wording ranks PATH                      # writes OpenAI's cl100k_base as ranks, from a crate that carries it
//! ```
//! tokie reads MODEL, a `tokenizer.json`; the others know cl100k_base by themselves.

use std::error::Error;
use std::fmt::Write;
use std::time::Instant;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

type Encode = Box<dyn Fn(&str) -> Vec<u32>>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["encode", name, texts, model, ids] => encode(name, texts, model, ids),
        ["ranks", path] => ranks(path),
        _ => Err("wording encode CRATE TEXTS MODEL IDS | wording ranks PATH".into()),
    }
}

fn encoder(name: &str, model: &str) -> Result<(Encode, &'static str), Box<dyn Error>> {
    Ok(match name {
        "tokie" => {
            let tokenizer = tokie::Tokenizer::from_json(model)?;
            (Box::new(move |text| tokenizer.encode(text, false).ids.to_vec()), "0.1.4")
        }
        "bpe-openai" => {
            let tokenizer = bpe_openai::cl100k_base();
            (Box::new(move |text| tokenizer.encode(text)), "0.3.2")
        }
        "tiktoken (crate)" => {
            let encoding = tiktoken::get_encoding("cl100k_base").ok_or("no cl100k_base")?;
            (Box::new(move |text| encoding.encode(text)), "4.1.2")
        }
        "tiktoken-rs" => {
            let encoding = tiktoken_rs::cl100k_base()?;
            (Box::new(move |text| encoding.encode_ordinary(text)), "0.12.1")
        }
        _ => return Err(format!("unknown crate {name:?}").into()),
    })
}

fn encode(name: &str, texts: &str, model: &str, ids: &str) -> Result<(), Box<dyn Error>> {
    let (encode, version) = encoder(name, model)?;
    let texts = std::fs::read_to_string(texts)?;
    let lines: Vec<&str> = texts.strip_suffix('\n').unwrap_or(&texts).split('\n').collect();
    // What is made at the first use is no part of the encoding.
    encode("a line");
    let started = Instant::now();
    let found: Vec<Vec<u32>> = lines.iter().map(|line| encode(line)).collect();
    let seconds = started.elapsed().as_secs_f64();
    let mut text = String::new();
    for line in found {
        let numbers: Vec<String> = line.iter().map(u32::to_string).collect();
        writeln!(text, "{}", numbers.join(" "))?;
    }
    std::fs::write(ids, text)?;
    println!("{}", serde_json::json!({"version": version, "seconds": seconds}));
    Ok(())
}

fn ranks(path: &str) -> Result<(), Box<dyn Error>> {
    let bpe = &bpe_openai::cl100k_base().bpe;
    let mut text = String::new();
    for rank in 0..u32::try_from(bpe.num_tokens())? {
        writeln!(text, "{} {rank}", BASE64_STANDARD.encode(bpe.token_bytes(rank)))?;
    }
    std::fs::write(path, text)?;
    println!("{}", serde_json::json!({"ranks": bpe.num_tokens()}));
    Ok(())
}
