//! What this identity, and others, say of themselves.

use async_graphql::Error;
use async_graphql::dynamic::{Field, FieldValue, Object, TypeRef};
use tidewater_engine::id::DeviceId;
use tidewater_sync::{DeviceKind, IdentityId, OwnProfile, Profile, ProfileField};

use super::failed;
use crate::graphql::error::{self, Code};
use crate::graphql::lower;
use crate::graphql::schema::operator::{number, text};
use crate::graphql::schema::{Call, Parts, plain, root};

/// A profile that a search found.
struct Found {
    identity: IdentityId,
    profile: Profile,
}

pub(super) fn register(parts: &mut Parts) {
    parts.register(profile_type());
    parts.register(device_type());
    parts.register(own_type());
    parts.queries.push(own());
    parts.mutations.push(set());
}

pub(super) fn found(identity: IdentityId, profile: Profile) -> FieldValue<'static> {
    FieldValue::owned_any(Found { identity, profile })
}

/// A profile is a parent by itself, or with whose it is.
fn of<T>(
    parent: &async_graphql::dynamic::ResolverContext<'_>,
    read: impl Fn(Option<&IdentityId>, &Profile) -> T,
) -> Result<T, Error> {
    match parent.parent_value.downcast_ref::<Found>() {
        Some(found) => Ok(read(Some(&found.identity), &found.profile)),
        None => Ok(read(None, parent.parent_value.try_downcast_ref::<Profile>()?)),
    }
}

fn said(name: &str, read: fn(&Profile) -> &str) -> Field {
    Field::new(name, TypeRef::named_nn(TypeRef::STRING), move |context| {
        let said = of(&context, |_, profile| FieldValue::value(read(profile)));
        async_graphql::dynamic::FieldFuture::new(async move { said.map(Some) })
    })
}

fn profile_type() -> Object {
    use async_graphql::dynamic::FieldFuture;
    let whose = Field::new("identity", TypeRef::named(TypeRef::ID), |context| {
        let whose = of(&context, |identity, _| identity.map(|identity| FieldValue::value(identity.to_string())));
        FieldFuture::new(async move { whose })
    });
    let tags = Field::new("tags", TypeRef::named_nn_list_nn(TypeRef::STRING), |context| {
        let tags = of(&context, |_, profile| {
            FieldValue::list(profile.tags.iter().map(|tag| FieldValue::value(tag.as_str())).collect::<Vec<_>>())
        });
        FieldFuture::new(async move { tags.map(Some) })
    });
    let devices = Field::new("devices", TypeRef::named_nn_list_nn("ProfileDevice"), |context| {
        let devices = of(&context, |_, profile| {
            let devices = profile.devices.iter().map(|(device, kind)| FieldValue::owned_any((*device, *kind)));
            FieldValue::list(devices.collect::<Vec<_>>())
        });
        FieldFuture::new(async move { devices.map(Some) })
    });
    Object::new("IdentityProfile")
        .field(whose.description("Whose it is, where a search found it."))
        .field(said("name", |profile| &profile.name))
        .field(said("email", |profile| &profile.email))
        .field(said("phone", |profile| &profile.phone))
        .field(said("location", |profile| &profile.location))
        .field(said("bio", |profile| &profile.bio))
        .field(tags)
        .field(devices)
        .description("What an identity says of itself. What is empty it does not say.")
}

fn device_type() -> Object {
    Object::new("ProfileDevice").field(text("device", |(device, _): &(DeviceId, DeviceKind)| device.to_string())).field(
        text("kind", |(_, kind): &(DeviceId, DeviceKind)| kind.name().to_owned())
            .description("laptop, desktop, phone, tablet, server or other: a claim."),
    )
}

fn own_type() -> Object {
    Object::new("OwnProfile")
        .field(plain("profile", TypeRef::named_nn("IdentityProfile"), |own: &OwnProfile| {
            Ok(Some(FieldValue::owned_any(own.profile.clone())))
        }))
        .field(
            plain("public", TypeRef::named_nn_list_nn(TypeRef::STRING), |own: &OwnProfile| {
                Ok(Some(FieldValue::list(own.public.iter().map(|field| FieldValue::value(field.name())))))
            })
            .description("The fields that everyone sees, besides the name."),
        )
        .field(number("revision", |own: &OwnProfile| own.revision))
}

fn own() -> Field {
    root("ownProfile", TypeRef::named_nn("OwnProfile"), &[], |call| async move {
        let own = call.scope.run(|database| database.profile().map_err(failed)).await?;
        Ok(Some(FieldValue::owned_any(own)))
    })
    .description("What this identity says of itself, and to whom.")
}

fn set() -> Field {
    let texts = ["name", "email", "phone", "location", "bio"].map(|name| (name, TypeRef::named(TypeRef::STRING)));
    let lists = ["tags", "public"].map(|name| (name, TypeRef::named_nn_list(TypeRef::STRING)));
    let arguments: Vec<_> =
        texts.into_iter().chain(lists).chain([("deviceKind", TypeRef::named(TypeRef::STRING))]).collect();
    root("setProfile", TypeRef::named_nn("OwnProfile"), &arguments, |call| async move {
        let OwnProfile { mut profile, mut public, .. } =
            call.scope.run(|database| database.profile().map_err(failed)).await?;
        for (name, field) in [
            ("name", &mut profile.name),
            ("email", &mut profile.email),
            ("phone", &mut profile.phone),
            ("location", &mut profile.location),
            ("bio", &mut profile.bio),
        ] {
            if let Some(argument) = lower::given(&call.arguments, name) {
                lower::text(name, argument).map_err(error::lowering)?.clone_into(field);
            }
        }
        if let Some(tags) = texts_of(&call, "tags")? {
            profile.tags = tags.into_iter().collect();
        }
        if let Some(names) = texts_of(&call, "public")? {
            let field = |name: &String| ProfileField::named(name).ok_or_else(|| unknown("public", name));
            public = names.iter().map(field).collect::<Result<_, _>>()?;
        }
        if let Some(kind) = texts_of(&call, "deviceKind")?.and_then(|kinds| kinds.into_iter().next()) {
            let kind = DeviceKind::named(&kind).ok_or_else(|| unknown("deviceKind", &kind))?;
            profile.devices.insert(call.scope.database.device(), kind);
        }
        let set = move |database: &tidewater_sync::Database| {
            database.set_profile(&profile, &public)?;
            database.profile()
        };
        let own = call.scope.run(move |database| set(database).map_err(failed)).await?;
        Ok(Some(FieldValue::owned_any(own)))
    })
    .description(
        "Changes what this identity says of itself; what is not given stays, what is empty is not said. `public` names the fields that everyone sees: email, phone, location, bio, tags, devices. `deviceKind` is what this device is.",
    )
}

fn unknown(argument: &str, name: &str) -> Error {
    Code::BadInput.error(format!("{argument}: there is no {name:?}"))
}

fn texts_of(call: &Call, name: &str) -> Result<Option<Vec<String>>, Error> {
    let Some(argument) = lower::given(&call.arguments, name) else { return Ok(None) };
    let texts = lower::elements(argument).iter().map(|one| lower::text(name, one).map(str::to_owned));
    texts.collect::<Result<Vec<_>, _>>().map(Some).map_err(error::lowering)
}
