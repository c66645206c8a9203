//! Small texts: money, amounts, chains, assets, hex. What is read is shown as it was meant.
#![no_main]

use faregate_types::{
    AssetId, Caip2, ChainId, Code, MoneyText, RailName, Secret, SecretKey, hex_text, parse_atomic,
    to_decimal_text,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    drop(Secret::new(data.to_vec()));
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(value) = parse_atomic(text) {
        assert_eq!(value.to_string(), text);
        for decimals in [0, 6, 18, 255] {
            let _ = to_decimal_text(value, decimals);
        }
    }
    if let Ok(money) = MoneyText::parse(text) {
        for decimals in [0, 6, 18, 77, 255] {
            let _ = money.to_atomic(decimals);
        }
    }
    if let Ok(chain) = text.parse::<ChainId>() {
        assert_eq!(chain.to_string(), text);
    }
    if let Ok(chain) = text.parse::<Caip2>() {
        assert_eq!(chain.to_string(), text);
    }
    if let Ok(asset) = text.parse::<AssetId>() {
        assert_eq!(asset.to_string().parse::<AssetId>().as_ref(), Ok(&asset));
    }
    if let Some(code) = Code::from_str(text) {
        // A text may be another SDK's name for the same.
        assert_eq!(Code::from_str(code.as_str()), Some(code));
    }
    let _ = (RailName::parse(text), ChainId::from_v1_name(text));
    let _ = (hex_text::parse_address(text), hex_text::parse_b256(text));
    if let Ok(bytes) = hex_text::parse_bytes(text) {
        assert!(bytes.len() <= text.len());
    }
    drop(SecretKey::from_hex(text));
});
