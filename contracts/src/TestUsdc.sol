// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IEip2612} from "./interfaces/IEip2612.sol";
import {IEip3009} from "./interfaces/IEip3009.sol";
import {ITestUsdc} from "./interfaces/ITestUsdc.sol";
import {FiatSignature} from "./libraries/FiatSignature.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {ShortString, ShortStrings} from "@openzeppelin/contracts/utils/ShortStrings.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title A stand-in for USDC on test chains
/// @notice WORTHLESS ON PURPOSE: anyone may mint any amount to anyone. Never deploy it where people could take it for money.
/// @dev Made to be copied: the runtime code works unchanged at any address and chain id, on empty storage. Name, version,
/// symbol and decimals are immutables, so they travel inside the code; the EIP-712 domain separator is rebuilt whenever
/// the address or the chain id is not the one the constructor saw; nothing the constructor leaves in storage is needed.
/// Revert texts are those of the deployed USDC ("FiatToken") because clients compare them.
contract TestUsdc is ITestUsdc, ERC20, EIP712, Nonces {
    using ShortStrings for *;

    /// @inheritdoc IEip3009
    bytes32 public constant TRANSFER_WITH_AUTHORIZATION_TYPEHASH = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );

    /// @inheritdoc IEip3009
    bytes32 public constant RECEIVE_WITH_AUTHORIZATION_TYPEHASH = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );

    /// @inheritdoc IEip3009
    bytes32 public constant CANCEL_AUTHORIZATION_TYPEHASH =
        keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");

    /// @inheritdoc IEip2612
    bytes32 public constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    ShortString private immutable SYMBOL;
    uint8 private immutable DECIMALS;

    mapping(address authorizer => mapping(bytes32 nonce => bool)) private _authorizationStates;

    /// @notice Fixes the four properties of the token. Each text must fit in 31 bytes (UTF-8); longer ones revert with
    /// `StringTooLong`.
    /// @dev OpenZeppelin's ERC20 keeps name and symbol in storage, which a copy of the code would not have; it gets
    /// empty strings, and {name} and {symbol} answer from the code.
    /// @param name_ ERC-20 name and EIP-712 domain name, e.g. "USDC" or "USD Coin".
    /// @param version_ EIP-712 domain version, e.g. "2".
    /// @param symbol_ ERC-20 symbol, e.g. "USDC".
    /// @param decimals_ ERC-20 decimals, 6 for USDC.
    constructor(string memory name_, string memory version_, string memory symbol_, uint8 decimals_)
        ERC20("", "")
        EIP712(name_, version_)
    {
        SYMBOL = symbol_.toShortString();
        DECIMALS = decimals_;
    }

    // ---- money moves ------------------------------------------------------------------------------------------------

    /// @inheritdoc ITestUsdc
    function mint(address to, uint256 value) external returns (bool) {
        _mint(to, value);
        return true;
    }

    /// @inheritdoc IERC20
    function transfer(address to, uint256 value) public override(ERC20, IERC20) returns (bool) {
        _pay(msg.sender, to, value);
        return true;
    }

    /// @inheritdoc IERC20
    function transferFrom(address from, address to, uint256 value) public override(ERC20, IERC20) returns (bool) {
        _spendAllowance(from, msg.sender, value);
        _pay(from, to, value);
        return true;
    }

    /// @inheritdoc IEip3009
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
    ) external {
        Authorization memory a = Authorization(from, to, value, validAfter, validBefore, nonce);
        _payAuthorized(TRANSFER_WITH_AUTHORIZATION_TYPEHASH, a, abi.encodePacked(r, s, v));
    }

    /// @inheritdoc IEip3009
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external {
        Authorization memory a = Authorization(from, to, value, validAfter, validBefore, nonce);
        _payAuthorized(TRANSFER_WITH_AUTHORIZATION_TYPEHASH, a, signature);
    }

    /// @inheritdoc IEip3009
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        _requirePayee(to);
        Authorization memory a = Authorization(from, to, value, validAfter, validBefore, nonce);
        _payAuthorized(RECEIVE_WITH_AUTHORIZATION_TYPEHASH, a, abi.encodePacked(r, s, v));
    }

    /// @inheritdoc IEip3009
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external {
        _requirePayee(to);
        Authorization memory a = Authorization(from, to, value, validAfter, validBefore, nonce);
        _payAuthorized(RECEIVE_WITH_AUTHORIZATION_TYPEHASH, a, signature);
    }

    // ---- permissions change -----------------------------------------------------------------------------------------

    /// @inheritdoc IEip3009
    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external {
        _cancel(authorizer, nonce, abi.encodePacked(r, s, v));
    }

    /// @inheritdoc IEip3009
    function cancelAuthorization(address authorizer, bytes32 nonce, bytes calldata signature) external {
        _cancel(authorizer, nonce, signature);
    }

    /// @inheritdoc IERC20Permit
    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
    {
        _permit(owner, spender, value, deadline, abi.encodePacked(r, s, v));
    }

    /// @inheritdoc IEip2612
    function permit(address owner, address spender, uint256 value, uint256 deadline, bytes calldata signature)
        external
    {
        _permit(owner, spender, value, deadline, signature);
    }

    // ---- reads ------------------------------------------------------------------------------------------------------

    /// @inheritdoc IEip3009
    function authorizationState(address authorizer, bytes32 nonce) external view returns (bool) {
        return _authorizationStates[authorizer][nonce];
    }

    /// @inheritdoc IERC20Permit
    function nonces(address owner) public view override(Nonces, IERC20Permit) returns (uint256) {
        return super.nonces(owner);
    }

    /// @inheritdoc IERC20Permit
    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc IERC20Metadata
    function name() public view override(ERC20, IERC20Metadata) returns (string memory) {
        return _EIP712Name();
    }

    /// @inheritdoc ITestUsdc
    function version() external view returns (string memory) {
        return _EIP712Version();
    }

    /// @inheritdoc IERC20Metadata
    function symbol() public view override(ERC20, IERC20Metadata) returns (string memory) {
        return SYMBOL.toString();
    }

    /// @inheritdoc IERC20Metadata
    function decimals() public view override(ERC20, IERC20Metadata) returns (uint8) {
        return DECIMALS;
    }

    // ---- behind the doors -------------------------------------------------------------------------------------------

    /// @dev The six signed fields of a transfer, in the order of the EIP-712 type: its ABI encoding is the struct's.
    struct Authorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }

    /// @dev Checks an authorization of the given type, spends its nonce, pays.
    function _payAuthorized(bytes32 typeHash, Authorization memory a, bytes memory signature) private {
        require(block.timestamp > a.validAfter, "FiatTokenV2: authorization is not yet valid");
        require(block.timestamp < a.validBefore, "FiatTokenV2: authorization is expired");
        _requireUnused(a.from, a.nonce);
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(typeHash, a)));
        require(FiatSignature.isValid(a.from, digest, signature), "FiatTokenV2: invalid signature");

        _authorizationStates[a.from][a.nonce] = true;
        emit AuthorizationUsed(a.from, a.nonce);
        _pay(a.from, a.to, a.value);
    }

    function _cancel(address authorizer, bytes32 nonce, bytes memory signature) private {
        _requireUnused(authorizer, nonce);
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(CANCEL_AUTHORIZATION_TYPEHASH, authorizer, nonce)));
        require(FiatSignature.isValid(authorizer, digest, signature), "FiatTokenV2: invalid signature");

        _authorizationStates[authorizer][nonce] = true;
        emit AuthorizationCanceled(authorizer, nonce);
    }

    function _permit(address owner, address spender, uint256 value, uint256 deadline, bytes memory signature) private {
        require(deadline >= block.timestamp, "FiatTokenV2: permit is expired");
        bytes32 structHash = keccak256(abi.encode(PERMIT_TYPEHASH, owner, spender, value, _useNonce(owner), deadline));
        require(FiatSignature.isValid(owner, _hashTypedDataV4(structHash), signature), "EIP2612: invalid signature");
        _approve(owner, spender, value);
    }

    function _requireUnused(address authorizer, bytes32 nonce) private view {
        require(!_authorizationStates[authorizer][nonce], "FiatTokenV2: authorization is used or canceled");
    }

    function _requirePayee(address to) private view {
        require(to == msg.sender, "FiatTokenV2: caller must be the payee");
    }

    /// @dev A transfer with USDC's texts; OpenZeppelin's own checks behind it stay as a second lock.
    function _pay(address from, address to, uint256 value) private {
        require(from != address(0), "ERC20: transfer from the zero address");
        require(to != address(0), "ERC20: transfer to the zero address");
        require(value <= balanceOf(from), "ERC20: transfer amount exceeds balance");
        _transfer(from, to, value);
    }

    /// @dev USDC knows no endless allowance: 2^256 - 1 goes down like any other.
    function _spendAllowance(address owner, address spender, uint256 value) internal override {
        uint256 current = allowance(owner, spender);
        require(value <= current, "ERC20: transfer amount exceeds allowance");
        _approve(owner, spender, current - value, false);
    }

    function _approve(address owner, address spender, uint256 value, bool emitEvent) internal override {
        require(owner != address(0), "ERC20: approve from the zero address");
        require(spender != address(0), "ERC20: approve to the zero address");
        super._approve(owner, spender, value, emitEvent);
    }
}
