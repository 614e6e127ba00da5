//! What this identity says of itself.

use serde_json::{Value as Json, json};
use tidewater_sync::{Profile, ProfileField};

use super::arguments::{ProfileCommand, SetProfile};
use super::context::Context;
use super::failure::Done;

pub(crate) fn profile(context: &mut Context, command: &ProfileCommand) -> Done {
    match command {
        ProfileCommand::Show => show(context),
        ProfileCommand::Set(set) => change(context, set),
    }
}

fn show(context: &mut Context) -> Done {
    let own = context.database.profile()?;
    let mut shown = record(&own.profile);
    let public: Vec<&str> = own.public.iter().map(|field| field.name()).collect();
    shown["public"] = public.into();
    shown["revision"] = own.revision.into();
    context.output.record(&shown)
}

fn change(context: &mut Context, set: &SetProfile) -> Done {
    let own = context.database.profile()?;
    let (mut profile, mut public) = (own.profile, own.public);
    let bio = set.bio.as_deref().map(|bio| context.text(bio)).transpose()?;
    for (field, new) in [
        (&mut profile.name, &set.name),
        (&mut profile.email, &set.email),
        (&mut profile.phone, &set.phone),
        (&mut profile.location, &set.location),
        (&mut profile.bio, &bio),
    ] {
        if let Some(new) = new {
            new.trim_end_matches('\n').clone_into(field);
        }
    }
    if !set.tag.is_empty() {
        profile.tags = set.tag.iter().filter(|tag| !tag.is_empty()).cloned().collect();
    }
    if let Some(kind) = set.device_kind {
        profile.devices.insert(context.database.device(), kind);
    }
    public.extend(&set.public);
    public.retain(|field: &ProfileField| !set.private.contains(field));
    context.database.set_profile(&profile, &public)?;
    show(context)
}

/// A profile as JSON.
pub(crate) fn record(profile: &Profile) -> Json {
    let devices: serde_json::Map<String, Json> =
        profile.devices.iter().map(|(device, kind)| (device.to_string(), kind.name().into())).collect();
    json!({
        "name": profile.name, "email": profile.email, "phone": profile.phone, "location": profile.location,
        "bio": profile.bio, "tags": profile.tags, "devices": devices,
    })
}

/// Puts what is in the profile of a record beside everything else: a table has one level.
pub(crate) fn flatten(record: &mut Json) {
    let Some(fields) = record.as_object_mut() else { return };
    if let Some(Json::Object(profile)) = fields.remove("profile") {
        fields.extend(profile);
    }
}
