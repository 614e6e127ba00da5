//! A path for datagrams that can be cut: between one dialer and one listener.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

/// Forwards datagrams until it is dropped.
pub struct UdpRelay {
    address: SocketAddr,
    forwarding: AbortHandle,
}

impl UdpRelay {
    pub async fn start(to: SocketAddr) -> Self {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let back = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        back.connect(to).await.unwrap();
        let address = front.local_addr().unwrap();
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
                        if let Some(dialer) = dialer {
                            let _ = front.send_to(&reply[..length], dialer).await;
                        }
                    }
                }
            }
        });
        Self { address, forwarding: forwarding.abort_handle() }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for UdpRelay {
    fn drop(&mut self) {
        self.forwarding.abort();
    }
}
