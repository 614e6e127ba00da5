//! The cursor of a list of documents with conflicts: the last one, as text.

use data_encoding::BASE64URL_NOPAD;
use tidewater_engine::document::ConflictedDocument;
use tidewater_engine::id::{DocumentId, SpaceId};
use tidewater_engine::store::transaction::COLLECTION_NAME_BYTES_MAX;

/// Space, length of the collection's name as two bytes, name, id.
pub(crate) fn text(document: &ConflictedDocument) -> String {
    let ConflictedDocument { space, collection, id } = document;
    let length = u16::try_from(collection.len()).unwrap_or(u16::MAX).to_be_bytes();
    BASE64URL_NOPAD.encode(&[space.as_bytes(), &length[..], collection.as_bytes(), id.as_str().as_bytes()].concat())
}

/// The document that a cursor names.
pub(crate) fn parse(text: &str) -> Option<ConflictedDocument> {
    const BYTES_MAX: usize = SpaceId::BYTES + 2 + COLLECTION_NAME_BYTES_MAX + DocumentId::MAX_BYTES;
    if text.len() > BYTES_MAX * 4 / 3 + 1 {
        return None;
    }
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let (space, rest) = bytes.split_first_chunk::<{ SpaceId::BYTES }>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (collection, id) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    let string = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    Some(ConflictedDocument {
        space: SpaceId(*space),
        collection: string(collection)?,
        id: DocumentId::new(string(id)?).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_names_the_document_that_it_was_made_of_and_nothing_else_is_one() {
        let longest = ["c".repeat(COLLECTION_NAME_BYTES_MAX), "é".repeat(DocumentId::MAX_BYTES / 2)];
        for [collection, id] in [["notes".to_owned(), "n1".to_owned()], longest] {
            let id = DocumentId::new(id).unwrap();
            let document = ConflictedDocument { space: SpaceId([7; 32]), collection, id };
            let cursor = text(&document);
            assert_eq!(parse(&cursor), Some(document));
            for wrong in ["", "n1", &cursor[..40], &format!("{cursor}!"), &cursor.repeat(30)] {
                assert_eq!(parse(wrong), None, "{wrong}");
            }
        }
    }
}
