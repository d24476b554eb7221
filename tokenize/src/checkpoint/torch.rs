//! The containers of `torch.save`: the zip archive of PyTorch 1.6 and later, and the stream of pickles before it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use zip::ZipArchive;

use super::pickle::{self, Bytes, Heap, Node, Storage, View};
use super::{Fault, Stored};

/// Largest pickle that is read; that of a checkpoint with 10,000 tensors has 2 MB.
const LARGEST_PICKLE: u64 = 64 << 20;
/// Largest tensor that is unfolded from a strided view.
const LARGEST_TENSOR: usize = 8 << 30;
/// The number at the start of a stream of pickles, as its protocol writes it.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Where the numbers of a file's tensors lie.
enum Blocks {
    /// Members of an archive under `folder`.
    Zip { archive: Mutex<ZipArchive<File>>, folder: String },
    /// Stretches of a stream: first byte and length of each.
    Stream { file: Mutex<File>, places: HashMap<String, (u64, u64)> },
}

/// The tensors of a zip archive.
pub(super) fn open_zip(path: &Path) -> Result<BTreeMap<String, Stored>, Fault> {
    let (mut archive, main) = archive(path)?;
    let folder = main.trim_end_matches("data.pkl").to_owned();
    if let Ok(mut order) = archive.by_name(&format!("{folder}byteorder")) {
        let mut text = String::new();
        // A reader of 16 bytes cannot fail in a way that matters: an unreadable order is not "big".
        if (&mut order).take(16).read_to_string(&mut text).is_ok() && text.trim() == "big" {
            return Err("the file was written on a big-endian machine; save it again on another".to_owned());
        }
    }
    let bytes = member(&mut archive, &main, LARGEST_PICKLE)?;
    let (heap, root) = pickle::read(&mut Bytes(&bytes))?;
    let views = pickle::tensors(&heap, root)?;
    Ok(stored(views, Blocks::Zip { archive: Mutex::new(archive), folder }))
}

/// What a zip archive's pickle says under `key`.
pub(super) fn plain(path: &Path, key: &str) -> Result<Option<serde_json::Value>, Fault> {
    let (mut archive, main) = archive(path)?;
    let bytes = member(&mut archive, &main, LARGEST_PICKLE)?;
    let (heap, root) = pickle::read(&mut Bytes(&bytes))?;
    pickle::plain(&heap, root, key)
}

/// An archive and the name of its pickle.
fn archive(path: &Path) -> Result<(ZipArchive<File>, String), Fault> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let archive =
        ZipArchive::new(file).map_err(|error| format!("the file is damaged or cut off ({error})"))?;
    let main = archive
        .file_names()
        .filter_map(|name| Some(name.ok()?.into_owned()))
        .find(|name| name == "data.pkl" || name.ends_with("/data.pkl"))
        .ok_or("the archive holds no data.pkl: it is not from torch.save")?;
    Ok((archive, main))
}

fn member(archive: &mut ZipArchive<File>, name: &str, largest: u64) -> Result<Vec<u8>, Fault> {
    let entry = archive.by_name(name).map_err(|error| format!("{name} in the archive: {error}"))?;
    let size = entry.size();
    if size > largest {
        return Err(format!("{name} in the archive has {size} bytes, more than the {largest} that are read"));
    }
    // A block that claims more than the file has fails below.
    let mut bytes = Vec::new();
    let likely = usize::try_from(size.min(entry.compressed_size())).unwrap_or(0);
    bytes.try_reserve_exact(likely).map_err(|_| format!("{name} in the archive claims {size} bytes"))?;
    let read = entry.take(largest).read_to_end(&mut bytes);
    read.map_err(|error| format!("{name} in the archive is damaged: {error}"))?;
    Ok(bytes)
}

/// The tensors of a stream of pickles, or of a single pickle, which has none.
pub(super) fn open_stream(path: &Path) -> Result<BTreeMap<String, Stored>, Fault> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let mut head = Vec::new();
    (&mut file).take(LARGEST_PICKLE).read_to_end(&mut head).map_err(|error| error.to_string())?;
    let mut bytes = Bytes(&head);
    let (heap, root) = pickle::read(&mut bytes)?;
    if !head[..head.len().min(64)].windows(MAGIC.len()).any(|window| window == MAGIC) {
        return Ok(stored(pickle::tensors(&heap, root)?, Blocks::none(file)));
    }
    // The protocol's version, then the machine that wrote it: if its bytes are the other way round, no length fits.
    pickle::read(&mut bytes)?;
    pickle::read(&mut bytes)?;
    let (heap, root) = pickle::read(&mut bytes)?;
    let views = pickle::tensors(&heap, root)?;
    let (keys_heap, keys) = pickle::read(&mut bytes)?;
    let keys: Vec<String> = match keys_heap.get(keys) {
        Node::Items(keys) => keys.iter().filter_map(|key| keys_heap.text(*key)).collect(),
        _ => return Err("the list of storages is missing".to_owned()),
    };
    let start = (head.len() - bytes.0.len()) as u64;
    let places = places(&mut file, start, &keys, &heap)?;
    Ok(stored(views, Blocks::Stream { file: Mutex::new(file), places }))
}

