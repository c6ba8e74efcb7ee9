//! Services on threads of the test, which end with its process.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use ringpost_router::wire::{Decoder, Frame, Limits, Step, VERSION};
use ringpost_router::{Address, Route};

/// Listens at a free port and lets `handle` have each connection with its number, on a thread of its own.
pub(crate) fn serve(
    handle: impl Fn(&mut TcpStream, usize) -> io::Result<()> + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = listener.local_addr().expect("it is bound");
    let handle = Arc::new(handle);
    let accept = move || {
        for (number, mut stream) in listener.incoming().flatten().enumerate() {
            let handle = Arc::clone(&handle);
            // A client that goes away is none of the service's business.
            start(move || drop(handle(&mut stream, number)));
        }
    };
    start(accept);
    address
}

/// Listens at a free port until one connection has come, which `handle` has.
pub(crate) fn serve_one(
    handle: impl FnOnce(&mut TcpStream) -> io::Result<()> + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = listener.local_addr().expect("it is bound");
    start(move || {
        if let Ok((mut stream, _)) = listener.accept() {
            drop(listener);
            // A client that goes away is none of the service's business.
            drop(handle(&mut stream));
        }
    });
    address
}

/// A service that does what a worker does which replies to each message of a node's peers.
pub(crate) fn serve_routed() -> SocketAddr {
    serve(|stream, _| {
        stream.write_all(&[VERSION])?;
        let limits = Limits::default();
        let mut decoder = Decoder::new(limits);
        let mut arrived = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let read = stream.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            arrived.extend_from_slice(&buffer[..read]);
            let mut out = Vec::new();
            let mut at = 0;
            loop {
                match decoder
                    .step(&arrived[at..])
                    .expect("the client keeps to the format")
                {
                    Step::More { consumed, .. } => {
                        at += consumed;
                        break;
                    }
                    Step::Frame { frame, consumed } => {
                        assert_eq!(frame.onward.last(), Some(&Address::local("echoer")));
                        let back = Route::from("echoer");
                        let reply = Frame::new(frame.return_route, back, frame.payload);
                        reply
                            .encode(&limits, &mut out)
                            .expect("it fits as it did before");
                        at += consumed;
                    }
                }
            }
            arrived.drain(..at);
            stream.write_all(&out)?;
        }
    })
}

fn start(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().spawn(work);
    drop(thread.expect("the system has threads"));
}
