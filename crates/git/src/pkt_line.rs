//! The framing of git's protocol: four hexadecimal digits of length, then the payload.
//!
//! Reading never allocates more than one packet (65,520 bytes) and never panics on any input.
//! Deliberately absent: meaning; that is in `push`.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::error::GitError;

/// Largest packet, its length included, in bytes.
pub(crate) const LARGEST: usize = 65_520;

/// One packet of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Packet {
    /// `0000`: the end of a section.
    Flush,
    /// A payload; may be empty.
    Data(Bytes),
}

/// Reads the length digits: `None` is a flush, else the length of the payload.
pub(crate) fn parse_length(digits: [u8; 4]) -> Result<Option<usize>, GitError> {
    let bad = || {
        GitError::BadRequest(format!(
            "{:?} is no packet length",
            digits.escape_ascii().to_string()
        ))
    };
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(bad());
    }
    let text = std::str::from_utf8(&digits).map_err(|_not_text| bad())?;
    match usize::from_str_radix(text, 16) {
        Ok(0) => Ok(None),
        Ok(length @ 4..=LARGEST) => Ok(Some(length - 4)),
        // 1 to 3 are marks of protocol v2, which pushing does not have.
        _ => Err(bad()),
    }
}

/// Reads one packet; `None` at a clean end.
pub(crate) async fn read(input: &mut (impl AsyncRead + Unpin)) -> Result<Option<Packet>, GitError> {
    let cut = |error: std::io::Error| {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            GitError::BadRequest("it ends inside a packet".to_owned())
        } else {
            crate::error::io_error("read from the git client")(error)
        }
    };
    let mut digits = [0_u8; 4];
    let count = input.read(&mut digits[..1]).await.map_err(cut)?;
    if count == 0 {
        return Ok(None);
    }
    input.read_exact(&mut digits[1..]).await.map_err(cut)?;
    match parse_length(digits)? {
        None => Ok(Some(Packet::Flush)),
        Some(length) => {
            let mut payload = vec![0; length];
            input.read_exact(&mut payload).await.map_err(cut)?;
            Ok(Some(Packet::Data(Bytes::from(payload))))
        }
    }
}

/// Appends one packet. The payload is of our own making and short enough.
pub(crate) fn write(out: &mut Vec<u8>, payload: &[u8]) {
    debug_assert!(payload.len() + 4 <= LARGEST, "a packet of ours is too long");
    out.extend_from_slice(format!("{:04x}", payload.len() + 4).as_bytes());
    out.extend_from_slice(payload);
}

/// Appends the end of a section.
pub(crate) fn flush(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0000");
}

/// Appends bytes on a band of the multiplexed answer (1 data, 2 words for people), in pieces.
pub(crate) fn write_band(out: &mut Vec<u8>, band: u8, bytes: &[u8]) {
    for piece in bytes.chunks(LARGEST - 5) {
        let mut payload = vec![band];
        payload.extend_from_slice(piece);
        write(out, &payload);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(bytes: &[u8]) -> Result<Vec<Packet>, GitError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let mut input = bytes;
            let mut packets = Vec::new();
            while let Some(packet) = read(&mut input).await? {
                packets.push(packet);
            }
            Ok(packets)
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _either = read_all(&bytes);
        }

        #[test]
        fn what_is_written_is_read(payloads in proptest::collection::vec(
            proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)), 0..20)) {
            let mut wire = Vec::new();
            for payload in &payloads {
                match payload {
                    Some(payload) => write(&mut wire, payload),
                    None => flush(&mut wire),
                }
            }
            let wanted: Vec<Packet> = payloads
                .into_iter()
                .map(|p| p.map_or(Packet::Flush, |p| Packet::Data(Bytes::from(p))))
                .collect();
            prop_assert_eq!(read_all(&wire).expect("well formed"), wanted.clone());
            if !wire.is_empty() {
                // A cut stream is never taken for a whole one with the same packets.
                let cut = read_all(&wire[..wire.len() - 1]);
                prop_assert!(cut.is_err() || cut.expect("shorter") != wanted);
            }
        }
    }

    #[test]
    fn lengths_out_of_range_are_refused() {
        for bad in [
            b"0001", b"0003", b"fff1", b"ffff", b"+004", b" 004", b"00g0", b"-001",
        ] {
            assert!(parse_length(*bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            parse_length(*b"FFF0").expect("the largest"),
            Some(LARGEST - 4)
        );
        assert_eq!(parse_length(*b"0004").expect("empty"), Some(0));
    }
}
