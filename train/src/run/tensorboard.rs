//! A TensorBoard event file: scalars and PNG pictures, written by hand because the format is small.
//!
//! A file is a sequence of TFRecords (length, masked CRC-32C of the length, data, masked CRC-32C of the data), each
//! holding one `Event` protobuf. Fields: tensorflow/core/util/event.proto and tensorflow/core/framework/summary.proto.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Error, Result};

/// An open event file.
pub struct TensorBoard {
    path: PathBuf,
    file: File,
}

impl TensorBoard {
    /// Opens a new event file in `dir`. A resumed run says at which step it starts, so that TensorBoard drops what an
    /// earlier file holds past it.
    ///
    /// # Errors
    /// The folder or file cannot be made.
    pub fn create(dir: &Path, step: u64) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(Error::io(dir))?;
        let stamp = stamp(dir, now() as u64)?;
        let path = dir.join(format!("{PREFIX}{stamp:010}.{}.troika", std::process::id()));
        // An event file is a log: it grows record by record, and a reader skips a torn last record.
        let file = File::options().create(true).append(true).open(&path).map_err(Error::io(&path))?;
        let mut board = Self { path, file };
        board.write(&version_event(now()))?;
        if step > 0 {
            board.write(&start_event(now(), step + 1))?;
        }
        Ok(board)
    }

    /// Writes one number.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<()> {
        self.write(&scalar_event(now(), step, tag, value))
    }

    /// Writes words; TensorBoard shows them as Markdown.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn text(&mut self, tag: &str, step: u64, words: &str) -> Result<()> {
        self.write(&text_event(now(), step, tag, words))
    }

    /// Writes one picture, the bytes of a PNG file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn picture(&mut self, tag: &str, step: u64, png: &[u8]) -> Result<()> {
        self.write(&picture_event(now(), step, tag, png))
    }

    fn write(&mut self, event: &[u8]) -> Result<()> {
        self.file.write_all(&record(event)).map_err(Error::io(&self.path))
    }
}

/// How the names of event files begin; the second at which they were made follows.
const PREFIX: &str = "events.out.tfevents.";

/// The second for a new file's name: TensorBoard reads files in the order of their names, so a clock that was set back
/// must not put a new file before those that are there.
fn stamp(dir: &Path, now: u64) -> Result<u64> {
    let mut stamp = now;
    for entry in std::fs::read_dir(dir).map_err(Error::io(dir))? {
        let name = entry.map_err(Error::io(dir))?.file_name().to_string_lossy().into_owned();
        let seconds = name.strip_prefix(PREFIX).and_then(|rest| rest.split('.').next()?.parse::<u64>().ok());
        stamp = stamp.max(seconds.map_or(0, |seconds| seconds + 1));
    }
    Ok(stamp)
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

fn version_event(time: f64) -> Vec<u8> {
    Message::new().double(1, time).bytes(3, b"brain.Event:2").0
}

/// `SessionLog { status: START }`: events of other files at or past this step are out of date.
fn start_event(time: f64, step: u64) -> Vec<u8> {
    Message::new().double(1, time).varint(2, step).bytes(7, &Message::new().varint(1, 1).0).0
}

fn scalar_event(time: f64, step: u64, tag: &str, value: f64) -> Vec<u8> {
    summary_event(time, step, &Message::new().bytes(1, tag.as_bytes()).float(2, value as f32))
}

fn picture_event(time: f64, step: u64, tag: &str, png: &[u8]) -> Vec<u8> {
    // Width and height are the first two numbers of a PNG's header chunk.
    let side = |at: usize| png.get(at..at + 4).map_or(0, |b| b.iter().fold(0, |n, b| n << 8 | u64::from(*b)));
    let image = Message::new().varint(1, side(20)).varint(2, side(16)).varint(3, 3).bytes(4, png);
    summary_event(time, step, &Message::new().bytes(1, tag.as_bytes()).bytes(4, &image.0))
}

/// A tensor of one string that the plugin `text` shows (`SummaryMetadata.plugin_data`, `TensorProto`).
fn text_event(time: f64, step: u64, tag: &str, words: &str) -> Vec<u8> {
    const STRING: u64 = 7;
    let plugin = Message::new().bytes(1, &Message::new().bytes(1, b"text").0);
    let shape = Message::new().bytes(2, &Message::new().varint(1, 1).0);
    let tensor = Message::new().varint(1, STRING).bytes(2, &shape.0).bytes(8, words.as_bytes());
    let value = Message::new().bytes(1, tag.as_bytes()).bytes(8, &tensor.0).bytes(9, &plugin.0);
    summary_event(time, step, &value)
}

fn summary_event(time: f64, step: u64, value: &Message) -> Vec<u8> {
    let summary = Message::new().bytes(1, &value.0);
    Message::new().double(1, time).varint(2, step).bytes(5, &summary.0).0
}

/// A protobuf message under construction.
struct Message(Vec<u8>);

impl Message {
    const fn new() -> Self {
        Self(Vec::new())
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint(mut self, field: u64, value: u64) -> Self {
        self.raw_varint(field << 3);
        self.raw_varint(value);
        self
    }

    fn double(mut self, field: u64, value: f64) -> Self {
        self.raw_varint(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn float(mut self, field: u64, value: f32) -> Self {
        self.raw_varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.raw_varint(field << 3 | 2);
        self.raw_varint(value.len() as u64);
        self.0.extend(value);
        self
    }
}

/// Frames one message as a TFRecord.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(data.len() + 16);
    out.extend(length);
    out.extend(masked_crc(&length).to_le_bytes());
    out.extend(data);
    out.extend(masked_crc(data).to_le_bytes());
    out
}

/// TFRecord's mask keeps a checksum of data that itself holds checksums from degenerating.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bytewise with a table.
fn crc32c(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = crc_table();
    !data.iter().fold(!0, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_reorder_the_files() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(stamp(dir.path(), 1000).unwrap(), 1000);
        pipeline::atomic::write(dir.path().join("events.out.tfevents.0000005000.7.troika"), "").unwrap();
        pipeline::atomic::write(dir.path().join("notes.txt"), "").unwrap();
        assert_eq!([stamp(dir.path(), 1000).unwrap(), stamp(dir.path(), 9000).unwrap()], [5001, 9000]);
    }

    // The records below were made with PyPI `tensorboard` 2.21.0 (its protobuf classes and its masked CRC).
    #[test]
    fn records_are_those_of_tensorboard() {
        assert_eq!(
            hex(&record(&version_event(1.5))),
            "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c"
        );
        assert_eq!(
            hex(&record(&start_event(1.5, 301))),
            "100000000000000095fbfe1809000000000000f83f10ad023a020801d17949d4"
        );
        assert_eq!(
            hex(&record(&scalar_event(1.5, 300, "train/loss", 2.25))),
            "2100000000000000017becf609000000000000f83f10ac022a130a110a0a747261696e2f6c6f73731500001040184a3460"
        );
    }

    #[test]
    fn a_picture_carries_its_sides() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\x02\0\0\0\x03end";
        assert_eq!(
            hex(&record(&picture_event(1.5, 7, "s", png))),
            "3800000000000000a3797d5709000000000000f83f10072a2b0a290a0173222408031082021803221b89504e470d0a1a0a0000000d\
             494844520000010200000003656e643e859104"
        );
    }

    #[test]
    fn the_checksum_is_castagnolis() {
        // RFC 3720, appendix B.4.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }
}
