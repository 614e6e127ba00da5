//! One target under libFuzzer: the one that `TIDEWATER_TARGET` names.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use tidewater_tests::fuzz::{self, Target, drive};

#[global_allocator]
static METER: fuzz::Meter = fuzz::Meter;

fn chosen() -> &'static Target {
    static CHOSEN: OnceLock<&'static Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = std::env::var("TIDEWATER_TARGET").expect("TIDEWATER_TARGET names a target");
        let target = fuzz::target(&name).expect("TIDEWATER_TARGET names a target");
        drive::warm_up(target);
        target
    })
}

fuzz_target!(|input: &[u8]| {
    if let Err(broken) = drive::run(chosen(), input) {
        panic!("{}", broken.why);
    }
});
