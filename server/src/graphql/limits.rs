//! What an operation may ask for, checked before anything is run.

use std::collections::HashMap;

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, Field, FragmentDefinition, OperationDefinition, OperationType, Selection,
    SelectionSet,
};
use async_graphql::{Name, Positioned, Value, Variables};

use super::lower::page::{DEFAULT_FIRST, MAX_FIRST};

/// The longest document, in bytes. Data belongs in variables.
pub(crate) const MAX_DOCUMENT_BYTES: usize = 128 * 1024;
/// How deeply brackets may be nested in a document.
pub(crate) const MAX_BRACKETS: usize = 64;
/// How deeply fields may be nested.
pub(crate) const MAX_DEPTH: usize = 16;
/// How many fields an operation may have, fragments written out: it bounds aliases.
pub(crate) const MAX_FIELDS: usize = 2_000;
/// How many root fields an operation may have.
pub(crate) const MAX_ROOT_FIELDS: usize = 100;
/// The sum over all fields of how many values each may give.
pub(crate) const MAX_COMPLEXITY: usize = 500_000;
/// How often the lists of the introspection schema may be nested in each other: what they lead to grows with every level.
pub(crate) const MAX_INTROSPECTION_LISTS: usize = 3;

/// The introspection schema's lists that lead on to lists.
const INTROSPECTION_LISTS: &[&str] = &["fields", "inputFields", "interfaces", "possibleTypes"];

/// What a document asks too much of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LimitError {
    #[error("the document has {bytes} bytes, at most {MAX_DOCUMENT_BYTES} are allowed; pass data in variables")]
    Document { bytes: usize },
    #[error("brackets are nested more than {MAX_BRACKETS} deep")]
    Brackets,
    #[error("fields are nested more than {MAX_DEPTH} deep")]
    Depth,
    #[error("the operation has more than {MAX_FIELDS} fields")]
    Fields,
    #[error("the operation has more than {MAX_ROOT_FIELDS} root fields")]
    RootFields,
    #[error("the operation may give more than {MAX_COMPLEXITY} values; ask for fewer fields, or for a smaller `first`")]
    Complexity,
    #[error("lists of the introspection schema are nested more than {MAX_INTROSPECTION_LISTS} deep")]
    Introspection,
}

/// Checks a document's text before it is parsed: parsing takes stack for every bracket, and memory for every byte.
pub(crate) fn check_text(document: &str) -> Result<(), LimitError> {
    if document.len() > MAX_DOCUMENT_BYTES {
        return Err(LimitError::Document { bytes: document.len() });
    }
    // Brackets in strings and comments count too: that refuses nothing that anyone writes.
    let mut depth = 0usize;
    for byte in document.bytes() {
        match byte {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_BRACKETS {
            return Err(LimitError::Brackets);
        }
    }
    Ok(())
}

/// The operation that runs: the only one, or the one of that name.
pub(crate) fn operation<'a>(document: &'a ExecutableDocument, name: Option<&str>) -> Option<&'a OperationDefinition> {
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Some(&operation.node),
        (DocumentOperations::Single(_), Some(_)) => None,
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name).map(|operation| &operation.node),
        (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => {
            operations.values().next().map(|operation| &operation.node)
        }
        (DocumentOperations::Multiple(_), None) => None,
    }
}

/// Checks what an operation asks for, its fragments written out.
pub(crate) fn check(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) -> Result<(), LimitError> {
    let mut walk = Walk { fragments: &document.fragments, variables, fields: 0, complexity: 0, roots: 0 };
    let lists = match operation.ty {
        // An event of a subscription has up to that many documents.
        OperationType::Subscription => DEFAULT_FIRST,
        OperationType::Query | OperationType::Mutation => 1,
    };
    walk.selections(
        &operation.selection_set.node,
        At { depth: 1, size: lists, introspection_lists: None, root: true },
        0,
    )
}

struct Walk<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    variables: &'a Variables,
    fields: usize,
    complexity: usize,
    roots: usize,
}

#[derive(Clone, Copy)]
struct At {
    depth: usize,
    size: usize,
    /// Inside `__schema` and `__type`: how many lists lead here.
    introspection_lists: Option<usize>,
    root: bool,
}

