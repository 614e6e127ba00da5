//! Query strings of GET requests.

/// The first value of `name`, decoded. `None`: it is not there. `Some(Err(()))`: it is not UTF-8, or an escape is not one.
pub(super) fn parameter(query: &str, name: &str) -> Option<Result<String, ()>> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| decode(value))
}

fn decode(text: &str) -> Result<String, ()> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
                let (high, low) = (digit().ok_or(())?, digit().ok_or(())?);
                u8::try_from(high * 16 + low).map_err(|_| ())?
            }
            byte => byte,
        });
    }
    String::from_utf8(out).map_err(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = "query=%7B+a%20%7D&variables=%7B%22x%22%3A%22%C3%A9%22%7D&empty=&bare";
        assert_eq!(parameter(query, "query"), Some(Ok("{ a }".to_owned())));
        assert_eq!(parameter(query, "variables"), Some(Ok("{\"x\":\"é\"}".to_owned())));
        assert_eq!(parameter(query, "empty"), Some(Ok(String::new())));
        assert_eq!(parameter(query, "bare"), Some(Ok(String::new())));
        assert_eq!(parameter(query, "none"), None);
        for wrong in ["q=%", "q=%4", "q=%zz", "q=%ff"] {
            assert_eq!(parameter(wrong, "q"), Some(Err(())), "{wrong}");
        }
    }
}
