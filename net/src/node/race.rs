//! Dialling all addresses of a peer, the next one a little after those before it; the first that answers wins.

use std::future::Future;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tidewater_engine::id::DeviceId;

use super::config::NodeConfig;
use super::event::Unreachable;
use crate::transport::{Addr, Connection, DialError, PermanentCause, TransientCause, Transport};

/// Dials `device` at its `addresses`, best first.
pub(super) async fn race(
    config: &NodeConfig,
    device: DeviceId,
    addresses: &[Addr],
) -> Result<Arc<dyn Connection>, Unreachable> {
    let mut waiting = addresses.iter();
    let first = waiting.next().ok_or(Unreachable::NoAddress { device })?;
    let mut running = FuturesUnordered::from_iter([dial(config, first, device)]);
    let mut failure: Option<DialError> = None;
    let run = async {
        loop {
            let stagger = tokio::time::sleep(config.dial_stagger);
            tokio::select! {
                biased;
                Some(dialed) = running.next() => match dialed {
                    Ok(connection) => return Ok(connection),
                    Err(error) => {
                        tracing::debug!(%device, %error, "an address failed");
                        // What may pass decides when to try again, and hides what will not pass.
                        if failure.as_ref().is_none_or(|known| !known.is_transient() && error.is_transient()) {
                            failure = Some(error);
                        }
                        if let Some(next) = waiting.next() {
                            running.push(dial(config, next, device));
                        } else if running.is_empty() {
                            return Err(());
                        }
                    }
                },
                () = stagger, if waiting.len() > 0 => {
                    running.extend(waiting.next().map(|next| dial(config, next, device)));
                }
            }
        }
    };
    let over = tokio::time::timeout(config.dial_timeout, run).await;
    match over {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(())) | Err(_) => Err(failure.map_or_else(
            || {
                let cause = TransientCause::NoAnswer { after: config.dial_timeout };
                DialError::Transient { address: first.clone(), cause }.into()
            },
            Unreachable::Dial,
        )),
    }
}

fn dial(
    config: &NodeConfig,
    address: &Addr,
    device: DeviceId,
) -> impl Future<Output = Result<Arc<dyn Connection>, DialError>> + Send {
    let transport = transport_for(config, address).cloned();
    let known = known_schemes(config);
    let address = address.clone();
    async move {
        match transport {
            Some(transport) => transport.dial(&address, Some(device)).await,
            None => Err(DialError::Permanent { address, cause: PermanentCause::Scheme { known } }),
        }
    }
}

/// The transport that serves an address.
pub(super) fn transport_for<'a>(config: &'a NodeConfig, address: &Addr) -> Option<&'a Arc<dyn Transport>> {
    config.transports.iter().find(|transport| transport.schemes().contains(&address.scheme()))
}

/// The schemes that some transport serves, joined by commas.
pub(super) fn known_schemes(config: &NodeConfig) -> String {
    let schemes: Vec<&str> = config.transports.iter().flat_map(|transport| transport.schemes()).copied().collect();
    schemes.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryNetwork;

    fn device(seed: u8) -> DeviceId {
        DeviceId([seed; 32])
    }

    fn parse(texts: &[&str]) -> Vec<Addr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    async fn run(network: &MemoryNetwork, addresses: &[&str]) -> Result<Arc<dyn Connection>, Unreachable> {
        let config = NodeConfig::new(vec![Arc::new(network.transport(device(1)))]);
        race(&config, device(2), &parse(addresses)).await
    }

    #[tokio::test]
    async fn the_first_address_that_answers_wins() {
        let network = MemoryNetwork::new();
        let _two = network.transport(device(2)).listen(&parse(&["memory://two"])[0]).await.unwrap();
        let _three = network.transport(device(3)).listen(&parse(&["memory://three"])[0]).await.unwrap();
        let addresses = ["memory://gone", "unknown://x", "memory://three", "memory://two"];
        let connection = run(&network, &addresses).await.unwrap();
        assert_eq!(connection.path().remote, parse(&["memory://two"])[0]);
    }

    #[tokio::test]
    async fn of_several_failures_the_one_most_likely_to_pass_is_told() {
        let network = MemoryNetwork::new();
        let _three = network.transport(device(3)).listen(&parse(&["memory://three"])[0]).await.unwrap();
        let error = run(&network, &["unknown://x", "memory://three", "memory://gone"]).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        let error = run(&network, &["memory://three", "unknown://x"]).await.unwrap_err();
        assert!(matches!(error, Unreachable::Dial(DialError::WrongPeer { .. })), "{error}");
        assert_eq!(run(&network, &[]).await.unwrap_err(), Unreachable::NoAddress { device: device(2) });
    }
}
