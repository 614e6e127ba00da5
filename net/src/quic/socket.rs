//! UDP sockets with room for bursts.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// Binds `address`. Where the system gives less than `buffer_bytes` of buffer, it is what it is.
pub(super) fn bind(address: SocketAddr, buffer_bytes: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // `[::]` is every address, IPv4 too, wherever the system allows it.
        let _ = socket.set_only_v6(false);
    }
    for (what, given) in
        [("receive", socket.set_recv_buffer_size(buffer_bytes)), ("send", socket.set_send_buffer_size(buffer_bytes))]
    {
        if let Err(error) = given {
            tracing::debug!(what, buffer_bytes, %error, "the system limits the socket buffer");
        }
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}
