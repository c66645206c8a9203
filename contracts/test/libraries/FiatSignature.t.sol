// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {vm} from "../Vm.sol";
import {Fixture} from "../utils/Fixture.sol";
import {
    EmptyAnswerWallet,
    MuteWallet,
    OwnerWallet,
    PasswordWallet,
    RevertingWallet,
    SelfWallet,
    ShortAnswerWallet,
    TrueWallet,
    WritingWallet
} from "../utils/Wallets.sol";

/// @title Who signed, asked through the token: keys, contract wallets, delegated accounts
contract FiatSignatureTest is Fixture {
    string private constant INVALID = "FiatTokenV2: invalid signature";

    // ---- accounts without code ----------------------------------------------------------------------------------------

    function test_isValid_refusesHighS() public {
        (Auth memory a, uint8 v, bytes32 r, bytes32 s) = _signed();
        uint8 flipped = v == 27 ? 28 : 27;
        _bothRefuse(a, abi.encodePacked(r, CURVE_ORDER - uint256(s), flipped), "ECRecover: invalid signature 's' value");
    }

    function test_isValid_refusesVOf0And1() public {
        (Auth memory a, uint8 v, bytes32 r, bytes32 s) = _signed();
        _bothRefuse(a, abi.encodePacked(r, s, v - 27), "ECRecover: invalid signature 'v' value");
    }

    function testFuzz_isValid_refusesOtherV(uint8 odd) public {
        vm.assume(odd != 27 && odd != 28);
        (Auth memory a,, bytes32 r, bytes32 s) = _signed();
        _bothRefuse(a, abi.encodePacked(r, s, odd), "ECRecover: invalid signature 'v' value");
    }

    function test_isValid_refusesTheOtherV() public {
        (Auth memory a, uint8 v, bytes32 r, bytes32 s) = _signed();
        _bothRefuse(a, abi.encodePacked(r, s, v == 27 ? uint8(28) : uint8(27)), INVALID);
    }

    function test_isValid_refusesZeroSignature() public {
        _bothRefuse(auth("n"), abi.encodePacked(bytes32(0), bytes32(0), uint8(27)), "ECRecover: invalid signature");
    }

    function testFuzz_isValid_refusesOtherLengths(uint8 length) public {
        vm.assume(length != 65);
        expectText("ECRecover: invalid signature length");
        transferAuthorized(Form.Bytes, auth("n"), new bytes(length));
    }

    /// @dev 64 bytes with the parity folded into s (EIP-2098): USDC does not take it.
    function test_isValid_refusesCompactForm() public {
        (Auth memory a, uint8 v, bytes32 r, bytes32 s) = _signed();
        expectText("ECRecover: invalid signature length");
        transferAuthorized(Form.Bytes, a, abi.encodePacked(r, s | bytes32(uint256(v - 27) << 255)));
    }

    // ---- accounts with code -------------------------------------------------------------------------------------------

    function test_isValid_asksContractWallet() public {
        _pays(address(new OwnerWallet(payer)), Form.Vrs, PAYER_KEY);
        _pays(address(new OwnerWallet(payer)), Form.Bytes, PAYER_KEY);
    }

    function test_isValid_refusesContractWalletsStranger() public {
        _refused(address(new OwnerWallet(payer)), OTHER_KEY);
    }

    function test_isValid_takesAnyLengthFromContractWallet() public {
        address wallet = address(new PasswordWallet());
        usdc.mint(wallet, 100);
        Auth memory a = auth("n");
        a.from = wallet;
        expectText(INVALID);
        transferAuthorized(Form.Bytes, a, "open");
        transferAuthorized(Form.Bytes, a, "open sesame");
        vm.assertEq(usdc.balanceOf(payee), 100);
    }

    function test_isValid_refusesOddContracts() public {
        _refused(address(new MuteWallet()), PAYER_KEY);
        _refused(address(new EmptyAnswerWallet()), PAYER_KEY);
        _refused(address(new ShortAnswerWallet()), PAYER_KEY);
        _refused(address(new TrueWallet()), PAYER_KEY);
        _refused(address(new RevertingWallet()), PAYER_KEY);
        _refused(address(new WritingWallet()), PAYER_KEY);
    }

    // ---- delegated accounts (EIP-7702) --------------------------------------------------------------------------------

    /// @dev The key signed, but the account has code now: the code decides, and this code knows no signatures.
    function test_isValid_refusesKeyOfDelegatedAccount() public {
        _delegate(address(new MuteWallet()));
        _refused(payer, PAYER_KEY);
    }

    function test_isValid_asksDelegatedCode() public {
        _delegate(address(new SelfWallet()));
        _pays(payer, Form.Vrs, PAYER_KEY);
        _pays(payer, Form.Bytes, PAYER_KEY);
        _refused(payer, OTHER_KEY);
    }

    function _delegate(address code) private {
        vm.etch(payer, abi.encodePacked(hex"ef0100", code));
        vm.assertEq(payer.code.length, 23);
    }

    // ---- helpers ------------------------------------------------------------------------------------------------------

    function _signed() private view returns (Auth memory a, uint8 v, bytes32 r, bytes32 s) {
        a = auth("n");
        (v, r, s) = vm.sign(PAYER_KEY, transferDigest(a));
    }

    function _pays(address from, Form form, uint256 key) private {
        usdc.mint(from, 100);
        Auth memory a = auth(bytes32(uint256(form)));
        a.from = from;
        uint256 before = usdc.balanceOf(payee);
        transferAuthorized(form, a, sign(key, transferDigest(a)));
        vm.assertEq(usdc.balanceOf(payee), before + 100);
    }

    function _refused(address from, uint256 key) private {
        usdc.mint(from, 100);
        Auth memory a = auth("refused");
        a.from = from;
        _bothRefuse(a, sign(key, transferDigest(a)), INVALID);
    }

    function _bothRefuse(Auth memory a, bytes memory signature, string memory text) private {
        for (uint256 form = 0; form < 2; ++form) {
            expectText(text);
            transferAuthorized(Form(form), a, signature);
        }
        vm.assertFalse(usdc.authorizationState(a.from, a.nonce));
    }
}
