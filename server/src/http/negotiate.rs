//! Media types: what a request is, and what its answer may be.

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};

/// What an answer is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/graphql-response+json`: the status says whether the operation was refused.
    Response,
    /// `application/json`: 200 for whatever is a GraphQL answer.
    Json,
    /// `text/event-stream`: one event for every answer.
    Events,
}

impl Media {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Response => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
            Self::Events => "text/event-stream; charset=utf-8",
        }
    }
}

/// What the client accepts best; `application/json` when it doesn't say. `None`: nothing that there is.
pub(super) fn accepted(headers: &HeaderMap) -> Option<Media> {
    let ranges: Vec<Range> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(Range::parse)
        .collect();
    if ranges.is_empty() {
        return Some(Media::Json);
    }
    // A wildcard means plain JSON; events are given only to who names them.
    let candidates = [
        (Media::Response, "application", "graphql-response+json", false),
        (Media::Json, "application", "json", true),
        (Media::Events, "text", "event-stream", false),
    ];
    let quality = |kind: &str, subtype: &str, wild: bool| {
        let exact = ranges.iter().find(|range| range.kind == kind && range.subtype == subtype);
        let wildcard = || {
            ranges
                .iter()
                .filter(|range| range.subtype == "*" && (range.kind == kind || range.kind == "*"))
                .max_by_key(|range| range.kind != "*")
        };
        exact.or_else(|| if wild { wildcard() } else { None }).map_or(0, |range| range.thousandths)
    };
    candidates
        .into_iter()
        .map(|(media, kind, subtype, wild)| (quality(kind, subtype, wild), media))
        .filter(|(quality, _)| *quality > 0)
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, media)| media)
}

/// Whether the body is JSON in UTF-8, by its content type.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(content_type)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let mut parts = content_type.split(';').map(str::trim);
    let json = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    json && parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    })
}

struct Range {
    kind: String,
    subtype: String,
    /// The quality, in thousandths.
    thousandths: u32,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let quality = parts.find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f64>().ok()).flatten()
        });
        let thousandths = (quality.unwrap_or(1.0).clamp(0.0, 1.0) * 1000.0) as u32;
        Some(Self { kind: kind.to_ascii_lowercase(), subtype: subtype.to_ascii_lowercase(), thousandths })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_accepted_media_type_is_chosen() {
        let cases = [
            (None, Some(Media::Json)),
            (Some("*/*"), Some(Media::Json)),
            (Some("application/*"), Some(Media::Json)),
            (Some("application/json"), Some(Media::Json)),
            (Some("application/graphql-response+json"), Some(Media::Response)),
            (Some("application/graphql-response+json, application/json;q=0.9"), Some(Media::Response)),
            (Some("application/graphql-response+json;q=0.1, application/json"), Some(Media::Json)),
            (Some("application/graphql-response+json; charset=utf-8, */*;q=0.1"), Some(Media::Response)),
            (Some("text/event-stream"), Some(Media::Events)),
            (Some("text/html"), None),
            (Some("application/json;q=0"), None),
        ];
        for (accept, expected) in cases {
            let mut headers = HeaderMap::new();
            accept.map(|accept| headers.insert(ACCEPT, accept.parse().unwrap()));
            assert_eq!(accepted(&headers), expected, "{accept:?}");
        }
    }

    #[test]
    fn only_json_in_utf_8_is_a_body() {
        let cases = [
            ("application/json", true),
            ("application/json; charset=utf-8", true),
            ("Application/JSON;charset=\"UTF-8\"", true),
            ("application/json; charset=utf-16", false),
            ("application/x-www-form-urlencoded", false),
            ("text/plain", false),
            ("application/graphql", false),
        ];
        for (content_type, expected) in cases {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
            assert_eq!(is_json(&headers), expected, "{content_type}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
