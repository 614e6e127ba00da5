//! Tests that need rights over the machine: networks of their own, disks of a size. Where those can't be had, they say so
//! and count as skipped, which cargo's own harness can't say.

mod full_disk;
mod networks;

use libtest_mimic::{Arguments, Trial};
use tidewater_tests::namespace::Namespace;

fn main() {
    let arguments = Arguments::from_args();
    let refused = Namespace::new().err();
    // Runners that list the tests first list the skipped ones apart.
    if let Some(why) = refused.as_ref().filter(|_| arguments.ignored || !arguments.list) {
        eprintln!("skipped: networks and disks of their own for tests: {why}");
    }
    let trial = |name: &str, test: fn()| {
        let run = move || {
            test();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(refused.is_some())
    };
    let trials = vec![
        trial("networks::devices_in_two_networks_stay_in_sync", networks::devices_in_two_networks_stay_in_sync),
        trial("full_disk::an_import_stops_and_goes_on", full_disk::an_import_stops_and_goes_on),
        trial("full_disk::a_served_database_loses_nothing", full_disk::a_served_database_loses_nothing),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}
