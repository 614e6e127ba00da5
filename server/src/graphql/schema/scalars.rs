//! Scalars and enums.

use async_graphql::Value;
use async_graphql::dynamic::{Enum, Scalar};

use super::Parts;
use crate::graphql::lower::value::{int, timestamp};

pub(super) const DIRECTIONS: &[&str] =
    &["ASC", "DESC", "ASC_NULLS_FIRST", "ASC_NULLS_LAST", "DESC_NULLS_FIRST", "DESC_NULLS_LAST"];

pub(super) fn register(parts: &mut Parts) {
    let described = |name: &str, text: &str| Scalar::new(name).description(text);
    parts.register(
        described("Int64", "A whole number of 64 bits. Given as a number, or as a string of digits beyond ±(2^53 - 1), where JSON readers lose digits; both are taken.")
            .validator(|value| int(value).is_some()),
    );
    parts.register(described(
        "JSON",
        "Any value. What JSON has no form for is an object with one key that starts with `$`.",
    ));
    parts.register(described("Bytes", "Bytes in base 64.").validator(|value| matches!(value, Value::String(_))));
    parts.register(
        described(
            "Timestamp",
            "A point in time: `2026-11-21T09:30:00.000Z`. Milliseconds since 1970 UTC are taken too.",
        )
        .validator(|value| timestamp(value).is_some()),
    );
    let direction =
        Enum::new("Direction").description("Null and absent fields come first when ascending, unless said otherwise.");
    parts.register(DIRECTIONS.iter().fold(direction, |direction, name| direction.item(*name)));
}
