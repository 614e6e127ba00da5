//! Root fields about the database's own identity and its devices. Recovery words are none of them: they are not for programs.

use async_graphql::dynamic::{Field, FieldValue, Object, TypeRef};
use tidewater_engine::id::DeviceId;
use tidewater_sync::{Certificate, IdentityCard};

use super::sharing::hexadecimal;
use super::{Parts, plain, root};
use crate::graphql::{error, instant};

/// The identity as a parent of fields: its card, and which of the devices this one is.
struct Own {
    card: IdentityCard,
    device: DeviceId,
}

pub(super) fn register(parts: &mut Parts) {
    parts.register(identity_type());
    parts.register(device_type());
    parts.queries.push(identity());
    parts.mutations.push(remove_device());
}

fn identity_type() -> Object {
    let text = |name: &str, shape: &str, of: fn(&Own) -> String| {
        plain(name, TypeRef::named_nn(shape), move |own: &Own| Ok(Some(FieldValue::value(of(own)))))
    };
    Object::new("Identity")
        .field(text("id", TypeRef::ID, |own| own.card.identity().to_string()))
        .field(text("name", TypeRef::STRING, |own| own.card.name.clone()))
        .field(
            text("card", TypeRef::STRING, |own| own.card.to_string())
                .description("What to give to others so that they can grant this identity a rank."),
        )
        .field(
            text("device", TypeRef::ID, |own| own.device.to_string()).description("The device that this database is."),
        )
        .field(plain("devices", TypeRef::named_nn_list_nn("Device"), |own: &Own| {
            Ok(Some(FieldValue::list(own.card.certificates.iter().map(|one| FieldValue::owned_any(*one)))))
        }))
}

fn device_type() -> Object {
    Object::new("Device")
        .field(plain("id", TypeRef::named_nn(TypeRef::ID), |one: &Certificate| {
            Ok(Some(FieldValue::value(one.device.to_string())))
        }))
        .field(plain("certified", TypeRef::named_nn("Timestamp"), |one: &Certificate| {
            Ok(Some(FieldValue::value(instant::format(one.issued_ms))))
        }))
}

fn identity() -> Field {
    root("identity", TypeRef::named("Identity"), &[], |call| async move {
        let database = &call.scope.database;
        let own = database.card().ok().map(|card| Own { card, device: database.device() });
        Ok(own.map(FieldValue::owned_any))
    })
    .description("Whose database this is; null until it is linked.")
}

fn remove_device() -> Field {
    let arguments = [("device", TypeRef::named_nn(TypeRef::ID))];
    root("removeDevice", TypeRef::named_nn(TypeRef::BOOLEAN), &arguments, |call| async move {
        let device = hexadecimal::<DeviceId>(&call, "device")?;
        call.scope.run(move |database| database.remove_device(&device).map_err(error::space)).await?;
        Ok(Some(FieldValue::value(true)))
    })
    .description(
        "Removes a device of this identity that was lost or stolen, in every space and for good; new keys are in use from then on.",
    )
}
