//! Colours of a profile to sRGB (ICC.1:2022), in the depth of the picture.
//!
//! A profile is read once; crawls meet the same few again and again. A broken one says nothing about the pixels and is
//! passed over, as browsers do.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use image::{DynamicImage, ImageBuffer, Pixel};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformExecutor, TransformOptions};
use sha2::{Digest, Sha256};

/// Transforms that are kept, the most recent first.
const KEPT: usize = 32;

/// What no eye sees, of 255: a profile that moves no colour further is sRGB.
const UNSEEN: u8 = 2;

/// From which samples to 3 (or, with alpha, 4) samples of the same depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Grey,
    GreyAlpha,
    Rgb,
    RgbAlpha,
    Ink,
}

impl Source {
    fn layouts(self) -> (Layout, Layout) {
        match self {
            Self::Grey => (Layout::Gray, Layout::Rgb),
            Self::GreyAlpha => (Layout::GrayAlpha, Layout::Rgba),
            Self::Rgb => (Layout::Rgb, Layout::Rgb),
            Self::RgbAlpha => (Layout::Rgba, Layout::Rgba),
            // Four inks lie in memory as three colours with alpha do.
            Self::Ink => (Layout::Rgba, Layout::Rgb),
        }
    }

    fn space(self) -> DataColorSpace {
        match self {
            Self::Grey | Self::GreyAlpha => DataColorSpace::Gray,
            Self::Rgb | Self::RgbAlpha => DataColorSpace::Rgb,
            Self::Ink => DataColorSpace::Cmyk,
        }
    }
}

/// Takes a picture to sRGB. Where the profile is not for such a picture, is sRGB or is broken, it comes back as it was.
pub(super) fn to_srgb(image: DynamicImage, profile: &[u8]) -> DynamicImage {
    use DynamicImage::{ImageLuma8, ImageLuma16, ImageLumaA8, ImageLumaA16};
    use DynamicImage::{ImageRgb8, ImageRgb16, ImageRgba8, ImageRgba16};
    // Grey pictures often come with a profile for colours.
    let colours = profile.get(16..20) == Some(b"RGB ");
    let image = match image {
        ImageLuma8(_) if colours => ImageRgb8(image.into_rgb8()),
        ImageLumaA8(_) if colours => ImageRgba8(image.into_rgba8()),
        ImageLuma16(_) if colours => ImageRgb16(image.into_rgb16()),
        ImageLumaA16(_) if colours => ImageRgba16(image.into_rgba16()),
        image => image,
    };
    let source = match image {
        ImageLuma8(_) | ImageLuma16(_) => Source::Grey,
        ImageLumaA8(_) | ImageLumaA16(_) => Source::GreyAlpha,
        ImageRgb8(_) | ImageRgb16(_) => Source::Rgb,
        ImageRgba8(_) | ImageRgba16(_) => Source::RgbAlpha,
        _ => return image,
    };
    let bytes = || transform_of_bytes(profile, source);
    let words = || transform_of_words(profile, source);
    let converted = match &image {
        ImageLuma8(from) => run(from, bytes(), 3).map(ImageRgb8),
        ImageLumaA8(from) => run(from, bytes(), 4).map(ImageRgba8),
        ImageRgb8(from) => run(from, bytes(), 3).map(ImageRgb8),
        ImageRgba8(from) => run(from, bytes(), 4).map(ImageRgba8),
        ImageLuma16(from) => run(from, words(), 3).map(ImageRgb16),
        ImageLumaA16(from) => run(from, words(), 4).map(ImageRgba16),
        ImageRgb16(from) => run(from, words(), 3).map(ImageRgb16),
        ImageRgba16(from) => run(from, words(), 4).map(ImageRgba16),
        _ => None,
    };
    converted.unwrap_or(image)
}

