//! Addresses: `scheme://where`, the same text everywhere they are typed, stored or shown.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddrError {
    /// There is no `scheme://`.
    #[error("{text:?} is no address: write scheme://where, for example quic://127.0.0.1:4711")]
    NoScheme {
        /// What was given, cut to 80 characters.
        text: String,
    },
    /// A scheme has 1 to 16 lower-case letters, digits and `+`, and starts with a letter.
    #[error("{text:?} is no address: a scheme has 1 to 16 lower-case letters and digits, as in quic://127.0.0.1:4711")]
    Scheme {
        /// What was given, cut to 80 characters.
        text: String,
    },
    /// Nothing, white space or control characters after the scheme.
    #[error("{text:?} is no address: what follows {scheme}:// must be printable, without spaces, and not empty")]
    Place {
        /// What was given, cut to 80 characters.
        text: String,
        /// Its scheme.
        scheme: String,
    },
    /// Longer than [`Addr::MAX_BYTES`].
    #[error("an address has at most {max} bytes, this one has {length}", max = Addr::MAX_BYTES)]
    Length {
        /// The length that was given, in bytes.
        length: usize,
    },
    /// The place is not `host:port`.
    #[error("{address} must name a host and a port, for example {scheme}://192.168.1.5:4711 or {scheme}://[::1]:4711", scheme = address.scheme())]
    HostPort {
        /// The address.
        address: Addr,
    },
    /// Only numeric addresses can be listened on.
    #[error("{address} cannot be listened on: give a numeric address of this machine, for example {scheme}://0.0.0.0:4711 for all of them", scheme = address.scheme())]
    Numeric {
        /// The address.
        address: Addr,
    },
}

/// Where a device may be reached, for example `quic://192.168.1.5:4711` or `memory://hub`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr {
    text: Box<str>,
    scheme_bytes: u8,
}

impl Addr {
    /// The longest address, in bytes.
    pub const MAX_BYTES: usize = 512;
    /// The longest scheme, in bytes.
    pub const MAX_SCHEME_BYTES: usize = 16;

    /// An address made of parts that are known to be well-formed.
    pub(crate) fn from_place(scheme: &'static str, place: impl fmt::Display) -> Self {
        Self { text: format!("{scheme}://{place}").into(), scheme_bytes: scheme.len() as u8 }
    }

    /// The same scheme, at another place that is known to be well-formed.
    pub(crate) fn with_place(&self, place: impl fmt::Display) -> Self {
        Self { text: format!("{}://{place}", self.scheme()).into(), scheme_bytes: self.scheme_bytes }
    }

    /// What stands before `://`: which transport.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.text[..usize::from(self.scheme_bytes)]
    }

    /// What stands after `://`.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.text[usize::from(self.scheme_bytes) + "://".len()..]
    }

    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The place as host name or numeric address, and port.
    ///
    /// # Errors
    /// [`AddrError::HostPort`] when it is not of that form.
    pub fn host_and_port(&self) -> Result<(&str, u16), AddrError> {
        let wrong = || AddrError::HostPort { address: self.clone() };
        let (host, port) = self.place().rsplit_once(':').ok_or_else(wrong)?;
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let port = port.parse().map_err(|_| wrong())?;
        if let Some(numeric) = host.strip_prefix('[') {
            let numeric = numeric.strip_suffix(']').ok_or_else(wrong)?;
            numeric.parse::<Ipv6Addr>().map_err(|_| wrong())?;
            return Ok((numeric, port));
        }
        let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if host.is_empty() || !host.bytes().all(name) {
            return Err(wrong());
        }
        Ok((host, port))
    }

    /// The place as a numeric socket address.
    ///
    /// # Errors
    /// [`AddrError::HostPort`] when it is not host and port, [`AddrError::Numeric`] when the host is a name.
    pub fn socket_address(&self) -> Result<SocketAddr, AddrError> {
        let (host, port) = self.host_and_port()?;
        let host: IpAddr = host.parse().map_err(|_| AddrError::Numeric { address: self.clone() })?;
        Ok(SocketAddr::new(host, port))
    }
}

impl FromStr for Addr {
    type Err = AddrError;

    fn from_str(text: &str) -> Result<Self, AddrError> {
        if text.len() > Self::MAX_BYTES {
            return Err(AddrError::Length { length: text.len() });
        }
        let shown = || text.chars().take(80).collect::<String>();
        let (scheme, place) = text.split_once("://").ok_or_else(|| AddrError::NoScheme { text: shown() })?;
        let letter = |byte: u8| byte.is_ascii_lowercase();
        let rest = |byte: u8| letter(byte) || byte.is_ascii_digit() || byte == b'+';
        if scheme.len() > Self::MAX_SCHEME_BYTES
            || !scheme.bytes().next().is_some_and(letter)
            || !scheme.bytes().all(rest)
        {
            return Err(AddrError::Scheme { text: shown() });
        }
        if place.is_empty() || !place.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AddrError::Place { text: shown(), scheme: scheme.to_owned() });
        }
        Ok(Self { text: text.into(), scheme_bytes: scheme.len() as u8 })
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Addr({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_place_and_prints_as_it_was_written() {
        for (text, scheme, place) in [
            ("quic://127.0.0.1:4711", "quic", "127.0.0.1:4711"),
            ("quic://[::1]:0", "quic", "[::1]:0"),
            ("memory://hub", "memory", "hub"),
            ("wss://example.org:443/tide", "wss", "example.org:443/tide"),
        ] {
            let address: Addr = text.parse().unwrap();
            assert_eq!((address.scheme(), address.place(), address.to_string().as_str()), (scheme, place, text));
        }
    }

    #[test]
    fn a_text_that_is_no_address_says_what_is_missing() {
        let error = |text: &str| text.parse::<Addr>().unwrap_err();
        assert!(matches!(error("127.0.0.1:4711"), AddrError::NoScheme { .. }));
        assert!(matches!(error(""), AddrError::NoScheme { .. }));
        for text in ["://x", "QUIC://x", "1quic://x", "qu ic://x", "abcdefghijklmnopq://x"] {
            assert!(matches!(error(text), AddrError::Scheme { .. }), "{text}");
        }
        for text in ["quic://", "quic://a b", "quic://a\n", "quic://\u{e4}"] {
            assert!(matches!(error(text), AddrError::Place { .. }), "{text}");
        }
        assert_eq!(error(&format!("quic://{}", "x".repeat(506))), AddrError::Length { length: 513 });
        assert!(error(&format!("quic{}", "\u{e4}".repeat(200))).to_string().len() < 400);
    }

    #[test]
    fn host_and_port_are_checked_and_names_cannot_be_listened_on() {
        let parse = |text: &str| text.parse::<Addr>().unwrap();
        assert_eq!(parse("quic://[::1]:4711").socket_address().unwrap(), "[::1]:4711".parse().unwrap());
        assert_eq!(parse("quic://hub.example:4711").host_and_port().unwrap(), ("hub.example", 4711));
        assert!(matches!(parse("quic://hub.example:4711").socket_address(), Err(AddrError::Numeric { .. })));
        for text in [
            "quic://x",
            "quic://:1",
            "quic://x:",
            "quic://x:+1",
            "quic://x:65536",
            "quic://::1:5",
            "quic://[x]:5",
            "quic://[::1:5",
            "quic://x:1/path",
            "quic://u@x:1",
        ] {
            assert!(matches!(parse(text).host_and_port(), Err(AddrError::HostPort { .. })), "{text}");
        }
    }
}
