//! The catalog: which collections and fields GraphQL shows, under which names and shapes.
//!
//! It is a function of the schemas and of a bounded sample of the documents, so two servers on equal data give equal schemas.

use std::collections::BTreeMap;

use tidewater_engine::id::SpaceId;
use tidewater_engine::operation::FieldKind;
use tidewater_engine::query::Query;
use tidewater_engine::schema::Schema;
use tidewater_engine::store::{ReadError, Snapshot};
use tidewater_engine::value::Fields;

use super::name::{self, Names};
use super::shape::Shape;

/// How many documents of a collection are looked at to find undeclared fields.
pub(crate) const SAMPLE_DOCUMENTS: usize = 256;
/// How many fields of a collection get a GraphQL field of their own; the rest shows in `_fields`.
pub(crate) const MAX_FIELDS: usize = 500;
/// How many collections get GraphQL fields of their own; `documents(collection: …)` reaches the rest.
pub(crate) const MAX_COLLECTIONS: usize = 500;

/// Root fields that no collection can take.
const RESERVED_ROOTS: &[&str] = &[
    "document",
    "documents",
    "documentsChanged",
    "createDocument",
    "updateDocument",
    "upsertDocument",
    "deleteDocument",
    "restoreDocument",
    "spaces",
    "collections",
    "status",
    "peers",
    "voidCommits",
    "conflicts",
    "resolveConflict",
    "undoResolution",
    "createSpace",
    "share",
    "link",
    "declareCollection",
    "members",
    "revoke",
    "changeRank",
    "leaveSpace",
    "sharingChanged",
    "offers",
    "cancelOffer",
    "forgetSpace",
    "identity",
    "removeDevice",
    "audit",
    "accesses",
    "identityContacts",
    "contactRequests",
    "searchProfiles",
    "verificationNumber",
    "requestContact",
    "acceptContact",
    "rejectContact",
    "withdrawContactRequest",
    "removeContact",
    "blockIdentity",
    "unblockIdentity",
    "verifyContact",
    "ownProfile",
    "setProfile",
    "policyRules",
    "addPolicyRule",
    "removePolicyRule",
];

/// Type names that no collection can take.
const RESERVED_TYPES: &[&str] = &[
    "Query",
    "Mutation",
    "Subscription",
    "Boolean",
    "Float",
    "ID",
    "Int",
    "Int64",
    "JSON",
    "String",
    "Bytes",
    "Timestamp",
    "Direction",
    "PageInfo",
    "DocumentMeta",
    "Conflict",
    "ConflictPolicy",
    "ConflictedDocument",
    "Sibling",
    "Resolution",
    "VoidCommit",
    "Space",
    "Offer",
    "SharingChange",
    "SpaceCount",
    "Collection",
    "Status",
    "Peer",
    "PeerSpace",
    "VoidCommit",
    "Member",
    "Identity",
    "Device",
    "Ticket",
    "Splice",
    "PathPatch",
    "PathCut",
    "Document",
    "DocumentPage",
    "DocumentChange",
    "AnyPatch",
    "CounterPatch",
    "TextPatch",
    "DocumentPatch",
    "VoidCommit",
    "AuditEntry",
    "Access",
    "IdentityContact",
    "ContactRequest",
    "VerificationNumber",
    "IdentityProfile",
    "ProfileDevice",
    "OwnProfile",
    "PolicyRule",
];

/// The stems of the input types that are made for shapes, and what follows them.
const SHAPE_STEMS: &[&str] = &["Boolean", "Int64", "Float", "String", "Bytes", "Timestamp", "ID", "Vector", "JSON"];
const SHAPE_SUFFIXES: &[&str] = &["Comparisons", "ListComparisons", "Patch", "ListPatch", "SetPatch", "ListSetPatch"];

/// What follows a collection's type name in the types made for it.
const TYPE_SUFFIXES: &[&str] = &["", "Input", "Patch", "Filter", "Order", "Page", "Change"];

/// All collections that have GraphQL fields, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Catalog {
    pub(crate) collections: BTreeMap<String, Collection>,
}

