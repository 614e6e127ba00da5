//! A document as one line of JSON.

use super::Document;
use crate::value::{write_members, write_text};

impl Document {
    /// What a document's id is called beside its fields. No field has this name.
    pub const ID_NAME: &'static str = "id";

    /// Appends the document as a JSON object on one line: `id` first, then the fields by name. No field is named `id`.
    pub fn write_json(&self, out: &mut String) {
        out.push_str("{\"id\":");
        write_text(self.id.as_str(), out);
        if !self.fields.is_empty() {
            out.push(',');
            write_members(&self.fields, out);
        }
        out.push('}');
    }

    /// The document as a JSON object: see [`Document::write_json`].
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{DocumentId, SpaceId};
    use crate::value::Value;

    #[test]
    fn the_id_comes_first_and_fields_follow_by_name() {
        let mut document = Document {
            space: SpaceId([1; 32]),
            collection: "notes".into(),
            id: DocumentId::new("a\"b").unwrap(),
            generation: 1,
            fields: [("z".to_owned(), Value::Int(1)), ("a".to_owned(), Value::Float(2.0))].into(),
            conflicted: false,
        };
        assert_eq!(document.to_json(), r#"{"id":"a\"b","a":2.0,"z":1}"#);
        document.fields.clear();
        assert_eq!(document.to_json(), r#"{"id":"a\"b"}"#);
    }
}
