//! A way for datagrams from an address of its own on loopback, as if each besieger sat in another network.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

/// Forwards datagrams until it is dropped.
pub(super) struct Path {
    /// Where to dial.
    pub(super) entrance: SocketAddr,
    forwarding: AbortHandle,
}

impl Path {
    /// A way to `target` from the address of that number. Without `replies` nothing comes back.
    pub(super) async fn open(target: SocketAddr, number: usize, replies: bool) -> std::io::Result<Self> {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
        let back = UdpSocket::bind((address(number), 0)).await?;
        back.connect(target).await?;
        let entrance = front.local_addr()?;
        let forwarding = tokio::spawn(async move {
            let (mut forth, mut reply) = (vec![0; 65_536], vec![0; 65_536]);
            let mut dialer = None;
            loop {
                tokio::select! {
                    Ok((length, from)) = front.recv_from(&mut forth) => {
                        dialer = Some(from);
                        // What does not go through is lost, as on any path.
                        let _ = back.send(&forth[..length]).await;
                    }
                    Ok(length) = back.recv(&mut reply) => {
                        if let Some(dialer) = dialer.filter(|_| replies) {
                            let _ = front.send_to(&reply[..length], dialer).await;
                        }
                    }
                    else => return,
                }
            }
        });
        Ok(Self { entrance, forwarding: forwarding.abort_handle() })
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        self.forwarding.abort();
    }
}

/// An address on loopback for each.
pub(super) fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 1, (number >> 8) as u8, number as u8)
}
