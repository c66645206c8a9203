use faregate_types::credit::api::Hidden;
use faregate_types::credit::{AdminKey, BlsSecretKey};
use faregate_types::{Secret, SecretKey, SecretKeyError};

/// Compiles only while the type does **not** have the trait: with it, the call below would be ambiguous.
macro_rules! has_not {
    ($type:ty: $($trait:path),+) => {
        $({
            trait AmbiguousIfImplemented<Marker> {
                fn probe() {}
            }
            impl<T: ?Sized> AmbiguousIfImplemented<()> for T {}
            struct Implemented;
            impl<T: ?Sized + $trait> AmbiguousIfImplemented<Implemented> for T {}
            <$type as AmbiguousIfImplemented<_>>::probe();
        })+
    };
}

#[test]
fn secrets_cannot_be_copied_printed_or_serialised() {
    has_not!(Secret: Clone, std::fmt::Display, serde::Serialize, AsRef<[u8]>, std::ops::Deref);
    has_not!(BlsSecretKey: Clone, std::fmt::Display, serde::Serialize, AsRef<[u8]>, std::ops::Deref);
    has_not!(AdminKey: Clone, std::fmt::Display, serde::Serialize, AsRef<[u8]>, std::ops::Deref);
    has_not!(Hidden: std::fmt::Display, AsRef<[u8]>, AsRef<str>, std::ops::Deref);
    has_not!(SecretKey: Clone, std::fmt::Display, serde::Serialize, AsRef<[u8]>, std::ops::Deref);
}

#[test]
fn debug_output_is_constant() {
    assert_eq!(
        format!("{:?}", Secret::new(b"hunter2".to_vec())),
        "Secret(redacted)"
    );
    assert_eq!(
        format!("{:#?}", SecretKey::from_bytes([0x11; 32]).unwrap()),
        "SecretKey(redacted)"
    );
}

#[test]
fn secrets_compare_by_content_and_length() {
    let secret = Secret::new(b"hunter2".to_vec());
    assert!(secret.is_equal_to(b"hunter2"));
    for other in [
        b"".as_slice(),
        b"hunter",
        b"hunter3",
        b"hunter22",
        b"Hunter2",
    ] {
        assert!(!secret.is_equal_to(other), "{other:?}");
    }
    assert!(Secret::new(Vec::new()).is_equal_to(b""));
}

#[test]
fn keys_are_scalars_of_the_curve() {
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let below = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140";
    let one = format!("{}1", "0".repeat(63));
    let dev = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
    for (text, expected) in [
        (dev, Ok(0x59)),
        (&dev[2..], Ok(0x59)),
        (&dev.to_uppercase()[2..], Ok(0x59)),
        (below, Ok(0xff)),
        (&one, Ok(0)),
        (order, Err(SecretKeyError::Range)),
        (&"0".repeat(64), Err(SecretKeyError::Range)),
        (&"f".repeat(64), Err(SecretKeyError::Range)),
        (&dev[..65], Err(SecretKeyError::Hex)),
        (&format!("{dev}00"), Err(SecretKeyError::Hex)),
        (&dev.replace('c', "g"), Err(SecretKeyError::Hex)),
        (&format!(" {dev}"), Err(SecretKeyError::Hex)),
        (&format!("0X{}", &dev[2..]), Err(SecretKeyError::Hex)),
        ("", Err(SecretKeyError::Hex)),
        ("0x", Err(SecretKeyError::Hex)),
    ] {
        assert_eq!(
            SecretKey::from_hex(text).map(|key| key.expose()[0]),
            expected,
            "{text}"
        );
    }
}

#[test]
fn errors_do_not_repeat_the_input() {
    let text = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690";
    let error = SecretKey::from_hex(text).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("59c6"));
}
