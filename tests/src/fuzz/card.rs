//! Target: identity cards and the certificates in them, as texts and behind their checksum.

use tidewater_sync::IdentityCard;

use super::people::people;
use super::{Memory, Target, armored};

pub(super) const TARGET: Target = Target {
    name: "card",
    run,
    seeds,
    input_bytes_max: 2_048,
    memory: Memory { fixed: 64 << 10, per_byte: 64 },
    executions: 5_000,
};

const PREFIX: &str = "tidecard1";

fn run(input: &[u8]) -> bool {
    let honest = &people().cards;
    if let Ok(card) = String::from_utf8_lossy(input).parse::<IdentityCard>() {
        assert_eq!(card.to_string().parse(), Ok(card), "a card is written as it was read");
    }
    let text = armored::text(PREFIX, input);
    let Ok(card) = text.parse::<IdentityCard>() else { return false };
    assert_eq!(card.to_string(), text, "a card has one encoding");
    // The name is not signed; everything else is.
    let genuine = honest.iter().any(|one| one.genesis == card.genesis);
    assert!(genuine, "a card that nobody made is taken for genuine");
    true
}

fn seeds() -> Vec<Vec<u8>> {
    let texts: Vec<String> = people().cards.iter().map(IdentityCard::to_string).collect();
    let behind = texts.iter().map(|text| armored::bytes(PREFIX, text));
    behind.chain([texts[0].clone().into_bytes()]).collect()
}
