use std::borrow::Cow;

use faregate_types::lightning::{BitcoinNetwork, Msat};
use faregate_types::{
    Address, Amount, AmountError, Asset, AssetId, AssetRegistry, B256, Caip2, ChainId,
    ChainIdError, Erc20, Fingerprint, MoneyText, MoneyTextError, PaymentId, RailName, Timestamp,
    TokenDomain, TransferMethod, U256, networks, parse_atomic, to_decimal_text,
};

use crate::samples::USDC;

#[test]
fn chain_ids_are_canonical() {
    for (text, expected) in [
        ("eip155:84532", Ok(84532)),
        ("eip155:1", Ok(1)),
        ("eip155:18446744073709551615", Ok(u64::MAX)),
        ("eip155:18446744073709551616", Err(ChainIdError::Number)),
        ("eip155:0", Err(ChainIdError::Number)),
        ("eip155:01", Err(ChainIdError::Number)),
        ("eip155:+1", Err(ChainIdError::Number)),
        ("eip155:-1", Err(ChainIdError::Number)),
        ("eip155:1 ", Err(ChainIdError::Number)),
        ("eip155:0x1", Err(ChainIdError::Number)),
        ("eip155:١", Err(ChainIdError::Number)),
        ("eip155:*", Err(ChainIdError::Number)),
        ("eip155:", Err(ChainIdError::Number)),
        ("EIP155:1", Err(ChainIdError::NotEvm)),
        (" eip155:1", Err(ChainIdError::NotEvm)),
        ("eip155", Err(ChainIdError::NotEvm)),
        ("base-sepolia", Err(ChainIdError::NotEvm)),
        (
            "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
            Err(ChainIdError::NotEvm),
        ),
        ("", Err(ChainIdError::NotEvm)),
    ] {
        assert_eq!(text.parse().map(ChainId::get), expected, "{text}");
    }
    assert_eq!(ChainId::new(0), None);
    assert_eq!(
        serde_json::to_string(&ChainId::BASE).unwrap(),
        r#""eip155:8453""#
    );
    assert_eq!(
        serde_json::from_str::<ChainId>(r#""eip155:8453""#).unwrap(),
        ChainId::BASE
    );
    assert!(serde_json::from_str::<ChainId>("8453").is_err());
}

#[test]
fn caip2_has_a_shape() {
    for text in [
        "eip155:1",
        "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
        "abc:_",
        "a-1:X-y_Z",
    ] {
        assert_eq!(text.parse::<Caip2>().unwrap().as_str(), text);
    }
    for text in [
        "",
        ":",
        "ab:1",
        "toolongns:1",
        "eip155:",
        "Eip155:1",
        "eip155:1:2",
        "eip155:1 ",
        "eip155",
    ] {
        assert!(text.parse::<Caip2>().is_err(), "{text}");
    }
    assert!(format!("abc:{}", "x".repeat(33)).parse::<Caip2>().is_err());
    let base = Caip2::from(ChainId::BASE);
    assert_eq!(
        (base.namespace(), ChainId::try_from(&base)),
        ("eip155", Ok(ChainId::BASE))
    );
}

#[test]
fn networks_are_sorted_and_named_once() {
    let all = networks();
    assert!(all.is_sorted_by(|a, b| a.chain < b.chain));
    let mut names: Vec<_> = all.iter().filter_map(|network| network.v1_name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert_eq!(count, 23);
}

/// The original 15 names of npm `x402` 1.2.0.
#[test]
fn v1_names_are_the_typescript_sdks_numbers() {
    for (name, number) in [
        ("abstract", 2741),
        ("abstract-testnet", 11124),
        ("base-sepolia", 84532),
        ("base", 8453),
        ("avalanche-fuji", 43113),
        ("avalanche", 43114),
        ("iotex", 4689),
        ("sei", 1329),
        ("sei-testnet", 1328),
        ("polygon", 137),
        ("polygon-amoy", 80002),
        ("peaq", 3338),
        ("story", 1514),
        ("educhain", 41923),
        ("skale-base-sepolia", 324_705_682),
    ] {
        let chain = ChainId::from_v1_name(name).unwrap();
        assert_eq!(chain.get(), number, "{name}");
        assert_eq!(chain.v1_name(), Some(name));
    }
    for unknown in ["", "Base", "base ", "eip155:8453", "solana", "localhost"] {
        assert_eq!(ChainId::from_v1_name(unknown), None, "{unknown}");
    }
    assert_eq!(ChainId::LOCAL.v1_name(), None);
}

#[test]
fn asset_ids_are_caip_19() {
    let id = Erc20::new(ChainId::BASE_SEPOLIA, USDC.parse().unwrap());
    assert_eq!(id.to_string(), format!("eip155:84532/erc20:{USDC}"));
    assert_eq!(id.to_string().to_lowercase().parse(), Ok(id));
    assert_eq!(id.to_string().parse(), Ok(AssetId::Erc20(id)));
    for network in BitcoinNetwork::ALL {
        let msat = AssetId::Msat(network);
        assert_eq!(msat.to_string(), format!("{}/msat:btc", network.caip2()));
        assert_eq!(msat.to_string().parse(), Ok(msat));
        assert_eq!(msat.as_erc20(), None);
        assert_ne!(msat, id);
    }
    for text in [
        "",
        "eip155:84532",
        "eip155:84532/erc20:",
        "eip155:84532/erc721:0x00",
        "eip155:0/erc20:0x00",
        "/msat:btc",
        "eip155:1/msat:btc",
        "bip122:000000000019d6689c085ae165831e93/msat:",
        "bip122:000000000019d6689c085ae165831e93/slip44:0",
        "bip122:000000000019d6689c085ae165831e94/msat:btc",
    ] {
        assert!(text.parse::<AssetId>().is_err(), "{text}");
    }
    assert!(
        format!("eip155:1/erc20:{}", &USDC[2..])
            .parse::<AssetId>()
            .is_err()
    );
    assert!(
        format!("eip155:1/erc20:{USDC}0")
            .parse::<AssetId>()
            .is_err()
    );
}

#[test]
fn the_registry_knows_a_default_for_every_chain_it_lists() {
    let registry = AssetRegistry::builtin();
    for asset in registry.iter() {
        let chain = asset.id.chain();
        assert!(
            faregate_types::network(chain).is_some(),
            "{chain} has no row in the network table"
        );
        assert!(registry.default_for(chain).is_some());
        assert_eq!(registry.find(asset.id), Some(asset));
        assert!(matches!(asset.decimals, 6 | 18));
    }
    assert_eq!(registry.iter().count(), 41);
    let default = |number| registry.default_for(ChainId::new(number).unwrap()).unwrap();
    assert_eq!(default(84532).id.token().to_string(), USDC);
    assert_eq!(default(31337).id.token().to_string(), USDC);
    assert_eq!(
        (
            default(8453).domain.name.as_ref(),
            default(84532).domain.name.as_ref()
        ),
        ("USD Coin", "USDC")
    );
    assert_eq!(default(14).domain, TokenDomain::new("USD₮0", "1"));
    assert_eq!(
        (default(4326).decimals, default(4326).transfer),
        (18, TransferMethod::Permit2)
    );
    let celo = ChainId::new(42220).unwrap();
    assert_eq!(
        registry.by_symbol(celo, "usdt").unwrap().domain.name,
        "Tether USD"
    );
    assert_eq!(registry.by_symbol(celo, "EURC"), None);
    // `1.50 USD` is a price in the default asset, unless an asset is called USD.
    assert_eq!(registry.by_symbol(celo, "USD"), registry.default_for(celo));
    let mut dollar = registry.by_symbol(celo, "USDT").unwrap().clone();
    dollar.symbol = Cow::Borrowed("usd");
    let renamed = registry.clone().with(dollar.clone());
    assert_eq!(renamed.by_symbol(celo, "USD"), Some(&dollar));
    assert_eq!(
        registry.by_symbol(ChainId::new(999_999).unwrap(), "USD"),
        None
    );
    assert_eq!(registry.default_for(ChainId::new(999_999).unwrap()), None);
}

#[test]
fn the_registry_can_be_added_to_and_overridden() {
    let chain = ChainId::LOCAL;
    let token = |byte| Asset {
        id: Erc20::new(chain, Address::repeat_byte(byte)),
        symbol: Cow::Borrowed("TST"),
        decimals: 2,
        domain: TokenDomain::new("Test", "1"),
        transfer: TransferMethod::Eip3009,
    };
    let registry = AssetRegistry::builtin().with(token(1));
    assert_eq!(registry.default_for(chain).unwrap().symbol, "USDC");
    let registry = registry.with_default(token(2));
    assert_eq!(registry.default_for(chain), Some(&token(2)));
    // Two assets with one symbol: the default wins.
    assert_eq!(registry.by_symbol(chain, "tst"), Some(&token(2)));
    let mut changed = token(1);
    changed.decimals = 9;
    let registry = registry.with(changed);
    assert_eq!(registry.find(token(1).id).unwrap().decimals, 9);
    assert_eq!(
        AssetRegistry::empty().with(token(3)).default_for(chain),
        Some(&token(3))
    );
}

#[test]
fn atomic_units_are_canonical_digits() {
    let top = U256::MAX.to_string();
    assert_eq!(parse_atomic(&top), Ok(U256::MAX));
    let above = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    for (text, expected) in [
        ("0", Ok(0)),
        ("7", Ok(7)),
        ("10000", Ok(10_000)),
        ("", Err(AmountError::NotDigits)),
        ("-1", Err(AmountError::NotDigits)),
        ("+1", Err(AmountError::NotDigits)),
        (" 1", Err(AmountError::NotDigits)),
        ("1_000", Err(AmountError::NotDigits)),
        ("1e4", Err(AmountError::NotDigits)),
        ("1.0", Err(AmountError::NotDigits)),
        ("0x2710", Err(AmountError::NotDigits)),
        ("１", Err(AmountError::NotDigits)),
        ("00", Err(AmountError::LeadingZero)),
        ("010", Err(AmountError::LeadingZero)),
        (above, Err(AmountError::TooLarge)),
        (&"9".repeat(79), Err(AmountError::TooLarge)),
    ] {
        assert_eq!(parse_atomic(text), expected.map(U256::from), "{text}");
    }
}

#[test]
fn amounts_stay_within_one_asset() {
    let usdc = Erc20::new(ChainId::BASE, Address::ZERO);
    let other = Erc20::new(ChainId::BASE, Address::repeat_byte(1));
    let amount = |value: u64| Amount::new(U256::from(value), usdc);
    let foreign = Amount::new(U256::from(1), other);
    assert_eq!(amount(2).checked_add(&amount(3)), Ok(amount(5)));
    assert_eq!(amount(3).checked_sub(&amount(3)), Ok(amount(0)));
    assert_eq!(
        amount(2).checked_sub(&amount(3)),
        Err(AmountError::Negative)
    );
    assert_eq!(
        amount(2).checked_add(&foreign),
        Err(AmountError::OtherAsset)
    );
    assert_eq!(
        amount(2).checked_sub(&foreign),
        Err(AmountError::OtherAsset)
    );
    assert_eq!(
        Amount::new(U256::MAX, usdc).checked_add(&amount(1)),
        Err(AmountError::TooLarge)
    );
    assert!(amount(1) < amount(2) && amount(0).is_zero());
    assert_eq!(amount(1).partial_cmp(&foreign), None);
    assert_eq!(amount(1000).to_string(), format!("1000 {usdc}"));
    let (mainnet, regtest) = (BitcoinNetwork::Mainnet, BitcoinNetwork::Regtest);
    let msat = Msat::new(7).on(mainnet);
    assert_eq!(msat.checked_add(&amount(1)), Err(AmountError::OtherAsset));
    assert_eq!(
        msat.checked_add(&Msat::new(7).on(regtest)),
        Err(AmountError::OtherAsset)
    );
    assert_eq!(Msat::of(&msat), Some(Msat::new(7)));
    assert_eq!(Msat::of(&amount(7)), None);
    assert_eq!(Msat::of(&Amount::new(U256::MAX, mainnet)), None);
}

#[test]
fn decimal_text_is_short() {
    for (value, decimals, text) in [
        (1000, 6, "0.001"),
        (0, 6, "0"),
        (1, 6, "0.000001"),
        (1_000_000, 6, "1"),
        (1_500_000, 6, "1.5"),
        (10_000_000, 6, "10"),
        (7, 0, "7"),
        (1, 18, "0.000000000000000001"),
    ] {
        assert_eq!(to_decimal_text(U256::from(value), decimals), text);
    }
    assert!(to_decimal_text(U256::MAX, 255).starts_with("0.000"));
}

#[test]
fn money_text_is_read_in_one_way() {
    for (text, number, currency) in [
        ("$0.001", "0.001", None),
        ("0.10", "0.10", None),
        ("$1.50 USD", "1.50", Some("USD")),
        ("1.50 USDT", "1.50", Some("USDT")),
        ("1  USDC.e\t", "1", Some("USDC.e")),
        ("  $2 ", "2", None),
        ("1", "1", None),
        ("007", "007", None),
    ] {
        let money = MoneyText::parse(text).unwrap();
        assert_eq!(
            (money.number(), money.currency()),
            (number, currency),
            "{text}"
        );
    }
    for text in [
        "", " ", "$", "$ 1", "-1", "$-1", "+1", "abc", "1e-3", "1,000", "1.50USDT", ".5", "5.",
        "1.2.3", "1$", "$$1", "€1", "1\n", "１", "0x1", "NaN", "inf", "1_0",
    ] {
        assert_eq!(
            MoneyText::parse(text),
            Err(MoneyTextError::Grammar),
            "{text:?}"
        );
    }
    for text in [
        "1 US D",
        "1 $",
        "1 -",
        "1 1",
        "1 ABCDEFGHIJKLMNOPQ",
        "1 US-D",
    ] {
        assert_eq!(
            MoneyText::parse(text),
            Err(MoneyTextError::Currency),
            "{text:?}"
        );
    }
    assert_eq!(
        MoneyText::parse(&"1".repeat(129)),
        Err(MoneyTextError::Grammar)
    );
}

#[test]
fn money_becomes_atomic_units_or_an_error_but_never_free() {
    let above = format!("1{}", "0".repeat(78));
    for (text, decimals, expected) in [
        ("$0.001", 6, Ok("1000")),
        ("1.23456789", 6, Ok("1234567")),
        ("100", 18, Ok("100000000000000000000")),
        ("1.5", 2, Ok("150")),
        ("1.5", 0, Ok("1")),
        ("007", 0, Ok("7")),
        ("0", 6, Ok("0")),
        ("0.000", 6, Ok("0")),
        ("0.000001", 6, Ok("1")),
        ("0.0000001", 6, Err(MoneyTextError::RoundsToZero)),
        ("0.9", 0, Err(MoneyTextError::RoundsToZero)),
        (&above, 0, Err(MoneyTextError::TooLarge)),
        ("1", 255, Err(MoneyTextError::TooLarge)),
    ] {
        let atomic = MoneyText::parse(text).unwrap().to_atomic(decimals);
        assert_eq!(
            atomic.map(|value| value.to_string()),
            expected.map(str::to_owned),
            "{text} at {decimals}"
        );
    }
}

#[test]
fn ids_are_stable_and_distinct() {
    let (token, from, nonce) = (
        Address::repeat_byte(1),
        Address::repeat_byte(2),
        B256::repeat_byte(3),
    );
    let id = PaymentId::eip3009(ChainId::BASE, token, from, nonce);
    // Stored by every ledger: it must never change.
    assert_eq!(
        id.to_string(),
        "0x7c92e74f6b017c6c56c3d7b4345c6b3b1160e875efde48b484cf26ce8b9f8f2f"
    );
    for other in [
        PaymentId::eip3009(ChainId::LOCAL, token, from, nonce),
        PaymentId::eip3009(ChainId::BASE, from, token, nonce),
        PaymentId::eip3009(ChainId::BASE, token, token, nonce),
        PaymentId::eip3009(ChainId::BASE, token, from, B256::repeat_byte(4)),
    ] {
        assert_ne!(other, id);
    }
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(PaymentId::from_bytes(*id.as_bytes()), id);
    assert_eq!(
        serde_json::from_str::<PaymentId>(&serde_json::to_string(&id).unwrap()).unwrap(),
        id
    );
    assert!("0x12".parse::<PaymentId>().is_err());
    assert!(id.to_string()[2..].parse::<PaymentId>().is_err());
}

#[test]
fn fingerprints_see_where_parts_end() {
    let parts: [&[&[u8]]; 6] = [
        &[],
        &[b""],
        &[b"", b""],
        &[b"ab", b"c"],
        &[b"a", b"bc"],
        &[b"abc"],
    ];
    for (index, left) in parts.iter().enumerate() {
        for (other, right) in parts.iter().enumerate() {
            assert_eq!(
                Fingerprint::of(left) == Fingerprint::of(right),
                index == other,
                "{left:?} {right:?}"
            );
        }
    }
}

#[test]
fn rails_and_times() {
    for rail in RailName::ALL {
        assert_eq!(RailName::parse(rail.as_str()), Some(rail));
    }
    assert_eq!(RailName::parse("cash"), None);
    assert_eq!(Timestamp::from_secs(u64::MAX).checked_add_secs(1), None);
    assert_eq!(
        Timestamp::from_secs(5).secs_since(Timestamp::from_secs(9)),
        0
    );
}
