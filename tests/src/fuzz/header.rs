//! Target: entry headers.

use tidewater_engine::id::{DeviceId, EpochId, Incarnation, SpaceId, WriterId};
use tidewater_engine::log::header::{BODY_BYTES_MIN, SALT_BYTES};
use tidewater_engine::log::run::RunCheck;
use tidewater_engine::log::{Header, Moved, Place, Plane, Prefix};

use super::{Memory, Target};

pub(super) const TARGET: Target = Target {
    name: "header",
    run,
    seeds,
    input_bytes_max: 4_096,
    memory: Memory { fixed: 4_096, per_byte: 4 },
    executions: 200_000,
};

fn writer(number: u8) -> WriterId {
    WriterId { device: DeviceId([number; 32]), incarnation: Incarnation([number; 8]) }
}

fn run(input: &[u8]) -> bool {
    let Ok(header) = Header::decode(input) else { return false };
    assert_eq!(header.encode(), input, "a header has one encoding");
    for plane in [Plane::Control, Plane::Data] {
        let place = Place { space: SpaceId([7; 32]), plane, writer: writer(1), sequence: 3 };
        let _ = header.check_place(&place);
        let mut runs = RunCheck::new(plane);
        while runs.accept(&header) == Ok(false) && !header.first {}
    }
    !header.fits_body(&[]) || header.body_length == 0
}

fn seeds() -> Vec<Vec<u8>> {
    let moved = |count: u8| -> Moved {
        (0..count)
            .map(|number| (writer(number), Prefix { length: 1 + u64::from(number) * 100, root: [9; 32] }))
            .collect()
    };
    [(0, 0), (2, 0), (1, 3), (20, 0)]
        .map(|(dependencies, control)| Header {
            timestamp_ms: 1_790_000_000_000,
            first: dependencies == 0,
            last: control == 0,
            epoch: EpochId([5; 32]),
            salt: [6; SALT_BYTES],
            dependencies: moved(dependencies),
            control: moved(control),
            body_length: BODY_BYTES_MIN as u32 + 9,
            body_hash: [8; 32],
        })
        .iter()
        .map(Header::encode)
        .collect()
}
