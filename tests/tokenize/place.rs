//! What the tests of `tokenize` stand on: a folder with a codec, pair shards made by hand, the program's output.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field};
use pipeline::atomic;
use pipeline::pairs::{Layout, PairWriter, Row};
use pipeline::picture::{EncodeFormat, EncodeOptions, Picture, encode};
use pipeline::reason::Reason;
use pipeline::store::Store;
use pipeline::unit::committed;
use tokenize::tokens::{TokenReader, TokenRow};

/// A folder with a codec (the weights of a parity case: 16 pixels per code, 128 codes), and what the test puts there.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/vqgan-f16/model.ckpt");
        std::fs::copy(golden, folder.path().join("codec.ckpt")).unwrap();
        let place = Self { folder };
        place.put("codec.toml", CODEC);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        atomic::write(self.path(name), content).unwrap();
    }

    pub(crate) fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenize"));
        command.args(line).current_dir(self.folder.path());
        command
    }

    pub(crate) fn run(&self, line: &[&str]) -> Output {
        self.command(line).output().unwrap()
    }

    /// Exit code, stdout and stderr, without progress lines and with hashes by name.
    pub(crate) fn shown(&self, line: &[&str]) -> String {
        let output = self.run(line);
        let err = String::from_utf8(output.stderr).unwrap();
        let talk: Vec<&str> = err.lines().filter(|line| !line.contains("/s")).collect();
        let out = String::from_utf8(output.stdout).unwrap();
        let text =
            format!("exit {}\n-- out\n{out}-- err\n{}\n", output.status.code().unwrap(), talk.join("\n"));
        self.with_names(&text)
    }

    fn with_names(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for name in ["codec.ckpt", "bpe.model", "bpe.json"] {
            if let Ok(bytes) = std::fs::read(self.path(name)) {
                text = text.replace(&sha256(&bytes), &format!("<{name}>"));
            }
        }
        // Shards carry the tag of the attempt that wrote them.
        for path in tokenize::shard_list::list(&self.path("tokens")).unwrap_or_default() {
            let name = path.file_name().unwrap().to_str().unwrap();
            text = text.replace(name, &format!("{}-<attempt>.parquet", &name[..5]));
        }
        text
    }

    /// Trains `bpe.model` on the captions of the pairs.
    pub(crate) fn bpe(&self) {
        let output = self.run(&["bpe", "pairs", "--columns", "caption,ru", "--vocab-size", "60", "-q"]);
        assert!(output.status.success(), "{output:?}");
    }

    /// All names in a folder, hidden ones too.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The rows of all committed token shards.
    pub(crate) fn rows(&self, tokens: &str) -> Vec<TokenRow> {
        let paths = tokenize::shard_list::list(&self.path(tokens)).unwrap();
        paths.iter().flat_map(|path| TokenReader::open(path).unwrap()).collect::<Result<_, _>>().unwrap()
    }
}

pub(crate) const CODEC: &str = "ch = 32
ch_mult = [1, 1, 1, 1, 2]
num_res_blocks = 1
attn_resolutions = [16]
resolution = 256
z_channels = 24
embed_dim = 32
n_embed = 128
groups = 32
quantizer = \"vq\"
";

pub(crate) const SHARDS: [&str; 11] = [
    "shards",
    "pairs",
    "--codec",
    "codec.ckpt",
    "--bpe",
    "bpe.model",
    "--out",
    "tokens",
    "--image-size",
    "32",
    "--captions=caption,ru",
];

pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn png(index: u8, width: u32, height: u32) -> Vec<u8> {
    let mut picture = Picture::filled(width, height, [250, 250, 250]);
    picture.paste(
        &Picture::filled(width / 2, height / 2, [index.wrapping_mul(37), 90, 200 - index]),
        width / 4,
        3,
    );
    encode(&picture, &EncodeOptions::png()).unwrap()
}

pub(crate) struct Item {
    pub(crate) caption: String,
    pub(crate) ru: Option<&'static str>,
    pub(crate) split: &'static str,
    pub(crate) image: Result<Vec<u8>, Reason>,
}

pub(crate) fn item(index: u8) -> Item {
    Item {
        caption: format!("Red flag {index}"),
        ru: index.is_multiple_of(2).then_some("Красный флаг"),
        split: if index % 4 == 3 { "test" } else { "train" },
        image: Ok(png(index, 40, 32)),
    }
}

pub(crate) fn shard(items: &[Item]) -> Vec<u8> {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let layout = Layout {
        extra: vec![text("ru"), text("split")],
        caption: true,
        format: EncodeFormat::Png,
        ..Layout::default()
    };
    let rows: Vec<Row> = items.iter().enumerate().map(|(index, item)| row(index, item)).collect();
    let ru: ArrayRef = Arc::new(items.iter().map(|item| item.ru).collect::<StringArray>());
    let split: ArrayRef = Arc::new(items.iter().map(|item| Some(item.split)).collect::<StringArray>());
    let mut writer = PairWriter::new(Vec::new(), &layout, "pairs").unwrap();
    writer.write(&[ru, split], &rows).unwrap();
    writer.close().unwrap().0
}

fn row(index: usize, item: &Item) -> Row {
    Row {
        url: Some(format!("http://h/{index}")),
        caption: Some(item.caption.clone()),
        image: item.image.as_ref().ok().map(|bytes| bytes.clone().into()),
        ..Row::new(format!("{index:09}"), item.image.as_ref().err().copied().unwrap_or(Reason::Ok))
    }
}

pub(crate) fn items(count: u8) -> Vec<Item> {
    (0..count).map(item).collect()
}

/// Bytes of the committed shards in unit order.
pub(crate) fn bytes_of(folder: &Path) -> Vec<Vec<u8>> {
    let store = Store::open(folder.to_str().unwrap()).unwrap();
    committed(&store)
        .unwrap()
        .iter()
        .map(|commit| std::fs::read(folder.join(commit.table().unwrap())).unwrap())
        .collect()
}
