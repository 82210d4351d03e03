//! Names of images of containers, as a project's settings give them.
//!
//! The grammar is that of references in the OCI distribution specification
//! (<https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests>, and
//! `github.com/distribution/reference` for hosts and lengths). Reading is strict, since the text goes
//! to an engine that runs as root: what is not a name of an image never reaches it. Deliberately
//! absent: names that stand for another one (search lists of registries), which each engine
//! completes in its own way.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::sentence::Sentence;
use crate::told::settings as say;

/// The longest name, without tag and digest, in bytes.
const LONGEST: usize = 255;

/// The name of an image: `registry.example.com/team/base:1`, `name@sha256:…`, or a name that the
/// engine already knows, such as `base:1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Image {
    text: String,
    host: usize,
}

/// Why a text is no name of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageError {
    /// Nothing, or more than the longest name.
    Length,
    /// With a scheme.
    Scheme,
    /// A part of the path.
    Path,
    /// The registry.
    Host,
    /// The tag.
    Tag,
    /// The digest.
    Digest,
}

impl ImageError {
    /// What is said about it.
    #[must_use]
    pub fn said(&self) -> Sentence {
        match self {
            Self::Length => say::image_length(),
            Self::Scheme => say::image_scheme(),
            Self::Path => say::image_path(),
            Self::Host => say::image_host(),
            Self::Tag => say::image_tag(),
            Self::Digest => say::image_digest(),
        }
    }
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said().fmt(f)
    }
}

impl std::error::Error for ImageError {}

impl Image {
    /// The whole name, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The registry that the name says, with its port; none for a name that an engine must know.
    #[must_use]
    pub fn registry(&self) -> Option<&str> {
        (self.host > 0).then(|| &self.text[..self.host])
    }

    /// The name without tag and digest.
    #[must_use]
    pub fn repository(&self) -> &str {
        let name = self.text.split('@').next().unwrap_or_default();
        match name[self.host..].find(':') {
            Some(colon) => &name[..self.host + colon],
            None => name,
        }
    }

    /// Whether the name means one content for ever.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.text.contains('@')
    }
}

impl FromStr for Image {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        if text.contains("://") {
            return Err(ImageError::Scheme);
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        if let Some(digest) = digest {
            let hex = digest.strip_prefix("sha256:").ok_or(ImageError::Digest)?;
            let small = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            if hex.len() != 64 || !hex.bytes().all(small) {
                return Err(ImageError::Digest);
            }
        }
        // A first part with a dot or a port, or `localhost`, is a registry: the rule of Docker.
        let host = match name.split_once('/') {
            Some((first, _)) if first == "localhost" || first.contains(['.', ':']) => {
                if !is_host(first) {
                    return Err(ImageError::Host);
                }
                first.len()
            }
            _ => 0,
        };
        let rest = if host > 0 { &name[host + 1..] } else { name };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(ImageError::Tag);
        }
        let length = path.len() + if host > 0 { host + 1 } else { 0 };
        if path.is_empty() || length > LONGEST {
            return Err(ImageError::Length);
        }
        if !path.split('/').all(is_part) {
            return Err(ImageError::Path);
        }
        Ok(Self {
            text: text.to_owned(),
            host,
        })
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_part(part: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(|b| inner(*b)))
        && part
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|between| {
                matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-')
            })
}

fn is_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn is_host(text: &str) -> bool {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let number = |port: &str| {
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    name.split('.').all(label) && port.is_none_or(number)
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Image {
    type Error = ImageError;

    fn try_from(text: String) -> Result<Self, ImageError> {
        text.parse()
    }
}

impl From<Image> for String {
    fn from(image: Image) -> Self {
        image.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn names_are_read_into_registry_and_repository() {
        let pinned = format!("registry.example.com/team/base:1@{DIGEST}");
        let cases = [
            ("base", None, "base", false),
            ("base:1.2-slim", None, "base", false),
            ("team/base_x__y--z", None, "team/base_x__y--z", false),
            (
                "localhost/base:1",
                Some("localhost"),
                "localhost/base",
                false,
            ),
            (
                "localhost:5000/base",
                Some("localhost:5000"),
                "localhost:5000/base",
                false,
            ),
            (
                "registry.example.com/team/base:1",
                Some("registry.example.com"),
                "registry.example.com/team/base",
                false,
            ),
            (
                pinned.as_str(),
                Some("registry.example.com"),
                "registry.example.com/team/base",
                true,
            ),
        ];
        for (text, registry, repository, pinned) in cases {
            let image: Image = text.parse().expect(text);
            assert_eq!(image.registry(), registry, "{text}");
            assert_eq!(image.repository(), repository, "{text}");
            assert_eq!(image.is_pinned(), pinned, "{text}");
            assert_eq!(image.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_rule_that_it_breaks() {
        let long = "a".repeat(256);
        let cases = [
            ("", ImageError::Length),
            (long.as_str(), ImageError::Length),
            ("https://registry.example.com/base", ImageError::Scheme),
            ("Base", ImageError::Path),
            ("a//b", ImageError::Path),
            ("a/../b", ImageError::Path),
            ("-a", ImageError::Path),
            ("a.-b", ImageError::Path),
            ("a___b", ImageError::Path),
            ("base 1", ImageError::Path),
            ("base\n", ImageError::Path),
            ("base:", ImageError::Tag),
            ("base:-1", ImageError::Tag),
            ("base:a b", ImageError::Tag),
            ("base:1:2", ImageError::Tag),
            ("-x.example/base", ImageError::Host),
            ("user@registry.example.com/base", ImageError::Digest),
            ("registry.example.com:0/base", ImageError::Host),
            ("registry.example.com:99999/base", ImageError::Host),
            ("[::1]:5000/base", ImageError::Host),
            ("base@sha256:12", ImageError::Digest),
            ("base@md5:0123", ImageError::Digest),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Image>(), Err(error), "{text:?}");
        }
    }
}