fn run<P, Q, S>(
    from: &ImageBuffer<P, Vec<S>>,
    transform: Option<Arc<Transform<S>>>,
    channels: usize,
) -> Option<ImageBuffer<Q, Vec<S>>>
where
    P: Pixel<Subpixel = S>,
    Q: Pixel<Subpixel = S>,
    S: Copy + Default,
{
    let transform = transform?;
    let pixels = from.width() as usize * from.height() as usize;
    let mut to = vec![S::default(); channels * pixels];
    transform.transform(from, &mut to).ok()?;
    ImageBuffer::from_raw(from.width(), from.height(), to)
}

/// Amounts of ink, four bytes per pixel, to RGB: by the profile if there is a usable one, else every ink takes away its
/// share of light.
pub(super) fn ink_to_rgb(inks: &[u8], profile: Option<&[u8]>) -> Vec<u8> {
    let mut rgb = vec![0; inks.len() / 4 * 3];
    let transform = profile.and_then(|profile| transform_of_bytes(profile, Source::Ink));
    if transform.is_some_and(|transform| transform.transform(inks, &mut rgb).is_ok()) {
        return rgb;
    }
    for (pixel, [inks @ .., black]) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(inks.as_chunks::<4>().0) {
        let light = |ink: u8| {
            let product = u32::from(255 - ink) * u32::from(255 - black);
            ((product + 127) / 255).to_le_bytes()[0]
        };
        *pixel = inks.map(light);
    }
    rgb
}

/// How to get from a profile's colours to sRGB.
type Transform<S> = dyn TransformExecutor<S> + Send + Sync;

/// The digest of a profile, and what it is used for.
type Key = ([u8; 32], Source);

/// What a profile's transform is; `None` where there is nothing to do.
type Entry<S> = (Key, Option<Arc<Transform<S>>>);

/// The transforms of the profiles that were met last.
struct Known<S>(Mutex<VecDeque<Entry<S>>>);

impl<S: Copy + Default> Known<S> {
    const fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    fn get(
        &self,
        profile: &[u8],
        source: Source,
        make: impl FnOnce(&ColorProfile) -> Option<Arc<Transform<S>>>,
    ) -> Option<Arc<Transform<S>>> {
        let key = (Sha256::digest(profile).into(), source);
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, transform)) = known().iter().find(|(other, _)| *other == key) {
            return transform.clone();
        }
        // Takes milliseconds, in which other threads are not held up.
        let profile = ColorProfile::new_from_slice(profile).ok();
        let transform = profile.filter(|profile| profile.color_space == source.space());
        let transform = transform.and_then(|profile| make(&profile));
        let mut kept = known();
        kept.truncate(KEPT - 1);
        kept.push_front((key, transform.clone()));
        transform
    }
}

fn transform_of_bytes(profile: &[u8], source: Source) -> Option<Arc<Transform<u8>>> {
    static KNOWN: Known<u8> = Known::new();
    let (from, to) = source.layouts();
    KNOWN.get(profile, source, |profile| {
        let options = TransformOptions::default();
        let transform = profile.create_transform_8bit(from, &ColorProfile::new_srgb(), to, options).ok()?;
        (!is_srgb(&*transform, source)).then_some(transform)
    })
}

fn transform_of_words(profile: &[u8], source: Source) -> Option<Arc<Transform<u16>>> {
    static KNOWN: Known<u16> = Known::new();
    let (from, to) = source.layouts();
    // What is sRGB is found out with bytes.
    transform_of_bytes(profile, source)?;
    KNOWN.get(profile, source, |profile| {
        let options = TransformOptions::default();
        profile.create_transform_16bit(from, &ColorProfile::new_srgb(), to, options).ok()
    })
}

