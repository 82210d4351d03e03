//! Pictures in a change: what they are by their own bytes, never by their names alone.
//!
//! Only kinds that browsers show as an image are pictures; an SVG is one only where the text begins
//! as one. Deliberately absent: decoding them.

use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::Number;
use nightshift_domain::sentence::text;
use nightshift_git::{FilePatch, Mode, Patch, Repository, Side};

use crate::say::change as say;
use crate::{App, Caller, Error};

/// The largest picture that is shown, in bytes.
pub const MOST_BYTES: u64 = 8 << 20;
/// How much of a picture is read to learn what it is.
const START: u64 = 64 << 10;
/// How many pictures of a change are looked at.
const MOST_PICTURES: usize = 40;
/// Endings of files that may be pictures.
const ENDINGS: &[&str] = &["avif", "gif", "jpeg", "jpg", "png", "svg", "webp"];

/// Kinds of pictures that browsers show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// AVIF.
    Avif,
    /// GIF.
    Gif,
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// SVG: a document that could hold scripts.
    Svg,
    /// WebP.
    Webp,
}

impl Kind {
    /// Its media type.
    #[must_use]
    pub fn media(self) -> &'static str {
        match self {
            Self::Avif => "image/avif",
            Self::Gif => "image/gif",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Svg => "image/svg+xml",
            Self::Webp => "image/webp",
        }
    }
}

/// One side of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Face {
    /// What it is, if a browser shows it.
    pub kind: Option<Kind>,
    /// Its size in bytes.
    pub bytes: u64,
    /// Width and height, where they are known.
    pub pixels: Option<(usize, usize)>,
}

/// A picture that the change touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file's place in the patch.
    pub file: usize,
    /// As it was.
    pub before: Option<Face>,
    /// As it is.
    pub after: Option<Face>,
}

/// What a content is, by its first bytes, and its measures.
#[must_use]
pub fn look(path: &str, start: &[u8]) -> (Option<Kind>, Option<(usize, usize)>) {
    use imagesize::{Compression, ImageType};
    if ending(path) == "svg" {
        let text = String::from_utf8_lossy(start);
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let is = text.starts_with("<svg") || (text.starts_with('<') && text.contains("<svg"));
        return (is.then_some(Kind::Svg), None);
    }
    let kind = match imagesize::image_type(start) {
        Ok(ImageType::Heif(Compression::Av1)) => Kind::Avif,
        Ok(ImageType::Gif) => Kind::Gif,
        Ok(ImageType::Jpeg) => Kind::Jpeg,
        Ok(ImageType::Png) => Kind::Png,
        Ok(ImageType::Webp) => Kind::Webp,
        Ok(_) | Err(_) => return (None, None),
    };
    let pixels = imagesize::blob_size(start)
        .ok()
        .map(|size| (size.width, size.height));
    (Some(kind), pixels)
}

fn ending(path: &str) -> String {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    ending.to_lowercase()
}

fn may_be(file: &FilePatch) -> bool {
    let sides = [&file.file.old, &file.file.new];
    let plain = |side: &Side| matches!(side.mode, Mode::File | Mode::Executable);
    ENDINGS.contains(&ending(&file.file.path().to_text()).as_str())
        && sides.into_iter().flatten().all(plain)
}

/// The pictures of a patch.
pub(super) async fn of_patch(
    repository: &Repository,
    patch: &Patch,
) -> Result<Vec<Picture>, Error> {
    let files: Vec<(usize, &FilePatch)> = patch
        .files
        .iter()
        .enumerate()
        .filter(|(_, file)| may_be(file))
        .take(MOST_PICTURES)
        .collect();
    let sides = |file: &FilePatch| [file.file.old.clone(), file.file.new.clone()];
    let wanted: Vec<Side> = files
        .iter()
        .flat_map(|(_, file)| sides(file))
        .flatten()
        .collect();
    let ids: Vec<&ObjectId> = wanted.iter().map(|side| &side.id).collect();
    let starts = repository.blob_starts(&ids, START).await?;
    let mut faces = wanted.iter().zip(starts).map(|(side, (bytes, start))| {
        let (kind, pixels) = look(&side.path.to_text(), &start);
        Face {
            kind,
            bytes,
            pixels,
        }
    });
    let mut pictures = Vec::new();
    for (place, file) in files {
        let [before, after] = sides(file).map(|side| side.and_then(|_| faces.next()));
        pictures.push(Picture {
            file: place,
            before,
            after,
        });
    }
    Ok(pictures)
}

impl App {
    /// Reads a picture of one of the change's commits.
    ///
    /// # Errors
    /// `NotFound` where there is no such file or commit, `Invalid` where it is no picture that a
    /// browser shows, or too large.
    pub async fn change_picture(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        commit: &ObjectId,
        path: &str,
    ) -> Result<(Kind, Vec<u8>), Error> {
        let bytes = self.change_file(caller, name, number, commit, path).await?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MOST_BYTES {
            return Err(Error::invalid(say::picture_large(path, text(MOST_BYTES))));
        }
        let (kind, _) = look(path, &bytes);
        let kind = kind.ok_or_else(|| Error::invalid(say::no_picture(path)))?;
        Ok((kind, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x03\0\0\0\x02\x08\x06\0\0\0";

    /// A name, a content, its kind, its measures.
    type Case<'a> = (&'a str, &'a [u8], Option<Kind>, Option<(usize, usize)>);

    #[test]
    fn a_picture_is_what_its_bytes_say() {
        let cases: [Case<'_>; 9] = [
            ("a.png", PNG, Some(Kind::Png), Some((3, 2))),
            // The name alone makes nothing a picture, and another kind is the other kind.
            ("a.gif", PNG, Some(Kind::Png), Some((3, 2))),
            ("a.png", b"<html><script>alert(1)</script>", None, None),
            (
                "a.png",
                b"<svg xmlns='http://www.w3.org/2000/svg'/>",
                None,
                None,
            ),
            (
                "a.gif",
                b"GIF89a\x05\0\x04\0\xf0\0\0",
                Some(Kind::Gif),
                Some((5, 4)),
            ),
            (
                "a.svg",
                b"<?xml version='1.0'?>\n<svg/>",
                Some(Kind::Svg),
                None,
            ),
            ("a.SVG", b"\xef\xbb\xbf <svg/>", Some(Kind::Svg), None),
            ("a.svg", b"just words", None, None),
            ("a.webp", b"", None, None),
        ];
        for (path, start, kind, pixels) in cases {
            assert_eq!(look(path, start), (kind, pixels), "{path}");
        }
    }
}
