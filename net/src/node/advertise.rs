//! Where other devices are told to dial this one.

use std::net::{IpAddr, SocketAddr};

use crate::transport::Addr;

/// The addresses that stand for `listening`, best first: an unspecified one (`0.0.0.0`, `[::]`) stands for every address
/// of this machine, loopback last.
pub(super) fn advertised(listening: &[Addr]) -> Vec<Addr> {
    let machine: Vec<IpAddr> = match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces.into_iter().filter(|one| one.is_oper_up()).map(|one| one.ip()).collect(),
        Err(error) => {
            tracing::warn!(%error, "the addresses of this machine cannot be listed; tell others where it is");
            Vec::new()
        }
    };
    expand(listening, machine)
}

fn expand(listening: &[Addr], mut machine: Vec<IpAddr>) -> Vec<Addr> {
    // What needs a zone to be understood (fe80::1%eth0) means something else on every machine.
    machine.retain(|address| !matches!(address, IpAddr::V6(address) if address.is_unicast_link_local()));
    machine.sort_by_key(IpAddr::is_loopback);
    let mut found: Vec<Addr> = Vec::new();
    for address in listening {
        let unspecified = address.socket_address().ok().filter(|socket| socket.ip().is_unspecified());
        let all = match unspecified {
            None => vec![address.clone()],
            // `[::]` takes IPv4 as well.
            Some(socket) => machine
                .iter()
                .filter(|ip| socket.is_ipv6() || ip.is_ipv4())
                .map(|ip| address.with_place(SocketAddr::new(*ip, socket.port())))
                .collect(),
        };
        for address in all {
            if !found.contains(&address) {
                found.push(address);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_stands_for_all_of_the_machine() {
        let machine =
            || ["127.0.0.1", "::1", "192.168.1.5", "fe80::1", "2001:db8::5"].map(|ip| ip.parse().unwrap()).to_vec();
        let given = |texts: &[&str]| -> Vec<String> {
            let listening: Vec<Addr> = texts.iter().map(|text| text.parse().unwrap()).collect();
            expand(&listening, machine()).iter().map(Addr::to_string).collect()
        };
        assert_eq!(given(&["quic://0.0.0.0:7"]), ["quic://192.168.1.5:7", "quic://127.0.0.1:7"]);
        assert_eq!(
            given(&["quic://[::]:7"]),
            ["quic://192.168.1.5:7", "quic://[2001:db8::5]:7", "quic://127.0.0.1:7", "quic://[::1]:7"]
        );
        assert_eq!(
            given(&["memory://hub", "quic://192.168.1.5:7", "quic://0.0.0.0:7"]),
            ["memory://hub", "quic://192.168.1.5:7", "quic://127.0.0.1:7"]
        );
    }

    #[test]
    fn this_machine_has_an_address() {
        assert!(!advertised(&["quic://0.0.0.0:4711".parse().unwrap()]).is_empty());
    }
}
