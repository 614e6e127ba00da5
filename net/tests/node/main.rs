//! Nodes that keep databases in sync: over every transport, through losses, restarts and strangers.

mod cuts;
mod stories;
mod strangers;
mod world;

/// Runs stories over one transport, each in a world of its own.
macro_rules! stories {
    ($module:ident, $carrier:expr, $($story:ident)*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    let world = crate::world::World::new($carrier);
                    crate::world::within_deadline(crate::stories::$story(&world)).await;
                }
            )*
        }
    };
}

stories! { node_memory, crate::world::Carrier::Memory,
    a_second_device_joins_and_both_stay_in_sync
    an_edit_made_apart_arrives_after_the_connection_was_cut
    a_peer_that_restarts_is_found_again
    a_node_that_restarts_dials_whom_it_knows
    devices_that_dial_each_other_at_once_end_with_one_connection
    ten_devices_meet_through_one
    many_documents_arrive_with_their_progress_told
    a_node_that_was_shut_down_leaves_no_task_behind
    a_node_that_is_dropped_stops_too
    a_forgotten_peer_is_left_alone
}

stories! { node_quic, crate::world::Carrier::Quic,
    a_second_device_joins_and_both_stay_in_sync
    a_peer_that_restarts_is_found_again
    a_node_that_restarts_dials_whom_it_knows
    devices_that_dial_each_other_at_once_end_with_one_connection
    ten_devices_meet_through_one
    many_documents_arrive_with_their_progress_told
    a_node_that_was_shut_down_leaves_no_task_behind
    a_node_that_is_dropped_stops_too
    a_forgotten_peer_is_left_alone
}
