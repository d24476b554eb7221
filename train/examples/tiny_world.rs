//! A data set so small that a run of thousands of steps takes a minute: `bench/resume.py` and `bench/memory.py` train on it.
//!
//! ```text
//! cargo run -p train --example tiny_world FOLDER [GRID] [CODES] [ROWS]
//! ```
//! Writes `codec.safetensors`, `bpe.json` and `tokens/`: captions of a colour and an animal, and codes that follow from them.

use std::error::Error;
use std::path::Path;

use burn::tensor::Device;
use pipeline::atomic::AtomicFile;
use tokenize::bpe::Bpe;
use tokenize::codec::Codec;
use tokenize::tokens::{TokenMeta, TokenRow, TokenWriter};
use tokenize::vqgan::{Precision, VqGanConfig};

const COLOURS: [&str; 4] = ["red", "blue", "green", "black"];
const ANIMALS: [&str; 4] = ["cat", "dog", "owl", "fox"];

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(words.first().ok_or("FOLDER [GRID] [CODES] [ROWS]")?);
    let number = |place: usize, usual: usize| words.get(place).map_or(Ok(usual), |word| word.parse());
    let (grid, codes, rows) = (number(1, 4)?, number(2, 16)?, number(3, 256)?);
    let captions: Vec<String> = COLOURS
        .iter()
        .flat_map(|colour| ANIMALS.iter().map(move |animal| format!("{colour} {animal}")))
        .collect();
    let bpe = Bpe::train(captions.iter(), 40)?;
    bpe.save(folder.join("bpe.json"))?;
    let path = folder.join("codec.safetensors");
    let config = codec(grid, codes);
    config.init(&Device::flex())?.save(&path, Precision::Full)?;
    pipeline::atomic::write(path.with_extension("toml"), pipeline::settings::to_toml(&config)?)?;
    let codec = Codec::load(&path, &Device::flex())?;
    let meta = TokenMeta {
        codec_name: codec.name.clone(),
        codec_sha256: codec.sha256.clone(),
        codebook_size: codes,
        grid,
        downsampling: codec.downsampling(),
        bpe_kind: "hf-bpe".into(),
        bpe_sha256: bpe.sha256().to_owned(),
        vocab_size: bpe.vocab_size(),
        lowercase: bpe.lowercase(),
        ..TokenMeta::default()
    };
    let path = folder.join("tokens/00000.parquet");
    let mut writer = TokenWriter::new(AtomicFile::create(&path)?, &path, &meta, &[])?;
    for row in 0..rows {
        let caption = &captions[row % captions.len()];
        let code = |place: usize| ((place * (row % captions.len() + 1) + row) % codes) as u16;
        writer.push(TokenRow {
            key: row.to_string(),
            caption: Some(caption.clone()),
            text_ids: Some(bpe.encode(caption)),
            codes: Some((0..grid * grid).map(code).collect()),
            ..TokenRow::default()
        })?;
    }
    writer.finish()?.commit()?;
    Ok(())
}

fn codec(grid: usize, codes: usize) -> VqGanConfig {
    VqGanConfig {
        ch: 8,
        ch_mult: vec![1, 2],
        num_res_blocks: 1,
        attn_resolutions: vec![],
        resolution: 2 * grid,
        z_channels: 4,
        embed_dim: 4,
        n_embed: codes,
        groups: 4,
        ..VqGanConfig::default()
    }
}