/// Each storage: its number of elements as i64, then their bytes.
fn places(
    file: &mut File,
    mut at: u64,
    keys: &[String],
    heap: &Heap,
) -> Result<HashMap<String, (u64, u64)>, Fault> {
    let width = |storage: &Storage| storage.dtype.map_or(1, |dtype| dtype.size() as u64);
    let widths: HashMap<&str, u64> =
        heap.storages().map(|storage| (storage.key.as_str(), width(storage))).collect();
    let end = file.seek(SeekFrom::End(0)).map_err(|error| error.to_string())?;
    let mut places = HashMap::new();
    for key in keys {
        let mut count = [0; 8];
        file.seek(SeekFrom::Start(at)).map_err(|error| error.to_string())?;
        file.read_exact(&mut count).map_err(|_| format!("the file is cut off before storage {key}"))?;
        let Some(width) = widths.get(key.as_str()) else {
            return Err(format!("storage {key} is not in the pickle, so its length is not known"));
        };
        let length = u64::from_le_bytes(count).checked_mul(*width);
        let next =
            length.and_then(|length| at.checked_add(8)?.checked_add(length)).filter(|next| *next <= end);
        let next = next.ok_or_else(|| format!("the file is cut off in storage {key}"))?;
        places.insert(key.clone(), (at + 8, next - at - 8));
        at = next;
    }
    Ok(places)
}

impl Blocks {
    fn none(file: File) -> Self {
        Self::Stream { file: Mutex::new(file), places: HashMap::new() }
    }

    /// All bytes of one storage.
    fn read(&self, key: &str) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Zip { archive, folder } => {
                let mut archive = archive.lock().unwrap_or_else(PoisonError::into_inner);
                member(&mut archive, &format!("{folder}data/{key}"), u64::MAX)
            }
            Self::Stream { file, places } => {
                let (start, length) = places.get(key).ok_or_else(|| format!("storage {key} is missing"))?;
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let mut bytes = Vec::new();
                file.seek(SeekFrom::Start(*start)).map_err(|error| error.to_string())?;
                (&mut *file).take(*length).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
                Ok(bytes)
            }
        }
    }
}

fn stored(views: BTreeMap<String, View>, blocks: Blocks) -> BTreeMap<String, Stored> {
    let blocks = Arc::new(blocks);
    let entry = |(name, view): (String, View)| {
        let (shape, dtype, blocks) = (view.shape.clone(), view.dtype, Arc::clone(&blocks));
        let read = move || gather(&view, blocks.read(&view.storage.key)?);
        (name, Stored { shape, dtype, read: Arc::new(read) })
    };
    views.into_iter().map(entry).collect()
}

/// A view's elements in row-major order.
fn gather(view: &View, block: Vec<u8>) -> Result<Vec<u8>, Fault> {
    let width = view.dtype.size();
    let storage = &view.storage.key;
    let from = view.storage.offset.checked_add(view.offset).ok_or("an offset is too large")?;
    let elements = view.shape.iter().product::<usize>();
    if elements.saturating_mul(width) > LARGEST_TENSOR {
        return Err(format!("a tensor of shape {:?} is larger than any checkpoint's", view.shape));
    }
    let cut_off = || format!("storage {storage} is shorter than its tensor needs");
    let bytes = |place: usize, elements: usize| {
        let start = place.checked_mul(width)?;
        block.get(start..start.checked_add(elements * width)?)
    };
    if contiguous(&view.shape, &view.strides) {
        // The usual case: the block is the tensor.
        if from == 0 && elements * width == block.len() {
            return Ok(block);
        }
        return bytes(from, elements).map(<[u8]>::to_vec).ok_or_else(cut_off);
    }
    let mut out = Vec::with_capacity(elements * width);
    let mut index = vec![0; view.shape.len()];
    for _ in 0..elements {
        let steps: usize = index.iter().zip(&view.strides).map(|(i, stride)| i * stride).sum();
        let place = from.checked_add(steps).ok_or_else(cut_off)?;
        out.extend_from_slice(bytes(place, 1).ok_or_else(cut_off)?);
        for (i, size) in index.iter_mut().zip(&view.shape).rev() {
            *i += 1;
            if *i < *size {
                break;
            }
            *i = 0;
        }
    }
    Ok(out)
}

/// Whether the elements lie one after another; strides of sizes 1 do not matter.
fn contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    shape.iter().zip(strides).rev().all(|(size, stride)| {
        let fits = *size == 1 || *stride == expected;
        expected *= size;
        fits
    })
}
