// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IEip3009} from "../src/interfaces/IEip3009.sol";
import {Vm, vm} from "./Vm.sol";
import {Fixture} from "./utils/Fixture.sol";
import {OwnerWallet} from "./utils/Wallets.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title Transfers by authorization (EIP-3009), each case through both signature forms
/// @dev What makes a signature valid is in libraries/FiatSignature.t.sol.
contract TestUsdcAuthorizationTest is Fixture {
    // ---- transferWithAuthorization ------------------------------------------------------------------------------------

    function test_transferWithAuthorization_vrs() public {
        _transferPays(Form.Vrs);
    }

    function test_transferWithAuthorization_bytes() public {
        _transferPays(Form.Bytes);
    }

    function _transferPays(Form form) private {
        Auth memory a = auth("n");
        bytes memory signature = sign(PAYER_KEY, transferDigest(a));
        vm.assertFalse(usdc.authorizationState(payer, "n"));

        vm.expectEmit(address(usdc));
        emit IEip3009.AuthorizationUsed(payer, "n");
        vm.expectEmit(address(usdc));
        emit IERC20.Transfer(payer, payee, 100);
        vm.prank(relayer);
        transferAuthorized(form, a, signature);

        vm.assertTrue(usdc.authorizationState(payer, "n"));
        vm.assertFalse(usdc.authorizationState(payee, "n"));
        checkBalances(900, 100);
    }

    function test_transferWithAuthorization_topics() public {
        Auth memory a = auth("n");
        bytes memory signature = sign(PAYER_KEY, transferDigest(a));
        vm.recordLogs();
        transferAuthorized(Form.Vrs, a, signature);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 2);
        vm.assertEq(logs[0].topics[0], 0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5);
        vm.assertEq(logs[0].topics[1], bytes32(uint256(uint160(payer))));
        vm.assertEq(logs[0].topics[2], "n");
        vm.assertEq(logs[0].data, "");
        vm.assertEq(logs[1].topics[0], 0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef);
    }

    function test_transferWithAuthorization_zeroValue() public {
        Auth memory a = auth("n");
        a.value = 0;
        transferAuthorized(Form.Vrs, a, sign(PAYER_KEY, transferDigest(a)));
        vm.assertTrue(usdc.authorizationState(payer, "n"));
        checkBalances(1000, 0);
    }

    function test_transferWithAuthorization_toSelf() public {
        Auth memory a = auth("n");
        a.to = payer;
        transferAuthorized(Form.Vrs, a, sign(PAYER_KEY, transferDigest(a)));
        checkBalances(1000, 0);
    }

    function test_transferWithAuthorization_refusesReplay() public {
        for (uint256 first = 0; first < 2; ++first) {
            Auth memory a = auth(bytes32(first));
            bytes memory signature = sign(PAYER_KEY, transferDigest(a));
            transferAuthorized(Form(first), a, signature);
            expectText("FiatTokenV2: authorization is used or canceled");
            transferAuthorized(Form.Vrs, a, signature);
            expectText("FiatTokenV2: authorization is used or canceled");
            transferAuthorized(Form.Bytes, a, signature);
        }
        checkBalances(800, 200);
    }

    function test_transferWithAuthorization_refusesNonceWithOtherTerms() public {
        Auth memory a = auth("n");
        transferAuthorized(Form.Vrs, a, sign(PAYER_KEY, transferDigest(a)));
        a.value = 1;
        bytes memory signature = sign(PAYER_KEY, transferDigest(a));
        expectText("FiatTokenV2: authorization is used or canceled");
        transferAuthorized(Form.Vrs, a, signature);
    }

    function test_transferWithAuthorization_refusesWrongSigner() public {
        Auth memory a = auth("n");
        bytes memory signature = sign(OTHER_KEY, transferDigest(a));
        _bothRefuse(a, signature, "FiatTokenV2: invalid signature");
    }

    function test_transferWithAuthorization_refusesReceiveSignature() public {
        Auth memory a = auth("n");
        _bothRefuse(a, sign(PAYER_KEY, receiveDigest(a)), "FiatTokenV2: invalid signature");
    }

    function test_transferWithAuthorization_refusesMoreThanBalance() public {
        Auth memory a = auth("n");
        a.value = 1001;
        _bothRefuse(a, sign(PAYER_KEY, transferDigest(a)), "ERC20: transfer amount exceeds balance");
        vm.assertFalse(usdc.authorizationState(payer, "n"));
    }

    function test_transferWithAuthorization_refusesZeroPayee() public {
        Auth memory a = auth("n");
        a.to = address(0);
        _bothRefuse(a, sign(PAYER_KEY, transferDigest(a)), "ERC20: transfer to the zero address");
    }

    function test_transferWithAuthorization_refusesZeroPayer() public {
        Auth memory a = auth("n");
        a.from = address(0);
        a.value = 0;
        _bothRefuse(a, abi.encodePacked(bytes32(0), bytes32(0), uint8(27)), "ECRecover: invalid signature");
        _bothRefuse(a, sign(PAYER_KEY, transferDigest(a)), "FiatTokenV2: invalid signature");
    }

    function test_transferWithAuthorization_validAfterIsExclusive() public {
        Auth memory a = auth("n");
        a.validAfter = NOW;
        bytes memory signature = sign(PAYER_KEY, transferDigest(a));
        _bothRefuse(a, signature, "FiatTokenV2: authorization is not yet valid");
        vm.warp(NOW + 1);
        transferAuthorized(Form.Vrs, a, signature);
        checkBalances(900, 100);
    }

    function test_transferWithAuthorization_validBeforeIsExclusive() public {
        Auth memory a = auth("n");
        a.validBefore = NOW;
        bytes memory signature = sign(PAYER_KEY, transferDigest(a));
        _bothRefuse(a, signature, "FiatTokenV2: authorization is expired");
        vm.warp(NOW - 1);
        transferAuthorized(Form.Bytes, a, signature);
        checkBalances(900, 100);
    }

    function testFuzz_transferWithAuthorization_window(uint256 validAfter, uint256 validBefore, uint64 time) public {
        Auth memory a = auth("n");
        // Half of the inputs land close to the clock, where the edges are.
        a.validAfter = validAfter % 2 == 0 ? validAfter : NOW + validAfter % 8 - 4;
        a.validBefore = validBefore % 2 == 0 ? validBefore : NOW + validBefore % 8 - 4;
        uint256 current = time % 2 == 0 ? uint256(time) : NOW + time % 8 - 4;
        bytes memory signature = sign(PAYER_KEY, transferDigest(a));
        vm.warp(current);

        if (current <= a.validAfter) expectText("FiatTokenV2: authorization is not yet valid");
        else if (current >= a.validBefore) expectText("FiatTokenV2: authorization is expired");
        transferAuthorized(Form.Vrs, a, signature);

        bool inside = a.validAfter < current && current < a.validBefore;
        vm.assertTrue(usdc.authorizationState(payer, "n") == inside);
    }

    function testFuzz_transferWithAuthorization_conservesSupply(uint256 key, address to, uint256 value, bytes32 nonce)
        public
    {
        key = 1 + key % (CURVE_ORDER - 1);
        Auth memory a = auth(nonce);
        a.from = vm.addr(key);
        vm.assume(to != address(0) && a.from.code.length == 0);
        a.to = to;
        a.value = value % (type(uint256).max - 1000);
        usdc.mint(a.from, a.value);
        uint256 supply = usdc.totalSupply();
        uint256 before = usdc.balanceOf(to);

        transferAuthorized(value % 2 == 0 ? Form.Vrs : Form.Bytes, a, sign(key, transferDigest(a)));

        vm.assertEq(usdc.totalSupply(), supply);
        vm.assertEq(usdc.balanceOf(to), to == a.from ? before : before + a.value);
        vm.assertTrue(usdc.authorizationState(a.from, nonce));
    }

    /// @dev Whichever signed field is changed, the signature is worth nothing.
    function testFuzz_transferWithAuthorization_refusesChangedField(uint8 field, uint256 delta) public {
        Auth memory a = auth("n");
        bytes memory signature = sign(PAYER_KEY, transferDigest(a));
        field = field % 6;
        uint160 shift = 1 + uint160(delta % (type(uint160).max - 1));
        unchecked {
            if (field == 0) a.from = address(uint160(a.from) + shift);
            if (field == 1) a.to = address(uint160(a.to) + shift);
            if (field == 2) a.value += shift;
            if (field == 3) a.validAfter = delta % a.validAfter;
            if (field == 4) a.validBefore += 1 + delta % type(uint128).max;
            if (field == 5) a.nonce = bytes32(uint256(a.nonce) + shift);
        }
        vm.assume(a.from.code.length == 0);
        expectText("FiatTokenV2: invalid signature");
        transferAuthorized(Form.Bytes, a, signature);
    }

    // ---- receiveWithAuthorization -------------------------------------------------------------------------------------

    function test_receiveWithAuthorization_vrs() public {
        _receivePays(Form.Vrs);
    }

    function test_receiveWithAuthorization_bytes() public {
        _receivePays(Form.Bytes);
    }

    function _receivePays(Form form) private {
        Auth memory a = auth("n");
        bytes memory signature = sign(PAYER_KEY, receiveDigest(a));
        vm.expectEmit(address(usdc));
        emit IEip3009.AuthorizationUsed(payer, "n");
        vm.expectEmit(address(usdc));
        emit IERC20.Transfer(payer, payee, 100);
        vm.prank(payee);
        receiveAuthorized(form, a, signature);
        vm.assertTrue(usdc.authorizationState(payer, "n"));
        checkBalances(900, 100);
    }

    function test_receiveWithAuthorization_refusesOtherCallers() public {
        Auth memory a = auth("n");
        bytes memory signature = sign(PAYER_KEY, receiveDigest(a));
        for (uint256 form = 0; form < 2; ++form) {
            expectText("FiatTokenV2: caller must be the payee");
            vm.prank(relayer);
            receiveAuthorized(Form(form), a, signature);
        }
    }

    function test_receiveWithAuthorization_refusesTransferSignature() public {
        Auth memory a = auth("n");
        bytes memory signature = sign(PAYER_KEY, transferDigest(a));
        expectText("FiatTokenV2: invalid signature");
        vm.prank(payee);
        receiveAuthorized(Form.Vrs, a, signature);
    }

    function test_receiveWithAuthorization_refusesReplay() public {
        Auth memory a = auth("n");
        bytes memory signature = sign(PAYER_KEY, receiveDigest(a));
        vm.prank(payee);
        receiveAuthorized(Form.Vrs, a, signature);
        expectText("FiatTokenV2: authorization is used or canceled");
        vm.prank(payee);
        receiveAuthorized(Form.Bytes, a, signature);
    }

    function test_receiveWithAuthorization_window() public {
        Auth memory a = auth("n");
        bytes memory signature = sign(PAYER_KEY, receiveDigest(a));
        vm.warp(a.validAfter);
        expectText("FiatTokenV2: authorization is not yet valid");
        vm.prank(payee);
        receiveAuthorized(Form.Vrs, a, signature);
        vm.warp(a.validBefore);
        expectText("FiatTokenV2: authorization is expired");
        vm.prank(payee);
        receiveAuthorized(Form.Bytes, a, signature);
    }

    // ---- cancelAuthorization ------------------------------------------------------------------------------------------

    function test_cancelAuthorization_vrs() public {
        _cancelStops(Form.Vrs);
    }

    function test_cancelAuthorization_bytes() public {
        _cancelStops(Form.Bytes);
    }

    function _cancelStops(Form form) private {
        Auth memory a = auth("n");
        bytes memory payment = sign(PAYER_KEY, transferDigest(a));
        bytes memory signature = sign(PAYER_KEY, cancelDigest(payer, "n"));

        vm.expectEmit(address(usdc));
        emit IEip3009.AuthorizationCanceled(payer, "n");
        vm.prank(relayer);
        cancel(form, payer, "n", signature);

        vm.assertTrue(usdc.authorizationState(payer, "n"));
        _bothRefuse(a, payment, "FiatTokenV2: authorization is used or canceled");
        expectText("FiatTokenV2: authorization is used or canceled");
        cancel(form, payer, "n", signature);
        checkBalances(1000, 0);
    }

    function test_cancelAuthorization_leavesOtherNonces() public {
        cancel(Form.Vrs, payer, "n", sign(PAYER_KEY, cancelDigest(payer, "n")));
        Auth memory a = auth("m");
        transferAuthorized(Form.Vrs, a, sign(PAYER_KEY, transferDigest(a)));
        checkBalances(900, 100);
    }

    function test_cancelAuthorization_refusesUsed() public {
        Auth memory a = auth("n");
        transferAuthorized(Form.Vrs, a, sign(PAYER_KEY, transferDigest(a)));
        bytes memory signature = sign(PAYER_KEY, cancelDigest(payer, "n"));
        expectText("FiatTokenV2: authorization is used or canceled");
        cancel(Form.Vrs, payer, "n", signature);
    }

    function test_cancelAuthorization_refusesWrongSigner() public {
        bytes memory signature = sign(OTHER_KEY, cancelDigest(payer, "n"));
        for (uint256 form = 0; form < 2; ++form) {
            expectText("FiatTokenV2: invalid signature");
            cancel(Form(form), payer, "n", signature);
        }
        vm.assertFalse(usdc.authorizationState(payer, "n"));
    }

    function test_cancelAuthorization_byContractWallet() public {
        address wallet = address(new OwnerWallet(payer));
        cancel(Form.Bytes, wallet, "n", sign(PAYER_KEY, cancelDigest(wallet, "n")));
        vm.assertTrue(usdc.authorizationState(wallet, "n"));
        vm.assertFalse(usdc.authorizationState(payer, "n"));
    }

    // ---- order of refusals --------------------------------------------------------------------------------------------

    /// @dev One authorization with everything wrong, mended step by step: clients map the first text they see.
    function test_transferWithAuthorization_refusalOrder() public {
        Auth memory a = Auth(payer, payee, 1001, NOW, NOW, "n");
        cancel(Form.Vrs, payer, "n", sign(PAYER_KEY, cancelDigest(payer, "n")));
        bytes memory wrong = sign(OTHER_KEY, transferDigest(a));
        _bothRefuse(a, wrong, "FiatTokenV2: authorization is not yet valid");
        a.validAfter = 0;
        _bothRefuse(a, wrong, "FiatTokenV2: authorization is expired");
        a.validBefore = NOW + 1;
        _bothRefuse(a, wrong, "FiatTokenV2: authorization is used or canceled");
        a.nonce = "m";
        _bothRefuse(a, wrong, "FiatTokenV2: invalid signature");
        _bothRefuse(a, sign(PAYER_KEY, transferDigest(a)), "ERC20: transfer amount exceeds balance");
    }

    function _bothRefuse(Auth memory a, bytes memory signature, string memory text) private {
        for (uint256 form = 0; form < 2; ++form) {
            expectText(text);
            transferAuthorized(Form(form), a, signature);
        }
    }
}
