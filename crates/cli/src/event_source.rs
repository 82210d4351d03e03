//! Server-sent events: reads them out of chunks of bytes.
//!
//! Follows the grammar of the HTML standard, section 9.2.6, as far as the server uses it. Invariant:
//! where chunks are cut makes no difference. Deliberately absent: the connection.

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerEvent {
    /// Its id: where to resume.
    pub(crate) id: Option<String>,
    /// Its name; `message` if the server says none.
    pub(crate) name: Option<String>,
    /// Its lines.
    pub(crate) data: String,
}

/// What has come so far of the next event.
#[derive(Debug, Default)]
pub(crate) struct EventSource {
    line: Vec<u8>,
    event: ServerEvent,
    has_data: bool,
}

impl EventSource {
    /// Takes a chunk, returns the events that it completes.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Vec<ServerEvent> {
        let mut events = Vec::new();
        for byte in chunk {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            events.extend(self.line(&String::from_utf8_lossy(line)));
        }
        events
    }

    fn line(&mut self, line: &str) -> Option<ServerEvent> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            let complete = std::mem::take(&mut self.has_data) || event.name.is_some();
            return complete.then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.event.id = Some(value.to_owned()),
            "event" => self.event.name = Some(value.to_owned()),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.has_data = true;
                self.event.data.push_str(value);
            }
            // A comment (nothing before the colon) keeps the connection alive.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_make_no_difference() {
        let text =
            ": hello\n\nid: 10\ndata: {\"a\":\ndata: 1}\n\nevent: end\r\nid:12\r\n\r\ndata: ü\n\n";
        let whole = EventSource::default().push(text.as_bytes());
        let mut source = EventSource::default();
        let bytes: Vec<_> = text
            .as_bytes()
            .chunks(1)
            .flat_map(|chunk| source.push(chunk))
            .collect();
        assert_eq!(whole, bytes);
        let event = |id: Option<&str>, name: Option<&str>, data: &str| ServerEvent {
            id: id.map(str::to_owned),
            name: name.map(str::to_owned),
            data: data.to_owned(),
        };
        assert_eq!(
            whole,
            [
                event(Some("10"), None, "{\"a\":\n1}"),
                event(Some("12"), Some("end"), ""),
                event(None, None, "ü"),
            ]
        );
    }
}
