// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {vm} from "./Vm.sol";
import {Fixture} from "./utils/Fixture.sol";

/// @title What the token's operations cost, kept in snapshots/TestUsdc.json
/// @dev Run with --isolate, so that each call is a transaction of its own and the intrinsic gas counts. Fixed keys and
/// the committed artifact make the numbers the same everywhere.
contract GasTest is Fixture {
    function test_gas_transfer() public {
        vm.prank(payer);
        require(usdc.transfer(payee, 1), "refused");
        vm.snapshotGasLastCall("TestUsdc", "transfer to a new holder");
        vm.prank(payer);
        require(usdc.transfer(payee, 1), "refused");
        vm.snapshotGasLastCall("TestUsdc", "transfer to a holder");
    }

    function test_gas_transferWithAuthorization() public {
        usdc.mint(payee, 1);
        Auth memory a = auth("a");
        transferAuthorized(Form.Vrs, a, sign(PAYER_KEY, transferDigest(a)));
        vm.snapshotGasLastCall("TestUsdc", "transferWithAuthorization (v, r, s) to a holder");
        a = auth("b");
        transferAuthorized(Form.Bytes, a, sign(PAYER_KEY, transferDigest(a)));
        vm.snapshotGasLastCall("TestUsdc", "transferWithAuthorization (bytes) to a holder");
    }

    function test_gas_receiveWithAuthorization() public {
        usdc.mint(payee, 1);
        Auth memory a = auth("a");
        bytes memory signature = sign(PAYER_KEY, receiveDigest(a));
        vm.prank(payee);
        receiveAuthorized(Form.Vrs, a, signature);
        vm.snapshotGasLastCall("TestUsdc", "receiveWithAuthorization (v, r, s) to a holder");
    }

    function test_gas_cancelAuthorization() public {
        cancel(Form.Vrs, payer, "a", sign(PAYER_KEY, cancelDigest(payer, "a")));
        vm.snapshotGasLastCall("TestUsdc", "cancelAuthorization (v, r, s)");
    }

    function test_gas_permit() public {
        permit(Form.Vrs, payer, relayer, 5, NOW, sign(PAYER_KEY, permitDigest(payer, relayer, 5, 0, NOW)));
        vm.snapshotGasLastCall("TestUsdc", "permit (v, r, s)");
        vm.prank(relayer);
        require(usdc.transferFrom(payer, payee, 4), "refused");
        vm.snapshotGasLastCall("TestUsdc", "transferFrom to a new holder");
    }
}
