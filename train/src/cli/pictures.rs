//! Picture files as a model's codec sees them.

use std::path::Path;

use pipeline::picture::Picture;

use crate::bundle::Bundle;
use crate::model::TokenModel;
use crate::{Error, Result};

/// A picture file as the square that `tokenize shards` makes of it for this codec.
pub(super) fn load<M: TokenModel>(path: &Path, bundle: &Bundle<M>) -> Result<Picture> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    bundle.codec.preprocess().bytes(&bytes, bundle.image_size()).map_err(|reason| {
        Error::config(format!("{}: {}", path.display(), reason.text()))
            .with_hint("PNG, JPEG, WebP, GIF, BMP and TIFF are read; leave the file out, or convert it")
    })
}