impl Walk<'_> {
    fn selections(&mut self, selections: &SelectionSet, at: At, fragments_deep: usize) -> Result<(), LimitError> {
        // A cycle of fragments ends here; validation then says what is wrong with it.
        if fragments_deep > MAX_DEPTH {
            return Err(LimitError::Depth);
        }
        for selection in &selections.items {
            match &selection.node {
                Selection::Field(field) => self.field(&field.node, at)?,
                Selection::InlineFragment(fragment) => {
                    self.selections(&fragment.node.selection_set.node, at, fragments_deep + 1)?;
                }
                Selection::FragmentSpread(spread) => {
                    self.count_field()?;
                    if let Some(fragment) = self.fragments.get(&spread.node.fragment_name.node) {
                        self.selections(&fragment.node.selection_set.node, at, fragments_deep + 1)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn count_field(&mut self) -> Result<(), LimitError> {
        self.fields += 1;
        if self.fields > MAX_FIELDS { Err(LimitError::Fields) } else { Ok(()) }
    }

    fn field(&mut self, field: &Field, at: At) -> Result<(), LimitError> {
        self.count_field()?;
        self.roots += usize::from(at.root);
        if self.roots > MAX_ROOT_FIELDS {
            return Err(LimitError::RootFields);
        }
        if at.depth > MAX_DEPTH {
            return Err(LimitError::Depth);
        }
        let introspection_lists = match (at.introspection_lists, field.name.node.as_str()) {
            (None, "__schema" | "__type") => Some(0),
            (Some(lists), name) if INTROSPECTION_LISTS.contains(&name) => Some(lists + 1),
            (lists, _) => lists,
        };
        if introspection_lists > Some(MAX_INTROSPECTION_LISTS) {
            return Err(LimitError::Introspection);
        }
        let size = at.size.saturating_mul(self.size(field));
        self.complexity = self.complexity.saturating_add(size);
        if self.complexity > MAX_COMPLEXITY {
            return Err(LimitError::Complexity);
        }
        let inside = At { depth: at.depth + 1, size, introspection_lists, root: false };
        self.selections(&field.selection_set.node, inside, 0)
    }

    /// How many values a field may give for each of its parents: pages are known by their argument or by their `nodes`.
    fn size(&self, field: &Field) -> usize {
        let Some((_, first)) = field.arguments.iter().find(|(name, _)| name.node == "first") else {
            return if self.asks_nodes(&field.selection_set.node, 0) { DEFAULT_FIRST } else { 1 };
        };
        let first = first.node.clone().into_const_with(|name| self.variables.get(&name).cloned().ok_or(()));
        let number = match first {
            Ok(Value::Number(number)) => number.as_u64().and_then(|number| usize::try_from(number).ok()),
            Ok(Value::Null) => Some(DEFAULT_FIRST),
            _ => None,
        };
        number.unwrap_or(MAX_FIRST).clamp(1, MAX_FIRST)
    }

    fn asks_nodes(&self, selections: &SelectionSet, fragments_deep: usize) -> bool {
        fragments_deep <= MAX_DEPTH
            && selections.items.iter().any(|selection| match &selection.node {
                Selection::Field(field) => field.node.name.node == "nodes",
                Selection::InlineFragment(fragment) => {
                    self.asks_nodes(&fragment.node.selection_set.node, fragments_deep + 1)
                }
                Selection::FragmentSpread(spread) => {
                    let fragment = self.fragments.get(&spread.node.fragment_name.node);
                    fragment
                        .is_some_and(|fragment| self.asks_nodes(&fragment.node.selection_set.node, fragments_deep + 1))
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn checked(document: &str) -> Result<(), LimitError> {
        checked_with(document, Variables::default())
    }

    fn checked_with(document: &str, variables: Variables) -> Result<(), LimitError> {
        check_text(document)?;
        let document = parse_query(document).unwrap();
        check(&document, operation(&document, None).unwrap(), &variables)
    }

    #[test]
    fn ordinary_operations_pass() {
        assert_eq!(
            checked("{ notes(first: 1000) { nodes { id title _meta { conflicts { field values } } } } }"),
            Ok(())
        );
        assert_eq!(checked("query Q { ...A } fragment A on Query { notes { nodes { id } } }"), Ok(()));
    }

    /// One field under thousands of names, a deep selection or many roots are refused before anything is resolved.
    #[test]
    fn attack_alias_bomb_is_refused_before_it_runs() {
        let deep = "{ a ".repeat(MAX_DEPTH + 1) + &"}".repeat(MAX_DEPTH + 1);
        assert_eq!(checked(&deep), Err(LimitError::Depth));
        let aliases: String = (0..MAX_FIELDS).map(|n| format!("a{n}: id ")).collect();
        assert_eq!(checked(&format!("{{ note(id: 1) {{ {aliases} }} }}")), Err(LimitError::Fields));
        let roots: String = (0..=MAX_ROOT_FIELDS).map(|n| format!("a{n}: status {{ device }} ")).collect();
        assert_eq!(checked(&format!("{{ {roots} }}")), Err(LimitError::RootFields));
    }

    #[test]
    fn the_text_is_bounded_before_it_is_parsed() {
        assert_eq!(check_text(&"{".repeat(MAX_BRACKETS + 1)), Err(LimitError::Brackets));
        let long = " ".repeat(MAX_DOCUMENT_BYTES + 1);
        assert_eq!(check_text(&long), Err(LimitError::Document { bytes: long.len() }));
    }

    #[test]
    fn lists_multiply() {
        let page = |first: &str| format!("{{ notes({first}) {{ nodes {{ notes({first}) {{ nodes {{ id }} }} }} }} }}");
        assert_eq!(checked(&page("first: 1000")), Err(LimitError::Complexity));
        assert_eq!(checked(&page("first: 10")), Ok(()));
        let query = format!("query Q($n: Int) {}", page("first: $n"));
        let with = |n: i32| Variables::from_value(async_graphql::value!({"n": n}));
        assert_eq!(checked_with(&query, with(1000)), Err(LimitError::Complexity));
        assert_eq!(checked_with(&query, with(1)), Ok(()));
    }

    /// Fragments that contain each other, or double at each step, are refused without being unfolded.
    #[test]
    fn attack_fragments_that_go_in_circles_or_double_end() {
        let circle = "{ ...A } fragment A on Query { ...A }";
        assert_eq!(checked(circle), Err(LimitError::Depth));
        let doubling: String =
            (0..12).map(|n| format!("fragment F{n} on Query {{ ...F{0} ...F{0} }} ", n + 1)).collect();
        let bomb = format!("{{ ...F0 }} {doubling} fragment F12 on Query {{ status {{ device }} }}");
        assert_eq!(checked(&bomb), Err(LimitError::RootFields));
    }

    /// Introspection nested in itself is refused.
    #[test]
    fn attack_introspection_cannot_multiply() {
        let nested = "fields { type { ".repeat(4) + "name" + &" } }".repeat(4);
        assert_eq!(checked(&format!("{{ __schema {{ types {{ {nested} }} }} }}")), Err(LimitError::Introspection));
        assert_eq!(checked("{ __schema { types { fields { args { type { ofType { name } } } } } } }"), Ok(()));
    }
}
