//! The contracts we talk to, as far as we talk to them: ABI written as Solidity text.
//!
//! - [`Token`][]: ERC-20 with EIP-2612 and EIP-3009, the latter in the `v, r, s` form that 65-byte signatures of keys use, and in the `bytes` form
//!   for the signatures of contract wallets (FiatToken 2.2).
//! - [`Wallet`][]: EIP-1271.
//! - [`Settler`][]: our `BatchSettler`.
//! - [`PermitSettler`][]: our contract of that name.
//! - [`Permit2`][]: Uniswap's.
//! - [`Multicall3`][]: many reads in one `eth_call`.

use alloy_primitives::{Address, address};
use alloy_sol_types::sol;

/// Where Multicall3 stands on practically every chain.
pub(crate) const MULTICALL3: Address = address!("0xcA11bde05977b3631167028862bE2a173976CA11");

sol! {
    #[derive(Debug)]
    interface Token {
        event Transfer(address indexed from, address indexed to, uint256 value);
        event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
        event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

        function transferWithAuthorization(
            address from,
            address to,
            uint256 value,
            uint256 validAfter,
            uint256 validBefore,
            bytes32 nonce,
            uint8 v,
            bytes32 r,
            bytes32 s
        ) external;
        function transferWithAuthorization(
            address from,
            address to,
            uint256 value,
            uint256 validAfter,
            uint256 validBefore,
            bytes32 nonce,
            bytes signature
        ) external;
        function authorizationState(address authorizer, bytes32 nonce) external view returns (bool used);
        function balanceOf(address account) external view returns (uint256 balance);
        function allowance(address owner, address spender) external view returns (uint256 allowance);
        function nonces(address owner) external view returns (uint256 next);
        function name() external view returns (string memory name);
        function version() external view returns (string memory version);
        function DOMAIN_SEPARATOR() external view returns (bytes32 separator);
    }

    #[derive(Debug)]
    interface Wallet {
        function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4 magic);
    }

    #[derive(Debug)]
    interface Settler {
        struct Item {
            address token;
            address from;
            address to;
            uint256 value;
            uint256 validAfter;
            uint256 validBefore;
            bytes32 nonce;
            bytes signature;
        }

        event ItemFailed(uint256 indexed index, address indexed from, bytes32 indexed nonce, bytes reason);

        function settle(Item[] calldata items, uint256 gasPerItem) external returns (bool[] memory settled);
    }

    #[derive(Debug, PartialEq)]
    interface PermitSettler {
        enum Kind {
            Permit,
            Authorization,
            Permit2
        }

        struct Item {
            Kind kind;
            address token;
            address payer;
            uint256 value;
            uint256 validAfter;
            uint256 deadline;
            uint256 nonce;
            uint8 v;
            bytes32 r;
            bytes32 s;
        }

        event Collected(address indexed token, address indexed payer, uint256 indexed nonce, uint256 value);
        event ItemFailed(uint256 indexed index, address indexed payer, uint256 indexed nonce, bytes reason);
        event ForwardFailed(address indexed token, bytes reason);

        error AlreadyCollected();
        error AlreadyUsed();
        error NonceMismatch(uint256 next);
        error PermitIgnored();
        error Expired();
        error NotSigned();
        error NoToken();
        error Refused();

        function settle(Item[] calldata items, uint256 gasPerItem) external returns (bool[] memory settled);
        function settleOne(Item calldata item) external;
        function forward(address token) external returns (uint256 value);
        function collected(address token, address payer, uint256 nonce) external view returns (bool collected);
    }

    #[derive(Debug)]
    interface Permit2 {
        function nonceBitmap(address owner, uint256 word) external view returns (uint256 bits);
    }

    #[derive(Debug)]
    interface Multicall3 {
        struct Call3 {
            address target;
            bool allowFailure;
            bytes callData;
        }

        struct Answer {
            bool success;
            bytes returnData;
        }

        function aggregate3(Call3[] calldata calls) external payable returns (Answer[] memory answers);
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::b256;
    use alloy_sol_types::{SolCall, SolEvent};

    use super::*;

    #[test]
    fn selectors_and_topics_are_those_of_the_specification() {
        assert_eq!(
            Token::transferWithAuthorization_0Call::SELECTOR,
            [0xe3, 0xee, 0x16, 0x0e]
        );
        assert_eq!(
            Token::transferWithAuthorization_1Call::SELECTOR,
            [0xcf, 0x09, 0x29, 0x95]
        );
        assert_eq!(
            Wallet::isValidSignatureCall::SELECTOR,
            [0x16, 0x26, 0xba, 0x7e]
        );
        assert_eq!(
            Token::authorizationStateCall::SELECTOR,
            [0xe9, 0x4a, 0x01, 0x02]
        );
        assert_eq!(
            Token::AuthorizationUsed::SIGNATURE_HASH,
            b256!("0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5")
        );
        assert_eq!(
            Token::Transfer::SIGNATURE_HASH,
            b256!("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")
        );
    }
}
