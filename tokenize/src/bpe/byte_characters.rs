//! GPT-2's spelling of bytes as printable characters, in which vocabularies of bytes are stored.

/// Bytes that stand for themselves.
fn is_itself(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff)
}

/// The 256 bytes and their characters: first those that are themselves, then the others, from U+0100 on. CLIP's ids
/// follow this order.
pub(super) fn spelling() -> impl Iterator<Item = (u8, char)> {
    let others = (0..=u8::MAX).filter(|byte| !is_itself(*byte)).zip('\u{100}'..);
    (0..=u8::MAX).filter(|byte| is_itself(*byte)).map(|byte| (byte, char::from(byte))).chain(others)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_byte_has_a_printable_character_of_its_own() {
        assert_eq!(spelling().map(|(byte, _)| byte).collect::<HashSet<_>>().len(), 256);
        let characters: HashSet<char> = spelling().map(|(_, character)| character).collect();
        assert_eq!(characters.len(), 256);
        assert!(characters.iter().all(|c| !c.is_whitespace() && !c.is_control()));
        let of = |byte| spelling().find(|(other, _)| *other == byte).unwrap().1;
        assert_eq!([of(b'a'), of(b' '), of(b'\n'), of(0xad)], ['a', 'Ġ', 'Ċ', 'Ń']);
    }
}
