//! One record: a line's JSON, its id, and how it becomes a document.

use super::{ImportFault, ImportOptions, ImportReport};
use crate::document::Document;
use crate::id::DocumentId;
use crate::operation::{Action, FieldOp, Operation, encode_commit};
use crate::store::{Edit, Transaction, WriteError};
use crate::value::{Fields, JsonError, Value, fields_from_json};

/// A record of an import.
#[derive(Debug, PartialEq)]
pub(super) struct Record {
    /// The id that it names.
    id: Option<DocumentId>,
    /// The fields that it becomes.
    pub fields: Fields,
}

impl Record {
    /// Reads a line.
    ///
    /// # Errors
    /// [`ImportFault::Json`], [`ImportFault::Id`].
    pub(super) fn parse(line: &[u8], options: &ImportOptions) -> Result<Self, ImportFault> {
        let json = |JsonError { column, fault, .. }| ImportFault::Json { column, fault };
        let mut fields = fields_from_json(line).map_err(json)?;
        let id = match options.id_field.as_deref() {
            Some(Document::ID_NAME) => fields.remove(Document::ID_NAME).map_or(Ok(None), |value| id_of(&value))?,
            Some(name) => fields.get(name).map_or(Ok(None), id_of)?,
            None => None,
        };
        if fields.contains_key(Document::ID_NAME) {
            let why = "no field can be called `id`: take it as the document's id, or rename it".to_owned();
            return Err(ImportFault::Id { why });
        }
        Ok(Self { id, fields })
    }

    /// Whether it could be stored, had it a commit of its own. Told after a commit was refused, to find who is at fault.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(&self, collection: &str) -> Result<(), WriteError> {
        let id = self.id.clone().map_or_else(|| DocumentId::new("new"), Ok);
        let id = id.map_err(|error| WriteError::Invalid { why: error.to_string() })?;
        let fields = self.fields.iter().map(|(name, value)| (name.clone(), FieldOp::Set(value.clone()))).collect();
        let insert = Operation { collection: collection.to_owned(), id, generation: 1, action: Action::Insert(fields) };
        Ok(encode_commit(&[insert]).map(drop)?)
    }

    /// Inserts the document, or sets the fields in which an existing one differs.
    ///
    /// # Errors
    /// As the transaction's.
    pub(super) fn write(
        self,
        transaction: &mut Transaction<'_>,
        collection: &str,
        report: &mut ImportReport,
    ) -> Result<(), ImportFault> {
        let Self { id, fields } = self;
        let existing = match &id {
            Some(id) => transaction.get(collection, id.as_str())?,
            None => None,
        };
        let (Some(id), Some(existing)) = (&id, existing) else {
            transaction.insert(collection, id.as_ref().map(DocumentId::as_str), fields)?;
            report.imported += 1;
            report.inserted += 1;
            return Ok(());
        };
        let changed = fields.into_iter().filter(|(name, value)| existing.fields.get(name) != Some(value));
        let edits: Vec<_> = changed.map(|(name, value)| (name, Edit::Set(value))).collect();
        if edits.is_empty() {
            report.unchanged += 1;
        } else {
            transaction.update(collection, id.as_str(), edits)?;
            report.updated += 1;
        }
        report.imported += 1;
        Ok(())
    }
}

/// The id that a value names. Null names none.
fn id_of(value: &Value) -> Result<Option<DocumentId>, ImportFault> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.clone(),
        Value::Int(int) => int.to_string(),
        _ => return Err(ImportFault::Id { why: "an id is a string or an int".to_owned() }),
    };
    DocumentId::new(text).map(Some).map_err(|error| ImportFault::Id { why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str, id_field: Option<&str>) -> Result<(Option<String>, String), String> {
        let options = ImportOptions { id_field: id_field.map(str::to_owned), ..ImportOptions::new("notes") };
        let record = Record::parse(line.as_bytes(), &options).map_err(|fault| fault.to_string())?;
        let id = record.id.map(|id| id.as_str().to_owned());
        Ok((id, crate::value::fields_to_json(&record.fields)))
    }

    #[test]
    fn the_id_is_taken_out_of_a_field_called_id_and_left_in_others() {
        assert_eq!(parse(r#"{"id": "a", "n": 1}"#, Some("id")), Ok((Some("a".into()), r#"{"n":1}"#.into())));
        assert_eq!(parse(r#"{"id": 7}"#, Some("id")), Ok((Some("7".into()), "{}".into())));
        assert_eq!(parse(r#"{"name": "a"}"#, Some("name")), Ok((Some("a".into()), r#"{"name":"a"}"#.into())));
        for without in [r#"{"n": 1}"#, r#"{"n": 1, "id": null}"#] {
            assert_eq!(parse(without, Some("id")), Ok((None, r#"{"n":1}"#.into())));
        }
        assert_eq!(parse(r#"{"n": 1}"#, None), Ok((None, r#"{"n":1}"#.into())));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for line in [r#"{"id": 1.5}"#, r#"{"id": [1]}"#, r#"{"id": ""}"#] {
            assert!(parse(line, Some("id")).is_err(), "{line}");
        }
        assert!(parse(r#"{"id": "a", "name": "b"}"#, Some("name")).unwrap_err().contains("rename"));
        assert!(parse(r#"{"id": "a"}"#, None).unwrap_err().contains("rename"));
        assert_eq!(parse("[1]", Some("id")).unwrap_err(), "column 1: expected an object");
        assert_eq!(parse(r#"{"a": 1} x"#, Some("id")).unwrap_err(), "column 10: expected the end");
    }
}
