//! Relays inside the sandbox: a loopback port to a socket of the broker outside.
//!
//! Invariant: bytes are carried, never read; a relay ends with the sandbox's first process. When
//! the broker is gone, or goes before it answered, the answer is 503 at once; nothing is ever sent
//! elsewhere.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// What is said where the broker does not answer; a problem document that model clients can read.
const UNAVAILABLE: &str = concat!(
    r#"{"title":"Service Unavailable","status":503,"detail":"the broker is not there","#,
    r#""type":"error","error":{"type":"unavailable","message":"the broker of this run is not there; try again"}}"#,
);

/// What is said to a connection that is one too many.
const CROWDED: &str = concat!(
    r#"{"title":"Service Unavailable","status":503,"detail":"too many connections at one time","#,
    r#""type":"error","error":{"type":"unavailable","message":"this run has 128 connections open: close some, then try again"}}"#,
);

/// How long a client may take to read that it is one too many.
const MOMENT: Duration = Duration::from_millis(20);
/// Connections open at one time per relay; more are told so and closed.
const MOST: usize = 128;

/// Binds every port, then serves them from threads of their own.
pub(super) fn start(relays: &[(u16, PathBuf)]) -> Result<(), String> {
    for (port, socket) in relays {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, *port))
            .map_err(|e| format!("port {port}: {e}"))?;
        let socket = socket.clone();
        thread::Builder::new()
            .spawn(move || serve(&listener, &socket))
            .map_err(|e| format!("port {port}: {e}"))?;
    }
    Ok(())
}

fn serve(listener: &TcpListener, socket: &Path) {
    let open = Arc::new(AtomicUsize::new(0));
    for client in listener.incoming().flatten() {
        if open.fetch_add(1, Ordering::Relaxed) >= MOST {
            open.fetch_sub(1, Ordering::Relaxed);
            refuse(&client, CROWDED, MOMENT).ok();
            continue;
        }
        let (socket, counter) = (socket.to_owned(), Arc::clone(&open));
        let started = thread::Builder::new().stack_size(128 << 10).spawn(move || {
            // A connection that breaks is the client's and the broker's to notice.
            carry(&client, &socket).ok();
            counter.fetch_sub(1, Ordering::Relaxed);
        });
        if started.is_err() {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn carry(client: &TcpStream, socket: &Path) -> io::Result<()> {
    let Ok(server) = UnixStream::connect(socket) else {
        return refuse(client, UNAVAILABLE, Duration::from_secs(1));
    };
    client.set_nodelay(true)?;
    let answered = thread::scope(|scope| {
        let up = thread::Builder::new()
            .stack_size(128 << 10)
            .spawn_scoped(scope, || {
                let copied = io::copy(&mut &*client, &mut &server);
                server.shutdown(Shutdown::Write).and(copied.map(drop))
            })?;
        let answered = down(&server, client);
        if !answered {
            refuse(client, UNAVAILABLE, Duration::from_secs(1)).ok();
        }
        // What the broker will not answer any more the client need not send.
        client.shutdown(Shutdown::Both).ok();
        server.shutdown(Shutdown::Both).ok();
        up.join()
            .map_err(|_| io::Error::other("relay thread ended"))?
            .ok();
        Ok(answered)
    });
    answered.map(drop)
}

/// Carries answers until there are no more; whether there was any.
fn down(mut server: &UnixStream, mut client: &TcpStream) -> bool {
    let mut buffer = [0; 16 << 10];
    let mut answered = false;
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        answered = true;
        if client.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    answered
}

/// Says why there is no way out now, and lets the client read it before the connection ends.
fn refuse(mut client: &TcpStream, why: &str, moment: Duration) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{why}",
        why.len()
    );
    client.write_all(answer.as_bytes())?;
    client.shutdown(Shutdown::Write)?;
    client.set_read_timeout(Some(moment))?;
    io::copy(&mut client.take(1 << 20), &mut io::sink()).map(drop)
}
