use super::value::{Heap, Id};
use super::*;

fn run(pickle: &[u8]) -> Result<(Heap, Id), Fault> {
    read(&mut Bytes(pickle))
}

fn names(pickle: &[u8]) -> Vec<String> {
    let (heap, root) = run(pickle).unwrap();
    tensors(&heap, root).unwrap().into_keys().collect()
}

/// `_rebuild_tensor_v2(storage "0" of six floats, 1, (2, 2), (2, 1), False, None)`, onto the stack.
const TENSOR: &[u8] =
    b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0\
    0X\x03\0\0\0cpuK\x06tQK\x01K\x02K\x02\x86K\x02K\x01\x86\x89NtR";

fn with_tensor(before: &[u8], after: &[u8]) -> Vec<u8> {
    [before, TENSOR, after].concat()
}

#[test]
fn a_tensor_is_a_view_of_its_storage() {
    let (heap, root) = run(&with_tensor(b"\x80\x02", b".")).unwrap();
    let Node::Tensor(view) = heap.get(root) else { panic!("{:?}", heap.get(root)) };
    assert_eq!((view.offset, &view.shape[..], &view.strides[..]), (1, &[2, 2][..], &[2, 1][..]));
    assert_eq!((view.storage.key.as_str(), view.storage.elements), ("0", 6));
}

#[test]
fn a_view_beyond_its_storage_is_refused() {
    let beyond = with_tensor(b"\x80\x02", b".");
    let beyond: Vec<u8> = String::from_utf8_lossy(&beyond[2..]).replace("K\u{6}tQ", "K\u{4}tQ").into_bytes();
    assert!(run(&beyond).unwrap_err().contains("make no tensor"));
}

#[test]
fn keys_of_any_kind_and_shared_values_are_read() {
    // {"a": t, 3: memo of t, <class m.C>: t again, None: t}, put together with SETITEM.
    let dict = [b"\x80\x02}X\x01\0\0\0a", TENSOR, b"q\x05sK\x03h\x05scm\nC\nh\x05sNh\x05s."].concat();
    assert_eq!(names(&dict), ["3", "a", "m.C"]);
}

#[test]
fn a_whole_module_is_its_state_dict() {
    let key =
        |name: &str| [&b"X"[..], &u32::try_from(name.len()).unwrap().to_le_bytes(), name.as_bytes()].concat();
    let parameters =
        [key("_parameters"), b"}".to_vec(), key("w"), TENSOR.to_vec(), b"q\x01s".to_vec()].concat();
    let buffers =
        [key("_buffers"), b"}(".to_vec(), key("kept"), b"h\x01".to_vec(), key("gone"), b"h\x01u".to_vec()];
    let transient = [
        key("_non_persistent_buffers_set"),
        b"c__builtin__\nset\n]".to_vec(),
        key("gone"),
        b"a\x85R".to_vec(),
    ];
    let other = [key("scratch"), b"h\x01".to_vec()].concat();
    let state = [&parameters[..], &buffers.concat(), &transient.concat(), &other].concat();
    let module = [b"\x80\x02cdall_e.encoder\nEncoder\n)\x81}(".to_vec(), state, b"ub.".to_vec()].concat();
    assert_eq!(names(&module), ["kept", "w"]);
}

#[test]
fn foreign_calls_are_refused_by_name_in_every_way_to_call() {
    let calls: [&[u8]; 6] = [
        b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R.",
        b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94.",
        b"cos\nsystem\n(S'id'\ntR.",
        b"(S'id'\nios\nsystem\n.",
        b"(cos\nsystem\nS'id'\no.",
        // Its result is thrown away, and a harmless value is left.
        b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R0}.",
    ];
    for pickle in calls {
        let why = run(pickle).unwrap_err();
        assert!(why.contains("call os.system,") && why.contains("nothing in it was executed"), "{why}");
    }
    // Through the one call that calls another.
    let inner = b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(cbuiltins\neval\nNX\x01\0\0\0x\x85NtR.";
    assert!(run(inner).unwrap_err().contains("call builtins.eval,"));
}

#[test]
fn harmless_calls_of_published_checkpoints_pass() {
    let scalar = b"\x80\x02cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\nX\x02\0\0\0f8\x89\x88\x87R(K\x03NtbC\x01xtR.";
    assert!(run(scalar).is_ok());
    let namespace = b"\x80\x02cargparse\nNamespace\n)\x81}X\x01\0\0\0aK\x01sb.";
    assert!(run(namespace).is_ok());
}

#[test]
fn damaged_pickles_are_errors() {
    let whole = with_tensor(b"\x80\x02", b".");
    for end in 0..whole.len() {
        assert!(run(&whole[..end]).is_err(), "{end}");
    }
    for damaged in [&b"R."[..], b"h\x07.", b"\xff.", b"(.", b"X\xff\xff\xff\xffa."] {
        assert!(run(damaged).is_err(), "{damaged:?}");
    }
}

#[test]
fn circles_and_depth_end() {
    let circle = b"\x80\x02}q\0X\x01\0\0\0ah\0s.";
    let (heap, root) = run(circle).unwrap();
    assert!(tensors(&heap, root).unwrap_err().contains("deeper"));
    let deep = [b"]".repeat(100_000), b"a".repeat(99_999), b".".to_vec()].concat();
    let (heap, root) = run(&deep).unwrap();
    assert!(tensors(&heap, root).is_err());
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        if let Ok((heap, root)) = run(&bytes) {
            drop(tensors(&heap, root));
        }
    }
}
