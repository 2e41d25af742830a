// SPDX-License-Identifier: MIT

//! The TCP echo server as one who knows tokio well would write it.
//!
//! One thread, hence the current-thread runtime, and a task a connection with one buffer for both ways. A read is tried
//! before it is waited for, and one that leaves the buffer half empty makes the next one wait at once.

use std::error::Error;
use std::process::exit;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const BUFFER_SIZE: usize = 1 << 16;

async fn serve(mut connection: TcpStream) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER_SIZE].into_boxed_slice();
    loop {
        let size = connection.read(&mut buffer).await?;
        if size == 0 {
            return Ok(());
        }
        connection.write_all(&buffer[..size]).await?;
    }
}

async fn listen(address: &str) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (connection, _) = listener.accept().await?;
        // A connection that fails is over, and is nobody else's concern.
        tokio::spawn(serve(connection));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() != 3 || arguments[1] != "--listen" {
        eprintln!("usage: echo_tokio --listen ADDRESS:PORT");
        exit(2);
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?
        .block_on(listen(&arguments[2]))
}
