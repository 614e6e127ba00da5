//! The cursor of a list of commits: the place of the last one, as text.

use super::lower::{self, Arguments, LowerError};
use tidewater_engine::id::{DeviceId, Incarnation, SpaceId, WriterId};
use tidewater_engine::log::{Place, Plane};

/// `PLANE.DEVICE.INCARNATION.SEQUENCE`.
pub(crate) fn text(place: &Place) -> String {
    format!("{}.{}.{}", place.plane.name(), place.writer, place.sequence)
}

/// The place in `space` that a cursor names.
pub(crate) fn parse(space: &SpaceId, text: &str) -> Option<Place> {
    let mut parts = text.split('.');
    let mut part = || parts.next();
    let name = part()?;
    let plane = [Plane::Control, Plane::Data].into_iter().find(|plane| plane.name() == name)?;
    let (device, incarnation): (DeviceId, Incarnation) = (part()?.parse().ok()?, part()?.parse().ok()?);
    let sequence = part()?.parse().ok()?;
    parts.next().is_none().then_some(Place { space: *space, plane, writer: WriterId { device, incarnation }, sequence })
}

/// What the arguments `first` and `after` of a list of commits of `space` say: how many, and after which.
pub(crate) fn page(space: &SpaceId, arguments: &Arguments) -> Result<(usize, Option<Place>), LowerError> {
    Ok((lower::page::first(arguments)?, argument(space, arguments)?))
}

/// The place in `space` that the argument `after` names, if it is given.
fn argument(space: &SpaceId, arguments: &Arguments) -> Result<Option<Place>, LowerError> {
    let Some(after) = lower::given(arguments, "after") else { return Ok(None) };
    let expected = || LowerError::expected("after", "a cursor of an earlier list", after);
    parse(space, lower::text("after", after)?).ok_or_else(expected).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_names_the_place_that_it_was_made_of_and_nothing_else_is_one() {
        let writer = WriterId { device: DeviceId([7; 32]), incarnation: Incarnation([9; 8]) };
        let place = Place { space: SpaceId([1; 32]), plane: Plane::Data, writer, sequence: u64::MAX };
        let cursor = text(&place);
        assert_eq!(parse(&place.space, &cursor), Some(place));
        for wrong in [
            "",
            "data",
            "paper.x.y.1",
            &cursor[..cursor.len() - 21],
            &format!("{cursor}.1"),
            &cursor.replace("07", "0x"),
        ] {
            assert_eq!(parse(&place.space, wrong), None, "{wrong}");
        }
    }
}