/// One collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Collection {
    pub(crate) name: String,
    pub(crate) type_name: String,
    pub(crate) list_field: String,
    pub(crate) single_field: String,
    pub(crate) create_field: String,
    pub(crate) create_many_field: String,
    pub(crate) update_field: String,
    pub(crate) upsert_field: String,
    pub(crate) delete_field: String,
    pub(crate) changed_field: String,
    /// By GraphQL name.
    pub(crate) fields: BTreeMap<String, Field>,
}

/// One field of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// The GraphQL name.
    pub(crate) name: String,
    /// The name in the database.
    pub(crate) path: String,
    /// How it merges, when a schema declares it.
    pub(crate) kind: Option<FieldKind>,
    pub(crate) shape: Shape,
}

/// What is known of a collection before names are given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Described {
    pub(crate) name: String,
    /// The schemas of the spaces that declare one, home first.
    pub(crate) schemas: Vec<Schema>,
    pub(crate) sample: Vec<Fields>,
}

impl Catalog {
    /// Reads the schemas and samples that `snapshot` shows.
    pub(crate) fn load(snapshot: &Snapshot, home: Option<SpaceId>, spaces: &[SpaceId]) -> Result<Self, ReadError> {
        let ordered: Vec<&SpaceId> = home.iter().chain(spaces.iter().filter(|space| Some(**space) != home)).collect();
        let mut described = Vec::new();
        for name in snapshot.collections()?.into_iter().take(MAX_COLLECTIONS) {
            let mut schemas = Vec::new();
            for space in &ordered {
                schemas.extend(snapshot.schema(space, &name)?);
            }
            let mut query = Query::all(name.as_str());
            query.page.limit = Some(SAMPLE_DOCUMENTS);
            let sample = snapshot.find(&query)?.documents.into_iter().map(|document| document.fields).collect();
            described.push(Described { name, schemas, sample });
        }
        Ok(Self::new(described))
    }

    /// Gives names and shapes, in the order of the collections' names.
    pub(crate) fn new(mut described: Vec<Described>) -> Self {
        described.sort_by(|a, b| a.name.cmp(&b.name));
        let mut roots = Names::reserving(RESERVED_ROOTS);
        let mut types = Names::reserving(RESERVED_TYPES);
        for (stem, suffix) in
            SHAPE_STEMS.iter().flat_map(|stem| SHAPE_SUFFIXES.iter().map(move |suffix| (stem, suffix)))
        {
            types.take(&format!("{stem}{suffix}"));
        }
        let collections =
            described.into_iter().map(|one| (one.name.clone(), Collection::new(one, &mut roots, &mut types))).collect();
        Self { collections }
    }
}

impl Collection {
    fn new(described: Described, roots: &mut Names, types: &mut Names) -> Self {
        let Described { name, schemas, sample } = described;
        let singular = name::singular(&name);
        let wanted = match schemas.iter().find_map(|schema| schema.type_name.as_deref()) {
            Some(declared) => name::sanitise(declared),
            None => name::pascal(&singular),
        };
        let type_name = types.take_family(&wanted, TYPE_SUFFIXES);
        let plural = match name::pascal(&name) {
            plural if plural == type_name => plural + "List",
            plural => plural,
        };
        let list_field = roots.take(&name::sanitise(&name));
        Self {
            single_field: match name::sanitise(&singular) {
                single if single == list_field => roots.take(&(single + "ById")),
                single => roots.take(&single),
            },
            create_field: roots.take(&format!("create{type_name}")),
            create_many_field: roots.take(&format!("create{plural}")),
            update_field: roots.take(&format!("update{type_name}")),
            upsert_field: roots.take(&format!("upsert{type_name}")),
            delete_field: roots.take(&format!("delete{type_name}")),
            changed_field: roots.take(&format!("{list_field}Changed")),
            fields: fields(&schemas, &sample),
            name,
            type_name,
            list_field,
        }
    }
}

