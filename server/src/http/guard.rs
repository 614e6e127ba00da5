//! Who may call: pages of other sites may not, not even through a name that they let point at this machine.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Allowed;

/// Answers 403 unless `Host` and `Origin` are allowed.
pub(super) async fn check(State(allowed): State<Arc<Allowed>>, request: Request, next: Next) -> Response {
    // HTTP/1.1 requires the header; with an absolute target, the target's authority rules.
    let authority = request.uri().authority().map(|authority| authority.as_str().to_owned());
    match refusal(&allowed, authority, request.headers()) {
        None => next.run(request).await,
        Some(why) => (StatusCode::FORBIDDEN, format!("{why}\n")).into_response(),
    }
}

fn refusal(allowed: &Allowed, authority: Option<String>, headers: &HeaderMap) -> Option<String> {
    let header =
        |name| headers.get(name).map(|value: &axum::http::HeaderValue| value.to_str().unwrap_or("?").to_owned());
    let Some(authority) = authority.or_else(|| header(HOST)) else {
        return Some("a request needs a Host header".to_owned());
    };
    if !is_allowed_host(allowed, host_of(&authority)) {
        return Some(format!("host {authority:?} is not allowed; start the server with --allow-host to allow it"));
    }
    let origin = header(ORIGIN)?;
    let own = ["http://", "https://"].iter().any(|scheme| origin.strip_prefix(scheme) == Some(authority.as_str()));
    if own || allowed.origins.contains(&origin) {
        return None;
    }
    Some(format!("origin {origin:?} is not allowed; start the server with --allow-origin to allow it"))
}

/// The host of `host:port`, without the brackets of an IPv6 address.
fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

fn is_allowed_host(allowed: &Allowed, host: &str) -> bool {
    let loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    loopback
        || host.eq_ignore_ascii_case("localhost")
        || allowed.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(host: Option<&str>, origin: Option<&str>) -> bool {
        let allowed = Allowed { hosts: vec!["db.lan".into()], origins: vec!["https://app.example".into()] };
        let mut headers = HeaderMap::new();
        host.map(|host| headers.insert(HOST, host.parse().unwrap()));
        origin.map(|origin| headers.insert(ORIGIN, origin.parse().unwrap()));
        refusal(&allowed, None, &headers).is_some()
    }

    #[test]
    fn loopback_and_configured_hosts_are_allowed_and_no_others() {
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "[::1]:8080", "db.lan:1", "127.9.9.9"] {
            assert!(!refused(Some(host), None), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "10.0.0.1", "", "[::2]:80", "127.0.0.1.evil.example"] {
            assert!(refused(Some(host), None), "{host}");
        }
        assert!(refused(None, None));
    }

    #[test]
    fn only_its_own_and_configured_origins_are_allowed() {
        assert!(!refused(Some("localhost:8080"), Some("http://localhost:8080")));
        assert!(!refused(Some("localhost:8080"), Some("https://app.example")));
        for origin in ["http://localhost:3000", "https://evil.example", "null", "http://localhost"] {
            assert!(refused(Some("localhost:8080"), Some(origin)), "{origin}");
        }
    }
}
