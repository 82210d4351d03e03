//! Relays inside the sandbox: a loopback port to a socket of the forwarder outside.
//!
//! Invariant: bytes are carried, never read; a relay ends with the sandbox's first process. When
//! the forwarder is gone a connection is closed at once, never sent elsewhere.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Connections open at one time per relay; more are closed at once.
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
            continue;
        }
        let (socket, counter) = (socket.to_owned(), Arc::clone(&open));
        let started = thread::Builder::new().stack_size(128 << 10).spawn(move || {
            // A connection that breaks is the client's and the forwarder's to notice.
            carry(&client, &socket).ok();
            counter.fetch_sub(1, Ordering::Relaxed);
        });
        if started.is_err() {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn carry(client: &TcpStream, socket: &Path) -> io::Result<()> {
    let server = UnixStream::connect(socket)?;
    client.set_nodelay(true)?;
    thread::scope(|scope| {
        let up = thread::Builder::new()
            .stack_size(128 << 10)
            .spawn_scoped(scope, || {
                let copied = io::copy(&mut &*client, &mut &server);
                server.shutdown(Shutdown::Write).and(copied.map(drop))
            })?;
        let down = io::copy(&mut &server, &mut &*client);
        // What the forwarder will not answer any more the client need not send.
        client.shutdown(Shutdown::Both).ok();
        server.shutdown(Shutdown::Both).ok();
        up.join()
            .map_err(|_| io::Error::other("relay thread ended"))?
            .ok();
        down.map(drop)
    })
}
