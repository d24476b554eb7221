//! Transparent pixels over a colour.

/// RGBA over a colour, rounded to nearest.
pub(super) fn flatten(rgba: &[u8], background: [u8; 3]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(rgba.len() / 4 * 3);
    for pixel in rgba.chunks_exact(4) {
        let alpha = u32::from(pixel[3]);
        for (&top, under) in pixel[..3].iter().zip(background) {
            let mixed = (u32::from(top) * alpha + u32::from(under) * (255 - alpha) + 127) / 255;
            rgb.push(mixed.to_le_bytes()[0]);
        }
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_half_transparent_is_half_background() {
        assert_eq!(flatten(&[255, 0, 0, 128], [0, 0, 100]), [128, 0, 50]);
        assert_eq!(flatten(&[9, 9, 9, 255, 9, 9, 9, 0], [1, 2, 3]), [9, 9, 9, 1, 2, 3]);
    }
}
