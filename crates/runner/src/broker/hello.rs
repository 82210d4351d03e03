//! The first message of a TLS client, read for the name that it asks for.
//!
//! Invariant: what can be read in two ways is refused: two names, two lists of names, bytes left
//! over. Deliberately absent: everything else of TLS; what follows is the two ends' own.

/// The longest first message; those of programs have a few kilobytes at most.
pub(super) const MOST: usize = 32 << 10;

/// A client's first message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hello {
    /// The name that it asks for.
    pub(super) name: Option<String>,
    /// Whether it hides another one.
    pub(super) hides: bool,
}

/// It is no such message, or one with two meanings.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// Reads the message from the beginning of a stream; `None` while it is not there whole.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Hello>, Broken> {
    let mut message = Vec::new();
    let mut records = Reader(bytes);
    loop {
        if let Some(whole) = whole(&message)? {
            return hello(whole).map(Some);
        }
        let Some(head) = records.take(5) else {
            return Ok(None);
        };
        let &[22, 3, 0..=4, high, low] = head else {
            return Err(Broken);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length == 0 || length > 16 << 10 || message.len() + length > MOST {
            return Err(Broken);
        }
        let Some(part) = records.take(length) else {
            return Ok(None);
        };
        message.extend_from_slice(part);
    }
}

/// The body of the handshake message, once it is there; nothing may follow it in its records.
fn whole(message: &[u8]) -> Result<Option<&[u8]>, Broken> {
    let Some((head, body)) = message.split_at_checked(4) else {
        return Ok(None);
    };
    let &[1, a, b, c] = head else {
        return Err(Broken);
    };
    let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).map_err(|_| Broken)?;
    if length > MOST || body.len() > length {
        return Err(Broken);
    }
    Ok((body.len() == length).then_some(body))
}

fn hello(body: &[u8]) -> Result<Hello, Broken> {
    let mut body = Reader(body);
    body.take(2 + 32).ok_or(Broken)?;
    body.vector(1).ok_or(Broken)?;
    body.vector(2).ok_or(Broken)?;
    body.vector(1).ok_or(Broken)?;
    let mut hello = Hello {
        name: None,
        hides: false,
    };
    if body.0.is_empty() {
        return Ok(hello);
    }
    let mut extensions = Reader(body.vector(2).ok_or(Broken)?);
    if !body.0.is_empty() {
        return Err(Broken);
    }
    let mut named = false;
    while !extensions.0.is_empty() {
        let kind = extensions.number().ok_or(Broken)?;
        let content = extensions.vector(2).ok_or(Broken)?;
        match kind {
            0 if named => return Err(Broken),
            0 => {
                named = true;
                hello.name = Some(server_name(content)?);
            }
            // Encrypted client hello, and the draft before it.
            0xfe0d | 0xffce => hello.hides = true,
            _ => {}
        }
    }
    Ok(hello)
}

/// Exactly one name.
fn server_name(content: &[u8]) -> Result<String, Broken> {
    let mut outer = Reader(content);
    let mut list = Reader(outer.vector(2).ok_or(Broken)?);
    let kind = list.take(1).ok_or(Broken)?;
    let name = list.vector(2).ok_or(Broken)?;
    if kind != [0] || !list.0.is_empty() || !outer.0.is_empty() || !name.is_ascii() {
        return Err(Broken);
    }
    String::from_utf8(name.to_vec()).map_err(|_| Broken)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        match self.take(2)? {
            &[high, low] => Some(u16::from_be_bytes([high, low])),
            _ => None,
        }
    }

    /// Bytes after their count, which has one byte or two.
    fn vector(&mut self, size: usize) -> Option<&'a [u8]> {
        let count = match *self.take(size)? {
            [one] => usize::from(one),
            [high, low] => usize::from(u16::from_be_bytes([high, low])),
            _ => return None,
        };
        self.take(count)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// What a real client sends first.
    fn real(name: &'static str) -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let name = name.try_into().expect("a name");
        let mut client = rustls::ClientConnection::new(Arc::new(config), name).expect("a client");
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).expect("bytes");
        bytes
    }

    fn named(name: &str) -> Hello {
        Hello {
            name: Some(name.to_owned()),
            hides: false,
        }
    }

    #[test]
    fn a_real_client_is_understood_however_its_bytes_arrive() {
        let bytes = real("packages.example.com");
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), Ok(None), "{end}");
        }
        assert_eq!(read(&bytes), Ok(Some(named("packages.example.com"))));
        let longer = [&bytes[..], b"early data in a record of its own"].concat();
        assert_eq!(read(&longer), Ok(Some(named("packages.example.com"))));
        // The same in records of one byte each.
        let split: Vec<u8> = bytes[5..]
            .iter()
            .flat_map(|b| [22, 3, 1, 0, 1, *b])
            .collect();
        assert_eq!(read(&split), Ok(Some(named("packages.example.com"))));
        let address = read(&real("192.0.2.1"));
        assert_eq!(
            address.map(|hello| hello.and_then(|hello| hello.name)),
            Ok(None)
        );
    }

    /// A message with these extensions.
    fn made(extensions: &[(u16, &[u8])]) -> Vec<u8> {
        let mut all = Vec::new();
        for (kind, content) in extensions {
            all.extend(kind.to_be_bytes());
            all.extend(u16::try_from(content.len()).expect("short").to_be_bytes());
            all.extend_from_slice(content);
        }
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 1, 1, 0]);
        body.extend(u16::try_from(all.len()).expect("short").to_be_bytes());
        body.extend(all);
        let length = u16::try_from(body.len()).expect("short");
        let mut bytes = vec![22, 3, 1];
        bytes.extend((length + 4).to_be_bytes());
        bytes.extend([1, 0]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn two_meanings_are_none() {
        let one: &[u8] = b"\0\x06\0\0\x03a.b";
        let two: &[u8] = b"\0\x0c\0\0\x03a.b\0\0\x03c.d";
        assert_eq!(read(&made(&[(0, one)])), Ok(Some(named("a.b"))));
        assert_eq!(read(&made(&[(0, one), (0, one)])), Err(Broken));
        assert_eq!(read(&made(&[(0, two)])), Err(Broken));
        assert_eq!(read(&made(&[(0, b"\0\x06\0\0\x03a.b!")])), Err(Broken));
        let hidden = read(&made(&[(0, one), (0xfe0d, b"x")]))
            .expect("read")
            .expect("whole");
        assert!(hidden.hides);
        assert_eq!(read(b"GET / HTTP/1.1\r\n\r\n"), Err(Broken));
        assert_eq!(read(&[22, 3, 1, 0, 4, 2, 0, 0, 0]), Err(Broken));
        // More in the record than the message.
        let mut extra = made(&[(0, one)]);
        extra[4] += 1;
        extra.push(0);
        assert_eq!(read(&extra), Err(Broken));
    }
}