/// Declared fields as declared, the others as the sample shows them.
fn fields(schemas: &[Schema], sample: &[Fields]) -> BTreeMap<String, Field> {
    let mut declared: BTreeMap<&str, (Option<FieldKind>, Option<Shape>)> = BTreeMap::new();
    for (path, field) in schemas.iter().flat_map(|schema| &schema.fields) {
        let shape = Shape::declared(field);
        let (kind, known) = declared.entry(path).or_insert((Some(field.kind), None));
        *kind = kind.filter(|kind| *kind == field.kind);
        *known = join(known.take(), Some(shape));
    }
    let mut shown: BTreeMap<&str, (Option<FieldKind>, Option<Shape>)> = BTreeMap::new();
    for (path, value) in sample.iter().flatten().filter(|(path, _)| !declared.contains_key(path.as_str())) {
        let (_, known) = shown.entry(path).or_default();
        *known = join(known.take(), Shape::of_value(value));
    }
    declared.append(&mut shown);
    named(declared)
}

fn join(a: Option<Shape>, b: Option<Shape>) -> Option<Shape> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.join(b)),
        (a, b) => a.or(b),
    }
}

/// Gives GraphQL names; those that GraphQL takes unchanged come first, so no odd name can take theirs.
fn named(found: BTreeMap<&str, (Option<FieldKind>, Option<Shape>)>) -> BTreeMap<String, Field> {
    let mut names = Names::reserving(&["id", "_meta", "_fields", "and", "or", "not"]);
    let (plain, odd): (Vec<_>, Vec<_>) = found.into_iter().partition(|(path, _)| name::sanitise(path) == *path);
    plain
        .into_iter()
        .chain(odd)
        .take(MAX_FIELDS)
        .map(|(path, (kind, shape))| {
            let name = names.take(&name::sanitise(path));
            (name.clone(), Field { name, path: path.to_owned(), kind, shape: shape.unwrap_or(Shape::Json) })
        })
        .collect()
}

/// A collection for the tests of this module's neighbours.
#[cfg(test)]
pub(crate) mod sample {
    use super::*;
    use tidewater_engine::document::ConflictPolicy;
    use tidewater_engine::schema::{self, ValueType};
    use tidewater_engine::value::Value;

    /// `notes` with a field of every kind, and an undeclared one whose name GraphQL does not take.
    pub(crate) fn notes() -> Collection {
        let field = |kind, value_type: Option<ValueType>| schema::Field {
            kind,
            value_type,
            required: false,
            default: None,
            conflict: ConflictPolicy::Latest,
        };
        let declared = [
            ("title", field(FieldKind::Register, Some(ValueType::String))),
            ("done", field(FieldKind::Register, Some(ValueType::Bool))),
            ("score", field(FieldKind::Register, Some(ValueType::Float))),
            ("views", field(FieldKind::Counter, None)),
            ("tags", field(FieldKind::Set, Some(ValueType::String))),
            ("body", field(FieldKind::Text, None)),
            ("extra", field(FieldKind::Json, None)),
            ("author", field(FieldKind::Register, Some(ValueType::Reference("authors".to_owned())))),
        ];
        let fields = declared.into_iter().map(|(name, field)| (name.to_owned(), field)).collect();
        let schema = Schema { type_name: None, fields, indexes: BTreeMap::new() };
        let sample = vec![Fields::from([("a b".to_owned(), Value::Int(1))])];
        let described = Described { name: "notes".to_owned(), schemas: vec![schema], sample };
        Catalog::new(vec![described]).collections.remove("notes").expect("the one collection")
    }
}

#[cfg(test)]
mod tests {
    use tidewater_engine::document::ConflictPolicy;
    use tidewater_engine::schema;
    use tidewater_engine::value::Value;

    use super::*;

