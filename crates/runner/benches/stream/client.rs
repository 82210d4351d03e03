//! A client of the benchmark: some streams at once, each on a thread of its own and a connection that
//! is there already.
//!
//! It is a process, so that it can be put into a sandbox. Deliberately absent: an HTTP library, whose
//! own cost would be on both sides and hide a part of the difference.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What a client does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    streams: usize,
    /// Which kind of stream is asked for.
    model: &'static str,
    /// When, since 1970, the first of all clients begins.
    begin: Duration,
    /// How many clients began before this one.
    number: usize,
}

/// What was seen of one stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// From asking to the first byte of the answer's body.
    pub(crate) first: Duration,
    /// From asking to its end.
    pub(crate) whole: Duration,
}

/// The streams of all clients begin within this time.
const SPREAD: Duration = Duration::from_secs(1);

impl Order {
    /// Streams at the speed of a model.
    pub(crate) fn paced(streams: usize) -> Self {
        Self {
            streams,
            model: "paced",
            begin: Duration::ZERO,
            number: 0,
        }
    }

    /// One as fast as it goes.
    pub(crate) fn flood() -> Self {
        Self {
            model: "flood",
            ..Self::paced(1)
        }
    }

    /// The same at this time, for the client of this number.
    pub(crate) fn at(self, begin: Duration, number: usize) -> Self {
        Self {
            begin,
            number,
            ..self
        }
    }

    /// The client's command line.
    pub(crate) fn words(self, address: &str, path: &str, token: &str) -> Vec<String> {
        // Clients that begin together would wait for each other and not for what is measured.
        let every = SPREAD / u32::try_from(self.streams).expect("few");
        let shift = every / 10 * u32::try_from(self.number).expect("few");
        let begin = self.begin + shift;
        [
            "client".to_owned(),
            address.to_owned(),
            path.to_owned(),
            token.to_owned(),
            self.model.to_owned(),
            self.streams.to_string(),
            begin.as_micros().to_string(),
            every.as_micros().to_string(),
        ]
        .to_vec()
    }
}

/// Does what its command line says, and prints a line for each stream.
pub(crate) fn run(args: impl Iterator<Item = String>) {
    let args: Vec<String> = args.collect();
    let [address, path, token, model, streams, begin, every] = &args[..] else {
        panic!("seven words: {args:?}");
    };
    let number = |text: &String| text.parse::<u64>().expect("a number");
    let (begin, every) = (number(begin), number(every));
    let threads: Vec<_> = (0..number(streams))
        .map(|n| {
            let at = Duration::from_micros(begin + n * every);
            let body = |model: &str| {
                format!(r#"{{"model":"{model}","stream":true,"max_tokens":1,"messages":[]}}"#)
            };
            let request = |model: &str| {
                let body = body(model);
                format!(
                    "POST {path}/v1/messages HTTP/1.1\r\nHost: {address}\r\nx-api-key: {token}\r\n\
                     Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            };
            let (address, warm, request) = (address.clone(), request("warm"), request(model));
            thread::spawn(move || stream(&address, &warm, &request, at))
        })
        .collect();
    for thread in threads {
        let seen = thread.join().expect("a stream");
        println!("{} {}", seen.first.as_nanos(), seen.whole.as_nanos());
    }
}

/// What a client printed.
pub(crate) fn read(text: &str) -> Option<Vec<Seen>> {
    let lines = text.lines().map(|line| {
        let mut numbers = line.split(' ');
        let mut nanos = || Some(Duration::from_nanos(numbers.next()?.parse().ok()?));
        Some(Seen {
            first: nanos()?,
            whole: nanos()?,
        })
    });
    let seen: Option<Vec<Seen>> = lines.collect();
    seen.filter(|seen| !seen.is_empty())
}

fn stream(address: &str, warm: &str, request: &str, at: Duration) -> Seen {
    let mut connection = TcpStream::connect(address).expect("a connection");
    connection.set_nodelay(true).expect("set");
    // Every part of the way has its connections then.
    once(&mut connection, warm);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    thread::sleep(at.saturating_sub(now.expect("a time after 1970")));
    once(&mut connection, request)
}

/// Asks and reads the answer to its last event.
fn once(connection: &mut TcpStream, request: &str) -> Seen {
    let asked = Instant::now();
    connection.write_all(request.as_bytes()).expect("sent");
    let mut head = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let mut tail = Vec::new();
    let mut first = None;
    loop {
        let count = connection.read(&mut buffer).expect("read");
        assert!(count > 0, "the answer broke off: {}", text(&head));
        let mut part = &buffer[..count];
        if first.is_none() {
            head.extend_from_slice(part);
            let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") else {
                continue;
            };
            assert!(head.starts_with(b"HTTP/1.1 200"), "{}", text(&head));
            part = &part[part.len() - (head.len() - end - 4)..];
            if part.is_empty() {
                head.truncate(end + 4);
                continue;
            }
            first = Some(asked.elapsed());
        }
        tail.extend_from_slice(part);
        let over = tail.len().saturating_sub(40);
        tail.drain(..over);
        // The end of the last chunk.
        if tail.ends_with(b"0\r\n\r\n") {
            return Seen {
                first: first.expect("a first byte"),
                whole: asked.elapsed(),
            };
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