/// Whether a transform leaves all colours where they are, tried on nine steps of each channel.
fn is_srgb(transform: &Transform<u8>, source: Source) -> bool {
    let steps = || (0..=8_u16).map(|step| (step * 255 / 8) as u8);
    let colours = || steps().flat_map(move |r| steps().flat_map(move |g| steps().map(move |b| [r, g, b])));
    let (samples, expected): (Vec<u8>, Vec<u8>) = match source {
        Source::Grey => (steps().collect(), steps().flat_map(|grey| [grey; 3]).collect()),
        Source::GreyAlpha => {
            (steps().flat_map(|grey| [grey, 255]).collect(), steps().flat_map(|g| [g, g, g, 255]).collect())
        }
        Source::Rgb => (colours().flatten().collect(), colours().flatten().collect()),
        Source::RgbAlpha => {
            let opaque: Vec<u8> = colours().flat_map(|[r, g, b]| [r, g, b, 255]).collect();
            (opaque.clone(), opaque)
        }
        Source::Ink => return false,
    };
    let mut moved = vec![0; expected.len()];
    transform.transform(&samples, &mut moved).is_ok()
        && moved.iter().zip(&expected).all(|(a, b)| a.abs_diff(*b) <= UNSEEN)
}

#[cfg(test)]
mod tests {
    use image::{Luma, Rgb, Rgba};

    use super::*;

    fn encoded(profile: &ColorProfile) -> Vec<u8> {
        profile.encode().unwrap()
    }

    #[test]
    fn srgb_is_left_alone_and_wide_colours_are_moved() {
        let image = DynamicImage::from(ImageBuffer::from_pixel(2, 1, Rgb([200_u8, 100, 50])));
        assert_eq!(to_srgb(image.clone(), &encoded(&ColorProfile::new_srgb())), image);
        let p3 = to_srgb(image.clone(), &encoded(&ColorProfile::new_display_p3()));
        // By the matrices of Display P3 and sRGB: (214.9, 92.6, 31.0).
        let moved = p3.as_rgb8().unwrap().get_pixel(1, 0).0;
        let near = moved.iter().zip([215_u8, 93, 31]).all(|(a, b)| a.abs_diff(b) <= 2);
        assert!(near, "{moved:?}");
    }

    #[test]
    fn alpha_and_sixteen_bits_are_kept() {
        let p3 = encoded(&ColorProfile::new_display_p3());
        let image = DynamicImage::from(ImageBuffer::from_pixel(1, 1, Rgba([200_u8, 100, 50, 77])));
        assert_eq!(to_srgb(image, &p3).as_rgba8().unwrap().get_pixel(0, 0)[3], 77);
        let image = DynamicImage::from(ImageBuffer::from_pixel(1, 1, Rgb([51_400_u16, 25_700, 12_850])));
        let wide = to_srgb(image, &p3);
        assert!(wide.as_rgb16().unwrap().get_pixel(0, 0)[0].abs_diff(55_230) < 100, "{wide:?}");
    }

    #[test]
    fn grey_follows_its_curve() {
        let linear = encoded(&ColorProfile::new_gray_with_gamma(1.0));
        let image = DynamicImage::from(ImageBuffer::from_pixel(1, 1, Luma([55_u8])));
        let grey = to_srgb(image.clone(), &linear);
        // 55/255 of the light is 0.50 of the signal.
        assert!(grey.as_rgb8().unwrap().get_pixel(0, 0)[1].abs_diff(128) <= 2, "{grey:?}");
        let colour = to_srgb(image, &encoded(&ColorProfile::new_adobe_rgb()));
        assert!(colour.as_rgb8().is_some(), "a profile for colours on a grey picture");
    }

    #[test]
    fn broken_and_unfit_profiles_are_passed_over() {
        let image = DynamicImage::from(ImageBuffer::from_pixel(1, 1, Rgb([200_u8, 100, 50])));
        let p3 = encoded(&ColorProfile::new_display_p3());
        for profile in
            [&b""[..], b"no profile", &p3[..200], &encoded(&ColorProfile::new_gray_with_gamma(1.0))]
        {
            assert_eq!(to_srgb(image.clone(), profile), image);
        }
        assert_eq!(ink_to_rgb(&[0, 255, 51, 0], Some(&p3)), [255, 0, 204], "no profile of inks");
    }

    #[test]
    fn ink_takes_light_away() {
        assert_eq!(
            ink_to_rgb(&[0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 128], None),
            [255, 255, 255, 0, 0, 0, 0, 127, 127]
        );
    }
}