    fn sampled(name: &str, documents: &[&[(&str, Value)]]) -> Described {
        let fields = |pairs: &&[(&str, Value)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        Described { name: name.to_owned(), schemas: Vec::new(), sample: documents.iter().map(fields).collect() }
    }

    #[test]
    fn shapes_come_from_the_sample_where_no_schema_declares_them() {
        let catalog = Catalog::new(vec![sampled(
            "notes",
            &[
                &[("title", Value::String("a".into())), ("mixed", Value::Int(1)), ("tags", Value::List(vec![]))],
                &[("mixed", Value::Bool(true)), ("tags", Value::List(vec![Value::String("x".into())]))],
            ],
        )]);
        let notes = &catalog.collections["notes"];
        assert_eq!((notes.type_name.as_str(), notes.single_field.as_str()), ("Note", "note"));
        assert_eq!(notes.fields["title"].shape, Shape::String);
        assert_eq!(notes.fields["mixed"].shape, Shape::Json);
        assert_eq!(notes.fields["tags"].shape, Shape::List(Box::new(Shape::String)));
    }

    #[test]
    fn a_schema_wins_over_the_sample() {
        let field = schema::Field {
            kind: FieldKind::Counter,
            value_type: None,
            required: false,
            default: None,
            conflict: ConflictPolicy::Latest,
        };
        let declared = Schema {
            type_name: Some("Memo".into()),
            fields: [("views".to_owned(), field)].into(),
            indexes: BTreeMap::new(),
        };
        let mut described = sampled("notes", &[&[("views", Value::String("x".into()))]]);
        described.schemas.push(declared);
        let catalog = Catalog::new(vec![described]);
        let notes = &catalog.collections["notes"];
        assert_eq!(notes.type_name, "Memo");
        assert_eq!(notes.fields["views"].shape, Shape::Int);
        assert_eq!(notes.fields["views"].kind, Some(FieldKind::Counter));
        assert_eq!((notes.list_field.as_str(), notes.create_many_field.as_str()), ("notes", "createNotes"));
    }

    #[test]
    fn names_that_collide_are_numbered_alike_every_time() {
        let odd = &[("a-b", Value::Int(1)), ("a b", Value::Int(1)), ("a_b", Value::Int(1)), ("id", Value::Int(1))];
        let describe =
            || vec![sampled("status", &[odd]), sampled("Query", &[]), sampled("sheep", &[]), sampled("sheeps", &[])];
        let catalog = Catalog::new(describe());
        let mut reversed = describe();
        reversed.reverse();
        assert_eq!(catalog, Catalog::new(reversed));
        let fields = &catalog.collections["status"].fields;
        assert_eq!(fields["a_b"].path, "a_b");
        assert_eq!(fields["a_b_2"].path, "a b");
        assert_eq!(fields["a_b_3"].path, "a-b");
        assert_eq!(fields["id_2"].path, "id");
        assert_eq!(catalog.collections["status"].list_field, "status_2");
        assert_eq!(catalog.collections["Query"].type_name, "Query_2");
        assert_eq!(catalog.collections["sheep"].single_field, "sheepById");
        assert_eq!(catalog.collections["sheeps"].type_name, "Sheep_2");
    }

    #[test]
    fn no_collection_takes_a_name_of_the_schema_itself() {
        let schema = crate::graphql::schema::build(&Catalog::default()).unwrap().sdl();
        let (mut roots, mut in_text) = (false, false);
        for line in schema.lines() {
            in_text ^= line.matches("\"\"\"").count() == 1;
            roots &= line != "}";
            let mut words = line.split([' ', '(', ':']).filter(|word| !word.is_empty());
            let first = words.next().unwrap_or_default();
            if ["type", "input", "enum", "scalar", "union", "interface"].contains(&first) && !line.starts_with('\t') {
                let name = words.next().unwrap();
                roots = ["Query", "Mutation", "Subscription"].contains(&name);
                let made = |stem: &&str| name.strip_prefix(*stem).is_some_and(|rest| SHAPE_SUFFIXES.contains(&rest));
                assert!(RESERVED_TYPES.contains(&name) || SHAPE_STEMS.iter().any(made), "type {name}");
            } else if roots && !in_text && line.contains(':') {
                assert!(RESERVED_ROOTS.contains(&first.trim()), "field {first}");
            }
        }
    }
}
