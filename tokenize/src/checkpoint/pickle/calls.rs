//! The calls that a pickle of weights may ask for, and what they mean.

use burn::tensor::{BoolStore, DType};

use super::Fault;
use super::value::{Heap, Id, Node, Storage, View};

/// Calls whose result holds no weights: devices and sizes, numbers of numpy, paths in saved options.
///
/// torch's own list for `weights_only=True` (`torch/_weights_only_unpickler.py`) and numpy's and pathlib's constructors.
const INERT: [&str; 20] = [
    "_codecs.encode",
    "builtins.bytearray",
    "builtins.complex",
    "builtins.slice",
    "copy_reg._reconstructor",
    "copyreg._reconstructor",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy.dtype",
    "numpy.ndarray",
    "pathlib.PosixPath",
    "pathlib.PurePosixPath",
    "pathlib.PureWindowsPath",
    "pathlib.WindowsPath",
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch.device",
    "torch.serialization._get_layout",
    "torch.torch_version.TorchVersion",
];

/// Calls of `name` with the tuple `args`.
pub(super) fn call(heap: &mut Heap, name: &str, args: Id) -> Result<Id, Fault> {
    let arguments = heap.items(args).to_vec();
    let first = arguments.first().copied();
    match name {
        "collections.OrderedDict" | "collections.Counter" | "builtins.dict" | "__builtin__.dict" => {
            let pairs = first.map_or(Vec::new(), |list| pairs(heap, list));
            heap.add(Node::Dict(pairs))
        }
        "collections.defaultdict" => heap.add(Node::Dict(Vec::new())),
        "builtins.set"
        | "builtins.frozenset"
        | "__builtin__.set"
        | "__builtin__.frozenset"
        | "torch.Size"
        | "builtins.list"
        | "builtins.tuple" => {
            let items = first.map_or(Vec::new(), |list| heap.items(list).to_vec());
            heap.add(Node::Items(items))
        }
        "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" => {
            let view = view(heap, &arguments, None).ok_or_else(|| malformed(name))?;
            heap.add(Node::Tensor(view))
        }
        "torch._utils._rebuild_tensor_v3" => {
            let dtype = arguments.get(6).and_then(|id| heap.text(*id)).ok_or_else(|| malformed(name))?;
            let view = view(heap, &arguments, Some(dtype_of(&dtype)?)).ok_or_else(|| malformed(name))?;
            heap.add(Node::Tensor(view))
        }
        "torch._utils._rebuild_parameter"
        | "torch._utils._rebuild_parameter_with_state"
        | "torch.nn.parameter.Parameter" => first.ok_or_else(|| malformed(name)),
        "torch._tensor._rebuild_from_type_v2" => {
            let inner = first.map(|id| heap.get(id).clone());
            match (inner, arguments.get(2)) {
                (Some(Node::Name(inner)), Some(args)) if inner != name => call(heap, &inner, *args),
                _ => Err(malformed(name)),
            }
        }
        inert if INERT.contains(&inert) => heap.add(Node::Object { pairs: Vec::new(), state: None }),
        foreign => Err(refusal(foreign)),
    }
}

/// What is said of a call that weights have no use for.
pub(super) fn refusal(name: &str) -> Fault {
    format!(
        "the pickle wants to call {name}, which no weights need; the file is refused, and nothing in it was executed"
    )
}

fn malformed(name: &str) -> Fault {
    format!("the pickle calls {name} with arguments that make no tensor")
}

/// `[(key, value), …]`
fn pairs(heap: &Heap, list: Id) -> Vec<(Id, Id)> {
    let pair = |id: &Id| match heap.items(*id) {
        [key, value] => Some((*key, *value)),
        _ => None,
    };
    heap.items(list).iter().filter_map(pair).collect()
}

/// `(storage, offset, size, stride, …)`, checked to lie within the storage.
fn view(heap: &Heap, arguments: &[Id], dtype: Option<DType>) -> Option<View> {
    let [storage, offset, shape, strides, ..] = *arguments else { return None };
    let Node::Storage(storage) = heap.get(storage) else { return None };
    let dtype = dtype.or(storage.dtype)?;
    let (shape, strides) = (heap.sizes(shape)?, heap.sizes(strides)?);
    let offset = heap.size(offset)?;
    if shape.len() != strides.len() {
        return None;
    }
    let mut last = offset;
    for (size, stride) in shape.iter().zip(&strides).filter(|_| !shape.contains(&0)) {
        last = last.checked_add((size - 1).checked_mul(*stride)?)?;
    }
    let within = storage.elements / if storage.dtype.is_some() { 1 } else { dtype.size() };
    shape.iter().try_fold(dtype.size(), |bytes, size| bytes.checked_mul(*size))?;
    let fits = shape.contains(&0) || last < within;
    fits.then(|| View { storage: storage.clone(), dtype, offset, shape, strides })
}

/// The storage that a persistent id `("storage", class, key, device, elements, …)` stands for; a legacy file also names
/// a module's source that way: `("module", class, file, source)` stands for the class.
pub(super) fn persistent(heap: &mut Heap, id: Id) -> Result<Id, Fault> {
    let parts = heap.items(id).to_vec();
    let kind = parts.first().and_then(|id| heap.text(*id)).unwrap_or_default();
    match (kind.as_str(), parts.as_slice()) {
        ("module", [_, class, ..]) => Ok(*class),
        ("storage", [_, class, key, _, elements, rest @ ..]) => {
            let wrong = || "the pickle names a storage without a key or size".to_owned();
            let class = heap.text(*class).ok_or_else(wrong)?;
            let dtype = match class.rsplit('.').next().unwrap_or_default() {
                "UntypedStorage" => None,
                typed => Some(dtype_of(typed)?),
            };
            // Early legacy files may name a part of a storage: (key, offset, elements).
            let part = rest.first().map(|id| heap.items(*id)).unwrap_or_default();
            let offset = part.get(1).and_then(|id| heap.size(*id)).unwrap_or(0);
            let elements = part.get(2).unwrap_or(elements);
            let elements = heap.size(*elements).ok_or_else(wrong)?;
            let key = heap.text(*key).ok_or_else(wrong)?;
            heap.add(Node::Storage(Storage { key, dtype, elements, offset }))
        }
        _ => Err(format!("the pickle refers to {kind:?} outside of it, not to a storage")),
    }
}

/// The element type by a storage's class or a dtype's name.
fn dtype_of(name: &str) -> Result<DType, Fault> {
    Ok(match name.strip_prefix("torch.").unwrap_or(name) {
        "FloatStorage" | "float32" | "float" => DType::F32,
        "HalfStorage" | "float16" | "half" => DType::F16,
        "BFloat16Storage" | "bfloat16" => DType::BF16,
        "DoubleStorage" | "float64" | "double" => DType::F64,
        "LongStorage" | "int64" | "long" => DType::I64,
        "IntStorage" | "int32" | "int" => DType::I32,
        "ShortStorage" | "int16" | "short" => DType::I16,
        "CharStorage" | "int8" => DType::I8,
        "ByteStorage" | "uint8" => DType::U8,
        "BoolStorage" | "bool" => DType::Bool(BoolStore::Native),
        other => return Err(format!("the pickle holds numbers of the kind {other}, which no weights are")),
    })
}
