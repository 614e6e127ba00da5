//! The cryptography that this crate relies on, as it is built here, against the vectors of others: those of project Wycheproof, made
//! of what went wrong elsewhere, and one of RFC 9180.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use data_encoding::HEXLOWER;
use hpke::aead::AesGcm128;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR};
use tidewater_engine::space::SecretKey;
use wycheproof::TestResult;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::device::verify;
use crate::keys::Wrapped;
use crate::simulation::SimulatedHost;

#[test]
fn signatures_are_verified_as_project_wycheproof_wants() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in set.test_groups {
        let public: [u8; 32] = group.key.pk.as_ref().try_into().unwrap();
        for test in group.tests {
            // Signatures of another length can't be written down in the formats of this crate.
            let Ok(signature) = <[u8; 64]>::try_from(test.sig.as_ref()) else {
                assert_eq!(test.result, TestResult::Invalid);
                continue;
            };
            let verified = verify(&public, &test.msg, &signature);
            assert_eq!(verified, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
            *if verified { &mut valid } else { &mut invalid } += 1;
        }
    }
    assert!(valid > 50 && invalid > 20, "{valid} valid, {invalid} invalid");
}

#[test]
fn x25519_agrees_as_project_wycheproof_wants_and_keys_of_small_order_get_nothing() {
    let set = wycheproof::xdh::TestSet::load(wycheproof::xdh::TestName::X25519).unwrap();
    let (host, mut small) = (SimulatedHost::new(1), 0);
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let Ok(public) = <[u8; 32]>::try_from(test.public_key.as_ref()) else { continue };
        let private: [u8; 32] = test.private_key.as_ref().try_into().unwrap();
        let shared = StaticSecret::from(private).diffie_hellman(&PublicKey::from(public));
        assert_eq!(shared.as_bytes()[..], test.shared_secret[..], "{}: {}", test.tc_id, test.comment);
        let wrapped = Wrapped::seal(&*host, &public, b"context", &SecretKey::new([1; 32]));
        let is_small = shared.as_bytes() == &[0; 32];
        assert_eq!(wrapped.is_none(), is_small, "{}: {}", test.tc_id, test.comment);
        small += usize::from(is_small);
    }
    assert!(small > 10, "{small} keys of small order");
}

#[test]
fn aes_256_gcm_opens_what_project_wycheproof_sealed_and_nothing_that_was_changed() {
    let set = wycheproof::aead::TestSet::load(wycheproof::aead::TestName::AesGcm).unwrap();
    let (mut opened, mut refused) = (0, 0);
    for group in set.test_groups {
        // The parameters that entries and notes are sealed with, 96 bits of nonce and 128 of tag.
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
            continue;
        }
        for test in group.tests {
            let cipher = Aes256Gcm::new_from_slice(&test.key).unwrap();
            let nonce: [u8; 12] = test.nonce.as_ref().try_into().unwrap();
            let nonce = Nonce::from(nonce);
            let sealed = [test.ct.as_ref(), test.tag.as_ref()].concat();
            let plain = cipher.decrypt(&nonce, Payload { msg: &sealed, aad: &test.aad });
            if test.result == TestResult::Valid {
                assert_eq!(plain.as_deref(), Ok(&test.pt[..]), "{}: {}", test.tc_id, test.comment);
                let again = cipher.encrypt(&nonce, Payload { msg: &test.pt, aad: &test.aad });
                assert_eq!(again, Ok(sealed), "{}: {}", test.tc_id, test.comment);
                opened += 1;
            } else {
                assert!(plain.is_err(), "{}: {}", test.tc_id, test.comment);
                refused += 1;
            }
        }
    }
    assert!(opened > 30 && refused > 10, "{opened} opened, {refused} refused");
}

/// RFC 9180, A.1.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode, sequence 0. The RFC has no vector with
/// AES-256-GCM, which keys are wrapped with; all else is the same.
#[test]
fn hpke_opens_the_vector_of_rfc_9180() {
    let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
    type Kem25519 = X25519HkdfSha256;
    let secret = hex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8");
    let secret = <Kem25519 as Kem>::PrivateKey::from_bytes(&secret).unwrap();
    let encapsulated = hex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431");
    let encapsulated = <Kem25519 as Kem>::EncappedKey::from_bytes(&encapsulated).unwrap();
    let opened = hpke::single_shot_open::<AesGcm128, HkdfSha256, Kem25519>(
        &OpModeR::Base,
        &secret,
        &encapsulated,
        &hex("4f6465206f6e2061204772656369616e2055726e"),
        &hex("f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a"),
        &hex("436f756e742d30"),
    );
    assert_eq!(opened.unwrap(), b"Beauty is truth, truth beauty");
}
