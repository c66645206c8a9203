// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IEip3009} from "./interfaces/IEip3009.sol";
import {IPermit2} from "./interfaces/IPermit2.sol";
import {IPermitSettler} from "./interfaces/IPermitSettler.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title Signed payments of three kinds, moved to one treasury
/// @dev A reentrant token or payer gains nothing: whether a permit was collected is written before anything is called,
/// the other kinds have their nonces where they are checked, and money can only go to the treasury.
contract PermitSettler is IPermitSettler {
    /// @inheritdoc IPermitSettler
    uint256 public constant MAX_ITEMS = 256;

    /// @inheritdoc IPermitSettler
    uint256 public constant MAX_REASON_BYTES = 256;

    /// @inheritdoc IPermitSettler
    uint256 public constant ITEM_OVERHEAD = 8_000;

    /// @inheritdoc IPermitSettler
    address public constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;

    /// @inheritdoc IPermitSettler
    address public immutable TREASURY;

    bytes32 private constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    /// @dev One bit per permit: bit `nonce % 256` of word `nonce / 256`.
    mapping(address token => mapping(address payer => mapping(uint256 word => uint256))) private _collected;

    /// @notice Fixes where everything goes.
    /// @param treasury The payee's address.
    constructor(address treasury) {
        require(treasury != address(0), ZeroTreasury());
        TREASURY = treasury;
    }

    /// @inheritdoc IPermitSettler
    function settle(Item[] calldata items, uint256 gasPerItem) external returns (bool[] memory settled) {
        uint256 count = items.length;
        require(count != 0, EmptyBatch());
        require(count <= MAX_ITEMS, TooManyItems(count));
        require(gasPerItem <= gasleft(), NotEnoughGas(0));
        uint256 calls = count;
        for (uint256 i = 0; i < count; ++i) {
            if (_endsRun(items, i)) ++calls;
        }
        settled = new bool[](count);
        for (uint256 i = 0; i < count; ++i) {
            if (gasPerItem != 0) {
                require(gasleft() >= calls * (gasPerItem + ITEM_OVERHEAD) + gasPerItem / 63, NotEnoughGas(i));
            }
            settled[i] = _try(i, items[i], gasPerItem);
            --calls;
            if (_endsRun(items, i)) {
                _tryForward(items[i].token, gasPerItem);
                --calls;
            }
        }
    }

    /// @inheritdoc IPermitSettler
    function settleOne(Item calldata item) external {
        require(item.token.code.length != 0, NoToken());
        if (item.kind == Kind.Permit) {
            _collect(item);
        } else if (item.kind == Kind.Permit2) {
            _transfer(item);
        } else {
            _execute(item);
            // A batch does this for many at once.
            if (msg.sender != address(this)) forward(item.token);
        }
    }

    /// @inheritdoc IPermitSettler
    function forward(address token) public returns (uint256 value) {
        value = IERC20(token).balanceOf(address(this));
        if (value != 0) _move(token, abi.encodeCall(IERC20.transfer, (TREASURY, value)));
    }

    /// @inheritdoc IPermitSettler
    function collected(address token, address payer, uint256 nonce) public view returns (bool) {
        return _collected[token][payer][nonce >> 8] >> (nonce & 0xff) & 1 == 1;
    }

    // ---- the three kinds --------------------------------------------------------------------------------------------

    /// @dev EIP-2612. Whoever saw the permit may have handed it to the token before us; then its nonce is spent, and its
    /// allowance is there until the payer's next permit replaces it. The token does not say which permit spent a nonce,
    /// so the signature is checked here in that case, and a bit is kept so that no allowance is used twice.
    function _collect(Item calldata item) private {
        require(!collected(item.token, item.payer, item.nonce), AlreadyCollected());
        _collected[item.token][item.payer][item.nonce >> 8] |= 1 << (item.nonce & 0xff);

        IERC20Permit token = IERC20Permit(item.token);
        uint256 next = token.nonces(item.payer);
        if (next == item.nonce) {
            token.permit(item.payer, address(this), item.value, item.deadline, item.v, item.r, item.s);
            // A contract with a fallback function may take anything without looking at it.
            require(token.nonces(item.payer) == item.nonce + 1, PermitIgnored());
        } else {
            require(next != 0 && next - 1 == item.nonce, NonceMismatch(next));
            require(block.timestamp <= item.deadline, Expired());
            require(_isSigned(item, token.DOMAIN_SEPARATOR()), NotSigned());
        }
        _move(item.token, abi.encodeCall(IERC20.transferFrom, (item.payer, TREASURY, item.value)));
        emit Collected(item.token, item.payer, item.nonce, item.value);
    }

    /// @dev EIP-3009. Brings the value here.
    function _execute(Item calldata item) private {
        bytes32 nonce = bytes32(item.nonce);
        try IEip3009(item.token)
            .transferWithAuthorization(
                item.payer, address(this), item.value, item.validAfter, item.deadline, nonce, item.v, item.r, item.s
            ) {}
        catch (bytes memory reason) {
            require(!IEip3009(item.token).authorizationState(item.payer, nonce), AlreadyUsed());
            assembly ("memory-safe") {
                revert(add(reason, 0x20), mload(reason))
            }
        }
    }

    /// @dev Permit2. Only this contract can use what was signed for it as spender, and it always takes all of it.
    function _transfer(Item calldata item) private {
        IPermit2(PERMIT2)
            .permitTransferFrom(
                IPermit2.PermitTransferFrom(
                    IPermit2.TokenPermissions(item.token, item.value), item.nonce, item.deadline
                ),
                IPermit2.SignatureTransferDetails(TREASURY, item.value),
                item.payer,
                abi.encodePacked(item.r, item.s, item.v)
            );
        emit Collected(item.token, item.payer, item.nonce, item.value);
    }

    /// @dev Whether the payer signed this permit: by key, or by EIP-1271.
    function _isSigned(Item calldata item, bytes32 domain) private view returns (bool) {
        bytes32 permit =
            keccak256(abi.encode(PERMIT_TYPEHASH, item.payer, address(this), item.value, item.nonce, item.deadline));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domain, permit));
        address signer = ecrecover(digest, item.v, item.r, item.s);
        if (signer == item.payer && signer != address(0)) return true;
        bytes memory signature = abi.encodePacked(item.r, item.s, item.v);
        return SignatureChecker.isValidERC1271SignatureNow(item.payer, digest, signature);
    }

    /// @dev A transfer of a token, which may answer with nothing or with the word 1. Fails with the token's own error.
    function _move(address token, bytes memory data) private {
        (bool success, bytes memory answer) = token.call(data);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(answer, 0x20), mload(answer))
            }
        }
        require(answer.length == 0 || (answer.length > 31 && bytes32(answer) == bytes32(uint256(1))), Refused());
    }

    // ---- batches ----------------------------------------------------------------------------------------------------

    /// @dev Whether an item is the last of a run of authorizations of one token.
    function _endsRun(Item[] calldata items, uint256 index) private pure returns (bool) {
        Item calldata item = items[index];
        if (item.kind != Kind.Authorization) return false;
        if (index + 1 == items.length) return true;
        Item calldata next = items[index + 1];
        return next.kind != Kind.Authorization || next.token != item.token;
    }

    function _try(uint256 index, Item calldata item, uint256 gasPerItem) private returns (bool success) {
        uint256 mark = _mark();
        bytes memory reason;
        (success, reason) = _callSelf(abi.encodeCall(IPermitSettler.settleOne, (item)), gasPerItem);
        if (!success) emit ItemFailed(index, item.payer, item.nonce, reason);
        _release(mark);
    }

    function _tryForward(address token, uint256 gasPerItem) private {
        uint256 mark = _mark();
        (bool success, bytes memory reason) = _callSelf(abi.encodeCall(IPermitSettler.forward, (token)), gasPerItem);
        if (!success) emit ForwardFailed(token, reason);
        _release(mark);
    }

    /// @dev A call of this contract that copies a bounded part of the answer, and only on failure.
    function _callSelf(bytes memory data, uint256 gasPerItem) private returns (bool success, bytes memory reason) {
        uint256 limit = MAX_REASON_BYTES;
        if (gasPerItem == 0) gasPerItem = gasleft();
        assembly ("memory-safe") {
            success := call(gasPerItem, address(), 0, add(data, 0x20), mload(data), 0, 0)
            reason := mload(0x40)
            mstore(reason, 0)
            if iszero(success) {
                let size := returndatasize()
                if gt(size, limit) { size := limit }
                mstore(reason, size)
                mstore(add(add(reason, 0x20), size), 0)
                returndatacopy(add(reason, 0x20), 0, size)
            }
            mstore(0x40, add(reason, 0x160))
        }
    }

    /// @dev Memory is given back after each item, so that item 256 costs what item 1 does.
    function _mark() private pure returns (uint256 mark) {
        assembly ("memory-safe") {
            mark := mload(0x40)
        }
    }

    function _release(uint256 mark) private pure {
        assembly ("memory-safe") {
            mstore(0x40, mark)
        }
    }
}
