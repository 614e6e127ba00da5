//! Target: tickets, as texts and behind their checksum.

use tidewater_engine::id::DeviceId;
use tidewater_engine::space::SecretKey;
use tidewater_sync::{OfferId, Ticket, TicketKind};

use super::{Memory, Target, armored};

pub(super) const TARGET: Target = Target {
    name: "ticket",
    run,
    seeds,
    input_bytes_max: 2_048,
    memory: Memory { fixed: 16 << 10, per_byte: 64 },
    executions: 20_000,
};

const PREFIX: &str = "tide1";

fn run(input: &[u8]) -> bool {
    if let Ok(ticket) = String::from_utf8_lossy(input).parse::<Ticket>() {
        assert_eq!(ticket.to_string().parse(), Ok(ticket), "a ticket is written as it was read");
    }
    let text = armored::text(PREFIX, input);
    let Ok(ticket) = text.parse::<Ticket>() else { return false };
    assert_eq!(ticket.to_string(), text, "a ticket has one encoding");
    true
}

fn seeds() -> Vec<Vec<u8>> {
    let ticket = |kind, addresses: &[&str]| Ticket {
        kind,
        inviter: DeviceId([1; 32]),
        addresses: addresses.iter().map(|address| (*address).to_owned()).collect(),
        offer: OfferId([2; 16]),
        secret: SecretKey::new([3; 32]),
        expires_ms: 1_790_000_000_000,
    };
    let tickets = [ticket(TicketKind::Link, &[]), ticket(TicketKind::Share, &["quic://[::1]:4711", "memory://x"])];
    let texts = tickets.map(|ticket| ticket.to_string());
    let behind = texts.iter().map(|text| armored::bytes(PREFIX, text));
    behind.chain([texts[0].clone().into_bytes()]).collect()
}
