//! One suite that every transport passes.
//!
//! `suite` says what is promised, once; each transport gives it a [`World`](world::World) to run in.

mod memory_world;
mod quic_hostile;
mod quic_world;
mod suite;
mod udp_relay;
mod world;

/// Runs every test of the suite, each in a world of its own.
macro_rules! conformance {
    ($module:ident, $world:ty) => {
        mod $module {
            conformance! { @tests $world:
                both_ends_know_each_other_and_the_channel
                a_wrong_key_is_found_out_before_the_dialer_shows_its_own
                a_device_does_not_connect_to_itself
                a_reader_that_stops_bounds_the_writer_and_nobody_else
                a_large_stream_arrives_whole
                many_streams_do_not_mix
                one_direction_ends_and_the_other_goes_on
                a_reader_that_leaves_stops_the_writer
                a_loss_without_a_farewell_is_noticed
                a_dead_address_may_come_alive
                a_senseless_address_stays_senseless
                the_peer_hears_why_a_connection_is_closed
                a_connection_that_nobody_holds_closes
                streams_hold_a_connection_open
                a_closed_connection_opens_and_accepts_nothing
                devices_that_dial_each_other_at_once_get_two_connections
                a_transport_listens_at_several_addresses
                an_address_is_listened_at_once
                a_dropped_listener_lets_nobody_in_and_nobody_down
                shutting_down_frees_what_was_dialled
            }
        }
    };
    (@tests $world:ty: $($test:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let world = <$world as crate::world::World>::new();
                crate::world::within_deadline(crate::suite::$test(&world)).await;
            }
        )*
    };
}

conformance!(conformance_memory, crate::memory_world::MemoryWorld);
conformance!(conformance_quic, crate::quic_world::QuicWorld);
