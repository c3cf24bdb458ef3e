//! Answers every request with one line, on port 8080 or the address given, each in a thread of its own.
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

fn serve(mut peer: TcpStream) -> std::io::Result<()> {
    for line in BufReader::new(peer.try_clone()?).lines() {
        if line?.is_empty() {
            break;
        }
    }
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let body = format!("static rust {}\n", host.trim());
    write!(peer, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.len(), body)
}

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:8080".into());
    for peer in TcpListener::bind(address)?.incoming() {
        let peer = peer?;
        std::thread::spawn(move || serve(peer));
    }
    Ok(())
}
